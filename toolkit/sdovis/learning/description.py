"""What a model says about itself: the entry ``sdovis`` in its config.json, written in training, read wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from sdovis import formats, records
from sdovis.channels.view import View
from sdovis.channels.view_formats import STEPS
from sdovis.corpus import beside
from sdovis.errors import BadInput, Problem
from sdovis.learning import familiarity
from sdovis.learning.familiarity import Familiarity
from sdovis.statistics.tabular import TableColumn

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus
    from sdovis.corpus.facts import CorpusFacts
    from sdovis.study import Study


#: What a model is told beside the image, among what it says about itself.
TOLD = "beside"


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


def told_of(study: Study, corpus: Corpus) -> tuple[TableColumn, ...]:
    """What the study's model is told beside the image; nothing if it looks at the image alone.

    Raises `BadInput` for a corpus that was made before the study named these values.
    """
    if study.method.beside == "none":
        return ()
    told = corpus.facts.beside or ()
    if {each.name: (each.kind, each.heading) for each in told} != study.source.columns.beside.named:
        what = "does not hold the values that [source.columns.beside] names"
        raise BadInput(Problem(what, "run sdovis prepare", str(corpus.folder)))
    return told


def table_of(study: Study, corpus: Corpus, *parts: str) -> NDArray[np.float32] | None:
    """(N, W): what the study's model is told of the images of these parts, one after the other; None if it is told nothing."""
    if not (told := told_of(study, corpus)):
        return None
    return np.concatenate([beside.encoded(told, corpus.part(part)) for part in parts])


def beside_of(config: Any) -> tuple[TableColumn, ...]:
    """What a configuration's network is told beside the image. Raises `BadInput` as `of_model`, and for what is damaged."""
    try:
        return TypeAdapter(tuple[TableColumn, ...]).validate_python(of_model(config).get(TOLD, ()))
    except ValidationError as error:
        raise BadInput(Problem(f"sdovis.{TOLD} is damaged: {error.errors()[0]['msg']}", "", "config.json")) from error


def view_of(config: Any) -> View:
    """The view of a configuration's network. Raises `BadInput` as `of_model` and `View.from_json` do."""
    return View.from_json(of_model(config).get("view", {}))
