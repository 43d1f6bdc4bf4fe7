"""The cards' front matter, as the Hub reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import plain
from sdovis.evaluation.facts import ScoreFacts
from sdovis.statistics.bootstrap import Estimate
from sdovis.study.licences import HUB

#: Upper limits of the Hub's size categories.
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
#: The Hub's names for metrics, if ours differ by more than a hyphen.
_METRICS = {"macro-f1": "f1"}


def dataset_metadata(facts: Facts) -> dict[str, Any]:
    """Front matter of the dataset card."""
    from huggingface_hub import DatasetCardData

    storage = facts.storage
    card = DatasetCardData(
        pretty_name=plain(facts.title),
        task_categories=["image-classification"],
        size_categories=[next((name for limit, name in _SIZES.items() if facts.rows < limit), "n>10M")],
        **_licence(facts, facts.provenance.licence, facts.licence),
        tags=_tags(facts),
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": part, "path": f"data/{part}-*.parquet"} for part in storage.splits],
            }
        ],
        dataset_info={
            "features": [dict(feature) for feature in storage.features],
            "splits": [
                {"name": part, "num_bytes": size, "num_examples": rows} for part, (rows, size) in storage.splits.items()
            ],
            "download_size": storage.download_bytes,
            "dataset_size": storage.dataset_bytes,
        },
    )
    return {key: value for key, value in card.to_dict().items() if value is not None}


def model_metadata(facts: Facts) -> dict[str, Any]:
    """Front matter of the model card. The bounds of intervals are separate metrics, because there is no field for them."""
    from huggingface_hub import EvalResult, ModelCardData

    where = facts.repositories
    shared: dict[str, Any] = {
        "task_type": "image-classification",
        "task_name": "Image Classification",
        "dataset_type": where.dataset,
        "dataset_name": plain(facts.title),
        "dataset_split": facts.scores.part,
        "dataset_revision": where.pin,
    }
    card = ModelCardData(
        **_licence(facts, facts.licence),
        library_name="sdovis" if facts.fused else "transformers",
        pipeline_tag="image-classification",
        base_model=facts.network.hub_id or None,
        datasets=[where.dataset],
        metrics=[_metric(name) for name in facts.scores.overall],
        tags=_tags(facts),
        model_name=facts.name,
        eval_results=[EvalResult(**shared, **metric) for metric in score_metrics(facts.scores.overall, facts.scores)],
        widget=[
            {
                "src": example.file,
                "example_title": plain(example.label),
                "output": [{"label": plain(name), "score": round(p, 4)} for name, p in example.probabilities.items()],
            }
            for example in facts.examples
            if not facts.fused
        ]
        or None,
    )
    return {key: value for key, value in card.to_dict().items() if value is not None}


def space_metadata(facts: Facts) -> dict[str, Any]:
    """Front matter of the Space's README."""
    where = facts.repositories
    names = [channel.name for channel in facts.channels]
    about = ["image-classification", "solar-physics", "heliophysics", "sdovis", *names, facts.scheme.name]
    return {
        "title": facts.title,
        "emoji": "☀️",
        "colorFrom": "yellow",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": _pinned("gradio"),
        "python_version": "3.11",
        "app_file": "app.py",
        "pinned": False,
        "license": "mit",
        "models": [where.model],
        "datasets": [where.dataset],
        "tags": [*about, *(["simulated"] if facts.simulated else [])],
    }


def _pinned(package: str) -> str:
    """The version of a package that a Space installs."""
    requirements = files("sdovis.space").joinpath("requirements.txt").read_text(encoding="utf-8")
    return next(line.partition("==")[2] for line in requirements.splitlines() if line.startswith(f"{package}=="))


def _metric(name: str) -> str:
    return _METRICS.get(name, name.replace("-", "_"))


def score_metrics(overall: Mapping[str, Estimate], scores: ScoreFacts) -> list[dict[str, Any]]:
    """Scores that are one number as entries of a card's model index; ``scores`` says how their intervals were made."""
    how = {
        "unit": "region",
        "regions": scores.regions,
        "samples": scores.bootstrap.samples,
        "confidence": scores.bootstrap.confidence,
    }
    found = []
    for name, entry in overall.items():
        title = name.replace("-", " ")
        rows = [("", title, entry.estimate, None), *_bounds(title, entry, how)]
        found += [
            {"metric_type": f"{_metric(name)}{end}", "metric_name": text, "metric_value": round(v, 4), "metric_args": a}
            for end, text, v, a in rows
            if v is not None
        ]
    return found


def _bounds(
    title: str, entry: Estimate, how: dict[str, Any]
) -> list[tuple[str, str, float | None, dict[str, Any] | None]]:
    level = f"{how['confidence']:.0%} interval by region"
    return [
        ("_low", f"{title}, lower bound of the {level}", entry.low, how),
        ("_high", f"{title}, upper bound of the {level}", entry.high, how),
    ]


def _licence(facts: Facts, *given: str) -> dict[str, Any]:
    """The Hub knows licences by identifier; any other is an `other` licence, with the name and link that the study gives."""
    names = list(dict.fromkeys(plain(text).lower() for text in given if plain(text)))
    if not names:
        return {"license": "unknown"}
    unknown = [name for name in names if name not in HUB]
    if not unknown and "other" not in names:
        return {"license": names[0] if len(names) == 1 else names}
    named = facts.licence_name or re.sub(r"[^a-z0-9.]+", "-", "-".join(unknown)).strip("-")
    found = {"license": "other", "license_name": named, "license_link": facts.licence_link}
    return {key: text for key, text in found.items() if text}


def _tags(facts: Facts) -> list[str]:
    names = [channel.name for channel in facts.channels]
    instruments = [name.partition("-")[0] for name in names]
    about = ["solar-physics", "heliophysics", "sdovis", *instruments, *names, facts.scheme.name]
    return list(dict.fromkeys([*(["simulated"] if facts.simulated else ["sdo"]), *map(plain, about)]))
