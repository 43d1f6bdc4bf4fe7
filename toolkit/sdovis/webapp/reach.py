"""One file from a configured web address, asked for in a child that may be killed: bounded in size, time and where it leads.

An address is of the owner's choice, what it answers is not: every name is resolved here, private addresses are refused
before a connection is made, also behind a redirect, and the connection goes to the very address that was judged.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sdovis.errors import HubFailure
from sdovis.images.isolation import Death, isolated
from sdovis.version import __version__

MAX_REDIRECTS = 3
CONNECT_S, SILENT_S = 5.0, 8.0
MEMORY_BYTES = 2**30
AGENT = f"sdovis/{__version__} (today's Sun)"


class Unreachable(HubFailure):
    """An address that did not give what it should; the text is for visitors."""


@dataclass(frozen=True)
class WebFile:
    """What is asked of ``url``: one of the media ``types`` (``image/*``), of at most ``max_bytes``, within ``seconds``."""

    url: str
    types: tuple[str, ...]
    max_bytes: int
    seconds: float
    private: bool = False


@dataclass(frozen=True)
class Got:
    """What came: the ``url`` at the end of all redirects, its contents, and when its server says they were written (UTC)."""

    url: str
    content: bytes
    written: datetime | None


def get(asked: WebFile) -> Got:
    """What an address gives. Raises `Unreachable` with the reason in words."""
    found = isolated(
        _get, asked, seconds=asked.seconds, memory_bytes=MEMORY_BYTES + 4 * asked.max_bytes, imports=("httpx",)
    )
    if isinstance(found, Death):
        late = "longer than" in found.why
        raise Unreachable(
            f"{host(asked.url)} {f'took {found.why[5:]}' if late else 'could not be asked: ' + found.why}"
        )
    if isinstance(found, str):
        raise Unreachable(found)
    return found


def host(url: str) -> str:
    """The server's name, for a message."""
    import httpx

    return httpx.URL(url).host or "the address"


def _get(asked: WebFile) -> Got | str:
    """In the child: what came, or why nothing did."""
    import httpx

    try:
        url = httpx.URL(asked.url)
        # No proxy and no netrc of this machine: who is asked is decided here.
        with httpx.Client(trust_env=False, timeout=httpx.Timeout(SILENT_S, connect=CONNECT_S)) as client:
            for _ in range(MAX_REDIRECTS + 1):
                request = _request(client, url, asked.private)
                if isinstance(request, str):
                    return request
                reply = client.send(request, stream=True)
                try:
                    if not reply.is_redirect:
                        return _read(reply, url, asked)
                    url = url.join(reply.headers["location"])
                finally:
                    reply.close()
        return f"{httpx.URL(asked.url).host} redirects more than {MAX_REDIRECTS} times"
    except httpx.TimeoutException:
        return f"{url.host} does not answer in time"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return f"{url.host or 'the address'} cannot be reached: {type(error).__name__}"


def _request(client: Any, url: Any, private: bool) -> Any:
    """The request, to be sent to an address that was judged; or why not."""
    if url.scheme not in ("http", "https") or not url.host:
        return "only addresses that begin with http:// or https:// are asked"
    if url.userinfo:
        return "an address with a password in it is not asked"
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    found = {str(entry[4][0]) for entry in socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)}
    if not private and (inner := [each for each in sorted(found) if not ipaddress.ip_address(each).is_global]):
        return f"{url.host} is a private address ({inner[0]}), which is not asked"
    # IPv4 first: many machines have no route for the other.
    chosen = min(found, key=lambda each: (":" in each, each))
    headers = {"host": url.netloc.decode("ascii"), "user-agent": AGENT, "accept-encoding": "identity"}
    return client.build_request(
        "GET", url.copy_with(host=chosen), headers=headers, extensions={"sni_hostname": url.host}
    )


def _read(reply: Any, url: Any, asked: WebFile) -> Got | str:
    if reply.status_code != 200:
        return f"{url.host} answers with status {reply.status_code}"
    if reply.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        return f"{url.host} sends what it was not asked for: a packed answer"
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _is_one_of(kind, asked.types):
        return f"{url.host} sends {kind or 'something without a type'}, and not {' or '.join(asked.types)}"
    length = reply.headers.get("content-length", "")
    too_large = f"{url.host} sends more than {asked.max_bytes / 2**20:g} MB"
    if length.isdigit() and int(length) > asked.max_bytes:
        return too_large
    content = bytearray()
    for part in reply.iter_raw(2**16):
        content += part
        if len(content) > asked.max_bytes:
            return too_large
    if length.isdigit() and len(content) != int(length):
        return f"{url.host} sent only a part"
    if not content:
        return f"{url.host} sent nothing"
    return Got(str(url), bytes(content), _written(reply.headers))


def _is_one_of(kind: str, types: Iterable[str]) -> bool:
    return any(kind == each or (each.endswith("/*") and kind.startswith(each[:-1])) for each in types)


def _written(headers: Mapping[str, str]) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers["last-modified"])
    except (KeyError, ValueError):
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
