import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sdovis.corpus import duplicates
from sdovis.corpus.duplicates import (
    BLANK,
    footprint_deg,
    near_duplicates,
    overlaps,
    perceptual_hash,
    perceptual_hashes,
    thumbnails,
)
from sdovis.sun.rotation import synodic_rate

START = pd.Timestamp("2011-01-01", tz="UTC")


def _scene(seed=0, side=112) -> np.ndarray:
    """A patch of plasma: smooth structure of many sizes."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.uniform(0, 255, (9, 9)).astype(np.float32))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 255).astype(np.uint8)


def _jpeg(codes, quality):
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _distance(one, other) -> int:
    return (int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).bit_count()


@pytest.mark.parametrize(
    "change",
    [
        lambda codes: _jpeg(codes, 75),
        lambda codes: np.asarray(Image.fromarray(codes).resize((80, 80))),
        lambda codes: (codes.astype(int) // 2 + 40).astype(np.uint8),
        lambda codes: np.stack([codes] * 3, axis=2),
    ],
    ids=["compressed", "resized", "dimmed", "in colour"],
)
def test_a_picture_that_is_nearly_the_same_differs_in_few_bits(change):
    assert max(_distance(_scene(seed), change(_scene(seed))) for seed in range(20)) <= 4


def test_pictures_of_different_things_differ_in_many_bits():
    hashes = [int(perceptual_hash(_scene(seed)), 16) for seed in range(60)]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 10
    assert np.mean(distances) == pytest.approx(32, abs=1)


def test_a_hash_is_sixteen_hex_digits_and_the_same_every_time():
    assert perceptual_hash(_scene()) == perceptual_hash(_scene().copy())
    assert len(bytes.fromhex(perceptual_hash(_scene()))) == 8


@pytest.mark.parametrize("colours", [(), (3,)])
def test_the_hashes_of_many_pictures_are_those_of_each(colours):
    codes = np.random.default_rng(0).integers(0, 256, (6, 50, 70, *colours), np.uint8)
    codes[2] = 7
    assert perceptual_hashes(codes) == [perceptual_hash(picture) for picture in codes]
    assert [hashed == BLANK for hashed in perceptual_hashes(codes)] == [i == 2 for i in range(6)]


@pytest.mark.parametrize("side", [*range(1, 70), 96, 112, 333, 500, 512, 1024])
def test_a_thumbnails_cells_are_those_of_pillow_s_box_filter(side):
    codes = np.random.default_rng(side).integers(0, 256, (2, side, 45), np.uint8)
    for picture, small in zip(codes, thumbnails(codes), strict=True):
        box = Image.fromarray(picture.astype(np.float32)).resize((32, 32), Image.Resampling.BOX)
        assert np.abs(small - np.asarray(box)).max() < 1e-4
    assert np.array_equal(thumbnails(np.stack([codes] * 3, axis=-1)), thumbnails(codes))


def test_blank_pictures_have_the_blank_hash_and_resemble_nothing():
    noise = np.random.default_rng(0).integers(99, 101, (512, 512)).astype(np.uint8)
    assert {perceptual_hash(np.full((64, 64), v, np.uint8)) for v in (0, 99, 255)} == {BLANK}
    assert perceptual_hash(noise) == BLANK
    rows = pd.DataFrame({"perceptual_hash": [BLANK, BLANK, "8000000000000000", "8000000000000000", "", None]})
    assert _pairs(near_duplicates(rows, 4), range(0, 6, 2), range(1, 6, 2)) == set()


def _pairs(find, first, second) -> set:
    return {
        (int(a), int(b))
        for i, j in find(np.array(list(first)), np.array(list(second)))
        for a, b in zip(i, j, strict=True)
    }


def test_near_duplicates_are_within_the_bits_and_of_like_brightness():
    rows = pd.DataFrame(
        {
            "perceptual_hash": ["00000000ffffffff", "00000000ffffff0f", "00000000fffffe0f", "00000000ffffffff"],
            "mean_code": [100.0, 100.9, 100.0, 102.0],
        }
    )
    assert _pairs(near_duplicates(rows, 4), [0], [1, 2, 3]) == {(0, 1)}
    assert _pairs(near_duplicates(rows, 5), [0], [1, 2, 3]) == {(0, 1), (0, 2)}
    rows["mean_code"] = [np.nan, 1.0, 2.0, 300.0]
    assert _pairs(near_duplicates(rows, 5), [0], [1, 2, 3]) == {(0, 1), (0, 2), (0, 3)}


def test_what_is_found_does_not_depend_on_how_much_is_compared_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "perceptual_hash": [f"{int(x):016x}" for x in rng.integers(0, 2**63, 300) | 0xFFFFFFFF],
            "observed": START + pd.to_timedelta(rng.uniform(0, 60, 300), unit="D"),
            "latitude_deg": rng.uniform(-40, 40, 300),
            "longitude_deg": rng.uniform(-90, 90, 300),
        }
    )
    sides = range(150), range(150, 300)
    whole = [_pairs(find, *sides) for find in (near_duplicates(rows, 12), overlaps(rows, 15.0))]
    assert all(whole)
    monkeypatch.setattr(duplicates, "PAIRS", 37)
    assert [_pairs(find, *sides) for find in (near_duplicates(rows, 12), overlaps(rows, 15.0))] == whole


def _places(*places) -> pd.DataFrame:
    days, latitudes, longitudes = zip(*places, strict=True)
    observed = [START + pd.Timedelta(days=day) for day in days]
    return pd.DataFrame({"observed": observed, "latitude_deg": latitudes, "longitude_deg": longitudes})


@pytest.mark.parametrize("days", [0.0, 3.0, 9.0])
@pytest.mark.parametrize("latitude", [-30.0, 0.0, 15.0])
def test_a_cutout_overlaps_the_same_place_some_days_later_and_not_one_beside_it(days, latitude):
    later = -70.0 + days * float(synodic_rate(latitude, START.to_pydatetime()))
    stretch = 1 / np.cos(np.radians(latitude))
    rows = _places(
        (0, latitude, -70.0),
        (days, latitude, later + 9 * stretch),
        (days, latitude, later + 11 * stretch),
        (days, latitude + 9, later),
        (days, latitude + 11, later),
        (days, -latitude - 25, later),
    )
    # Rates differ with latitude: north or south of it, a place moves apart by less than a degree in nine days.
    assert _pairs(overlaps(rows, 10.0), [0], range(1, 6)) - {(0, 3)} == {(0, 1)}
    assert _pairs(overlaps(rows, 10.0), range(1, 6), [0]) - {(3, 0)} == {(1, 0)}


def test_a_place_seen_in_another_passage_does_not_overlap():
    rotation = 360 / float(synodic_rate(10.0, START.to_pydatetime()))
    rows = _places((0, 10.0, 5.0), (rotation, 10.0, 5.0), (15.0, 10.0, 5.0))
    assert _pairs(overlaps(rows, 20.0), [0], [1, 2]) == set()
    rows = _places((0, 10.0, -85.0), (15.0, 10.0, 85.0), (8.0, 10.0, 20.0))
    assert _pairs(overlaps(rows, 60.0), [0, 2], [1]) == {(2, 1)}


def test_rows_without_a_place_overlap_nothing():
    rows = _places((0, 10.0, 5.0), (0, np.nan, 5.0), (0, 10.0, np.nan))
    assert _pairs(overlaps(rows, 20.0), [0], [1, 2]) == set()
    assert _pairs(overlaps(rows[["observed"]], 20.0), [0], [1, 2]) == set()
    assert _pairs(near_duplicates(rows, 4), [0], [1, 2]) == set()


def test_the_footprint_is_the_cutouts_side_on_the_sun():
    assert footprint_deg(cutout_deg=12.5) == 12.5
    assert footprint_deg() is None
    assert footprint_deg(cutout_arcsec=300.0) == pytest.approx(17.98, abs=0.01)
    assert footprint_deg(cutout_arcsec=2500.0) == 180.0


def test_the_hash_takes_less_than_a_third_of_a_millisecond():
    import time

    scenes = [_scene(seed) for seed in range(50)]
    begun = time.process_time()
    for scene in scenes:
        perceptual_hash(scene)
    assert (time.process_time() - begun) / len(scenes) < 0.3e-3 * 4  # four times, for a busy machine


def test_unrelated_regions_of_the_real_sun_seldom_look_alike(shared_data):
    """Magnetograms of 2026: what is more than ten days and one region apart is not the same picture."""
    from sdovis.sun.geometry import cutout

    table = pd.read_excel(shared_data / "HMI_Magnetograms_2026.xlsx")
    table = table[table["Longitude (deg)"].abs() <= 60].iloc[::4].reset_index(drop=True)
    frames, hashes = {}, []
    for name, x, y in zip(table["Image"], table["X (px)"], table["Y (px)"], strict=True):
        if name not in frames:
            frames[name] = np.asarray(Image.open(shared_data / "hmi_mag" / name).convert("L"), np.float32)
        hashes.append(
            int(perceptual_hash(cutout(frames[name], x, y, 300, 4.8, 112, 127).clip(0, 255).astype("u1")), 16)
        )
    region, time = table["NOAA AR"].to_numpy(), pd.to_datetime(table["Observed (UTC)"]).to_numpy()
    i, j = np.triu_indices(len(table), 1)
    unrelated = (region[i] != region[j]) & (np.abs(time[i] - time[j]) > np.timedelta64(10, "D"))
    bits = np.bitwise_count(np.array(hashes, np.uint64)[i] ^ np.array(hashes, np.uint64)[j])
    assert unrelated.sum() > 5000
    assert (bits[unrelated] <= 4).mean() < 1e-3
    same = (region[i] == region[j]) & (np.abs(time[i] - time[j]) <= np.timedelta64(1, "D"))
    assert np.median(bits[same]) < np.median(bits[unrelated]) - 8
