import io
import zipfile

import openpyxl
import pytest
from sdovis.summary.workbook import workbook

ROWS = [{"class": "alpha", "n": 3, "mean": 1.25, "note": None}, {"class": "=1+1", "n": 4, "mean": 2e-9, "note": "x"}]


def _open(data, **options):
    return openpyxl.load_workbook(io.BytesIO(data), **options)


def test_a_workbook_opens_with_its_sheets_and_their_values():
    book = _open(workbook([("Study", "small")], {"Tests": ROWS, "Timings": []}))
    assert book.sheetnames == ["README", "Tests", "Timings"]
    assert [c.value for c in book["Tests"][1]] == ["class", "n", "mean", "note"]
    assert [c.value for c in book["Tests"][2]] == ["alpha", 3, 1.25, None]
    assert book["README"]["B1"].value == "small"
    assert book["Timings"]["A1"].value == "nothing to report"


HOSTILE = ["=1+1", '=HYPERLINK("http://x","y")', "+1", "-2+3", "@SUM(A1)", "#N/A", "=cmd|' /C calc'!A0", "\t=1+1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_stored_as_text_whatever_it_begins_with(text):
    data = workbook([(text, text)], {"Tests": [{text: text}]})
    book = _open(data)
    for cell in (book["README"]["A1"], book["README"]["B1"], book["Tests"]["A1"], book["Tests"]["A2"]):
        assert (cell.value, cell.data_type, cell.quotePrefix) == (text, "s", True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")]
    assert len(sheets) == 2
    assert all(b"<f>" not in sheet and b"<f " not in sheet for sheet in sheets)


def test_characters_that_no_workbook_may_hold_are_left_out():
    assert _open(workbook([("a\x00b", "c\x0bd")], {}))["README"]["A1"].value == "ab"


def test_the_same_summary_gives_the_same_bytes_at_another_time(monkeypatch):
    import time

    first = workbook([("Study", "small")], {"Tests": ROWS})
    later = time.time() + 86400
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    time.sleep(1.1)  # openpyxl's own clock counts seconds
    assert workbook([("Study", "small")], {"Tests": ROWS}) == first
