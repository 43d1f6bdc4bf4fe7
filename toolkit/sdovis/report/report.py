"""The stage `report`: a run on one page, ``report.html``, and the facts of that page, ``report.json``.

Both say only what the stages of the run recorded; the page holds its pictures and needs no other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pydantic_core

from sdovis import formats, manifests, records
from sdovis.cards import card
from sdovis.cards.facts import Facts, elsewhere_of, explanation_of, exported_of
from sdovis.cards.render import Template, render
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import comparison
from sdovis.evaluation.comparison import Comparison
from sdovis.report import sections
from sdovis.report.hypertext import page
from sdovis.report.sections import Origin
from sdovis.summary import Summary

PAGE, FACTS = "report.html", "report.json"
STEPS: tuple[formats.Step, ...] = ()
_MADE_BY: Mapping[str, str] = {"corpus": "prepare", "model": "train", "scores": "evaluate"}
#: A difference of two scores that are the same but for rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class Report:
    """A finished report in ``folder``."""

    folder: Path

    @classmethod
    def load(cls, folder: Path) -> Report:
        """A report folder. Raises `BadInput` if it is absent, unfinished or damaged."""
        manifests.read(folder, made_by="report")
        return cls(folder)


def report(facts: Facts, run_dir: Path) -> Report:
    """Write ``run_dir/report`` whole, unless it says the same already.

    Raises `BadInput` if a stage or the comparison is damaged or does not belong to the run, or if the page would contain a
    token or a folder of this machine.
    """
    folder, wanted = run_dir / "report", written(facts, run_dir)
    made_from = {"pin": facts.repositories.pin}
    sums = {name: manifests.sha256_text(text) for name, text in wanted.items()}
    if not (manifests.finished(folder, made_from) and manifests.read(folder, made_by="report").files == sums):
        with manifests.whole(folder, stage="report", made_from=made_from) as beside:
            for name, text in wanted.items():
                (beside / name).write_text(text, encoding="utf-8")
    return Report(folder)


def written(facts: Facts, run_dir: Path) -> dict[str, str]:
    """The files of a report: name -> text."""
    origin, pictures = _origin(facts, run_dir)
    template = Template(
        files("sdovis.report").joinpath("report.md.j2").read_text(encoding="utf-8"),
        "sdovis/report/report.md.j2",
        own=False,
    )
    markdown = render(template, facts, of_run=sections.of_run(facts, origin))
    card.refuse_private(markdown)
    shown = {**card.shown(facts, run_dir), **pictures}
    return {PAGE: page(markdown, shown, facts.title), FACTS: _facts(facts, origin)}


def _facts(facts: Facts, origin: Origin) -> str:
    """The facts of a report as JSON; a number that is not one is null."""
    told: dict[str, Any] = {formats.KEY: formats.newest(STEPS), "digests": origin.digests}
    told |= {"comparison": records.plain(origin.comparison), "facts": records.plain(replace(facts, examples=()))}
    return pydantic_core.to_json(told, indent=1, inf_nan_mode="null").decode() + "\n"


def _origin(facts: Facts, run_dir: Path) -> tuple[Origin, dict[str, bytes]]:
    """What the report is made of, and the pictures of the summary that it shows."""
    made = {name: manifests.read(run_dir / name, made_by=verb) for name, verb in _MADE_BY.items()}
    made |= elsewhere_of(run_dir) | explanation_of(run_dir) | exported_of(run_dir)
    captions: dict[str, str] = {}
    summary = run_dir / "summary"
    if (summary / manifests.NAME).is_file():
        described = manifests.read(summary, made_by="describe")
        if described.made_from["corpus"] == made["corpus"].digest:
            told = {each["file"]: each["caption"] for each in Summary.load(summary).facts["figures"]}
            wanted = [f"figures/{name}.png" for name in sections.OF_DATA]
            captions = {name: str(told[name]) for name in wanted if name in told}
    pictures = {name: (summary / name).read_bytes() for name in captions}
    digests = {name: manifest.digest for name, manifest in made.items()}
    study = (run_dir / "study.toml").read_text(encoding="utf-8")
    return Origin(study, digests, captions, _comparison(facts, run_dir)), pictures


def _comparison(facts: Facts, run_dir: Path) -> Comparison | None:
    """The comparison that was written to the run's own folder. Raises `BadInput` if it is of other scores."""
    folder = run_dir / "comparison"
    if not folder.is_dir():
        return None
    again = f"run sdovis compare again with --output {folder.name} in the run's folder, or remove it"
    manifests.read(folder, made_by="compare")
    found = Comparison.load(folder)
    name = run_dir.resolve().name
    if name not in found.scores:
        raise BadInput(Problem(f"does not compare {name}", again, str(folder / comparison.FILE)))
    own = facts.scores if not found.on else next((e.facts for e in facts.elsewhere if e.source.name == found.on), None)
    if own is None:
        raise BadInput(Problem(f"compares on {found.on}, where this run has no scores", again, str(folder)))
    here, there = own.overall.get(found.metric), found.scores[name]
    all_of_them = not found.left_out[name]
    if all_of_them and here and here.estimate is not None and abs(here.estimate - (there.estimate or 0.0)) > _SAME:
        raise BadInput(Problem(f"{found.metric} of {name} is not what this run scores now", again, str(folder)))
    return found
