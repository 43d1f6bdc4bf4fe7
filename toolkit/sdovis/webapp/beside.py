"""Fields for the values beside an image, and how what is written in them reaches the functions of the page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from sdovis.corpus.beside import PREFIX
from sdovis.inference.values import wanted
from sdovis.statistics.tabular import TableColumn

#: What a visitor chooses where a category is not known.
UNKNOWN = "not known"


def fields(told: Sequence[TableColumn], *, visible: bool = True) -> list[Any]:
    """A field for each value, empty at first; those that are not ``visible`` are for programs."""
    return [_field(column, visible) for column in told]


def _field(column: TableColumn, visible: bool) -> Any:
    hint = wanted(column).replace(", or None if it is missing", "; empty if it is not known")
    shared: dict[str, Any] = {"label": column.name.replace("_", " "), "info": hint, "elem_id": f"sdovis-{column.name}"}
    if not visible:
        shared = {"label": PREFIX + column.name, "visible": False}
    if column.categories is None:
        return gr.Number(value=None, **shared)
    choices = [*column.categories, *([UNKNOWN] if column.missing else [])]
    # A program's own spelling is judged as everywhere, and not by Gradio.
    return gr.Dropdown(choices, value=None, allow_custom_value=not visible, **shared)


def given(told: Sequence[TableColumn], written: Sequence[Any]) -> dict[str, Any]:
    """The values that are ``written`` in the fields; an empty field is no value where none lacked one in training."""
    known = {c.name: None if v in (None, "", UNKNOWN) else v for c, v in zip(told, written, strict=True)}
    return {c.name: known[c.name] for c in told if c.missing or known[c.name] is not None}


def taking(handler: Callable[..., Any], told: Sequence[TableColumn], inputs: int) -> Callable[..., Any]:
    """``handler`` for Gradio, of which the first ``inputs`` parameters are on the page, followed by the fields' values.

    It is called with these in ``beside``. Gradio, and the door, read from its signature what a function takes.
    """
    if not told:
        return handler
    hints = inspect.get_annotations(handler, eval_str=True)
    own = list(inspect.signature(handler).parameters.values())
    special = [p for p in own if hints.get(p.name) in (gr.Request, gr.SelectData, gr.Request | None)]
    first = [p for p in own if p not in special and p.name != "beside"][:inputs]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    values = [inspect.Parameter(PREFIX + c.name, kind, default=None) for c in told]
    plain = [*first, *(p.replace(default=None) for p in special)]

    @wraps(handler)
    async def taken(*args: Any) -> Any:
        written = args[len(first) : len(first) + len(told)]
        named = dict(zip([p.name for p in plain], [*args[: len(first)], *args[len(first) + len(told) :]], strict=True))
        return await handler(**named, beside=given(told, written))

    made: Any = taken
    made.__signature__ = inspect.Signature([*plain[: len(first)], *values, *plain[len(first) :]])
    made.__annotations__ = {p.name: gr.SelectData if hints[p.name] is gr.SelectData else gr.Request for p in special}
    del made.__wrapped__
    return taken


def facts(told: Sequence[TableColumn], beside: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What was told, as (name, value) pairs for a reader of the answer."""
    values = beside or {}
    shown = ((column, values.get(column.name)) for column in told)
    return [
        (f"{c.name.replace('_', ' ')} (given)", UNKNOWN if v is None else f"{v:g}" if c.is_number else str(v))
        for c, v in shown
    ]


def example(told: Sequence[TableColumn]) -> dict[str, Any]:
    """Values as they may be given, for a piece of code to start from: a median, and the first category."""
    return {c.name: c.categories[0] if c.categories else round(c.median or 0.0, 2) for c in told}
