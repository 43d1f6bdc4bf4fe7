"""One damaged image costs its own row, whatever is wrong with it: the run goes on."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jpeg2000_files import jp2
from sdovis.cli import run_command
from sdovis.errors import UnreadableImage
from sdovis.images import headers, images
from sdovis.images.images import UNFORESEEN, read_image
from sdovis.images.keywords import Keywords
from solar_files import dipole, refused, write

DISC = (np.hypot(*np.mgrid[-95:95, -100:101]) < 80).astype(np.uint8) * 200


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("files") / "c.fits"
    return write(path, dipole((48, 40), (10, 10), (20, 20)).astype(np.int16), compress=True).read_bytes()


@pytest.mark.parametrize(
    ("card", "other"),
    [
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'BCNTABLE'"),
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'BINTABLC'"),
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'IMAGE   '"),
        (b"TTYPE1  = 'COMPRESSED_DATA'", b"TTYPE1  = 'COMPRESSED_DATB'"),
        (b"TFIELDS =                    1", b"TFIELDS =                    9"),
        (b"ZNAXIS  =                    2", b"ZNAXIS  =                    1"),
        (b"ZCMPTYPE= 'RICE_1  '", b"ZCMPTYPE= 'RICE_9  '"),
    ],
)
def test_a_wrong_byte_in_a_compressed_header_is_said(
    tmp_path: Path, compressed: bytes, card: bytes, other: bytes
) -> None:
    assert compressed.count(card) == 1
    why = refused(tmp_path / "a.fits", compressed.replace(card, other))
    assert UNFORESEEN not in why and why.startswith(("damaged FITS", "contains no 2-D image", "truncated"))
    assert refused(tmp_path / "a.fits.gz", gzip.compress(compressed.replace(card, other))) == why


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "9" * 310, "1e999", "9" * 5000])
@pytest.mark.parametrize("key", ["CRVAL1", "CDELT2", "CRPIX1", "CROTA2", "RSUN_OBS", "QUALITY", "NAXIS1", "HGLN_OBS"])
def test_an_absurdly_long_number_in_an_xml_header_is_no_number(tmp_path: Path, key: str, number: str) -> None:
    (tmp_path / "a.jp2").write_bytes(jp2(DISC, **{key: number}))
    try:
        image = read_image(tmp_path / "a.jp2")
    except UnreadableImage as error:
        assert UNFORESEEN not in error.why and "coordinate system is broken" in error.why
    else:
        assert image.frame is None or np.isfinite([*image.frame.center_px, image.frame.radius_arcsec]).all()


def test_nor_is_it_in_a_table_of_keywords(tmp_path: Path) -> None:
    for number in ("9" * 400, "-" + "9" * 400):
        (tmp_path / "k.csv").write_text(f"T_REC,CRVAL1,CROTA2\n2014.03.01_00:00:00_TAI,{number},180\nx,y,{number}\n")
        for row in Keywords.read(tmp_path / "k.csv").rows:
            assert all(headers.number(row, key) in (None, 180.0) for key in row)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", [1000, 2**31, 10**15])
@pytest.mark.parametrize(
    "card", [b"NAXIS   =                    2", b"TFIELDS =                    1", b"ZNAXIS  =                    2"]
)
def test_a_file_of_endless_axes_or_columns_takes_no_time(
    tmp_path: Path, compressed: bytes, card: bytes, number: int
) -> None:
    at = compressed.index(card)
    data = compressed[: at + 10] + f"{number:>20}".encode() + compressed[at + 30 :]
    assert (
        refused(tmp_path / "a.fits", data)
        == f"damaged FITS: {card[:8].decode().strip()} is {number}, and the standard allows 999"
    )


class Odd(dict[str, object]):
    """A header that raises, as code that trusts a damaged one does."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, *_: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    "error", [IndexError("x"), OverflowError("x"), KeyError("x"), TypeError("x"), RecursionError("x")]
)
def test_what_nobody_foresaw_costs_its_image_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = write(tmp_path / "a.fits", dipole((48, 40), (10, 10), (20, 20)))
    monkeypatch.setattr(headers, "observed_once", lambda cards, path: Odd(error).get("T_OBS"))
    with pytest.raises(UnreadableImage, match=f"{UNFORESEEN}: {type(error).__name__}.*please report it"):
        read_image(path)


@pytest.mark.parametrize("error", [AttributeError, NameError, AssertionError])
def test_a_defect_of_ours_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    path = write(tmp_path / "a.fits", dipole((48, 40), (10, 10), (20, 20)))
    monkeypatch.setattr(images, "_understood", lambda *given: Odd(error("ours")).get())
    with pytest.raises(error):
        read_image(path)


def _spoil(path: Path, kind: str) -> None:
    from astropy.io import fits

    data, header = fits.getdata(path), fits.getheader(path)
    if kind == "compressed":
        fits.CompImageHDU(data, header).writeto(path, overwrite=True)
        path.write_bytes(path.read_bytes().replace(b"XTENSION= 'BINTABLE'", b"XTENSION= 'BCNTABLE'"))
    elif kind == "year":
        for key in ("T_OBS", "T_REC", "DATE-OBS"):
            if key in header:
                header[key] = "9999-12-31T23:59:59"
        fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    else:
        path.write_bytes(jp2(DISC, CRVAL1="9" * 400))


@pytest.mark.parametrize("kind", ["compressed", "long number", "year"])
def test_a_damaged_image_costs_its_row_and_the_rest_is_prepared(small_study: Path, kind: str) -> None:
    folder = small_study.parent / "data"
    book = pd.read_excel(folder / "SDO_Simulated_Active_Regions.xlsx")
    if kind == "year":  # nothing else says when it was taken
        book["Observed (UTC)"] = book["Observed (UTC)"].astype(object)
        book.loc[4, "Observed (UTC)"] = None
        book.to_excel(folder / "SDO_Simulated_Active_Regions.xlsx", index=False)
    _spoil(folder / "images" / book["Image"][4], kind)
    assert run_command(["prepare", str(small_study), "--set", "source.on_problem=reject"]) == 0
    rejects = pd.read_csv(small_study.parent / "runs/small/corpus/rejects.csv").set_index("row")["reason"]
    said = {"compressed": "damaged FITS", "long number": "coordinate system is broken", "year": "outside the SDO era"}
    assert said[kind] in rejects[6]
