"""What must never leave this machine: tokens and keys, the paths of its files, addresses that nobody meant to publish."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from sdovis import privacy
from sdovis.errors import Problem

#: Suffixes whose contents `problems` can search. Nothing else is released.
CODE = (".py", ".txt", ".typed", ".toml", ".css", ".js", ".svg", ".html", "METADATA", "Dockerfile")
#: Prose and settings, in which an address is one.
TEXT = (".cff", ".yaml", ".sig")
READABLE = (
    *CODE, *TEXT, ".md", ".json", ".csv", ".parquet", ".safetensors", ".onnx", ".png", ".jpg", ".jpeg", ".fits",
)  # fmt: skip

#: A value in a table or a JSON file that consists only of an absolute path.
_ABSOLUTE = re.compile(r"(?:/[^/\s]+){2,}/?|[A-Za-z]:[\\/]\S.*|~[\w-]*/\S+|file://\S+")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY", re.IGNORECASE)


class Private:
    """Knows this machine's secrets and folders; `problems` finds them in the files of a release."""

    def __init__(self, folders: Iterable[Path] = (), addresses: Collection[str] = ()) -> None:
        """``addresses`` are e-mail addresses that the owner has given to be published."""
        from huggingface_hub import get_token

        self.addresses = addresses
        named = {f"the value of {n}": v for n, v in os.environ.items() if _SECRET_NAME.search(n) and len(v) >= 8}
        self.secrets = {**named, **({"your Hub token": token} if (token := get_token()) else {})}
        homes = {str(Path.home()), os.environ.get("HOME", "")}
        # A working directory such as /app would be found in half of all texts; a home directory never is.
        others = {str(p) for p in (Path.cwd(), Path(tempfile.gettempdir()), *folders) if len(p.parts) > 2}
        self.folders = sorted((homes | others) - {"", "/"}, key=len, reverse=True)
        self._folders = re.compile(rf"(?<![\w.}})-])(?:{'|'.join(map(re.escape, self.folders))})(?![\w.-])")

    def problems(self, folder: Path) -> list[Problem]:
        """Everything private in the files of ``folder``, one problem per file. Secrets are named, never printed."""
        found = []
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            try:
                what = next(self._in_file(path, name), "")
            except (ValueError, OSError) as error:
                what = f"cannot be searched: {error}"
            if what:
                found.append(Problem(what, "it would be published; remove it at its source", file=name))
        return found

    def in_text(self, text: str) -> Iterator[str]:
        """What is private in ``text``, in words."""
        for name, secret in self.secrets.items():
            if secret in text:
                yield f"contains {name}"
        if match := self._folders.search(text):
            yield f"names a folder of this machine: {match[0]}"
        yield from privacy.found(text, allowed=self.addresses)

    def _in_code(self, text: str) -> Iterator[str]:
        """As in a text, but ``a@b.mean`` is a product there, and its authors have signed it on purpose."""
        return self.in_text(privacy.EMAIL.sub("", text))

    def _in_markdown(self, text: str) -> Iterator[str]:
        """As it is written, and as it is shown."""
        yield from self.in_text(text)
        yield from self.in_text(html.unescape(re.sub(r"\\(?=[^A-Za-z0-9\s])", "", text)))

    def _in_value(self, value: str) -> Iterator[str]:
        yield from self.in_text(value)
        if _ABSOLUTE.fullmatch(value):
            yield f"contains an absolute path: {value}"

    def _in_file(self, path: Path, name: str) -> Iterator[str]:
        yield from self.in_text(name)
        if path.suffix == ".parquet":
            yield from self._in_parquet(path)
        elif path.suffix == ".json":
            for value in _strings(json.loads(path.read_text(encoding="utf-8"))):
                yield from self._in_value(value)
        elif path.suffix == ".csv":
            text = path.read_text(encoding="utf-8")
            for value in {cell for row in csv.reader(io.StringIO(text)) for cell in row}:
                yield from self._in_value(value)
        elif path.suffix == ".safetensors":
            with path.open("rb") as file:
                header = file.read(min(int.from_bytes(file.read(8), "little"), path.stat().st_size))
            for value in _strings(json.loads(header)):
                yield from self._in_value(value)
        elif path.suffix == ".md":
            yield from self._in_markdown(path.read_text(encoding="utf-8"))
        elif path.suffix in TEXT:
            yield from self.in_text(path.read_text(encoding="utf-8"))
        elif path.name.endswith(CODE):
            yield from self._in_code(path.read_text(encoding="utf-8"))
        elif path.name.endswith(READABLE):
            yield from self._in_bytes(path.read_bytes())
            yield from self._in_notes_of(path)
        else:
            yield "is of a type that is never released"

    def _in_bytes(self, content: bytes) -> Iterator[str]:
        """In an image or weights: these are noise to a pattern, so only exact strings are searched for."""
        for name, secret in self.secrets.items():
            if secret.encode() in content:
                yield f"contains {name}"
        for folder in self.folders:
            if f"{folder}/".encode() in content:
                yield f"names a folder of this machine: {folder}"

    def _in_notes_of(self, path: Path) -> Iterator[str]:
        """In the texts that a picture carries beside its pixels. Raises `OSError` if it is none."""
        if path.suffix not in (".fits", ".onnx"):
            with Image.open(path) as picture:
                for value in picture.info.values():
                    yield from self._in_any(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)

    def _in_parquet(self, path: Path) -> Iterator[str]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(path)
        notes = [file.schema_arrow.metadata, file.metadata.metadata, *(field.metadata for field in file.schema_arrow)]
        for text in itertools.chain.from_iterable(pair for note in notes for pair in (note or {}).items()):
            yield from self.in_text(text.decode("utf-8", "replace"))
        # By row group: a part of a large corpus may not fit into memory.
        for group in range(file.num_row_groups):
            columns = file.read_row_group(group).flatten()
            for name, column in zip(columns.column_names, columns.columns, strict=True):
                for value in set(column.to_pylist()) if _is_plain(column.type) else _leaves(column.to_pylist()):
                    for what in self._in_bytes(value) if isinstance(value, bytes) else self._in_any(value):
                        yield f"column {name!r} {what}"

    def _in_any(self, value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield from self._in_value(value)


def _is_plain(kind: Any) -> bool:
    import pyarrow.types as types

    return not types.is_nested(kind)


def _leaves(value: object) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _strings(value: object) -> Iterator[str]:
    """Every string of a JSON document, keys included."""
    if isinstance(value, Mapping):
        yield from value.keys()
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
