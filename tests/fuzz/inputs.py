"""What the fuzzer sends: whole files and payloads, each damaged where their readers look, by hypothesis.

A damage is drawn as data (where, what), so that a failing input shrinks to a small damage of a small file.
"""

from __future__ import annotations

import gzip
import io
import re
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from images.solar_files import dipole, write
from jpeg2000_files import HEADER, jp2
from readers.written import SHEET, workbook
from studies import STUDY

#: What headers, cells and settings are set to: numbers at the ends of their ranges, wrong types, dates without a next day.
HOSTILE = [
    "", "0", "-1", "1", "-0.0", "1e-300", "1E400", "-1e308", "nan", "inf", "9" * 25, "9" * 68, "2147483648", "-2147483648",
    "T", "F", "'text'", "'  '", "''", "None", "1,5", "1.5.5", "0x10", "8193", "65536", "'NaN'", "360", "1e9", "#" * 30,
    "'9999-12-31T23:59:60'", "'0001-01-01T00:00:00_TAI'", "'2011-13-45T99:99:99'", "'HPLN-TAN'", "'CRLN-CEA'", "'deg'", "(1,2)",
    "'HMI'", "'arcsec/s'", "'" + "A" * 60 + "'", "'=1+1'",
]  # fmt: skip
LONG = ["9" * 400, "9" * 5000, "-" + "9" * 400, "1e" + "9" * 20, "#" * 3000, "no." * 300, "é" * 300]
BYTES = st.integers(0, 255) | st.sampled_from(b"\0 '=/.-0123456789TFE\xff")


@st.composite
def flipped(draw: st.DrawFn, data: bytes) -> bytes:
    """A few bytes set to others, or the file cut, repeated or lengthened."""
    spoiled = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        spoiled[draw(st.integers(0, len(spoiled) - 1))] = draw(BYTES)
    what = draw(st.sampled_from(["", "", "", "cut", "more", "hole"]))
    at = draw(st.integers(0, len(spoiled))) if what else 0
    if what == "cut":
        del spoiled[at:]
    elif what == "more":
        spoiled[at:at] = spoiled[max(at - 2880, 0) : at]
    elif what == "hole":
        del spoiled[at : at + draw(st.integers(1, 2880))]
    return bytes(spoiled)


# --- FITS -------------------------------------------------------------------------------------------------------------


@cache
def _fits() -> tuple[bytes, ...]:
    """Small files as telescopes write them: floats, integers with BLANK, compressed, a map, without a WCS."""
    values = dipole((48, 40), (10, 10), (20, 20))
    small = {"CDELT1": 50.0, "CDELT2": 50.0, "CRPIX1": 20.5, "CRPIX2": 24.5}
    cea = {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "deg", "CUNIT2": "deg", "CDELT1": 0.03, "CDELT2": 0.03}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.fits")
        return (
            write(file, values, **small).read_bytes(),
            write(file, values.astype(np.int16), **small, BLANK=-32768, BZERO=1.0, BSCALE=0.5).read_bytes(),
            write(file, values, compress=True, **small).read_bytes(),
            write(file, values.astype(np.int16), compress=True, **small).read_bytes(),
            write(file, values, **cea, CRVAL1=130.0, CRVAL2=10.0).read_bytes(),
            write(file, values, CTYPE1=None, CTYPE2=None, CDELT1=None, CDELT2=None, CROTA2=None).read_bytes(),
        )


CARD = re.compile(rb"[A-Z0-9_-]+ *=")


@st.composite
def _cards_changed(draw: st.DrawFn, data: bytes) -> bytes:
    """Cards with other values, other names, dropped or repeated."""
    spoiled = bytearray(data)
    at = [i for i in range(0, len(data) - 79, 80) if CARD.match(data, i, i + 10)]
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.sampled_from(at))
        how = draw(st.sampled_from(["value", "value", "value", "name", "blank", "repeat"]))
        if how == "value":
            spoiled[start + 10 : start + 80] = f"{draw(st.sampled_from(HOSTILE)):>20}".encode().ljust(70)[:70]
        elif how == "name":
            other = draw(st.sampled_from(at))
            spoiled[start : start + 8] = data[other : other + 8]
        elif how == "blank":
            spoiled[start : start + 80] = b" " * 80
        else:
            other = draw(st.sampled_from(at))
            spoiled[start : start + 80] = data[other : other + 80]
    return bytes(spoiled)


@st.composite
def fits(draw: st.DrawFn) -> bytes:
    """A FITS file with damaged headers, now and then gzipped."""
    data = draw(st.sampled_from(_fits()))
    if draw(st.booleans()):
        data = draw(_cards_changed(data))
    head = (data.rindex(b"END" + b" " * 77) // 2880 + 1) * 2880
    if draw(st.booleans()):
        data = draw(flipped(data[:head])) + data[head:]
    elif draw(st.booleans()):
        data = draw(flipped(data))
    return draw(flipped(gzip.compress(data, 1, mtime=0))) if draw(st.integers(0, 9)) == 0 else data


# --- JPEG2000 ---------------------------------------------------------------------------------------------------------

MARKUP = [
    "<a>" * 5000, "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<a xmlns='b'/>", "]]>", "<![CDATA[1]]>", "\0", "\ufffe", "<?a b?>",
    "<a b='1'><c/></a>", "<fits>", "</fits>", "<naxis1>0</naxis1>", "&#x110000;", "&#0;", "<cdelt1/>",
]  # fmt: skip


@st.composite
def jpeg2000(draw: st.DrawFn) -> bytes:
    """A JPEG2000 file whose XML header is damaged, and now and then its boxes."""
    fields = dict(HEADER)
    for _ in range(draw(st.integers(0, 3))):
        fields[draw(st.sampled_from(sorted(fields)))] = draw(st.sampled_from(HOSTILE + LONG)).strip("'")
    fields = {key: value for key, value in fields.items() if draw(st.integers(0, 20))}
    xml = "<meta><fits>" + "".join(f"<{key.lower()}>{value}</{key.lower()}>" for key, value in fields.items())
    xml += "</fits><helioviewer>1</helioviewer></meta>"
    if draw(st.booleans()):
        at = draw(st.integers(0, len(xml)))
        xml = xml[:at] + draw(st.sampled_from(MARKUP)) + xml[at:]
    data = jp2(_disc(), xml)
    return draw(flipped(data)) if draw(st.booleans()) else data


@cache
def _disc() -> np.ndarray:
    return (np.hypot(*np.mgrid[-95:95, -100:101]) < 80).astype(np.uint8) * 200


# --- workbooks --------------------------------------------------------------------------------------------------------

HEADINGS = ["Image", "NOAA AR", "Mount Wilson", "Latitude (deg)", "Longitude (deg)", "Observed (UTC)"]
COLUMNS = dict(zip(("image", "noaa_ar", "label", "latitude_deg", "longitude_deg", "observed"), HEADINGS, strict=True))
CELLS = [
    '<c r="B2"><v>{}</v></c>', '<c r="B2" s="{}"><v>1</v></c>', '<c r="{}"><v>1</v></c>', '<c r="B2" t="s"><v>{}</v></c>',
    '<c r="B2" t="{}"><v>1</v></c>', '<c r="F2" t="d"><v>{}</v></c>', '<c r="C2" t="inlineStr"><is><t>{}</t></is></c>',
    '<c r="B2" t="b"><v>{}</v></c>', '<c r="D2" t="str"><f>A1</f><v>{}</v></c>', '<c r="XFD9"><v>{}</v></c>',
    '<c r="D2"><is><r><rPr><strike/></rPr><t>{}</t></r></is></c>', '<c r="F2" t="str"><v>{}</v></c>',
]  # fmt: skip
BELOW = [
    '<mergeCells><mergeCell ref="{}"/></mergeCells>',
    '<mergeCells><mergeCell ref="B2:B4"/><mergeCell ref="A1:{}"/></mergeCells>',
    '<extLst><ext uri="{}"/></extLst>', '<autoFilter ref="{}"/>', "<!-- {} -->",
    '<hyperlinks><hyperlink ref="{}"/></hyperlinks>',
]  # fmt: skip
PLACES = [
    "A1",
    "XFD1048576",
    "A0",
    "ZZZZ1",
    "1A",
    "A1:XFD1048576",
    "B2:B99999999",
    "$A$1",
    "A-1",
    "A1:A1",
    "Ä1",
    "B2:C3",
]
XML_TEXT = st.sampled_from([text.replace("&", "").replace("<", "") for text in HOSTILE + LONG + PLACES])


@cache
def _parts() -> dict[str, bytes]:
    rows = [[f"{n}.fits", 11158 + n, "Beta", 12.5, -30.0, f"2011-02-1{n} 00:00:00"] for n in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        path = workbook(Path(folder, "b.xlsx"), [HEADINGS, *rows], merged=["C2:C3"], hidden=[4], formats={"D3": "0%"})
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@st.composite
def xlsx(draw: st.DrawFn) -> bytes:
    """A workbook with odd cells, ranges, parts or archive."""
    parts = dict(_parts())
    sheet = parts[SHEET].decode()
    for _ in range(draw(st.integers(0, 3))):
        added, kind = draw(XML_TEXT), draw(st.sampled_from(["cell", "row", "attribute", "below", "many", "blank"]))
        if kind == "cell":
            sheet = re.sub(r'<c r="B2".*?</c>', lambda _: draw(st.sampled_from(CELLS)).format(added), sheet, count=1)  # noqa: B023
        elif kind == "row":
            sheet = sheet.replace('<row r="3"', f'<row r="{added.strip(chr(39))}"')
        elif kind == "attribute":
            name = draw(st.sampled_from(["r", "s", "ht", "hidden", "spans", "ref", "zeroHeight", "min", "style"]))
            sheet = re.sub(
                rf' {name}="[^"]*"', f' {name}="{added}"'.replace("\\", ""), sheet, count=draw(st.integers(0, 3))
            )
        elif kind == "below":
            sheet = sheet.replace("</sheetData>", "</sheetData>" + draw(st.sampled_from(BELOW)).format(added), 1)
        elif kind == "many":
            row = f'<row r="{{0}}"><c r="{draw(st.sampled_from("BZ"))}{{0}}"><v>{added[:20]}</v></c></row>'
            more = "".join(row.format(number) for number in range(9, 9 + draw(st.sampled_from([10, 3000]))))
            sheet = sheet.replace("</sheetData>", more + "</sheetData>", 1)
        else:
            more = "".join(
                f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(9, draw(st.sampled_from([30, 9000])))
            )
            sheet = sheet.replace("</sheetData>", more + "</sheetData>", 1)
    parts[SHEET] = sheet.encode()
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(parts)))
        parts[name] = draw(flipped(parts[name]))
    if draw(st.integers(0, 9)) == 0:
        del parts[draw(st.sampled_from(sorted(parts)))]
    packed = io.BytesIO()
    with zipfile.ZipFile(
        packed, "w", draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2]))
    ) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, archive.compression)
    data = packed.getvalue()
    if draw(st.booleans()):
        directory = data.index(b"PK\x01\x02")
        data = data[:directory] + draw(flipped(data[directory:]))
    return data


# --- study files ------------------------------------------------------------------------------------------------------

VALUES = st.sampled_from([
    *(f'"{text}"' for text in HOSTILE if "'" not in text),
    "0", "-1", "1e400", "nan", "-inf", "9" * 30, "9" * 5000, "true", "[]", "[[]]", "{}", '{a = "b"}', "[1, 'a', true]", '""',
    "'''\na'''", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1979-05-27", "07:32:00",
    "[" * 40 + "]" * 40, "[" * 3000 + "]" * 3000, '["a", "b", "c"]', '["", "", ""]', '"../../etc"', '"\\u0000"',
    '"\\U0010FFFF"', '"' + "x" * 3000 + '"', "0x10", "1_000",
])  # fmt: skip
MORE = [
    "[source.srs]\nsummaries = 3", "[[images]]\na = 1", "[training]\nlearning_rate = 1", "[search]\n'training.x' = [1]",
    "[publish]\nnamespace = '-'", "[" + ".".join("a" * 500) + "]", "format = 1", "format = 99", "format = -1", "\0", "a",
    "[split]", "[source]\nreader = 'srs'", "[source.spreadsheet]\na = 1", "[labels]\nclasses = ['a', 'a']", "\ufeff", "\r",
    "[search.ranges]", "[a.b.c]", "a = ", "=",
]  # fmt: skip


@st.composite
def study(draw: st.DrawFn) -> bytes:
    """A study file with odd settings, now and then not TOML."""
    lines = STUDY.split("\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["value", "value", "value", "drop", "more", "move"]))
        if how == "value" and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw(VALUES)}"
        elif how == "drop":
            lines[at] = ""
        elif how == "more":
            lines.insert(at, draw(st.sampled_from(MORE)))
        else:
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
    data = "\n".join(lines).encode()
    data = draw(flipped(data)) if draw(st.integers(0, 3)) == 0 else data
    return b"\xef\xbb\xbf" + data if draw(st.integers(0, 9)) == 0 else data


# --- what visitors of the Space send ----------------------------------------------------------------------------------

_SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(HOSTILE + LONG) | st.text(max_size=20)
)  # fmt: skip
_PATHS = ["http://127.0.0.1:9/x", "/etc/passwd", "../x", "/tmp/a\0b", "file:///etc/passwd", "s3://a/b"]
_META = st.just({"_type": "gradio.FileData"}) | _SCALARS
_FILE = st.fixed_dictionaries(
    {"path": st.sampled_from(_PATHS) | _SCALARS},
    optional={"meta": _META, "url": _SCALARS, "size": _SCALARS, "orig_name": _SCALARS},
)
JSON = st.recursive(
    _SCALARS | _FILE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
#: (path of the uploaded file or payload, latitude, longitude, regions), as the page's API takes them.
PAYLOAD = st.tuples(JSON, _SCALARS, _SCALARS, _SCALARS)
