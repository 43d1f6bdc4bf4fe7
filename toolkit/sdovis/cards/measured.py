"""What a run measured of its machine and its day: nothing that a release's pin hangs on, or that makes it another release.

The same data, code and seed give the same pin on any day: how long something took, and on what, is left out of what is hashed
and compared. It is published all the same: in the files below, and on the model card between two marks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from sdovis import manifests
from sdovis.manifests import Manifest

#: Files of which nothing else is to be had.
FILES = frozenset({"latency.parquet"})
#: File -> its fields that were measured.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "scores.json": ("latency_ms",),
    "explanation.json": ("seconds",),
    "training.json": ("seconds", "images_per_second", "timings", "hardware", "resumed_from", "sessions"),
}
BEGIN, END = "<!-- sdovis:measured -->", "<!-- /sdovis:measured -->"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}$", re.DOTALL | re.MULTILINE)


def partly(name: str) -> bool:
    """Whether a file of that name may hold measured facts beside others."""
    return PurePosixPath(name).name in FIELDS or name.endswith(".md")


def wholly(name: str) -> bool:
    """Whether a file of that name holds measured facts alone."""
    return PurePosixPath(name).name in FILES


def lasting(name: str, content: bytes) -> bytes:
    """The contents of a file without what was measured. Raises `ValueError` if it is not what its name says."""
    if name.endswith(".md"):
        return _BLOCK.sub("", content.decode("utf-8")).encode()
    fields = FIELDS.get(PurePosixPath(name).name)
    if fields is None:
        return content
    told = json.loads(content)
    if not isinstance(told, dict):
        raise ValueError(f"{name} is not a JSON object")
    return json.dumps({key: value for key, value in told.items() if key not in fields}, sort_keys=True).encode()


def pin(run_dir: Path, made: Mapping[str, Manifest]) -> str:
    """The tag of a release, known before anything is published: a function of the contents of the folders ``made`` in a run.

    What was measured of the machine and the day is left out: the same data, code and seed give the same pin.
    """
    contents = {name: _sums(run_dir / name, manifest.files) for name, manifest in made.items()}
    return "r-" + manifests.sha256_text(json.dumps(contents, sort_keys=True))[:12]


def _sums(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """``files`` (path in ``folder`` -> sha256) without what was measured."""
    return {
        name: manifests.sha256_text(lasting(name, (folder / name).read_bytes()).decode()) if partly(name) else digest
        for name, digest in files.items()
        if not wholly(name)
    }
