"""Files without a WCS: which way they run is said by the study or by drms' table of keywords, or they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sdovis import inference
from sdovis.channels.view import View
from sdovis.corpus import examples
from sdovis.corpus.observations import Observation
from sdovis.errors import BadInput, UnreadableImage
from sdovis.images.images import read_image
from sdovis.images.keywords import Keywords
from sdovis.images.quality import quality_problem
from sdovis.readers.rows import RawRow
from sdovis.study import Images
from solar_files import HMI_CARDS, dipole, pole, write

FILE = "hmi.M_720s.20140301_000000_TAI.1.magnetogram.fits"
#: The north-east, in a file that HMI's camera wrote upside down: its rows run to the south, its columns to the west.
PLUS, MINUS = (40.0, 30.0), (60.0, 34.0)


def _field() -> np.ndarray:
    return dipole((192, 201), PLUS, MINUS) + np.random.default_rng(0).normal(0, 8, (192, 201)).astype(np.float32)


def _as_is(folder: Path, name: str = FILE, values: np.ndarray | None = None) -> Path:
    """The file as JSOC's as-is protocol sends it: the array, and nothing else."""
    from astropy.io import fits

    fits.PrimaryHDU(_field() if values is None else values).writeto(folder / name)
    return folder / name


def _table(folder: Path, *rows: dict[str, Any], index: list[str] | None = None) -> Path:
    cards = {key.replace("-", "__"): value for key, value in HMI_CARDS.items() if key not in ("HARPNUM", "NOAA_AR")}
    cards |= {"CROTA2": 180.0, "CONTENT": "MAGNETOGRAM", "T_REC": "2014.03.01_00:00:00_TAI", "QUALITY": "0x00000000"}
    frame = pd.DataFrame([cards | row for row in rows or [{}]], index=index)
    frame.to_csv(folder / "keywords.csv", index=index is not None)
    return folder / "keywords.csv"


def _whole(**said: Any) -> Images:
    return Images(channel="hmi-magnetogram", size_px=32, check_pointing=False, **said)


def test_a_file_that_does_not_say_which_way_is_north_is_refused_everywhere(tmp_path: Path) -> None:
    file = _as_is(tmp_path)
    view = View.of_study(_whole())
    for ask in (lambda: inference.codes(file, view), lambda: inference.gathered([file], view)):
        with pytest.raises(
            BadInput, match=r"has no WCS, .* turned by 180 degrees; .*source.keywords, or set images.orientation"
        ):
            ask()


@pytest.mark.parametrize(("said", "turned"), [("north-up", False), ("rotated-180", True)])
def test_the_study_says_which_way_it_is_and_its_model_keeps_to_it(tmp_path: Path, said: str, turned: bool) -> None:
    file = _as_is(tmp_path)
    view = View.from_json(View.of_study(_whole(orientation=said)).to_json())
    north_up = _field()[::-1]
    wanted = inference.codes(np.ascontiguousarray(north_up[::-1, ::-1] if turned else north_up), view)
    assert np.array_equal(inference.codes(file, view), wanted)
    assert np.array_equal(inference.gathered([file], view).codes, wanted)


def test_a_header_with_a_wcs_outranks_what_the_study_says(tmp_path: Path) -> None:
    file = write(tmp_path / "a.fits", _field(), CROTA2=180.0)
    plain, said = (View.of_study(_whole(orientation=each)) for each in (None, "north-up"))
    assert np.array_equal(inference.codes(file, plain), inference.codes(file, said))


@pytest.mark.parametrize(
    ("name", "rows", "index"),
    [
        (FILE, [{}, {"T_REC": "2014.03.01_00:12:00_TAI", "CROTA2": 0.0}], None),
        (FILE, [{"T_REC": "2014.03.01_00:00:00.000_TAI"}], None),
        (FILE, [{}, {}], ["hmi.M_720s[2014.03.01_00:00:00_TAI][1]", "hmi.M_720s[2014.03.01_00:00:00_TAI][2]"]),
        ("renamed.fits", [{"filename": "renamed.fits"}, {"filename": "other.fits", "CROTA2": 0.0}], None),
        ("renamed.fits", [{"download": "/data/jsoc/renamed.fits"}], None),
        ("hmi.sharp_720s.377.20140301_000000_TAI.magnetogram.fits",
         [{"HARPNUM": 377}, {"HARPNUM": 378, "CROTA2": 0.0}], None),
    ],
)  # fmt: skip
def test_drms_own_table_gives_a_file_the_keywords_of_its_record(
    tmp_path: Path, name: str, rows: list[dict[str, Any]], index: list[str] | None
) -> None:
    file = _as_is(tmp_path, name)
    keywords = Keywords.read(_table(tmp_path, *rows, index=index))
    image = read_image(file, keywords=keywords.cards_of(name))
    exported = read_image(write(tmp_path / "exported.fits", _field(), CROTA2=180.0))
    assert image.oriented and image.unit == "G" and image.frame == exported.frame
    assert image.observed == exported.observed
    assert pole(image.values) == pytest.approx(pole(exported.values), abs=0.5)


def test_rows_that_fit_alike_and_tables_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    keywords = Keywords.read(_table(tmp_path, {}, {}))
    with pytest.raises(UnreadableImage, match=r"2 rows of keywords.csv fit it; keep the names that drms gives"):
        keywords.cards_of(FILE)
    assert keywords.cards_of("hmi.M_720s.20140302_000000_TAI.1.magnetogram.fits") == {}
    (tmp_path / "other.csv").write_text("CROTA2,CDELT1\n180,0.5\n")
    with pytest.raises(BadInput, match=r"other.csv: has no column T_REC.*drms"):
        Keywords.read(tmp_path / "other.csv")
    with pytest.raises(BadInput, match="there is no such table of keywords"):
        Keywords.read(tmp_path / "absent.csv")


def test_the_corpus_takes_the_keywords_and_names_a_file_that_they_lack(tmp_path: Path) -> None:
    other = "hmi.M_720s.20140301_001200_TAI.1.magnetogram.fits"
    _as_is(tmp_path), _as_is(tmp_path, other)
    keywords = Keywords.read(_table(tmp_path))

    def look(name: str, table: Keywords | None) -> Any:
        row = Observation(RawRow("book", "s", 2, {}, {}), (name,), "beta", None, None, None, None, None, None)
        return examples.look(tmp_path, _whole(), [row], table)[1]

    (kept,) = look(FILE, keywords).kept
    assert kept["observed"].isoformat() == "2014-03-01T00:00:50+00:00"
    ((_, problem),) = look(other, keywords).problems
    assert "has no WCS, and keywords.csv has no row for it" in problem.what
    ((_, problem),) = look(FILE, None).problems
    assert "nothing says which way is north" in problem.what


@pytest.mark.parametrize("empty", [None, float("nan"), "", "MISSING"])
def test_a_table_whose_quality_is_empty_is_refused_and_a_row_without_it_is_no_good_image(
    tmp_path: Path, empty: Any
) -> None:
    other = {"T_REC": "2014.03.01_00:12:00_TAI"}
    with pytest.raises(BadInput, match=r"QUALITY is empty in every row; .*convert_numeric=False"):
        Keywords.read(_table(tmp_path, {"QUALITY": empty}, other | {"QUALITY": empty}))
    for rest in (0, "0x00000000"):
        table = Keywords.read(_table(tmp_path, {"QUALITY": empty}, other | {"QUALITY": rest}))
        image = read_image(_as_is(tmp_path), keywords=table.cards_of(FILE))
        assert quality_problem(image) == "QUALITY is empty, where a number of 32 bits is expected"
        (tmp_path / FILE).unlink()
