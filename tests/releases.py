"""What the tests of releases and of publishing share: small releases of no meaning, and one real run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from runs import Run, make
from sdovis import manifests

CARD = """---
license: mit
---
# {kind} {words}

Release `{pin}`: the tag shared by dataset, model and Space.

<!-- sdovis:keep notes -->
Nothing yet.
<!-- /sdovis:keep -->

The end.
"""
Crafted = Callable[..., Path]
KINDS = ("dataset", "model", "space")


@pytest.fixture
def crafted(tmp_path: Path) -> Crafted:
    """A function that writes ``tmp_path/run/release``: files as a release has them, contents of no meaning."""

    def craft(
        *,
        words: str = "first words",
        seed: int = 0,
        namespace: str = "org",
        without: tuple[str, ...] = (),
        collection: str = "",
        dashboard: bool = False,
        extra: Mapping[str, bytes] | None = None,
    ) -> Path:
        rng = np.random.default_rng(seed)
        folder = tmp_path / "run" / "release"
        pin = f"r-{seed:012d}"
        kinds = (*KINDS, "dashboard") if dashboard else KINDS
        files = {f"{kind}/README.md": CARD.format(kind=kind, words=words, pin=pin).encode() for kind in kinds}
        files |= {"dataset/data/train-00000-of-00001.parquet": rng.bytes(3000), "dataset/corpus.json": b"{}\n"}
        files |= {"model/model.safetensors": rng.bytes(5000), "model/config.json": b'{"a": 1}\n'}
        files |= {"space/app.py": b"print('hello')\n", "space/sdovis/__init__.py": b""}
        files |= {"space/space.json": json.dumps({"model": f"{namespace}/sun", "revision": pin}).encode()}
        files = {name: content for name, content in (files | dict(extra or {})).items() if name not in without}
        with manifests.whole(folder, stage="release", made_from={}) as beside:
            for name, content in files.items():
                (beside / name).parent.mkdir(parents=True, exist_ok=True)
                (beside / name).write_bytes(content)
            sums = {
                kind: {
                    n.partition("/")[2]: manifests.sha256_file(beside / n) for n in files if n.startswith(f"{kind}/")
                }
                for kind in kinds
            }
            names = {"dashboard": "sun-training"}
            repositories = {
                kind: {"id": f"{namespace}/{names.get(kind, 'sun')}", "files": sums[kind]} for kind in kinds
            }
            told = {"study": "sun", "sdovis": "0.1.0", "pin": pin, "repositories": repositories}
            # Without a collection it is a release of format 1.
            text = json.dumps(told | ({"collection": collection, "format": 2} if collection else {}))
            (beside / "release.json").write_text(text)
        return folder

    return craft


@pytest.fixture(scope="session")
def finished_run(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small, real run with its cards, done once. Do not write into it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return make(folder, simulated)
