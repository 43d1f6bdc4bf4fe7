"""What the Model Context Protocol may say to the page: a few requests, and files that were uploaded before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.webapp import tools


def part(kind):
    return SimpleNamespace(get_block_name=lambda: kind, file_count="single")


def classify(file, latitude_deg=None, regions=None, request=None):
    raise AssertionError("only its signature is read")


FUNCTIONS = [
    SimpleNamespace(
        fn=classify,
        inputs=[part("file"), part("number"), part("textbox")],
        api_name=name,
        api_visibility="public" if name == "classify" else "private",
    )
    for name in ("classify", "_look")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads").resolve()
    (folder / "a.fits").touch()
    return folder


def call(folder, name="classify", method="tools/call", **arguments):
    return tools.asked(
        {"id": 1, "method": method, "params": {"name": name, "arguments": arguments}}, FUNCTIONS, [folder]
    )


def test_an_uploaded_file_may_be_named_in_every_way_that_an_upload_is_answered(folder):
    path = f"{folder}/a.fits"
    wanted, address = f"http://page/gradio_api/file={path}", f"/gradio_api/file={path}"
    for named in (path, f"https://host{address}", f"http://127.0.0.1:7860{address}", {"path": path}):
        told = call(folder, file=named, latitude_deg=8)
        assert told["params"] == {"name": "classify", "arguments": {"file": wanted, "latitude_deg": 8}}
    assert call(folder, "sun_space_classify", file=path)["params"]["name"] == "sun_space_classify"  # as in a Space


@pytest.mark.parametrize(
    "named",
    [
        "http://127.0.0.1:9/x.fits", "https://host/gradio_api/file=/etc/passwd", "/etc/passwd", "file:///etc/passwd",
        "data:image/png;base64,AAAA", "HERE/../a.fits/../../etc/passwd", "a.fits", ["/etc/passwd"], 3, {"url": "http://x"},
        {"path": "http://127.0.0.1:9/x"}, {"path": {"path": "/etc/passwd"}}, "https://host/gradio_api/file=http://x/y", [[]],
    ],
)  # fmt: skip
def test_any_other_file_is_refused(named, folder):
    with pytest.raises(BadInput, match=r"not a file|files were sent"):
        call(folder, file=str(named).replace("HERE", str(folder)) if isinstance(named, str) else named)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"method": "resources/read", "params": {"uri": "file:///etc/passwd"}}, "does not answer 'resources/read'"),
        ({"method": "resources/list"}, "does not answer"), ({"method": "prompts/get"}, "does not answer"),
        ({"method": "completion/complete"}, "does not answer"), ({"method": None}, "does not answer"), ({}, "does not answer"),
        ({"method": ["tools/call"]}, "does not answer"), ({"method": "ping", "id": {"a": 1}}, "id is neither"),
        ({"method": "tools/call"}, "there is no tool"), ({"method": "tools/call", "params": {"name": "_look"}}, "no tool"),
        ({"method": "tools/call", "params": {"name": "classify"}}, "arguments is not an object"),
        ({"method": "tools/call", "params": {"name": "classify", "arguments": {"x": 1}}}, "there is no parameter 'x'"),
        ({"method": "tools/call", "params": {"name": "classify", "arguments": {"latitude_deg": "8"}}}, "not a number"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_words(request_, words, folder):
    with pytest.raises(BadInput, match=words):
        tools.asked(request_, FUNCTIONS, [folder])


def test_of_an_introduction_only_names_are_passed_on(folder):
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"roots": {"x": 1}},
        "clientInfo": {"name": "a" * 999},
        "z": 1,
    }
    told = tools.asked({"id": "a", "method": "initialize", "params": params}, FUNCTIONS, [folder])
    assert told["params"] == {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a" * 200, "version": ""}
    }  # fmt: skip


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["tools/call", *tools.PLAIN, "x"]),
    st.fixed_dictionaries({"name": st.sampled_from(["classify", "_look"]) | JSON, "arguments": JSON}) | JSON,
    JSON,
)
def test_whatever_is_said_no_file_from_elsewhere_is_passed_on(folder, method, params, number):
    try:
        told = tools.asked({"method": method, "params": params, "id": number}, FUNCTIONS, [folder])
    except BadInput:
        return
    assert set(told) <= {"jsonrpc", "method", "id", "params"}
    assert told["method"] != "tools/call" or "file" not in told["params"]["arguments"]
