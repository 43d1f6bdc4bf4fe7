"""Rewrites a study file from an older format in the newest one; comments, order and spacing are kept."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import Comment, InlineTable, Item, Null, Table, Whitespace

from sdovis import disk, formats
from sdovis.errors import BadInput, Problem
from sdovis.study import file as files


def upgrade(path: Path) -> list[str]:
    """Upgrade a study file to the newest format, in place. Returns one line per change; an empty list if nothing changed.

    The file is replaced whole or not at all. Raises `BadInput` if it cannot be read or written, is not TOML, is in a
    format that this sdovis does not know, or is laid out so that its comments could not be kept.
    """
    text = files.read(path)
    before = files.tables(text, str(path))
    after = formats.brought_up(before, formats.STUDY, file=str(path))
    if after == before:
        return []
    again = _numbered(_rewritten(text, before, after), after[formats.KEY])
    if tomllib.loads(again) != after:
        hint = "; ".join(_changes(before, after)) + f"; and write {formats.KEY} = {after[formats.KEY]} above all tables"
        raise BadInput(
            Problem("is laid out in a way that sdovis cannot rewrite", f"edit it by hand: {hint}", str(path))
        )
    _replace(path.resolve(), again)
    return [f"{formats.KEY} = {after[formats.KEY]}", *_changes(before, after)]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    there = dict(_leaves(after))
    lines = []
    for old, _ in _gone(before, after):
        new = formats.MOVED.get(old, "")
        lines.append(f"{old} is now {new}" if new in there else f"{old} was removed: it had no effect")
    return lines


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _gone(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The entries that have moved or been removed, in the file's order."""
    there = dict(_leaves(after))
    return [(name, value) for name, value in _leaves(before) if name not in there]


def _rewritten(text: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The file's text with each moved entry in its new table, together with the comments above it and on its line."""
    document = tomlkit.parse(text)
    there = dict(_leaves(after))
    moving: dict[str, list[tuple[str, list[Item], Item]]] = {}
    for old, _ in _gone(before, after):
        section, _, key = old.rpartition(".")
        comments, item = _taken(_table(document, section), key)
        if (new := formats.MOVED.get(old, "")) in there:
            table, _, name = new.rpartition(".")
            moving.setdefault(table, []).append((name, comments, item))
    for name, entries in moving.items():
        section, _, key = name.rpartition(".")
        parent = _table(document, section)
        of_the_next = _comments_of_the_next(parent[key] if key in parent else _first(document, section))
        if key not in parent:
            parent[key] = tomlkit.inline_table() if isinstance(parent, InlineTable) else _new_table(parent)
        table = parent[key]
        for entry, comments, item in entries:
            for comment in comments:
                table.add(comment)
            table.append(entry, item)
        if isinstance(table, Table):
            table.add(tomlkit.nl())  # separates it from the next one
            for below in of_the_next:
                table.add(below)
    again = tomlkit.dumps(document)
    if "\n\n\n" not in text:  # a whole paragraph may have moved
        again = re.sub(r"\n{3,}", "\n\n", again)
    return again if text.endswith("\n\n") else again.rstrip("\n") + "\n"


def _table(document: tomlkit.TOMLDocument, name: str) -> Any:
    table: Any = document
    for part in name.split("."):
        table = table[part]
    return table


def _first(document: tomlkit.TOMLDocument, section: str) -> Item:
    """The first of the places where a file writes a section: it may begin one, and go on with it below another."""
    return next(item for key, item in document.body if key is not None and key.key == section)


def _comments_of_the_next(table: Item) -> list[Comment | Whitespace]:
    """Take the comments at the end of a table that stand over whatever follows it: tomlkit counts them to the table.

    They are those below the last entry and a blank line, or directly over the next heading.
    """
    if not isinstance(table, Table):
        return []
    body = table.value.body
    end = [at for at, (_, item) in enumerate(body) if not isinstance(item, Null | Whitespace | Comment)]
    tail = range(end[-1] + 1 if end else 0, len(body))
    if end and isinstance(last := body[end[-1]][1], Table) and not any(isinstance(body[at][1], Comment) for at in tail):
        return _comments_of_the_next(last)
    blank = next((at for at in tail if isinstance(body[at][1], Whitespace)), tail.start)
    taken = [item for _, item in body[blank:] if isinstance(item, Comment | Whitespace)]
    if not any(isinstance(item, Comment) for item in taken):
        return []
    for at in range(blank, len(body)):
        body[at] = (None, Null())
    return taken[1:] if isinstance(taken[0], Whitespace) else taken


def _new_table(parent: Any) -> Table:
    """A table separated by a blank line from what is above it."""
    table = tomlkit.table()
    above = parent.as_string() if isinstance(parent, Table) else ""
    table.trivia.indent = "" if above.endswith("\n\n") else "\n"
    return table


def _taken(table: Any, key: str) -> tuple[list[Item], Item]:
    """Take an entry out of its table, together with the comments directly above it."""
    container = getattr(table, "value", None)
    comments: list[Item] = []
    if isinstance(container, Container):
        body = container.body
        at = next((i for i, (name, _) in enumerate(body) if name is not None and name.key == key), 0)
        while at and isinstance(body[at - 1][1], Comment | Null):
            at -= 1
            if isinstance(body[at][1], Comment):
                comments.insert(0, body[at][1])
                body[at] = (None, Null())
    return comments, table.pop(key)


def _numbered(text: str, number: int) -> str:
    """The file with its format number above the first entry, below the comment at the top."""
    document = tomlkit.parse(text)
    if formats.KEY in document:
        document[formats.KEY] = number
        return tomlkit.dumps(document)
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join([*lines[:first], f"{formats.KEY} = {number}\n\n", *lines[first:]])


def _replace(path: Path, text: str) -> None:
    ends = "\r\n" if b"\r\n" in path.read_bytes() else "\n"
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
            beside = Path(folder) / path.name
            beside.write_text(text, encoding="utf-8", newline=ends)
            beside.chmod(path.stat().st_mode)
            disk.move(beside, path)
    except OSError as error:
        raise BadInput(Problem(f"cannot be written: {error}", file=str(path))) from error
