"""A region, a position or a time, spelled in any of the ways in which tables and people spell them, is read as the same value
by the spreadsheet's reader, by `audit` and by `--at`, or refused with one line. None is silently read as something else."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdovis import study as studies
from sdovis.channels.place import Position
from sdovis.cli import run_command
from sdovis.corpus import build
from sdovis.corpus.audit_foreign import DatasetColumns, read
from sdovis.corpus.observations import understand
from sdovis.corpus.units import strange_regions
from sdovis.errors import BadInput
from sdovis.labels.schemes import MOUNT_WILSON_3
from studies import STUDY

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

REGIONS: Mapping[str, Callable[[int], str]] = {
    "plain": str,
    "as a float": lambda n: f"{n}.0",
    "as a float of two places": lambda n: f"{n}.00",
    "with a decimal comma": lambda n: f"{n},0",
    "scientific": lambda n: f"{n / 1e4:.4f}E4",
    "scientific, signed": lambda n: f"{n:.4E}",
    "AR": lambda n: f"AR {n}",
    "AR, together": lambda n: f"AR{n}",
    "ar": lambda n: f"ar{n}",
    "NOAA": lambda n: f"NOAA {n}",
    "NOAA AR": lambda n: f"NOAA AR {n}",
    "NOAA, hyphen": lambda n: f"NOAA-{n}",
    "NOAA_AR": lambda n: f"NOAA_AR_{n}",
    "noaa ar": lambda n: f"noaa ar{n}",
    "number sign": lambda n: f"#{n}",
    "Active Region": lambda n: f"Active Region {n}",
    "AR No.": lambda n: f"AR No. {n}",
    "four digits": lambda n: str(n - 10000),
    "AR, four digits": lambda n: f"AR{n - 10000}",
    "no-break space": lambda n: f"{n}\u00a0",
    "zero-width space": lambda n: f"{n}\u200b",
    "no-break space within": lambda n: f"NOAA\u00a0{n}",
    "full width": lambda n: str(n).translate(FULL_WIDTH),
    "en dash": lambda n: f"NOAA–{n}",
}
NO_REGIONS: Mapping[str, Callable[[int], str]] = {
    "with a letter": lambda n: f"{n}a",
    "six digits": lambda n: f"{n}0",
    "negative": lambda n: f"-{n}",
    "a fraction": lambda n: f"{n}.5",
    "leading zero": lambda n: f"0{n}",
    "thousands": lambda n: f"{n:,}",
    "thousands, spaced": lambda n: f"{n:,}".replace(",", " "),
    "rounded": lambda n: f"{n:.2E}",
    "footnote": lambda n: f"{n - 10000}¹",
    "HARP": lambda n: f"HARP {n - 10000}",
    "range": lambda n: f"{n}-{n + 4}",
    "open range": lambda n: f"{n}–",
    "question": lambda n: f"{n}?",
}
SEVERAL = (
    "{}, {}",
    "{},{}",
    "{}/{}",
    "{} & {}",
    "{}; AR {}",
    "AR {} and {}",
    "NOAA {} + NOAA {}",
    "{}.0/{}.0",
    "{}\u00a0{}",
)


def _signs(value: float, letters: str) -> str:
    return f"{letters[value < 0]}{abs(value):g}"


def _after(value: float, letters: str, number: str = "{:g}") -> str:
    return f"{number.format(abs(value))} {letters[value < 0]}"


def _comma(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


LOCATIONS: Mapping[str, Callable[[float, float], str]] = {
    "as NOAA": lambda n, w: _signs(n, "NS") + _signs(w, "WE"),
    "lower case": lambda n, w: (_signs(n, "NS") + " " + _signs(w, "WE")).lower(),
    "with a comma": lambda n, w: _signs(n, "NS") + ", " + _signs(w, "WE"),
    "with a slash": lambda n, w: _signs(n, "NS") + "/" + _signs(w, "WE"),
    "in brackets": lambda n, w: f"({_signs(n, 'NS')}{_signs(w, 'WE')})",
    "letters after": lambda n, w: _after(n, "NS") + " " + _after(w, "WE"),
    "degree signs": lambda n, w: _signs(n, "NS") + "° " + _signs(w, "WE") + "°",
    "degree signs, letters after": lambda n, w: _after(n, "NS", "{:g}°") + ", " + _after(w, "WE", "{:g}°"),
    "decimal commas": lambda n, w: f"{'NS'[n < 0]}{_comma(abs(n))}{'WE'[w < 0]}{_comma(abs(w))}",
    "spaced": lambda n, w: f"{'NS'[n < 0]} {abs(n):g} {'WE'[w < 0]} {abs(w):g}",
    "full width": lambda n, w: (_signs(n, "NS") + _signs(w, "WE")).translate(FULL_WIDTH),
    "two numbers": lambda n, w: f"{n:g},{w:g}",
    "two numbers, spaced": lambda n, w: f"{n:g}, {w:g}",
    "decimal commas, semicolon": lambda n, w: f"{_comma(n)}; {_comma(w)}",
    "minus sign": lambda n, w: f"{n:g}, {w:g}".replace("-", "\u2212"),
    "en dash": lambda n, w: f"{n:g}, {w:g}".replace("-", "–"),
    "signed": lambda n, w: f"{n:+g} {w:+g}",
}
NO_LOCATIONS: Mapping[str, Callable[[float, float], str]] = {
    "longitude first": lambda n, w: _signs(w, "WE") + _signs(n, "NS"),
    "latitude alone": lambda n, w: _signs(n, "NS"),
    "two signs": lambda n, w: f"S-{abs(n):g}W{abs(w):g}",
    "minutes of arc": lambda n, w: f"{abs(n):.0f}°30 N {abs(w):.0f}°30 W",
    "degrees and minutes": lambda n, w: f"{abs(n):.0f}°30",
    "soft hyphen": lambda n, w: f"\u00ad{abs(n):g}, {w:g}",
    "three numbers": lambda n, w: f"{n:.0f},{w:.0f},3",
    "beyond the pole": lambda n, w: f"N{abs(n) + 91:g}W{abs(w):g}",
}
LATITUDES: Mapping[str, Callable[[float], str]] = {
    "plain": lambda b: f"{b:g}",
    "letter": lambda b: _signs(b, "NS"),
    "letter after": lambda b: _after(b, "NS"),
    "degree, letter": lambda b: _after(b, "NS", "{:g}°"),
    "decimal comma": _comma,
    "minus sign": lambda b: f"{b:g}".replace("-", "\u2212"),
    "figure dash": lambda b: f"{b:g}".replace("-", "\u2012"),
    "degrees": lambda b: f"{b:g} deg",
    "no-break space": lambda b: f"\u00a0{b:g}",
}
NO_LATITUDES: Mapping[str, Callable[[float], str]] = {
    "longitude's letter": lambda b: f"W{abs(b):g}",
    "two letters": lambda b: f"N{abs(b):g}S",
    "letter and sign": lambda b: f"N{-abs(b) - 1:g}",
    "minutes": lambda b: f"{abs(b):.0f}°30",
    "underscore": lambda b: "1_0",
    "exponent": lambda b: "1e1",
}

TIMES: Mapping[str, Callable[[datetime], str]] = {
    "ISO": lambda t: f"{t:%Y-%m-%d %H:%M:%S}",
    "ISO, T": lambda t: f"{t:%Y-%m-%dT%H:%M:%S}",
    "ISO, Z": lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}",
    "ISO, zone": lambda t: f"{t + timedelta(hours=9):%Y-%m-%dT%H:%M:%S}+09:00",
    "ISO, other zone": lambda t: f"{t - timedelta(minutes=210):%Y-%m-%d %H:%M:%S} -0330",
    "slashes": lambda t: f"{t:%Y/%m/%d %H:%M:%S}",
    "points": lambda t: f"{t:%Y.%m.%d %H:%M:%S}",
    "UT": lambda t: f"{t:%Y-%m-%d %H:%M:%S} UT",
    "UTC": lambda t: f"{t:%Y-%m-%d %H:%M:%S} UTC",
    "compact": lambda t: f"{t:%Y%m%d_%H%M%S}",
    "compact, T": lambda t: f"{t:%Y%m%dT%H%M%S}",
    "digits": lambda t: f"{t:%Y%m%d%H%M%S}",
    "T_REC": lambda t: f"{t + timedelta(seconds=34):%Y.%m.%d_%H:%M:%S}_TAI",
    "T_REC, UTC": lambda t: f"{t:%Y.%m.%d_%H:%M:%S}_UTC",
    "short month": lambda t: f"{t.day}-{t:%b-%Y %H:%M:%S}",
    "month": lambda t: f"{t.day} {t:%B %Y %H:%M:%S}",
    "month first": lambda t: f"{t:%b} {t.day}, {t:%Y %H:%M:%S}",
    "year, month": lambda t: f"{t:%Y-%b-%d %H:%M:%S}",
    "microseconds": lambda t: f"{t:%Y-%m-%d %H:%M:%S}.000000",
    "decimal comma": lambda t: f"{t:%Y-%m-%d %H:%M:%S},0",
    "full width": lambda t: f"{t:%Y-%m-%d %H:%M:%S}".translate(FULL_WIDTH),
}
NO_TIMES: Mapping[str, Callable[[datetime], str]] = {
    "day first": lambda t: f"{t:%d/%m/%Y %H:%M:%S}",
    "month first": lambda t: f"{t:%m/%d/%Y %H:%M:%S}",
    "day first, points": lambda t: f"{t:%d.%m.%Y %H:%M}",
    "two-digit year": lambda t: f"{t:%d-%b-%y}",
    "Julian date": lambda t: f"{t.timestamp() / 86400 + 2440587.5:.6f}",
    "spreadsheet's days": lambda t: f"{t.timestamp() / 86400 + 25569:.6f}",
    "seconds": lambda t: f"{t.timestamp():.0f}",
    "other clock": lambda t: f"{t:%Y-%m-%d %H:%M:%S} JST",
    "half a day": lambda t: f"{t:%Y-%m-%d %I:%M %p}",
    "day of year": lambda t: f"{t:%Y-%j}",
}

NUMBERS = st.integers(11001, 15999).filter(lambda n: n % 100)
TENTHS = st.integers(-600, 600).map(lambda n: n / 10)
WHEN = st.datetimes(datetime(2012, 7, 2), datetime(2015, 6, 29)).map(lambda t: t.replace(microsecond=0))
MANY = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_there_are_more_than_forty_spellings_of_each_kind_together():
    assert len(REGIONS) + len(SEVERAL) + len(LOCATIONS) + len(LATITUDES) + len(TIMES) > 70
    assert len(NO_REGIONS) + len(NO_LOCATIONS) + len(NO_LATITUDES) + len(NO_TIMES) > 30


class Table:
    """A study of a CSV file, whose rows are understood one for each spelling."""

    def __init__(self, folder: Path, **columns: str) -> None:
        (folder / "data" / "images").mkdir(parents=True)
        named = "".join(f'{field} = "{heading}"\n' for field, heading in {**columns, "label": "Class"}.items())
        text = STUDY.replace("SDO_Simulated_Active_Regions.xlsx", "rows.csv")
        head, _, rest = text.partition("[source.columns]")
        self.file = folder / "data" / "rows.csv"
        self.headings = [*columns.values(), "Class"]
        (folder / "study.toml").write_text(
            f'{head}[source.columns]\nimage = "File"\n{named}[images]{rest.partition("[images]")[2]}'
        )
        self.study = studies.load(folder / "study.toml")

    def read(self, *texts: tuple[str, ...]) -> list[Any]:
        """For each row of cells the observation, or the problems found."""
        for number in range(len(texts)):
            (self.study.image_root / f"{number}.png").touch()
        with self.file.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["File", *self.headings])
            writer.writerows([f"{number}.png", *cells, "alpha"] for number, cells in enumerate(texts))
        found = understand(self.study, build.read_rows(self.study), MOUNT_WILSON_3)
        outcome: dict[int, Any] = {row.raw.row: row for row in found.kept}
        for raw, problem in found.problems:
            outcome.setdefault(raw.row, []).append(str(problem))
        return [outcome[row] for row in sorted(outcome)]


def _is_refused(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 1 and "\n" not in found[0]


@MANY
@given(NUMBERS)
def test_the_spreadsheet_reads_every_spelling_of_a_region(tmp_path_factory, number):
    table = Table(tmp_path_factory.mktemp("table"), noaa_ar="AR")
    found = table.read(*((spell(number),) for spell in REGIONS.values()))
    assert dict(zip(REGIONS, (row.noaa_ar for row in found), strict=True)) == dict.fromkeys(REGIONS, number)
    refused = table.read(*((spell(number),) for spell in NO_REGIONS.values()))
    assert [name for name, row in zip(NO_REGIONS, refused, strict=True) if not _is_refused(row)] == []


@MANY
@given(NUMBERS, NUMBERS.map(lambda n: n + 7))
def test_several_regions_of_a_whole_image_are_all_kept_and_none_is_taken_for_a_cutout(tmp_path_factory, one, other):
    if one == other:
        other += 1
    table = Table(tmp_path_factory.mktemp("table"), noaa_ar="AR")
    cells = [(text.format(one, other),) for text in SEVERAL]
    assert {(row.noaa_ar, row.regions) for row in table.read(*cells)} == {(None, (one, other))}
    cutouts = table.study.images.model_copy(update={"cutout_deg": 12.0})
    table.study = table.study.model_copy(update={"images": cutouts})
    for row in table.read(*cells):
        assert _is_refused(row) and "unclear which one is shown" in row[0]


@MANY
@given(TENTHS, TENTHS)
def test_the_spreadsheet_and_at_read_every_spelling_of_a_position(tmp_path_factory, latitude, longitude):
    table = Table(tmp_path_factory.mktemp("table"), location="Location")
    spelled = {name: spell(latitude, longitude) for name, spell in LOCATIONS.items()}
    found = table.read(*((text,) for text in spelled.values()))
    for (name, text), row in zip(spelled.items(), found, strict=True):
        assert (row.latitude_deg, row.longitude_deg) == (latitude, longitude), name
        assert Position.parse(text).on_sun == (latitude, longitude), name
    spelled = {name: spell(latitude, longitude) for name, spell in NO_LOCATIONS.items()}
    for name, row in zip(spelled, table.read(*((text,) for text in spelled.values())), strict=True):
        assert _is_refused(row), name
        with pytest.raises(BadInput, match="is not a position"):
            Position.parse(spelled[name])


@MANY
@given(TENTHS)
def test_the_spreadsheet_reads_every_spelling_of_a_latitude_and_of_a_longitude(tmp_path_factory, value):
    table = Table(tmp_path_factory.mktemp("table"), latitude_deg="Lat", longitude_deg="CMD")
    west = str.maketrans("NSWE", "WENS")
    cells = [(spell(value), spell(value).translate(west)) for spell in LATITUDES.values()]
    # A longitude in the east says that they are not Carrington's.
    *found, _ = table.read(*cells, ("0", "-1"))
    for name, row in zip(LATITUDES, found, strict=True):
        assert (row.latitude_deg, row.longitude_deg) == (value, value), name
    for name, row in zip(
        NO_LATITUDES, table.read(*((spell(value), "0") for spell in NO_LATITUDES.values())), strict=True
    ):
        assert _is_refused(row), name


@MANY
@given(WHEN)
def test_the_spreadsheet_reads_every_spelling_of_a_time(tmp_path_factory, when):
    table = Table(tmp_path_factory.mktemp("table"), observed="Observed")
    when = when.replace(tzinfo=UTC)
    # TAI was 34 seconds ahead until the end of June 2012, then 35.
    texts = [TIMES[name](when + timedelta(seconds=name == "T_REC")) for name in TIMES]
    found = table.read(*((text,) for text in texts))
    for name, row in zip(TIMES, found, strict=True):
        assert row.observed == when, name
    for name, row in zip(NO_TIMES, table.read(*((spell(when),) for spell in NO_TIMES.values())), strict=True):
        assert _is_refused(row), name


@settings(MANY, max_examples=6)
@given(NUMBERS, WHEN)
def test_audit_reads_the_same_regions_and_times_and_finds_each_leak(tmp_path_factory, number, when):
    folder = tmp_path_factory.mktemp("data")
    when = when.replace(tzinfo=UTC)
    regions = {**REGIONS, **{f"two: {text}": lambda n, text=text: text.format(n, n + 1) for text in SEVERAL}}
    times = [TIMES[name](when + timedelta(seconds=name == "T_REC")) for name in TIMES]
    for part, cells in {"train": [str(number)], "test": [spell(number) for spell in regions.values()]}.items():
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["noaa_ar", "when"])
            writer.writerows([cell, times[i % len(times)]] for i, cell in enumerate(cells))
    rows, _ = read(str(folder), DatasetColumns("noaa_ar", time="when"), progress=False)
    assert [units[0] for units in rows["units"]] == [str(number)] * len(rows)
    assert [len(units) for units in rows["units"]] == [1] * (len(REGIONS) + 1) + [2] * len(SEVERAL)
    assert (rows["observed"] == when).all()
    refused = [spell(number) for spell in NO_REGIONS.values()]
    assert strange_regions(refused, "noaa_ar") == sorted(refused)


@pytest.mark.parametrize("name", NO_TIMES)
def test_audit_refuses_with_one_line_each_time_that_the_spreadsheet_refuses(tmp_path, name):
    for part in ("train", "test"):
        text = NO_TIMES[name](datetime(2013, 4, 3, 1, 30, tzinfo=UTC))
        (tmp_path / f"{part}.csv").write_text(f"noaa_ar,when\n11158,{text}\n11160,{text}\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read(str(tmp_path), DatasetColumns("noaa_ar", time="when"), progress=False)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", NO_LOCATIONS)
def test_at_is_refused_with_one_line_and_exit_code_2(capfd, name):
    assert run_command(["predict", "nowhere", "x.fits", f"--at={NO_LOCATIONS[name](-21.0, 42.0)}"]) == 2
    (line,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("error:"))
    assert "is not a position; write it as S21W42" in line
