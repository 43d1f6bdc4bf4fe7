"""However a visitor names the regions of a disc, they are found, or it is said why not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from regions_of import JSON, SRS
from sdovis.errors import BadInput
from sdovis.webapp.listing import Listing, parted

WHEN = datetime(2011, 2, 15, 0, 0, 3, tzinfo=UTC)


def names(listing, when=WHEN):
    return [place.name for place in listing.at(when)]


def test_a_summary_a_json_and_positions_name_the_same_regions(tmp_path):
    (tmp_path / "srs.txt").write_text(SRS)
    (tmp_path / "solar_regions.json").write_text(JSON)
    pasted, sent, swpc = (
        Listing(SRS),
        Listing(files=(tmp_path / "srs.txt",)),
        Listing(files=(tmp_path / "solar_regions.json",)),
    )
    assert names(pasted) == names(sent) == ["AR 11158", "AR 11160", "AR 11153"]
    assert sorted(names(swpc)) == sorted(names(pasted))
    for one, other in zip(sorted(pasted.at(WHEN), key=str), sorted(swpc.at(WHEN), key=str), strict=True):
        assert one == other
    for written in (
        "N08W20, S20E10",
        "N08W20\nS20E10\n",
        "n8w20 s20e10",
        "8,20; -20,-10",
        "8,20\n-20,-10",
        "N08W20;S20E10",
    ):
        assert names(Listing(written)) == ["N08W20", "S20E10"]


def test_a_summary_is_rotated_to_the_time_of_the_image_and_says_what_noaa_calls_each():
    first = Listing(SRS).at(WHEN.replace(hour=12))[0]
    assert first.position.longitude_deg == pytest.approx(20 + 6.6, abs=0.3)
    assert (first.noaa.kind, first.noaa.mount_wilson, first.noaa.mcintosh) == ("spotted", "Beta-Gamma-Delta", "Ekc")
    assert [place.noaa.kind for place in Listing(SRS).at(WHEN)] == ["spotted", "spotted", "plage"]


@pytest.mark.parametrize(
    ("text", "when", "words"),
    [
        (SRS, None, "does not say when it was taken"),
        (SRS, datetime(2014, 1, 1, tzinfo=UTC), "no region summary lies within 24 hours"),
        (SRS.replace("N08W20", "N0bW20"), WHEN, "a region that cannot be read"),
        (JSON.replace('"N08W20"', '"N08E20"'), WHEN, "disagrees with longitude"),
        ("somewhere in the north", WHEN, "is not a position; paste NOAA's region summary"),
        ("[]", WHEN, "holds no region"),
        ("I. Regions with Sunspots\nNone", WHEN, "its sections are missing"),
        (", ".join(["N10W10"] * 41), WHEN, "lists 41 regions; at most 40"),
        ("=1+1", WHEN, "is not a position"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(text, when, words):
    with pytest.raises(BadInput, match=words):
        Listing(text).at(when)


def test_one_list_is_taken_and_one_that_was_deleted_is_said_to_be_gone(tmp_path):
    (tmp_path / "a.txt").write_text(SRS)
    with pytest.raises(BadInput, match="2 lists of regions were given"):
        Listing(SRS, (tmp_path / "a.txt",)).at(WHEN)
    with pytest.raises(BadInput, match="was deleted meanwhile"):
        Listing(files=(tmp_path / "gone.txt",)).at(WHEN)
    (tmp_path / "huge.json").write_text(" " * (5 * 2**20))
    with pytest.raises(BadInput, match="larger than 4 MB"):
        Listing(files=(tmp_path / "huge.json",)).at(WHEN)


def test_lists_are_told_from_images_by_their_names():
    images, lists = parted(["/a/disc.fits", "/b/SRS.TXT", "/c/solar_regions.json"])
    assert images == ["/a/disc.fits"] and [file.name for file in lists] == ["SRS.TXT", "solar_regions.json"]
