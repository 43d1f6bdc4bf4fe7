"""What a model says about itself: the entry ``sdovis`` in its config.json, written in training, read wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdovis import formats, records
from sdovis.channels.view import View
from sdovis.channels.view_formats import STEPS
from sdovis.learning import familiarity
from sdovis.learning.familiarity import Familiarity

if TYPE_CHECKING:
    from sdovis.corpus.facts import CorpusFacts


def of_corpus(facts: CorpusFacts) -> dict[str, Any]:
    """What travels with a model: its study's name, classes, label scheme and view."""
    kept = {key: records.plain(getattr(facts, key)) for key in ("study", "simulated", "classes", "scheme", "view")}
    return {formats.KEY: formats.newest(STEPS), **kept}


def of_model(config: Any) -> Mapping[str, Any]:
    """The entry of a transformers configuration, in the newest format; empty if sdovis did not train the model.

    Raises `BadInput` for a format that is newer than this sdovis.
    """
    said: Mapping[str, Any] = getattr(config, "sdovis", None) or {}
    return formats.brought_up(said, STEPS, file="config.json") if said else {}


def familiarity_of(config: Any, model: str | Path, **hub: Any) -> Familiarity | None:
    """What a model (a folder or a Hub id) with this configuration knows its training pictures by.

    ``hub`` says where on the Hub it is, as for `from_pretrained` (revision, token ...). None for a model of an older sdovis,
    which cannot tell what is strange to it. Raises `BadInput` as `of_model` and `Familiarity.load` do.
    """
    if not (said := of_model(config).get(familiarity.KEY)):
        return None
    from transformers.utils import cached_file

    try:
        found = cached_file(str(model), familiarity.FILE, **hub)
    except OSError:  # it is not there
        found = None
    return Familiarity.load(Path(found or Path(model) / familiarity.FILE), said)


def view_of(config: Any) -> View:
    """The view of a configuration's network. Raises `BadInput` as `of_model` and `View.from_json` do."""
    return View.from_json(of_model(config).get("view", {}))
