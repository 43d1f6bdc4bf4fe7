"""Only files uploaded to this server are read, no address is ever asked, and what makes no sense is refused in words.

The server under attack believes that this machine's own addresses are public ones, as a web address would be: what
Gradio's own guard stops is thus not in the way, and a loopback server sees whatever reaches for it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from server import free_port, started, uploads_of

#: Gradio's guard against private addresses is told that they are public.
TRUSTING = """
import gradio.processing_utils, safehttpx
async def anywhere(host):
    return "127.0.0.1"
async def straight(url):
    import httpx
    async with httpx.AsyncClient(follow_redirects=True) as client:
        return await client.get(url)
safehttpx.async_validate_url = anywhere
gradio.processing_utils.async_ssrf_protected_get = straight
"""
#: The page as it would be without its door.
OPEN = """
import sdovis.webapp.admission
async def pass_through(self, scope, receive, send):
    await self.app(scope, receive, send)
sdovis.webapp.admission.Admission.__call__ = pass_through
"""
META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def asked():
    """A server on this machine that remembers every request; its address is ``asked.url``."""

    class Listener(ThreadingHTTPServer):
        @property
        def url(self):
            return f"127.0.0.1:{self.server_port}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append(self.path)
            self.send_response(302 if "again" in self.path else 200)
            if "again" in self.path:
                self.send_header("Location", "/landed.fits")
            self.end_headers()

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = Listener(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def pages(magnetogram_model, tmp_path_factory):
    """The page, and the same without its door, and the folders they run in."""
    closed, opened = (tmp_path_factory.mktemp(name) for name in ("closed", "open"))
    model = str(magnetogram_model)
    with (
        started(closed, before=TRUSTING, SDOVIS_MODEL=model, GRADIO_SERVER_PORT=str(free_port())) as one,
        started(opened, before=TRUSTING + OPEN, SDOVIS_MODEL=model, GRADIO_SERVER_PORT=str(free_port())) as two,
    ):
        yield one(), two(), closed


@pytest.fixture
def page(pages):
    with httpx.Client(base_url=pages[0], timeout=60) as client:
        yield client


@pytest.fixture
def log(pages):
    """What the page has logged since the test began."""
    file = pages[2] / "log.txt"
    before = len(file.read_text(encoding="utf-8"))
    return lambda: file.read_text(encoding="utf-8")[before:]


def classify(client, data, **more):
    """What the named endpoint says in the end, or why it was refused."""
    reply = client.post("/gradio_api/call/classify", json={"data": data, **more})
    if reply.status_code != 200:
        return reply.text
    return client.get(f"/gradio_api/call/classify/{reply.json()['event_id']}").text


def every_way(client, data):
    """Send ``data`` through every door that Gradio has; what each answered."""
    replies = [classify(client, data)]
    for path, body in (
        ("/gradio_api/queue/join", {"data": data, "fn_index": 0, "session_hash": "abc", "trigger_id": None}),
        ("/gradio_api/queue/join", {"data": data, "fn_index": 3, "session_hash": "abd", "event_data": data[0]}),
        ("/gradio_api/run/classify", {"data": data}),
        ("/gradio_api/api/classify", {"data": data}),
        ("/gradio_api/run/classify/", {"data": data, "fn_index": 3, "batched": True}),
        ("/gradio_api/call/v2/classify", {"file": data[0]}),
        ("/gradio_api/component_server", {"data": data, "component_id": 1, "session_hash": "abc", "fn_name": "ls"}),
        ("/gradio_api/stream/abc", {"data": data}),
        ("/gradio_api/mcp/", {"jsonrpc": "2.0", "method": "tools/call", "params": {"arguments": {"file": data[0]}}}),
    ):
        reply = client.post(path, json=body)
        replies.append(f"{reply.status_code} {reply.text}")
    return replies


def named(url):
    """Payloads that name a web address, in every place and spelling that somebody might try."""
    spellings = [
        f"http://{url}/x.fits", f"HTTP://{url}/x.fits", f"//{url}/x.fits", f"http:\\\\{url}\\x.fits", f" http://{url}/x.fits",
        f"http://{url}/again.fits", f"http://user:pass@{url}/x.fits", f"https://{url}/x.fits", f"ftp://{url}/x.fits",
        f"/http://{url}/x.fits", f"\thttp://{url}/x.fits", f"http://localhost:{url.split(':')[1]}/x.fits",
    ]  # fmt: skip
    for spelling in spellings:
        yield {"path": spelling, "meta": META}
    first = spellings[0]
    yield {"path": "", "url": first, "meta": META}
    yield {"path": "x.fits", "url": first, "meta": META, "is_stream": True}
    yield {"url": first, "meta": META}
    yield [{"path": first, "meta": META}]
    yield [[{"path": first, "meta": META}]]
    yield {"path": "/x", "meta": META, "more": {"path": first, "meta": META}}
    yield {"path": {"path": first, "meta": META}, "meta": META}
    yield first
    yield {"value": {"path": first, "meta": META}}


def test_without_its_door_the_page_would_fetch_what_a_payload_names(pages, asked):
    asked.seen.clear()
    with httpx.Client(base_url=pages[1], timeout=60) as client:
        classify(client, [{"path": f"http://{asked.url}/again.fits", "meta": META}, None, None])
        assert asked.seen == ["/again.fits", "/landed.fits"]
        client.get(f"/gradio_api/file=http://{asked.url}/through.png")
    assert asked.seen[-1] == "/through.png"


def test_no_address_that_a_payload_names_is_ever_asked(page, asked, log):
    asked.seen.clear()
    for payload in named(asked.url):
        for reply in every_way(page, [payload, None, None]):
            assert reply.startswith("4") or '"error"' in reply, (payload, reply)
            assert "null" not in reply
    assert not asked.seen
    assert "Traceback" not in log()


def test_a_number_or_a_text_that_is_a_file_is_refused(page, asked):
    asked.seen.clear()
    file = {"path": f"http://{asked.url}/x.fits", "meta": META}
    for data in ([None, file, None], [None, None, file], [None, [file], None], [None, None, None, file]):
        assert '"error"' in classify(page, data)
    assert not asked.seen


@pytest.mark.parametrize(
    "path",
    [
        "file=http://{url}/x.fits", "file=HTTP://{url}/x.fits", "file=//{url}/x.fits", "file=%2F%2F{url}/x.fits",
        "file=http%3A%2F%2F{url}%2Fx.fits", "file=/\\{url}/x.fits", "file/http://{url}/x.fits", "proxy=http://{url}/x.fits",
        "file=https://{url}/x.fits", "file={url}/x.fits",
    ],
)  # fmt: skip
def test_the_page_is_no_proxy(path, page, asked):
    asked.seen.clear()
    reply = page.get("/gradio_api/" + path.format(url=asked.url))
    assert 400 <= reply.status_code < 500
    assert not asked.seen


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "{uploads}/../app.py", "{uploads}", "app.py", "../app.py", "./cache/x.fits", "file:///etc/passwd",
        "{uploads}-else/x.fits", "{uploads}/x\0.fits", "data:image/fits;base64,AAAA", "{uploads}/link.fits", "~/.bashrc",
        "/proc/self/environ",
    ],
)  # fmt: skip
def test_a_file_outside_the_uploads_is_refused_in_words(path, page, pages):
    uploads = uploads_of(pages[2])
    if not (uploads / "link.fits").is_symlink():
        (uploads / "link.fits").symlink_to("/etc/passwd")
    for reply in every_way(page, [{"path": path.format(uploads=uploads), "meta": META}, None, None]):
        assert reply.startswith("4") or '"error"' in reply
    said = classify(page, [{"path": path.format(uploads=uploads), "meta": META}, None, None])
    assert "not a file that was uploaded to this server" in said
    assert str(uploads) not in said


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"3", b'"x"', b"{}", b'{"data": null}', b'{"data": "x"}', b'{"data": {}}', b'{"data": [{}]}',
        b'{"data": [null, "12"]}', b'{"data": [null, true]}', b'{"data": [null, NaN]}', b'{"data": [null, 1e999]}',
        b'{"data": [null, null, null, null, null]}', b'{"data": [null, 1' + b"0" * 400 + b"]}", b"[" * 20_000, b"\xff\xfe",
        b'{"data": [[null]]}', b'{"data": ["a"]}', b'{"data": [[], []]}', b'{"data": []}', b'{"data": [{"path": 3}]}',
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_in_words_and_leaves_no_traceback(body, page, log):
    for path in (
        "/gradio_api/call/classify",
        "/gradio_api/queue/join",
        "/gradio_api/call/v2/classify",
        "/gradio_api/run/classify",
    ):
        reply = page.post(path, content=body, headers={"Content-Type": "application/json"})
        text = reply.text
        if reply.status_code == 200:
            text = page.get(f"/gradio_api/call/classify/{reply.json()['event_id']}").text
            assert '"error": "no file was sent' in text
        else:
            assert 400 <= reply.status_code < 500 and reply.json()["error"]
        assert "null" not in text
    assert "Traceback" not in log()


@pytest.mark.parametrize(
    "change",
    [
        {"fn_index": 99}, {"fn_index": -1}, {"fn_index": "0"}, {"fn_index": None}, {"fn_index": True}, {"session_hash": None},
        {"session_hash": "a" * 99}, {"session_hash": ["a"]}, {"session_hash": "a/b"}, {"session_hash": 3},
    ],
)  # fmt: skip
def test_a_call_of_a_page_that_does_not_exist_is_refused(change, page, log):
    body = {"data": [None], "fn_index": 0, "session_hash": "abc"} | change
    reply = page.post("/gradio_api/queue/join", json=body)
    assert reply.status_code == 422 and "reload it" in reply.json()["error"]
    assert "Traceback" not in log()


def test_an_answer_that_is_not_due_is_not_waited_for(page, log):
    for path in ("queue/data?session_hash=nobody", "queue/data", "call/classify/nothing", "call/v2/classify/nothing"):
        reply = page.get(f"/gradio_api/{path}")
        assert reply.status_code == 404 and "no answer is due" in reply.json()["error"]
    assert not log()


def sent(page, file):
    return page.post("/gradio_api/upload", files={"files": (file.name, file.read_bytes())}).json()[0]


def test_parameters_may_be_named(page, uploads):
    path = sent(page, uploads / "region.fits")
    reply = page.post("/gradio_api/call/v2/classify", json={"file": {"path": path}})
    assert "event: complete" in page.get(f"/gradio_api/call/v2/classify/{reply.json()['event_id']}").text
    reply = page.post("/gradio_api/call/v2/classify", json={"image": None})
    assert "there is no parameter 'image'; choose from file, latitude_deg, longitude_deg" in reply.json()["error"]


def test_a_position_may_be_left_out_and_the_files_meta_too(page, uploads):
    path = sent(page, uploads / "region.fits")
    assert "event: complete" in classify(page, [{"path": path}])
    assert "event: complete" in classify(page, [[{"path": path, "url": "http://anything", "meta": META}], None])


def test_an_upload_that_was_deleted_meanwhile_is_said_to_be_gone(page, pages):
    gone = uploads_of(pages[2]) / "0" / "region.fits"
    assert "region.fits: the upload was deleted meanwhile; send it again" in classify(page, [{"path": str(gone)}])


@pytest.mark.parametrize(
    "path",
    [
        "component_server",
        "process_recording",
        "stream/abc",
        "deep_link?session_hash=abc",
        "vibe-edit",
        "mcp",
        "run/classify",
        "api/classify",
    ],
)
def test_what_the_page_does_not_need_does_not_exist(path, page):
    assert page.post(f"/gradio_api/{path}", json={}).status_code in (404, 422)
    assert page.get(f"/gradio_api/{path}").status_code == 404
    assert page.get("/monitoring").status_code == 404


def test_bodies_and_uploads_are_bounded(page):
    assert page.post("/gradio_api/call/classify", content=b" " * 70_000).status_code == 413
    assert page.post("/gradio_api/call/classify", content=iter([b" " * 40_000] * 2)).status_code == 413

    def many():
        for number in range(300):
            head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{number}.fits"\r\n\r\n'
            yield head.encode() + bytes(2**20) + b"\r\n"

    reply = page.post("/gradio_api/upload", content=many(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status_code == 413


def test_an_upload_that_is_cut_off_leaves_nothing(pages):
    import socket
    import time

    host, port = pages[0].removeprefix("http://").split(":")
    cache = uploads_of(pages[2])
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="half.fits"\r\n\r\n'
    )
    before = {file.name for file in cache.iterdir()}
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + bytes(10**6))
        for _ in range(100):
            time.sleep(0.1)
            if new := {file.name for file in cache.iterdir()} - before:
                break
        assert new
    for _ in range(100):
        time.sleep(0.1)
        if not {file.name for file in cache.iterdir()} - before:
            return
    raise AssertionError(f"{new} is still there")


def test_uploads_lie_in_a_folder_of_their_own(page, pages, uploads):
    others = pages[2] / "cache" / "of another program.txt"
    others.touch()
    assert sent(page, uploads / "region.fits").startswith(f"{uploads_of(pages[2])}/")
    assert others.exists() and uploads_of(pages[2]).stat().st_mode & 0o077 == 0


def test_the_files_of_answers_and_pages_are_served(page, pages):
    for path in ("/", "/config", "/gradio_api/info", "/theme.css", "/gradio_api/openapi.json", "/robots.txt"):
        assert page.get(path).status_code == 200, path
    assert json.loads(page.get("/gradio_api/info").text)["named_endpoints"]["/classify"]
