"""The page where a model is tried out: the interface behind ``space/app.py`` and ``sdovis serve``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["build", "launch"]

if TYPE_CHECKING:
    from sdovis.webapp.app import build, launch


def __getattr__(name: str) -> Any:
    # Lazily: Gradio takes seconds to import.
    if name not in __all__:
        raise AttributeError(f"module 'sdovis.webapp' has no attribute {name!r}")
    return getattr(import_module("sdovis.webapp.app"), name)
