"""The stage `describe`: a corpus, and timings if there are any, in numbers, tests and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdovis import manifests, plugins
from sdovis.channels.channel import channel
from sdovis.corpus.build import Corpus
from sdovis.corpus.units import said_of_missing
from sdovis.study import Study
from sdovis.summary import compare, pictures
from sdovis.summary.compare import FAMILIES, TEST_COLUMNS, Row, complete, finite
from sdovis.summary.quantities import Measured, Quantity, measure
from sdovis.summary.timing import Timings
from sdovis.summary.workbook import workbook

ALL = "(all)"  # the workbook's name for all classes together
NOTES = {
    "unit": "The independent unit is the active region or, without a number (quiet Sun), the full-disc image.",
    "aggregation": "A region counts once, in the class that most of its images have (in a tie, the class seen first), "
    "with the median over its images of that class. Numbers at the level of images are descriptive: images of one "
    "region are not independent, and no test uses them.",
    "quantiles": "Quantiles interpolate linearly (Hyndman and Fan's type 7); SD is the sample's (n - 1).",
    "adjustment": "p_holm is Holm's adjustment within the family; tests that could not be done are counted too.",
    "method": "Exact below 50 values (of each sample) without ties or zeros; otherwise the normal approximation, "
    "corrected for ties and continuity. Kruskal-Wallis: chi-square. Computed with scipy.",
    "shift": "Hodges-Lehmann estimate of a - b with its interval; for durations, the ratio a / b, from logarithms.",
    "effect_size": "Cliff's delta and the rank-biserial correlation run from -1 to 1 (positive: a is larger), epsilon "
    "squared from 0 to 1.",
    "parts": "All parts of the corpus together, unless a part is named.",
}


@dataclass(frozen=True)
class Summary:
    """A finished summary: ``facts`` is ``summary.json``; summary.xlsx and figures/*.png lie in ``folder``."""

    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Summary:
        """Read a summary folder. Raises `BadInput` if it is absent, unfinished or damaged."""
        manifests.read(folder, made_by="describe")
        return cls(folder, json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def made_from(study: Study, corpus: Corpus, timings: Timings | None = None) -> dict[str, str]:
    """What a summary depends on."""
    return {
        "confidence": str(study.evaluation.confidence),
        "title": study.study.title,
        "corpus": corpus.manifest.digest,
        "channels": " ".join(plugins.version("sdovis.channels", of.name) for of in corpus.facts.view.channels),
        "timings": timings.digest if timings else "",
    }


def summarise(study: Study, corpus: Corpus, folder: Path, timings: Timings | None = None) -> Summary:
    """Describe and test ``corpus`` and ``timings``; ``folder`` appears whole or not at all."""
    measured = measure(corpus, [channel(of.name) for of in corpus.facts.view.channels])
    facts = _facts(study, corpus, measured, timings)
    with manifests.whole(folder, stage="describe", made_from=made_from(study, corpus, timings)) as beside:
        facts["figures"] = pictures.draw(corpus, measured, facts["counts"], timings, beside / "figures")
        text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
        (beside / "summary.json").write_text(text + "\n", encoding="utf-8")
        (beside / "summary.xlsx").write_bytes(workbook(_readme(study, facts), _sheets(facts)))
    return Summary.load(folder)


def _facts(study: Study, corpus: Corpus, measured: Measured, timings: Timings | None) -> dict[str, Any]:
    confidence = study.evaluation.confidence
    tests = [
        *compare.between_classes(measured, corpus.classes, confidence),
        *compare.first_and_last(measured, confidence),
        *(timings.tests if timings else ()),
    ]
    counts = compare.counts(corpus)
    facts = {
        "study": study.name,
        "simulated": corpus.facts.simulated,
        "corpus": corpus.manifest.digest,
        "classes": dict(corpus.facts.classes),
        "rows": len(corpus.rows),
        "rejects": corpus.facts.rejects,
        "rejects_by_reason": dict(corpus.facts.rejects_by_reason),
        "regions": {
            "regions": len(measured.regions),
            "of_several_classes": measured.several_classes,
            "images_left_out": measured.left_out,
            "rows_without": corpus.facts.rows_without_region or 0,
        },
        "notes": NOTES,
        "counts": counts,
        "imbalance": _imbalance(counts),
        "quantities": {quantity.name: asdict(quantity) for quantity in measured.quantities},
        "describe": compare.descriptions(measured, corpus.classes),
        "families": {
            name: {"question": question, "tests": n}
            for name, question in FAMILIES.items()
            if (n := sum(row["family"] == name for row in tests))
        },
        "tests": complete(tests, TEST_COLUMNS),
        "timings": list(timings.descriptions) if timings else [],
    }
    cleaned: dict[str, Any] = finite(facts)
    return cleaned


def _imbalance(counts: Sequence[Row]) -> dict[str, float | None]:
    """Part -> images of the commonest class over those of the rarest; None if a class is empty."""
    images: dict[str, list[int]] = {}
    for row in counts:
        images.setdefault(row["part"], []).append(row["images"])
    return {part: max(n) / min(n) if min(n) else None for part, n in images.items()}


def _sheets(facts: Mapping[str, Any]) -> dict[str, Sequence[Mapping[str, Any]]]:
    described = [row | {"class": ALL if row["class"] is None else row["class"]} for row in facts["describe"]]
    return {"Counts": facts["counts"], "Describe": described, "Tests": facts["tests"], "Timings": facts["timings"]}


def _readme(study: Study, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    regions = facts["regions"]
    lines = [
        ("Study", f"{facts['study']}: {study.study.title}" if study.study.title else facts["study"]),
        ("Images", f"{facts['rows']} images of {regions['regions']} regions; {facts['rejects']} rows rejected"),
        (
            "Regions",
            f"{regions['of_several_classes']} regions were seen in more than one class; {regions['images_left_out']} "
            "of their images are not of the region's class and are left out at the level of regions",
        ),
        ("Counts", "Images and regions of each class in each part. A region may count in more than one class here."),
        ("Describe", f"Every quantity for every class, and for all classes together, {ALL}, by region and by image."),
        ("Tests", "One row per test, with its family, effect size and interval."),
        ("Timings", "Durations of runs: latency per image (without warm-up) and time per training step."),
        *((f"Note: {name}", text) for name, text in facts["notes"].items()),
        *((f"Family: {name}", f"{e['question']} {e['tests']} tests.") for name, e in facts["families"].items()),
        *((f"Class: {name}", meaning) for name, meaning in facts["classes"].items()),
        *((f"Quantity: {name}", f"{Quantity(**q).axis}: {q['meaning']}") for name, q in facts["quantities"].items()),
        *((f"Figure: {entry['file']}", entry["caption"]) for entry in facts["figures"]),
    ]
    if unknown := said_of_missing(regions["rows_without"], facts["rows"]):
        lines.insert(2, ("Without a region", f"{unknown}."))
    if facts["simulated"]:
        lines.insert(1, ("Simulated", "The images are simulated: these numbers say nothing about the Sun."))
    return lines
