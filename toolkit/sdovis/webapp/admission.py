"""The door of the page: which requests reach Gradio, and in what form.

Gradio serves many routes that this page has no use for, some of which fetch what a visitor names; it reads bodies of
any size, and an upload that is cut off leaves its half behind. What is not on the list here does not exist, bodies of
calls are written anew by `payloads` and `tools`, and uploads are bounded in size, in time and by the room on the disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from sdovis.errors import BadInput
from sdovis.webapp import page, payloads, tools
from sdovis.webapp.sweeping import Disk
from sdovis.webapp.visitors import Presence

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: What a browser and a program need of Gradio.
PAGES = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/login_check/?|/pwa_icon(/\d+)?"
    r"|/(assets|static|svelte)/[^\\]*|/openapi\.json"
    r"|/gradio_api/(info/?|openapi\.json|app_id/?|user/?|token/?|login_check/?|startup-events|queue/status|theme\.css|upload_progress)"
)
STREAMS = re.compile(
    r"/gradio_api/(?P<kind>heartbeat|queue/data|call(/v2)?)(/(?P<name>\w+))?(/(?P<event>[\w-]{1,64}))?"
)
FILES = re.compile(r"/gradio_api/file=/[^/\\].*")
CALLS = re.compile(r"/gradio_api/(?P<kind>call|call/v2|run|api)/(?P<name>\w+)/?")
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
SMALL = re.compile(r"/gradio_api/(cancel|reset/?)")
HEALTH = "/health"

#: No byte for so long, or not whole after so long: such an upload is over.
IDLE_S, UPLOAD_S = 15.0, 900.0


class Refused(Exception):
    """A request that is answered here: a status and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Admission:
    """ASGI middleware around Gradio's application, for the page ``blocks``.

    ``folders`` are those whose files a call may name: uploads and examples. ``max_upload_bytes`` bounds one request.
    """

    def __init__(
        self, app: Any, *, blocks: Any, presence: Presence, disk: Disk, folders: Sequence[Path], max_upload_bytes: int
    ) -> None:
        self.app, self.blocks, self.presence, self.disk = app, blocks, presence, disk
        self.folders, self.max_upload_bytes = [folder.resolve() for folder in folders], max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        answering = _Answering(send)
        try:
            if scope["type"] != "http":
                raise Refused(404, "there is nothing here")
            await self._admit(scope, receive, answering)
        except Refused as refused:
            await answering.refuse(refused)
        except BadInput as error:
            await answering.refuse(Refused(422, page.plain(error)))
        except Exception as error:
            # One line: what a stranger sends must not fill the log. What our own code raises is logged where it is caught.
            log.warning("%s %s failed: %s: %.200s", scope["method"], scope["path"], type(error).__name__, error)
            await answering.refuse(Refused(500, "the request could not be answered"))

    async def _admit(self, scope: Scope, receive: Receive, answering: _Answering) -> None:
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if method in ("GET", "HEAD") and path == HEALTH:
            health = self.blocks.health()
            await answering.say(200 if health["ready"] else 503, health)
        elif method in ("GET", "HEAD", "OPTIONS") and (PAGES.fullmatch(path) or FILES.fullmatch(path)):
            await self.app(scope, receive, answering)
        elif method == "GET" and (stream := STREAMS.fullmatch(path)):
            with self._listening(scope, stream):
                await self.app(scope, receive, answering)
        elif method == "POST" and path == UPLOAD:
            await self.app(scope, self._upload(headers, receive), answering)
        elif method == "POST" and path.rstrip("/") == tools.PATH and self.blocks.speaks_mcp:
            asked = tools.asked(payloads.read(await _body(headers, receive)), self.blocks.fns.values(), self.folders)
            # With the slash: without it Gradio answers with a redirection, to wherever the request says it was sent.
            await self.app(
                _with(scope, f"{tools.PATH}/", body := json.dumps(asked).encode()), _again(body, receive), answering
            )
        elif method == "POST" and (path == JOIN or CALLS.fullmatch(path) or SMALL.fullmatch(path)):
            body = await _body(headers, receive)
            if not SMALL.fullmatch(path):
                path, body = self._call(path, body)
            await self.app(_with(scope, path, body), _again(body, receive), answering)
        else:
            raise Refused(404, "there is nothing here")

    def _listening(self, scope: Scope, stream: re.Match[str]) -> Any:
        """The presence of whoever opens a stream of answers. Raises `Refused` for one of nobody's."""
        if stream["kind"] == "heartbeat":
            return nullcontext()
        queue = self.blocks._queue
        if stream["kind"] == "queue/data":
            session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        else:
            # `payloads` lets no session through to /call: Gradio then names the session after the event.
            session = stream["event"] or ""
        if session not in queue.pending_messages_per_session:
            raise Refused(404, "no answer is due here")
        return self.presence.listening(session)

    def _call(self, path: str, body: bytes) -> tuple[str, bytes]:
        """The path and the body that Gradio gets for a call. Raises `BadInput` or `Refused`."""
        given, functions = payloads.read(body), self.blocks.fns
        if path == JOIN:
            return path, json.dumps(payloads.joined(given, functions, self.folders)).encode()
        call = CALLS.fullmatch(path)
        assert call is not None
        name = call["name"]
        named = [each for each in functions.values() if each.api_name == name and each.api_visibility == "public"]
        if not named or call["kind"] in ("run", "api"):  # these do not wait for their turn
            raise Refused(404, "there is no such endpoint; ask /gradio_api/call/classify")
        rewrite = payloads.called_by_name if call["kind"] == "call/v2" else payloads.called
        return f"/gradio_api/call/{name}", json.dumps(rewrite(given, named[0], self.folders)).encode()

    def _upload(self, headers: Mapping[str, str], receive: Receive) -> Receive:
        """``receive`` for the body of an upload. What it raises makes Gradio delete what it has written of it."""
        from starlette.formparsers import MultiPartException

        if _length(headers) > self.max_upload_bytes:
            raise Refused(413, "that is more than this page takes")
        end = asyncio.get_running_loop().time() + UPLOAD_S
        received = 0

        async def bounded() -> Message:
            nonlocal received
            left = end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), min(IDLE_S, max(left, 0.01)))
            except TimeoutError:
                raise MultiPartException("the upload took too long") from None
            size = len(message.get("body", b""))
            received += size
            if message["type"] == "http.disconnect":
                raise MultiPartException("the upload was cut off")
            if received > self.max_upload_bytes:
                raise MultiPartException("that is more than this page takes: over its maximum allowed size")
            if not self.disk.take(size):
                raise MultiPartException("the page holds too many uploads just now; try again in a minute")
            return message

        return bounded


class _Answering:
    """``send``, which knows whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self._begun = send, False

    async def __call__(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def say(self, status: int, what: Mapping[str, Any], *more: tuple[bytes, bytes]) -> None:
        """Answer with a JSON object."""
        body = json.dumps(what).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
        await self({"type": "http.response.body", "body": body})

    async def refuse(self, refused: Refused) -> None:
        """Answer in words; if the answer has begun, end it."""
        if not self._begun:
            # What is left of the request's body is not read: the connection cannot be used again.
            said = {"detail": refused.words, "error": refused.words}
            await self.say(refused.status, said, (b"connection", b"close"))
            return
        with_end = {"type": "http.response.body", "body": b"", "more_body": False}
        try:
            await self(with_end)
        except RuntimeError:  # it had ended
            return


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body of a call. Raises `Refused` if it is too large or too slow."""
    if _length(headers) > payloads.MAX_BODY_BYTES:
        raise Refused(413, "the request is too large; send files to /gradio_api/upload")
    body, more = b"", True
    try:
        async with asyncio.timeout(IDLE_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "the request was cut off")
                body, more = body + message.get("body", b""), message.get("more_body", False)
                if len(body) > payloads.MAX_BODY_BYTES:
                    raise Refused(413, "the request is too large; send files to /gradio_api/upload")
    except TimeoutError:
        raise Refused(408, "the request took too long") from None
    return body


def _length(headers: Mapping[str, str]) -> int:
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() else 0


def _with(scope: Scope, path: str, body: bytes) -> Scope:
    kept = [(n, v) for n, v in scope["headers"] if n.lower() not in (b"content-length", b"content-type")]
    own = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    return {**scope, "path": path, "raw_path": path.encode(), "headers": [*kept, *own]}


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` that gives ``body`` first."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return parts.pop() if parts else await receive()

    return replayed
