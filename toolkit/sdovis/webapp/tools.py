"""The Model Context Protocol at the door: the few requests that the page answers, written anew.

Gradio's server of that protocol takes a file as a web address, which it fetches, as a path, which it reads from this machine
whatever it is, or as the contents themselves. Here a file is one that was uploaded before, and nothing else; the call then
goes through the same door, queue and turns as any other program's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sdovis.errors import BadInput, Problem
from sdovis.webapp import payloads

PATH = "/gradio_api/mcp"
#: Requests that say nothing of their own, or only who asks.
PLAIN = ("initialize", "ping", "tools/list", "notifications/initialized", "notifications/cancelled")
MAX_WORDS = 200


def asked(given: Mapping[str, Any], functions: Iterable[Any], folders: Sequence[Path]) -> dict[str, Any]:
    """A request of the protocol anew. Raises `BadInput` for all that the page does not answer."""
    method, number = given.get("method"), given.get("id")
    if isinstance(number, bool) or not (number is None or isinstance(number, int | str)):
        raise BadInput("id is neither a number nor a text")
    request: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if number is not None:
        request["id"] = number
    told = given.get("params") if isinstance(given.get("params"), dict) else {}
    assert isinstance(told, dict)
    if method == "initialize":
        return request | {"params": _introduced(told)}
    if method in PLAIN:
        return request | ({"params": {"requestId": number or 0}} if method == "notifications/cancelled" else {})
    if method != "tools/call":
        raise BadInput(
            Problem(f"the page does not answer {str(method)[:40]!r}", f"choose from {', '.join(PLAIN)}, tools/call")
        )
    return request | {"params": _called(told, functions, folders)}


def _introduced(told: Mapping[str, Any]) -> dict[str, Any]:
    client = told.get("clientInfo") if isinstance(told.get("clientInfo"), dict) else {}
    assert isinstance(client, dict)
    words = {name: str(client.get(name, ""))[:MAX_WORDS] for name in ("name", "version")}
    version = str(told.get("protocolVersion", ""))[:MAX_WORDS]
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": words}


def _called(told: Mapping[str, Any], functions: Iterable[Any], folders: Sequence[Path]) -> dict[str, Any]:
    public = {each.api_name: each for each in functions if each.api_visibility == "public"}
    name = str(told.get("name"))
    # In a Space, Gradio puts its name before each tool's.
    known = next(
        (each for each in sorted(public, key=len, reverse=True) if name == each or name.endswith(f"_{each}")), ""
    )
    if not known or len(name) > MAX_WORDS:
        raise BadInput(Problem(f"there is no tool {name[:40]!r}", f"choose from {', '.join(public)}"))
    given = told.get("arguments")
    if not isinstance(given, dict):
        raise BadInput("arguments is not an object")
    function = public[known]
    names = payloads.parameters(function)
    if unknown := sorted(set(map(str, given)) - set(names)):
        raise BadInput(Problem(f"there is no parameter {unknown[0][:40]!r}", f"choose from {', '.join(names)}"))
    files = {n for n, part in zip(names, function.inputs, strict=True) if part.get_block_name() == "file"}
    values = payloads.called_by_name({n: _file(v) if n in files else v for n, v in given.items()}, function, folders)
    arguments = {
        n: _served(value) if n in files else value
        for n, value in zip(names, values["data"], strict=True)
        if value is not None
    }
    return {"name": name, "arguments": arguments}


def _file(value: Any) -> Any:
    """A file as `payloads` judges it."""
    if isinstance(value, list):
        return [_file(each) for each in value]
    return {"path": value} if isinstance(value, str) else value


def _served(file: Any) -> Any:
    """A file that was judged, as Gradio's server takes one: by an address. It hands it back to the door, which knows it."""
    if isinstance(file, list):
        return [_served(each) for each in file]
    return f"http://page{payloads.SERVED}{quote(file['path'])}"
