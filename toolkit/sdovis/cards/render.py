"""Templates rendered strictly: a name that is undefined, or a value printed without a filter, is an error with its line."""

from __future__ import annotations

import re
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    meta,
    nodes,
)
from jinja2 import Template as Compiled
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from sdovis.cards import markdown
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, md
from sdovis.cards.sentences import SENTENCES
from sdovis.cards.tables import TABLES
from sdovis.errors import BadInput, Problem, SdovisError, nearest

#: What a template may print besides the facts: what is said about them.
PRINTED: Mapping[str, Mapping[str, Callable[[Facts], Markdown]]] = {"sentences": SENTENCES, "tables": TABLES}


@dataclass(frozen=True)
class Template:
    """A template's text and its file. ``own``: it is the user's, so a mistake in it is theirs to fix."""

    text: str
    file: str
    own: bool


def render(template: Template, facts: Facts, **others: Mapping[str, Markdown]) -> str:
    """The template filled in, without empty lines at either end or more than one in a row.

    ``others`` are further groups of things to print, by name. Raises `BadInput` with file and line for a mistake in a
    user's template.
    """
    said = {name: {each: make(facts) for each, make in makers.items()} for name, makers in PRINTED.items()}
    try:
        body = _compiled(template).render(facts=facts, **said, **others)
    except Exception as error:  # a template is a program: it may fail in any way
        if not template.own:
            raise
        raise BadInput(_problem(template, error)) from error
    return re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"


def problems(template: Template) -> Iterator[Problem]:
    """The mistakes that can be found without facts: syntax, names that do not exist, references to other files."""
    environment = _environment()
    try:
        tree = environment.parse(template.text)
        environment.compile(template.text)  # finds the filters that do not exist
    except TemplateSyntaxError as error:
        yield _at(template, error.lineno, error.message or "is not a template")
        return
    known = {name: list(makers) for name, makers in PRINTED.items()}
    known["facts"] = [f.name for f in fields(Facts)] + [name for name in vars(Facts) if not name.startswith("_")]
    strange = meta.find_undeclared_variables(tree) - set(known)
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name in strange:
            yield _at(template, name.lineno, _undefined(name.name, list(known)))
    for part in tree.find_all(nodes.Getattr):
        owner = part.node.name if isinstance(part.node, nodes.Name) else ""
        if owner in known and part.attr not in known[owner]:
            yield _at(template, part.lineno, _undefined(f"{owner}.{part.attr}", known[owner]))
    for call in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        yield _at(template, call.lineno, "includes another file, which a card's template cannot do")


def _at(template: Template, line: int | None, what: str) -> Problem:
    return Problem(what, file=f"{template.file}, line {line}" if line else template.file)


def _problem(template: Template, error: Exception) -> Problem:
    # Jinja gives the frames of a template its own file and lines.
    frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == template.file]
    told = str(error) if isinstance(error, TemplateError | SdovisError) else f"{type(error).__name__}: {error}"
    return _at(template, frames[-1] if frames else None, textwrap.shorten(told, 400))


def _undefined(name: str, choices: list[str]) -> str:
    return f"{name} is undefined; {nearest(name.rpartition('.')[2], choices)}"


class _Undefined(StrictUndefined):
    """An undefined name whose error gives the nearest known one."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        if hint is None and obj is not missing and name is not None:
            known = obj if isinstance(obj, Mapping) else [each for each in dir(obj) if not each.startswith("_")]
            hint = _undefined(str(name), [str(each) for each in known])
        super().__init__(hint, obj, name, exc)


def _finalize(value: object) -> str:
    """What a template may print: text, which is escaped, and whole numbers. Anything else needs a filter that says how."""
    if isinstance(value, Markdown):
        return value
    if isinstance(value, str):
        return md(value)
    if isinstance(value, Undefined) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)  # raises for an undefined value, with its name
    raise SdovisError(f"a card's template prints {value!r} without saying how; use a filter")


def _environment() -> SandboxedEnvironment:
    # Escaping is for Markdown, in _finalize: Jinja's own would be for HTML.
    environment = SandboxedEnvironment(
        undefined=_Undefined,
        autoescape=False,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = "md code verbatim setting named bibtex score interval difference percent count number day".split()
    environment.filters |= {name: _filter(name, getattr(markdown, name)) for name in filters}
    return environment


def _filter(name: str, printed: Callable[[Any], Markdown]) -> Callable[[Any], Markdown]:
    """A filter whose errors say what it cannot print, or which name is undefined."""

    def checked(value: Any) -> Markdown:
        if isinstance(value, Undefined):
            return Markdown(value)  # raises
        try:
            return printed(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise SdovisError(f"the filter {name} cannot print {value!r}") from error

    return checked


@cache
def _compiled(template: Template) -> Compiled:
    environment = _environment()
    program = environment.compile(template.text, filename=template.file)
    return Compiled.from_code(environment, program, environment.make_globals(None))
