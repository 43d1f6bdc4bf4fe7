"""NOAA's region summaries: every line of five real years is accounted for, and read as sunpy reads it."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.labels.mcintosh import MCINTOSH_CODES
from sdovis.sun.archives import read_archive
from sdovis.sun.regions import Region, RegionSummary, latest, noaa_number, parse, table
from sun.summaries import ROW, SUMMARY


def summary(spotted: str = ROW, plage: str = "None", returning: str = "None") -> RegionSummary:
    return parse(SUMMARY.format(spotted=spotted, plage=plage, returning=returning), "0215SRS.txt")


def test_a_summary_gives_its_regions_and_the_time_for_which_they_hold():
    found = summary(plage="1156  S21W49   072", returning="1149 N17    301")
    assert found.valid == datetime(2011, 2, 15, tzinfo=UTC)
    assert found.issued == datetime(2011, 2, 15, 0, 30, tzinfo=UTC)
    assert found.regions == (
        Region("I", 11158, -21, 14, 36, 450, "Ekc", 12, 36, "Beta-Gamma", 11),
        Region("IA", 11156, -21, 49, 72, line=14),
        Region("II", 11149, 17, None, 301, line=17),
    )
    assert [region.kind for region in found.regions] == ["spotted", "plage", "due to return"]
    assert not found.faults and not found.remarks


spotted_regions = st.builds(
    Region,
    section=st.just("I"),
    noaa_ar=st.integers(10000, 18999),
    latitude_deg=st.integers(-60, 60),
    longitude_deg=st.integers(-99, 99),
    carrington_deg=st.none() | st.integers(0, 360),
    area_msh=st.none() | st.integers(0, 5000),
    mcintosh=st.sampled_from(MCINTOSH_CODES),
    extent_deg=st.none() | st.integers(0, 40),
    spots=st.none() | st.integers(0, 140),
    mount_wilson=st.sampled_from(["", "Alpha", "Beta", "Beta-Gamma", "Beta-Delta", "Beta-Gamma-Delta", "Gamma-Delta"]),
)


def printed(region: Region, mount_wilson: str) -> str:
    """A row of section I in SWPC's layout; a blank where nothing is known."""
    ns, ew = "S" if region.latitude_deg < 0 else "N", "E" if region.longitude_deg < 0 else "W"
    place = f"{ns}{abs(region.latitude_deg):02d}{ew}{abs(region.longitude_deg):02d}"

    def cell(value: int | None, width: int) -> str:
        return " " * width if value is None else f"{value:0{width}d}"

    numbers = f"{cell(region.carrington_deg, 3)}  {cell(region.area_msh, 4)} {region.mcintosh}"
    tail = f"{cell(region.extent_deg, 2)}   {cell(region.spots, 2)} {mount_wilson}"
    return f"{region.noaa_ar % 10000:04d} {place}   {numbers}  {tail}"


@given(spotted_regions, st.sampled_from(["-", " -", "- ", " - ", " "]), st.sampled_from([str, str.upper, str.lower]))
def test_a_printed_row_is_read_back(region, joint, case):
    found = summary(case(printed(region, region.mount_wilson.replace("-", joint))))
    assert not found.faults
    assert found.regions == (replace(region, line=11),)


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ("1260 N20E71   358  0010 Axx  01    Alpha", "spots"),
        ("1430 N20E25   316  0090 Dao  05   14  ", "mount_wilson"),
        ("1158 S21W14        0450 Ekc  12   36 Beta-Gamma", "carrington_deg"),
        ("1158 S21W14   036       Ekc  12   36 Beta-Gamma", "area_msh"),
        ("1158 S21W14   036  0450      12   36 Beta-Gamma", "mcintosh"),
        ("1158 S21W14   036  0450 Ekc       36 Beta-Gamma", "extent_deg"),
        ("1158 S21W14   036  0450 Ekc  12   36 None", "mount_wilson"),
        ("1158 S21E**   036  0450 Ekc  12   36 Beta-Gamma", "longitude_deg"),
    ],
)
def test_a_blank_cell_is_told_by_its_column_and_remarked(row, missing):
    found = summary(row)
    (region,) = found.regions
    blank = [name for name, value in vars(region).items() if value in (None, "")]
    assert blank == [missing]
    (remark,) = found.remarks
    assert (remark.sheet, remark.row) == ("I", 11) and missing in remark.what


@pytest.mark.parametrize(
    "row",
    [
        "1158 Q21W14   036  0450 Ekc  12   36 Beta-Gamma",
        "1158 S21W14   036  0450 Ekc  12   36 Beta 7",
        "1158 S21W14   036  0450 Ekc  12   36 44 Beta",
        "1158 S21W14   036  0450 Ekc  12   36 Beta?",
        "1158 S99W14   036  0450 Ekc  12   36 Beta",
        "1158 S21W14   636  0450 Ekc  12   36 Beta",
    ],
)
def test_a_row_that_cannot_be_read_is_a_fault_with_file_section_and_line(row):
    found = summary(row)
    assert not found.regions
    (fault,) = found.faults
    assert (fault.file, fault.sheet, fault.row) == ("0215SRS.txt", "I", 11)


def test_every_line_is_counted_and_text_that_is_no_region_is_reported():
    text = SUMMARY.format(spotted=ROW, plage="none", returning="\nsee the web\nNNNN\nthank you\n")
    found = parse(text, "x")
    assert sum(found.lines.values()) == len(text.splitlines())
    assert [remark.what for remark in found.remarks] == ["text that is not a region: 'see the web'"]
    assert found.lines["prose"] == 2 and found.lines["none"] == 1


def test_the_month_of_a_heading_is_not_trusted_and_its_day_is():
    text = SUMMARY.format(spotted=ROW, plage="None", returning="None")
    assert parse(text.replace("14/2400Z Feb", "14/2400Z Mar")).valid == datetime(2011, 2, 15, tzinfo=UTC)
    early = parse(text.replace("14/2400Z", "14/1200Z"))
    assert early.valid == datetime(2011, 2, 14, 12, tzinfo=UTC) and early.remarks
    late = parse(text.replace("14/2400Z", "13/2400Z"))
    assert late.valid == datetime(2011, 2, 14, tzinfo=UTC) and "not at the usual" in late.remarks[0].what
    wrong = parse(text.replace("14/2400Z", "27/2400Z"))
    assert wrong.valid == datetime(2011, 2, 15, tzinfo=UTC) and "does not fit" in wrong.remarks[0].what
    evening = parse(text.replace(":Issued: 2011 Feb 15 0030", ":Issued: 2011 Feb 14 2200"))
    assert evening.valid == datetime(2011, 2, 15, tzinfo=UTC) and not evening.remarks
    january = text.replace("15 Feb 2011", "01 Jan 2011").replace("14/2400Z", "31/2400Z")
    assert parse(january).valid == datetime(2011, 1, 1, tzinfo=UTC)


def test_four_digits_become_the_full_number():
    assert noaa_number(1158, date(2011, 2, 15)) == 11158
    assert noaa_number(5, date(2002, 6, 24)) == 10005
    assert noaa_number(9997, date(2002, 6, 24)) == 9997
    assert noaa_number(9169, date(2000, 9, 22)) == 9169
    assert noaa_number(14349, date(2026, 2, 1)) == 14349


def test_the_copy_issued_last_stands_for_its_day():
    first = summary()
    text = SUMMARY.format(spotted=ROW.replace("0450", "0500"), plage="None", returning="None")
    corrected = parse(
        text.replace("Feb 15 0030", "Feb 15 0140").replace("SRS Number", ":: Corrected Copy ::\nSRS Number")
    )
    chosen, remarks = latest([corrected, first, first])
    assert corrected.corrected and chosen == [corrected]
    assert len(remarks) == 2 and "with different regions" in remarks[1].what


def test_a_region_that_stands_twice_is_taken_once():
    found = summary(f"{ROW}\n{ROW}")
    assert len(found.regions) == 1 and "is already listed in line 11" in found.remarks[0].what


@pytest.mark.parametrize("text", ["", "hello", SUMMARY.replace("Feb", "xxx").replace(":Issued", "x")])
def test_a_text_that_is_no_summary_is_refused(text):
    with pytest.raises(BadInput):
        parse(text, "x.txt")


def test_five_real_years_leave_no_line_unread(shared_data: Path):
    archive = read_archive(shared_data / "noaa_srs")
    assert len(archive.summaries) == 1825  # 2012-01-01 is not in the archive
    assert not archive.remarks
    assert not [fault for s in archive.summaries for fault in s.faults]
    remarks = [(remark.file[-15:-7], remark.what) for s in archive.summaries for remark in s.remarks]
    assert remarks == [
        ("20100228", "region 1045 lacks carrington_deg"),
        ("20110213", "region 1160 lacks carrington_deg"),
        ("20110725", "region 1260 lacks spots"),
        ("20120306", "region 1430 lacks mount_wilson"),
        ("20120417", "region 1460 lacks mount_wilson"),
        ("20140904", "region 2155 lacks spots"),
    ]
    lines = sum((Counter(s.lines) for s in archive.summaries), Counter())
    assert sum(lines.values()) == 40493  # wc -l over all texts
    assert set(lines) == {"header", "region", "section", "column headings", "none", "correction"}
    assert lines["region"] == 13936 and sum(s.corrected for s in archive.summaries) == 10
    regions = table(archive.summaries)
    assert len(regions) == 13936
    assert regions["section"].value_counts().to_dict() == {"I": 8818, "IA": 2840, "II": 2278}
    assert regions["noaa_ar"].between(11000, 12300).all()


def _sunpys(path: Path) -> dict[tuple[str, int], tuple[object, ...]]:
    from sunpy.io.special.srs import read_srs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_srs(path)
    rows = {}
    for row in found:
        cells = []
        for name in ("Latitude", "Longitude", "Carrington Longitude", "Area", "Z", "Number of Sunspots", "Mag Type"):
            value = row[name] if name in found.colnames else None
            masked = value is None or bool(np.any(np.ma.getmaskarray(getattr(value, "unmasked", value))))
            masked = masked or bool(np.any(getattr(value, "mask", False)))
            plain = getattr(value, "value", value)
            cells.append(None if masked else str(plain) if isinstance(plain, str) else int(plain))
        rows[str(row["ID"]), int(row["Number"])] = tuple(cells)
    return rows


def test_regions_are_those_that_sunpy_reads():
    import sunpy.data.test

    compared = 0
    for path in sorted((Path(sunpy.data.test.__file__).parent / "SRS").glob("*.txt")):
        if path.name.startswith("200206"):  # sunpy adds 10000 to numbers below 10000 too
            continue
        mine = {
            (r.section, r.noaa_ar): (
                r.latitude_deg, r.longitude_deg, r.carrington_deg, r.area_msh, r.mcintosh or None, r.spots,
                r.mount_wilson or None,
            )
            for r in parse(path.read_text(), path.name).regions
        }  # fmt: skip
        theirs = {
            key: tuple(
                v.capitalize() if i == 4 and v else v.title() if i == 6 and v else v for i, v in enumerate(cells)
            )
            for key, cells in _sunpys(path).items()
        }
        assert mine == theirs, path.name
        compared += len(mine)
    assert compared == 61
