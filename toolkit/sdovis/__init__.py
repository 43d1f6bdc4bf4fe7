"""SDOVIS: from a spreadsheet of solar active regions and SDO images to a published, citable, live classifier."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdovis.version import __version__ as __version__

__all__ = [
    "BadInput",
    "Conflict",
    "Corpus",
    "SdovisError",
    "Study",
    "card",
    "describe",
    "evaluate",
    "load_study",
    "pipeline",
    "prepare",
    "run",
    "train",
]

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus
    from sdovis.errors import BadInput, Conflict, SdovisError
    from sdovis.inference import pipeline
    from sdovis.study import Study
    from sdovis.study import load as load_study
    from sdovis.verbs import card, describe, evaluate, prepare, run, train

_HOMES = {
    "BadInput": ("sdovis.errors", "BadInput"),
    "Conflict": ("sdovis.errors", "Conflict"),
    "SdovisError": ("sdovis.errors", "SdovisError"),
    "Corpus": ("sdovis.corpus.build", "Corpus"),
    "Study": ("sdovis.study", "Study"),
    "load_study": ("sdovis.study", "load"),
    "pipeline": ("sdovis.inference", "pipeline"),
    **{verb: ("sdovis.verbs", verb) for verb in ("card", "describe", "evaluate", "prepare", "run", "train")},
}


def __getattr__(name: str) -> Any:
    # Lazily, so that `import sdovis` stays instant: torch is imported when something needs it.
    if name not in _HOMES:
        raise AttributeError(f"module 'sdovis' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
