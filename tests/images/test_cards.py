"""Cards read without astropy are those that astropy reads; files opened without it, those that it opens."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st
from sdovis.errors import UnreadableImage
from sdovis.images import cards
from sdovis.images import fits as sun_fits
from sdovis.images.images import read_image
from solar_files import HMI_CARDS, stored_fits, write

#: What cards are made of, the odd and the plain.
PIECES = st.sampled_from(
    ["'", "''", "' ", "T", "F", "7", "007", "-0", "+1", "1.", ".5", "1.5E3", "1.5D3", "2e4", "nan", "(1, 2)", "/", " / ", "// ",
     "  ", " ", "abc", "AXIS.1: 2", ": 3", "2011-02-15T00:00:00.12", "é", "\t", "\n", "=", "= ", "&"]
)  # fmt: skip
KEYWORDS = st.sampled_from(
    [
        "BSCALE",
        "DATE-OBS",
        "T_OBS",
        "COMMENT",
        "HISTORY",
        "",
        "END",
        "R_VALUE",
        "crpix1",
        "A B",
        "HIERARCH",
        "_BUNIT",
        "TOOLONGKEY",
    ]
)


def whole(card: str) -> str:
    return f"{card:<80}"[:80]


def made(key: str, gap: str, pieces: list[str]) -> str:
    return whole(f"{key:<8}{gap}{''.join(pieces)}")


def by_astropy(card: str) -> tuple[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cards.of_astropy(fits.Card.fromstring(card))


def read(card: str) -> tuple[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = cards.read(card)
    return found


@given(st.builds(made, KEYWORDS, st.sampled_from(["= ", "=", "  ", "=  ", " = "]), st.lists(PIECES, max_size=8)))
@example(whole("CONTENT = 'MAGNETOGRAM'        / line of sight"))
@example(whole("CONTENT = 'it''s one'          / with a quote"))
@example(whole("CDELT1  =   0.5042990089 / [arcsec] 'quoted' / twice"))
@example(whole("DP1     = 'AXIS.1: 2'          / a card of its own"))
@example(whole("BSCALE  =                  0.1"))
@example(whole("AB= 'x = 5'"))
def test_a_card_is_read_as_astropy_reads_it(card: str) -> None:
    found, wanted = read(card), by_astropy(card)
    assert found == wanted and type(found[1]) is type(wanted[1])


@given(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=8).filter(lambda key: key != "END"),
    st.one_of(
        st.integers(-(2**63), 2**64),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.text(max_size=40),
    ),
    st.text(max_size=20),
)
def test_what_astropy_writes_is_read_back(key: str, value: Any, comment: str) -> None:
    try:
        card = fits.Card(key, value, comment).image
    except ValueError:  # nothing but ASCII
        return
    if len(card) == cards.LENGTH:
        found, wanted = read(card), by_astropy(card)
        assert found == wanted and type(found[1]) is type(wanted[1])


def opened(data: bytes) -> tuple[np.ndarray, Any]:
    """The numbers and cards that both ways give."""
    plain, astropy = sun_fits._plain(data), sun_fits._by_astropy(data, Path("a.fits"))
    assert plain is not None
    assert plain[0].dtype == astropy[0].dtype and plain[0].tobytes() == astropy[0].tobytes()
    assert all(plain[1].get(key) == astropy[1].get(key) for key in sun_fits.SCALING)
    assert plain[2] == astropy[2]
    return plain[0], plain[2]


def image(bitpix: int = 16, side: int = 9, more: str = "", **changed: Any) -> bytes:
    """A file of one image with cards as they are given; ``more`` are whole cards that follow them."""
    kind = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[bitpix]
    pixels = np.random.default_rng(0).integers(0, 99, (side, side)).astype(kind).tobytes()
    known = {"SIMPLE": True, "BITPIX": bitpix, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side} | HMI_CARDS | changed
    text = "".join(fits.Card(key, value).image for key, value in known.items()) + more + f"{'END':<80}"
    return f"{text}{' ' * (-len(text) % 2880)}".encode("latin-1") + pixels + b"\0" * (-len(pixels) % 2880)


@pytest.mark.parametrize("bitpix", sun_fits.BITPIX)
def test_a_plain_file_is_opened_as_astropy_opens_it(bitpix: int) -> None:
    more = whole("COMMENT of the Sun") + whole("HISTORY cut out") + whole("") + whole("R_VALUE =                  nan")
    values, known = opened(image(bitpix, more=more, BSCALE=0.5, BZERO=3.0))
    assert values.shape == (9, 9) and known["COMMENT"] == "of the Sun cut out"
    opened(image(bitpix)[: 2880 * 2])
    opened(image(bitpix) + b"tail")


@pytest.mark.parametrize(
    "more", ["BITPIX  =                    8", "NAXIS1  =                    4", "NAXIS   =                    0"]
)
def test_a_repeated_mandatory_card_is_left_to_astropy(more: str) -> None:
    assert sun_fits._plain(image(more=whole(more))) is None


@pytest.mark.parametrize("more", ["bscale  =2.0", "bzero   =100", "bscale    2.0"])
def test_a_scaling_card_in_lower_case_is_left_to_astropy_or_read_as_it_does(more: str) -> None:
    data = image(more=whole(more))
    assert sun_fits._plain(data) is None or opened(data)


@pytest.mark.parametrize(
    "data",
    [
        image(more=whole("XTENSION= 'IMAGE'")), image(more=whole("LONG    = 'a&'") + whole("CONTINUE  'b'")),
        image(BSCALE="1"), image(more=whole("BSCALE  = one")), image(more=whole("GROUPS  =                    T")),
        image(more=whole("PCOUNT  =                    0")), image(NAXIS1=9.0), image(NAXIS1=999), image(NAXIS=3),
        image(BITPIX=17), image(SIMPLE=False), image() + image(), image(more=whole("NOTE    = 'caf\u00e9'")),
    ],
)  # fmt: skip
def test_whatever_is_not_plain_is_left_to_astropy(data: bytes) -> None:
    assert sun_fits._plain(data) is None


def test_a_plain_file_is_opened_without_astropy_and_gives_the_same_image(tmp_path: Path, monkeypatch: Any) -> None:
    stored = np.random.default_rng(0).integers(-3000, 3000, (64, 48)).astype(np.int16)
    stored[5, 5] = -32768
    (tmp_path / "a.fits").write_bytes(stored_fits(stored, BLANK=-32768, BSCALE=0.1, BZERO=5.0))
    write(tmp_path / "b.fits", stored.astype(np.float32))
    with monkeypatch.context() as patch:
        patch.setattr(sun_fits, "_plain", lambda data: None)
        wanted = [read_image(tmp_path / name) for name in ("a.fits", "b.fits")]
    monkeypatch.setattr(sun_fits, "_by_astropy", None)
    found = [read_image(tmp_path / name) for name in ("a.fits", "b.fits")]
    for one, two in zip(found, wanted, strict=True):
        assert np.array_equal(one.values, two.values, equal_nan=True) and one.header == two.header
        assert (one.frame, one.observed, one.unit, one.sha256) == (two.frame, two.observed, two.unit, two.sha256)


def test_a_plain_file_that_is_cut_off_says_so_as_before(tmp_path: Path) -> None:
    (tmp_path / "cut.fits").write_bytes(image(side=60)[:-2880])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_image(tmp_path / "cut.fits")
