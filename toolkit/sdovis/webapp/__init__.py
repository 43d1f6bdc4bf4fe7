"""The page on which a model is tried out: the interface behind ``space/app.py`` and ``sdovis serve``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdovis.errors import BadInput, Problem

__all__ = ["build", "launch"]

if TYPE_CHECKING:
    from sdovis.webapp.app import build, launch


def __getattr__(name: str) -> Any:
    # Lazily: Gradio takes seconds to import.
    if name not in __all__:
        raise AttributeError(f"module 'sdovis.webapp' has no attribute {name!r}")
    try:
        return getattr(import_module("sdovis.webapp.app"), name)
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise BadInput(Problem("the page needs gradio, which is not installed", "pip install gradio")) from error
