"""QUALITY: each instrument's own bits, and which of them reject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sdovis.images.images import SolarImage, read_image
from sdovis.images.quality import quality_problem
from solar_files import dipole, write


def image(quality: object, instrument: str = "AIA_3", **cards: Any) -> SolarImage:
    return SolarImage(np.zeros((2, 2), np.float32), "", header={"INSTRUME": instrument, "QUALITY": quality} | cards)


def test_every_sample_passes_quick_look_and_lost_cosmic_ray_lists_included(shared_data: Path) -> None:
    read = [read_image(path) for path in (shared_data / "fits_samples").iterdir() if path.suffix != ".txt"]
    assert len(read) == 8 and {i.header["QUALITY"] for i in read} == {0, 2**30, 1024}
    assert [quality_problem(i) for i in read] == [None] * 8


@pytest.mark.parametrize(
    ("bit", "meaning"),
    [(10, "5 %"), (12, "pointing"), (13, "eclipse"), (14, "sight"), (16, "dark frame"), (17, "loop"),
     (18, "calibration"), (31, "not available")],
)  # fmt: skip
def test_fatal_bits_of_aia_reject_and_are_named(bit: int, meaning: str) -> None:
    problem = quality_problem(image(1 << bit))
    assert problem is not None and f"bit {bit}: " in problem and meaning in problem
    assert problem.startswith(f"QUALITY is 0x{1 << bit:08X}")


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 8, 9, 21, 30])
def test_bits_of_aia_that_only_speak_of_processing_do_not(bit: int) -> None:
    assert quality_problem(image(1 << bit)) is None


def test_all_fatal_bits_are_named_in_their_order() -> None:
    problem = quality_problem(image(1 << 13 | 1 << 17 | 1 << 30 | 1 << 9))
    assert problem == "QUALITY is 0x40022200 (bit 13: eclipse, bit 17: the loop that holds the image still was open)"


def test_the_same_bit_means_another_thing_for_hmi() -> None:
    assert quality_problem(image(1 << 13)) is not None
    assert quality_problem(image(1 << 13, "HMI_FRONT2")) is None  # default temperatures used
    for bit in (10, 11, 12, 14, 15, 16):
        assert quality_problem(image(1 << bit, "HMI_FRONT2")) is None
    for bit in (5, 7, 8, 9, 17, 24, 31):
        assert quality_problem(image(1 << bit, "HMI_FRONT2")) is not None


def test_eclipse_is_bit_8_of_a_full_disc_and_bit_9_of_a_sharp() -> None:
    assert "bit 8: eclipse" in str(quality_problem(image(1 << 8, "HMI_FRONT2")))
    assert quality_problem(image(1 << 8, "HMI_SIDE1", HARPNUM=377)) is None  # noisier, but there
    assert "bit 9: eclipse" in str(quality_problem(image(1 << 9, "HMI_SIDE1", HARPNUM=377)))
    assert "bit 9: eclipse" in str(quality_problem(image(1 << 9, "HMI_COMBINED")))


@pytest.mark.parametrize("written", [-(2**31), 2**31, float(2**31), "0x80000000", -(2**31) + 0.0])
def test_the_highest_bit_is_seen_however_it_is_written(written: object) -> None:
    for instrument in ("AIA_3", "HMI_SIDE1"):
        assert str(quality_problem(image(written, instrument))).startswith("QUALITY is 0x80000000 (bit 31: ")


@pytest.mark.parametrize("nothing", [None, 0, "0x00000000", 0.0])
def test_an_image_that_says_nothing_against_its_quality_passes(nothing: object) -> None:
    assert quality_problem(image(nothing)) is None


@pytest.mark.parametrize("odd", ["", "  ", "good", "1e5", float("nan"), float("inf"), 0.5, 2**70, -(2**32), True])
def test_a_quality_that_cannot_be_read_is_no_good_quality(odd: object) -> None:
    said = "empty" if str(odd).strip() == "" else repr(odd)
    for instrument in ("AIA_3", "HMI_SIDE1"):
        found = quality_problem(image(odd, instrument))
        assert found == f"QUALITY is {said}, where a number of 32 bits is expected"


def test_an_empty_quality_of_a_file_is_kept_and_is_no_good_quality(tmp_path: Path) -> None:
    file = write(tmp_path / "a.fits", dipole((96, 96), (30.0, 40.0), (60.0, 40.0)), QUALITY="")
    assert quality_problem(read_image(file)) == "QUALITY is empty, where a number of 32 bits is expected"


@pytest.mark.parametrize("card", ["QUALITY =", "QUALITY =                  nan", "QUALITY =           0x80000000"])
def test_a_card_without_a_value_that_can_be_read_is_no_good_quality(tmp_path: Path, card: str) -> None:
    file = write(tmp_path / "a.fits", dipole((96, 96), (30.0, 40.0), (60.0, 40.0)), QUALITY=0)
    data = file.read_bytes()
    at = data.index(b"QUALITY =")
    file.write_bytes(data[:at] + f"{card:<80}".encode() + data[at + 80 :])
    assert quality_problem(read_image(file)) == "QUALITY is empty, where a number of 32 bits is expected"


@pytest.mark.parametrize("said", [1 << 13, "good", ""])
def test_another_instrument_is_not_judged(said: object) -> None:
    assert quality_problem(image(said, "EIT")) is None


@pytest.mark.parametrize("written", ["00000100", "0x00000100", " 00000100 ", "0X100"])
def test_a_register_written_without_0x_is_hexadecimal(written: str) -> None:
    assert quality_problem(image(written, "HMI_SIDE1")) == "QUALITY is 0x00000100 (bit 8: eclipse)"


@pytest.mark.parametrize(
    ("card", "value", "problem"),
    [
        ("TELESCOP", "SDO/HMI", "bit 13"), ("TELESCOP", "SDO/AIA", "eclipse"),
        ("DRMS_ID", "aia.lev1_euv_12s:1:image", "eclipse"),
    ],
)  # fmt: skip
def test_without_instrume_another_card_says_whose_bits_they_are(card: str, value: str, problem: str) -> None:
    found = quality_problem(SolarImage(np.zeros((2, 2), np.float32), "DN", header={card: value, "QUALITY": 1 << 13}))
    assert (found is None) if "HMI" in value else (found is not None and problem in found)
