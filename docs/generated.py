"""What the pages say of settings, commands and channels, made from the code when the pages are built.

A page has a line ``<!-- generated: NAME -->`` where a function of `MAKERS` is to write.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer


def on_source_read(app: Any, name: str, source: list[str]) -> None:
    """Sphinx's event: the page with its generated parts."""
    source[0] = re.sub(r"<!-- generated: ([a-z ]+) -->", lambda found: MAKERS[found[1]](), source[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _table(*headings: str) -> str:
    return f"{_row(*headings)}\n|{'---|' * len(headings)}"


# --- the study file ---------------------------------------------------------------------------------------------------


def study() -> str:
    """A table for each section of a study file, from the JSON schema that editors are given."""
    from sdovis.study import json_schema

    schema = json_schema()
    return "\n".join(_sections(schema, schema["properties"], schema["$defs"], ""))


def _sections(
    schema: Mapping[str, Any], properties: Mapping[str, Any], defs: Mapping[str, Any], within: str
) -> Iterator[str]:
    """The entries of a section, then its tables, each with a heading of its own."""
    entries, tables = [], []
    required = schema.get("required", ())
    for name, field in properties.items():
        field = _resolved(field, defs)
        if name == "training" or (field.get("type") == "object" and field.get("properties")):
            tables.append((name, field))
        else:
            entries.append(
                _row(f"`{name}`", _kind(field, defs), _default(name, field, required), field.get("description", ""))
            )
    if entries:
        yield from ("", _table("entry", "is", "default", "what it says"), *entries)
    for name, field in tables:
        yield f"\n{'###' if within else '##'} `[{within}{name}]`\n"
        yield field.get("description", "")
        if name == "training":
            yield "\nThe names and defaults are transformers' own; `sdovis check` finds misspelt ones."
            continue
        yield from _sections(field, field["properties"], defs, f"{within}{name}.")


def _resolved(field: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The field with what it refers to; of several kinds, the table."""
    if "$ref" in field:
        return {**defs[field["$ref"].rpartition("/")[2]], **field}
    tables = [each for each in field.get("anyOf", ()) if "$ref" in each]
    return {**_resolved(tables[0], defs), **{k: v for k, v in field.items() if k != "anyOf"}} if tables else field


def _kind(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        kinds = [_kind(each, defs) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    kind = field.get("type", "")
    if kind == "array":
        of = _kind(field.get("items") or (field.get("prefixItems") or [{}])[0], defs)
        return f"list of {of}" if of else "list"
    return words.get(kind, "table" if kind == "object" else "") + _bounds(field)


def _bounds(field: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field and abs(field[name]) < 1e6]
    return f" ({', '.join(said)})" if said else ""


def _default(name: str, field: Mapping[str, Any], required: Any) -> str:
    if name in required:
        return "**required**"
    default = field.get("default")
    return (
        "" if default in (None, "", [], {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    )


# --- the command line -------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every verb with its help: usage, docstring, arguments and options."""
    from sdovis.cli import app

    group = typer.main.get_command(app)
    return "\n".join(line for name in group.commands for line in _command(name, group.commands[name]))  # type: ignore[attr-defined]


def _command(name: str, command: Any) -> Iterator[str]:
    shown = [each for each in command.params if not getattr(each, "hidden", False) and each.name != "help"]
    places = " ".join(_metavar(each) for each in shown if each.param_type_name == "argument")
    yield f"\n## `sdovis {name}`\n"
    options = " [OPTIONS]" if any(each.param_type_name == "option" for each in shown) else ""
    yield f"```console\n{f'$ sdovis {name}{options} {places}'.rstrip()}\n```\n"
    yield _plain(inspect.getdoc(command.callback) or "")
    if shown:
        yield f"\n{_table('', 'what it says', 'default')}"
    for each in shown:
        given = f"`{_metavar(each)}`" if each.param_type_name == "argument" else ", ".join(f"`{o}`" for o in each.opts)
        default = each.default if not callable(each.default) else None
        said = "" if default in (None, False, (), []) or each.required else f"`{default}`"
        yield _row(given, _plain(getattr(each, "help", "") or ""), said)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _plain(text: str) -> str:
    r"""Help without rich's markup, in which \[ is how a bracket is written."""
    return re.sub(r"(?<!\\)\[/?(?:bold|italic|dim)\]", "", text).replace("\\[", "[")


# --- plug-ins ---------------------------------------------------------------------------------------------------------


def channels() -> str:
    """The installed channels."""
    from sdovis import plugins
    from sdovis.channels.channel import channel

    found = [channel(name) for name in plugins.names("sdovis.channels")]
    rows = [_row(f"`{each.name}`", each.title, each.unit, each.source) for each in found]
    return "\n".join([_table("channel", "is", "unit", "codes"), *rows])


# --- benchmarks -------------------------------------------------------------------------------------------------------


def benchmarks() -> str:
    """``benchmarks/README.md``, whose links to files that are not pages are left as text."""
    text = (Path(__file__).parents[1] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\[([^]]+)\]\((?!#|https?:)[^)]*\)", r"\1", text)


MAKERS: Mapping[str, Callable[[], str]] = {
    "study": study,
    "commands": commands,
    "channels": channels,
    "benchmarks": benchmarks,
}
