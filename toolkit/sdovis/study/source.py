"""`[source]`: where rows and images come from, and what a reader (a plug-in of ``sdovis.readers``) adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, create_model, field_validator, model_validator

from sdovis import formats, plugins
from sdovis.errors import BadInput, Problem
from sdovis.study.columns import Columns
from sdovis.study.fetch import Fetch
from sdovis.study.licences import on_the_hub
from sdovis.study.sections import Section

READERS = "sdovis.readers"
DEFAULT_READER = "spreadsheet"


class SourceSettings(Section):
    """Base of a reader's own settings, the table ``[source.NAME]``: frozen, and unknown keys are refused.

    A setting with a ``title`` is named in the workbook that ``sdovis prepare --xlsx`` writes.
    """


@dataclass(frozen=True)
class Reader:
    """What an entry point of ``sdovis.readers`` refers to. A study chooses it with ``source.reader = "NAME"``.

    - ``read(source, settings)`` gives the rows, a list of `sdovis.readers.rows.RawRow`. Raises `BadInput` with every
      problem found.
    - ``settings`` is the model of the table ``[source.NAME]``; None if the reader needs no settings beyond `Source`,
      and ``read`` is then given None.
    - ``requires`` names entries of ``[source]`` that must not be empty.
    - ``fills_in(study)`` gives the entries of ``[source]`` that the reader knows by itself, such as the columns of a table
      that it makes; entries in the study file take precedence. ``study`` is the study as written, tables by name, not
      yet checked.
    - ``rows_from(source, settings)`` names the file or folder that the rows are read from, relative to ``source.root``.
    - ``notices(source, settings, rows)`` says in sentences what a reader of the results should know of the rows that
      ``read`` gave, such as that some were hidden; `sdovis check` and `prepare` print them, and ``corpus.json`` keeps them.
    - ``flares(source, settings, times)`` says which list of flares the labels of rows observed at ``times`` were made
      from, as a `sdovis.readers.rows.FlareFacts`; None if no list was used.
    """

    read: Callable[[Source, Any], Sequence[Any]]
    settings: type[SourceSettings] | None = None
    requires: tuple[str, ...] = ()
    fills_in: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda study: {}
    rows_from: Callable[[Source, Any], str] = lambda source, settings: source.workbook
    notices: Callable[[Source, Any, Sequence[Any]], Sequence[str]] = lambda source, settings, rows: ()
    flares: Callable[[Source, Any, Iterable[datetime]], Any] = lambda source, settings, times: None


def reader(name: str) -> Reader:
    """The reader registered as ``name``; raises `BadInput` with the nearest name if there is none."""
    found: Reader = plugins.load(READERS, name, Reader)
    if found.settings is not None and name in _Entries.model_fields:
        what = f"readers: {name!r} cannot have settings: [source] already has an entry of that name"
        raise BadInput(Problem(what, "ask the plug-in's author to rename it"))
    return found


def usable(name: object) -> Reader | None:
    """The reader registered as ``name``; None where there is none, or it cannot be loaded."""
    if not isinstance(name, str) or name not in plugins.names(READERS):
        return None
    try:
        return reader(name)
    except BadInput:
        return None


class _Entries(Section):
    """The entries of `[source]` that do not depend on the reader."""

    reader: str = Field(DEFAULT_READER, description="Plug-in that reads the rows.")
    root: Path = Field(Path(), description="Folder that holds the table of rows and the images.")
    workbook: str = Field(
        "",
        description=f"Table that rows are read from, relative to root; `{DEFAULT_READER}` requires it: a .xlsx, .xlsm, "
        ".csv, .tsv or .txt file.",
    )
    sheets: tuple[str, ...] = Field(
        (), description="Sheets of the table to read; if empty, the first that is not hidden."
    )
    header_row: int | None = Field(
        None, ge=1, description="Row of the headings, counted from 1; if absent, the first row that is not blank."
    )
    images: str = Field(".", description="Folder of the images, relative to root. Images outside it are not read.")
    keywords: str = Field(
        "",
        description="Table of the keywords of FITS files that were exported without them (JSOC's as-is protocol), "
        "relative to root: .csv as drms' query gives it.",
    )
    fetch: Fetch | None = Field(None, description="What `sdovis fetch` is to load for the study.")
    columns: Columns = Columns()
    longitude_system: Literal["stonyhurst", "carrington"] | None = Field(
        None,
        description="Where the rows' longitudes begin: at the central meridian (stonyhurst, west positive), or turning with "
        "the Sun (carrington, 0 to 360; converted with the image's time). Required where they may be Carrington's.",
    )
    date_order: Literal["day-first", "month-first"] | None = Field(
        None, description="Which comes first in dates that do not begin with the year; without it they are refused."
    )
    on_problem: Literal["error", "reject"] = Field(
        "error", description="A faulty row stops the study (error) or goes to rejects.csv with the reason (reject)."
    )
    licence: str = Field("", description="Licence of the images, as an SPDX or Hub identifier.")
    credit: str = Field("", description="Who is to be credited for the images.")

    _is_known_to_the_hub = field_validator("licence")(on_the_hub)


class Source(_Entries, extra="allow"):
    """Where the rows and the images come from. The reader's own settings are a table with the reader's name."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_the_readers_settings(cls, data: Any, handler: ModelWrapValidatorHandler[Source]) -> Source:
        if not isinstance(data, Mapping):
            return handler(data)
        name = data.get("reader", DEFAULT_READER)
        brings = usable(name)
        if brings is None:  # `load` reports it; nobody can check the table of a reader that is not there
            _Entries.model_validate({k: v for k, v in data.items() if k != name or k in _Entries.model_fields})
            return handler(data)
        given = {key: value for key, value in data.items() if value != "" or key not in brings.requires}
        checked = _checking(name, brings).model_validate({name: {}, **given} if brings.settings else given)
        return handler({**given, name: getattr(checked, name)} if brings.settings else given)

    @property
    def settings(self) -> Any:
        """The reader's own settings, of the type that it registered; None if it has none."""
        return (self.model_extra or {}).get(self.reader)

    @property
    def rows_from(self) -> str:
        """The file or folder that the rows are read from, relative to root."""
        return reader(self.reader).rows_from(self, self.settings)


@cache
def _checking(name: str, brings: Reader) -> type[BaseModel]:
    """`[source]` with the settings and required entries of the reader ``name``, so that all mistakes are found at once."""
    fields: dict[str, Any] = {name: (brings.settings, ...)} if brings.settings else {}
    for required in brings.requires:
        fields[required] = (_Entries.model_fields[required].annotation, ...)
    return create_model(f"Source of {name}", __base__=_Entries, **fields)


def settings_of(name: str) -> type[SourceSettings] | None:
    """The settings of the reader ``name``; None if there is no such reader, or it has none."""
    found = usable(name)
    return found.settings if found else None


def filled_in(study: Mapping[str, Any]) -> Mapping[str, Any]:
    """The study as written, with what its reader fills in; the study's own entries take precedence."""
    source = study.get("source", {})
    if not all(isinstance(section, Mapping) for name, section in study.items() if name != formats.KEY):
        return study  # the mistake is found when the study is checked
    brings = usable(source.get("reader", DEFAULT_READER))
    return {**study, "source": _over(brings.fills_in(study), source)} if brings else study


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``, tables within tables."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        both[key] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return both
