"""What a request may say: its body is read here, judged, and written anew, so that nothing else reaches Gradio.

Gradio would download a file that a payload names by its web address, wherever in the payload it stands, and answers
what it does not understand with ``{"error": null}`` and a traceback in the log.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sdovis.errors import BadInput, Problem

MAX_BODY_BYTES = 64 * 1024
MAX_FILES, MAX_TEXT = 20, 10_000
META = {"_type": "gradio.FileData"}
SERVED = "/gradio_api/file="
FORM = 'send {"path": what /gradio_api/upload answered, "meta": {"_type": "gradio.FileData"}}'
_SESSION = re.compile(r"[\w-]{1,64}", re.ASCII)


def read(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `BadInput`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("the request is not JSON") from None
    if not isinstance(found, dict):
        raise BadInput("the request is not a JSON object")
    return found


def called(given: Mapping[str, Any], function: Any, folders: Sequence[Path]) -> dict[str, Any]:
    """The body of ``/call/NAME`` anew. Raises `BadInput` with all that is wrong with it."""
    return {"data": _data(given.get("data"), function, folders)}


def called_by_name(given: Mapping[str, Any], function: Any, folders: Sequence[Path]) -> dict[str, Any]:
    """The body of ``/call/v2/NAME``, whose parameters have names, as one of ``/call/NAME``. Raises `BadInput`."""
    names = parameters(function)
    if unknown := sorted(set(given) - set(names)):
        raise BadInput(Problem(f"there is no parameter {unknown[0][:40]!r}", f"choose from {', '.join(names)}"))
    return {"data": _data([given.get(name) for name in names], function, folders)}


def joined(given: Mapping[str, Any], functions: Mapping[int, Any], folders: Sequence[Path]) -> dict[str, Any]:
    """The body of ``/queue/join`` anew, as the page and gradio_client send it. Raises `BadInput`."""
    index, session, trigger = given.get("fn_index"), given.get("session_hash"), given.get("trigger_id")
    if not isinstance(index, int) or isinstance(index, bool) or index not in functions:
        raise BadInput("fn_index names nothing on this page; reload it")
    if not is_session(session):
        raise BadInput("session_hash is not of this page; reload it")
    return {
        "data": _data(given.get("data"), functions[index], folders),
        "fn_index": index,
        "session_hash": session,
        "trigger_id": trigger if isinstance(trigger, int) and not isinstance(trigger, bool) else None,
        "event_data": _event(given.get("event_data")),
    }


def is_session(text: object) -> bool:
    """Whether ``text`` may be the name of a session or an event."""
    return isinstance(text, str) and _SESSION.fullmatch(text) is not None


def parameters(function: Any) -> list[str]:
    """The names of what a function of the page takes, as its callers know them."""
    return list(inspect.signature(function.fn).parameters)[: len(function.inputs)]


def _data(given: Any, function: Any, folders: Sequence[Path]) -> list[Any]:
    names = parameters(function)
    if not isinstance(given, list):
        raise BadInput(f"data is not a list of {', '.join(names) or 'nothing'}")
    if len(given) > len(names):
        raise BadInput(f"data has {len(given)} values, but there are {len(names)} parameters: {', '.join(names)}")
    values: list[Any] = []
    problems: list[Problem] = []
    for name, part, value in zip(names, function.inputs, [*given, *[None] * len(names)], strict=False):
        try:
            values.append(_value(name, part, value, folders))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return values


def _value(name: str, part: Any, value: Any, folders: Sequence[Path]) -> Any:
    """``value`` as component ``part`` takes it. Raises `BadInput`."""
    kind = part.get_block_name()
    if value is None:
        return None
    if kind == "file":
        files = list(_files(name, value, folders))
        if part.file_count == "single" and len(files) > 1:
            raise BadInput(f"{name}: {len(files)} files were sent, but the model takes one")
        if not files:
            return None
        return files[0] if part.file_count == "single" else files
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise BadInput(f"{name}: not a number")
        return value
    if kind in ("textbox", "dropdown"):
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise BadInput(f"{name}: not a text of at most {MAX_TEXT} characters")
        return value
    raise BadInput(f"{name}: takes no value")


def _files(name: str, value: Any, folders: Sequence[Path]) -> Iterator[dict[str, Any]]:
    several = value if isinstance(value, list) else [value]
    if len(several) > MAX_FILES:
        raise BadInput(f"{name}: {len(several)} files; at most {MAX_FILES} are taken")
    for each in several:
        path = each.get("path") if isinstance(each, dict) else None
        if not isinstance(path, str) or not path:
            raise BadInput(Problem(f"{name}: not a file", FORM))
        yield {"path": uploaded(name, path, folders), "meta": META}


def uploaded(name: str, path: str, folders: Sequence[Path]) -> str:
    """Where a file lies that was uploaded to this server, links followed. It may be deleted already.

    ``path`` is its path, or the address under which the page serves it. Raises `BadInput` for everything else: other
    addresses, relative paths, files of the server.
    """
    refused = BadInput(Problem(f"{name}: not a file that was uploaded to this server", FORM))
    if path.startswith(("http://", "https://")):
        # Under such an address the page serves its uploads: of it only the path is used, and nothing is asked.
        path = unquote(path.partition(SERVED)[2])
    if not path.startswith("/") or not path.isprintable():
        raise refused
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        raise refused from None
    if not any(folder in real.parents for folder in folders):
        raise refused
    return str(real)


def _event(given: Any) -> dict[str, Any] | None:
    """Of what the browser says about a click only the place: the number of a picture, or a pixel."""
    index = given.get("index") if isinstance(given, dict) else None
    numbers = index if isinstance(index, list) else [index]
    if len(numbers) > 2 or not all(isinstance(each, int | float) and _is_finite(each) for each in numbers):
        return None
    return {"index": index, "value": None}


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
