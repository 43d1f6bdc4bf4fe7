"""What a model says of itself: the entry ``sdovis`` of its config.json, written in training, read wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdovis import records
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem

if TYPE_CHECKING:
    from sdovis.corpus.facts import CorpusFacts

#: 1 had the entries of the view beside the others, and no number.
FORMAT = 2
_OF_THE_VIEW = ("channels", "size_px", "cutout_arcsec", "cutout_deg", "center_px", "arcsec_per_px")


def of_corpus(facts: CorpusFacts) -> dict[str, Any]:
    """What travels with a model: its study's name, classes and label scheme, and what its network looks at."""
    kept = {key: records.plain(getattr(facts, key)) for key in ("study", "simulated", "classes", "scheme", "view")}
    return {"format": FORMAT, **kept}


def of_model(config: Any) -> Mapping[str, Any]:
    """That of a transformers configuration, brought up to the newest format; empty for a model that sdovis did not train.

    Raises `BadInput` for a format that is newer than this sdovis.
    """
    said: Mapping[str, Any] = getattr(config, "sdovis", None) or {}
    if said.get("format", 1) > FORMAT:
        what = f"the model's config.json is of format {said['format']}, and this sdovis knows formats up to {FORMAT}"
        raise BadInput(Problem(what, "install the sdovis that its card names"))
    return with_a_view(said) if said and "format" not in said else said


def with_a_view(said: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 as format 2."""
    rest = {key: value for key, value in said.items() if key not in _OF_THE_VIEW}
    return {"format": 2, **rest, "view": {key: said[key] for key in _OF_THE_VIEW if key in said}}


def view_of(config: Any) -> View:
    """What the network of a configuration looks at. Raises `BadInput` as `of_model` and `View.from_json` do."""
    return View.from_json(of_model(config).get("view", {}))
