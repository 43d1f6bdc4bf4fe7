"""The training's curves on a page of trackio's: a static Space beside the three repositories, if the study asks for it.

What trackio 0.43 puts on the Hub itself (``trackio.sync(..., sdk="static")``: `deploy_as_static_space` in its deploy.py,
`export_for_static_space` in sqlite_storage.py), here without an account and without trackio's database: its built page and
``config.json`` are the Space, and the tables that the page reads lie in the dataset. The page fetches them from
``https://huggingface.co/datasets/ID/resolve/main/`` without a token (frontend/src/lib/staticApi.js), so it works only where
the dataset is public. It has no times of day: the run does not keep any.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import code, front_matter, plain, verbatim
from sdovis.errors import BadInput, Problem

#: In the dataset, where the page looks for them.
METRICS, RUNS, SETTINGS, CONFIGS = "metrics.parquet", "runs.json", "settings.json", "aux/configs.parquet"


def write(facts: Facts, folder: Path) -> None:
    """Write the Space, and what its page reads, into the release in ``folder``. Raises `BadInput` without trackio."""
    if not facts.offers.dashboard:
        return
    spec = find_spec("trackio")
    if spec is None or spec.origin is None:
        hint = "pip install 'sdovis[trackers]', or remove publish.dashboard"
        raise BadInput(Problem("publish.dashboard needs the package trackio, whose page it is", hint))
    _page(facts, Path(spec.origin).parent, folder / "dashboard")
    _tables(facts, folder / "dataset")


def _page(facts: Facts, trackio: Path, space: Path) -> None:
    shutil.copytree(trackio / "frontend" / "dist", space)
    shutil.copytree(trackio / "assets", space / "static" / "trackio")
    installed = distribution("trackio")
    licence = installed.read_text("licenses/LICENSE") or "MIT"
    (space / "LICENSE.txt").write_text(f"Of the page, which is trackio's:\n\n{licence}", encoding="utf-8")
    config = {"mode": "static", "project": facts.name, "private": False, "version": installed.version}
    _write_json(space / "config.json", {**config, "dataset_id": facts.repositories.dataset})
    (space / "README.md").write_text(readme(facts), encoding="utf-8")


def readme(facts: Facts) -> str:
    """The Space's README."""
    where = facts.repositories
    said: dict[str, Any] = {"title": plain(f"{facts.title}: training"), "emoji": "📈", "sdk": "static", "pinned": False}
    said |= {"tags": ["trackio", "sdovis"], "datasets": [where.dataset], "models": [where.model]}
    model = f"[{verbatim(where.model)}](https://huggingface.co/{verbatim(where.model)}/tree/{verbatim(where.pin)})"
    return front_matter(said) + (
        f"# The training of {verbatim(where.model)}\n\n"
        f"Loss and scores at each step of the training that gave {model} at {code(where.pin)}, as its training.json has them. "
        f"The page is trackio's; it reads the tables in main of the dataset {verbatim(where.dataset)}.\n"
    )


def _tables(facts: Facts, dataset: Path) -> None:
    """What `export_for_static_space` writes of a project with one run."""
    run = {"run_id": facts.name, "run_name": facts.name}
    rows = [{**run, **dict(_logged(entry))} for entry in facts.training.curves]
    pd.DataFrame(rows).to_parquet(dataset / METRICS, index=False)
    said = {**facts.training.arguments, **facts.training.method, "seed": facts.training.seed}
    settings = {
        name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in said.items()
    }
    (dataset / CONFIGS).parent.mkdir()
    pd.DataFrame([{**run, **settings}]).to_parquet(dataset / CONFIGS, index=False)
    steps = [row["step"] for row in rows]
    about = {"id": facts.name, "name": facts.name, "created_at": None, "last_step": max(steps, default=None)}
    _write_json(dataset / RUNS, [{**about, "log_count": len(rows)}])
    _write_json(dataset / SETTINGS, {"color_palette": [], "plot_order": []})


def _logged(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """An entry of the Trainer's log as trackio's own callback names it: ``train/loss``, ``eval/accuracy``."""
    for name, value in entry.items():
        part = "eval/" if name.startswith("eval_") else "" if name == "step" else "train/"
        yield f"{part}{name.removeprefix('eval_')}", value


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
