"""Whatever JSON a body holds, only files that were uploaded, numbers and texts are left of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.webapp import payloads


def part(kind, file_count="single"):
    return SimpleNamespace(get_block_name=lambda: kind, file_count=file_count)


def classify(file, latitude_deg=None, longitude_deg=None, regions=None, request=None):
    raise AssertionError("only its signature is read")


def function(file_count="single"):
    return SimpleNamespace(
        fn=classify, inputs=[part("file", file_count), part("number"), part("number"), part("textbox")]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads").resolve()
    (folder / "a.fits").touch()
    return folder


def files(data):
    """Every path and address that is left anywhere."""
    if isinstance(data, dict):
        yield from (value for name, value in data.items() if name in ("path", "url"))
        for value in data.values():
            yield from files(value)
    elif isinstance(data, list):
        for value in data:
            yield from files(value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
PATHS = st.sampled_from(
    [
        "http://x/y.fits",
        "//x/y",
        "/etc/passwd",
        "HERE/a.fits",
        "HERE/../a.fits",
        "HERE/b/../a.fits",
        "HERE",
        "a.fits",
        "\0",
    ]
)
FILES = st.fixed_dictionaries({"path": PATHS | SCALARS}, optional={"url": PATHS, "meta": SCALARS, "is_stream": SCALARS})
VALUES = st.recursive(
    SCALARS | PATHS | FILES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
CALLS = st.tuples(FILES | st.lists(FILES, max_size=2), NUMBERS, NUMBERS).map(list)


@pytest.mark.parametrize("file_count", ["single", "multiple"])
@given(data=CALLS | st.lists(VALUES, max_size=5) | VALUES, event=VALUES, index=SCALARS, session=SCALARS)
def test_only_uploads_numbers_and_texts_are_left_of_any_payload(folder, file_count, data, event, index, session):
    text = json.dumps(
        {"data": data, "event_data": event, "fn_index": 1 if index is None else index, "session_hash": session or "s"}
    )
    body = payloads.read(text.replace("HERE", str(folder)).encode())
    for rewrite in (
        lambda: payloads.called(body, function(file_count), [folder]),
        lambda: payloads.joined(body, {1: function(file_count)}, [folder]),
        lambda: payloads.called_by_name(body, function(file_count), [folder]),
    ):
        try:
            left = rewrite()
        except BadInput as error:
            assert all(len(str(problem)) < 300 for problem in error.problems)
            continue
        assert all(Path(path).parent == folder for path in files(left))
        file, *numbers, regions = left["data"]
        assert file is None or isinstance(file, dict if file_count == "single" else list)
        assert all(value is None or isinstance(value, int | float) for value in numbers)
        assert regions is None or isinstance(regions, str)
        json.loads(json.dumps(left, allow_nan=False))


@pytest.mark.parametrize("path", ["link.fits", "../outside.fits", "sub/../../outside.fits", ".", "linked/outside.fits"])
def test_a_path_that_only_looks_like_an_upload_is_refused(path, folder):
    outside = folder.parent / "outside.fits"
    outside.touch()
    for name, to in (("link.fits", outside), ("linked", folder.parent)):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(to)
    with pytest.raises(BadInput, match="not a file that was uploaded"):
        payloads.called({"data": [{"path": f"{folder}/{path}"}]}, function(), [folder])
    with pytest.raises(BadInput, match="not a file that was uploaded"):
        payloads.called({"data": [{"path": f"{folder}-else/a.fits"}]}, function(), [folder])


def test_the_second_of_two_equal_keys_cannot_slip_through(folder):
    body = payloads.read(f'{{"data": [{{"path": "{folder}/a.fits", "path": "http://x/y.fits"}}]}}'.encode())
    with pytest.raises(BadInput, match="not a file that was uploaded"):
        payloads.called(body, function(), [folder])


def test_several_files_are_taken_only_by_a_model_of_several_channels(folder):
    body = {"data": [[{"path": f"{folder}/a.fits"}] * 2]}
    with pytest.raises(BadInput, match="2 files were sent, but the model takes one"):
        payloads.called(body, function(), [folder])
    assert len(payloads.called(body, function("multiple"), [folder])["data"][0]) == 2
    with pytest.raises(BadInput, match="at most 20 are taken"):
        payloads.called({"data": [[{"path": f"{folder}/a.fits"}] * 21]}, function("multiple"), [folder])


def test_the_address_under_which_an_upload_is_served_stands_for_its_path(folder):
    (folder / "b c.fits").touch()
    for name in ("a.fits", "b%20c.fits"):
        address = f"https://host:1/gradio_api/file={folder}/{name}"
        values = payloads.called({"data": [{"path": address}]}, function(), [folder])["data"]
        assert values[0]["path"].startswith(f"{folder}/") and Path(values[0]["path"]).is_file()
    for elsewhere in ("/a.fits", "/gradio_api/file=/etc/passwd", "/gradio_api/file=http://x/y"):
        with pytest.raises(BadInput, match="not a file that was uploaded"):
            payloads.called({"data": [{"path": f"http://host{elsewhere}"}]}, function(), [folder])


def test_everything_wrong_is_said_at_once(folder):
    with pytest.raises(BadInput) as caught:
        payloads.called({"data": [{"path": "http://x/"}, "N", {}, 3]}, function(), [folder])
    assert [problem.what.split(":")[0] for problem in caught.value.problems] == [
        "file", "latitude_deg", "longitude_deg", "regions"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ({"index": [3.5, 4], "value": {"path": "http://x/"}}, {"index": [3.5, 4], "value": None}),
        ({"index": 2, "selected": True}, {"index": 2, "value": None}),
        ({"index": [1, 2, 3]}, None), ({"index": "2"}, None), ({"index": [[1], 2]}, None), ("x", None), (None, None),
        ({"index": float("nan")}, None), ({}, None),
    ],
)  # fmt: skip
def test_of_a_click_only_its_place_is_kept(event, kept, folder):
    body = {"data": [None], "fn_index": 0, "session_hash": "s", "event_data": event}
    assert payloads.joined(body, {0: function()}, [folder])["event_data"] == kept
