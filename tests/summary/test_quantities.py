import math

import crafted
import numpy as np
import pandas as pd
import pytest
from sdovis.channels.channel import channel
from sdovis.summary.quantities import ASTRONOMICAL_UNIT_M, measure, pixel_area_cm2

BROWSE = [channel("aia-211-browse")]
MAGNETOGRAM = [channel("hmi-magnetogram")]


def _names(measured):
    return [quantity.name for quantity in measured.quantities]


def test_brightness_is_the_mean_of_the_pixels_in_the_channels_unit():
    half = crafted.png(np.repeat([[10, 30]], 8, axis=0).repeat(4, axis=1))
    measured = measure(crafted.corpus([crafted.row("ar11001", 0, 0, image=half)]), BROWSE)
    assert measured.images["brightness"].tolist() == [20.0]


def test_a_magnetogram_of_known_size_has_a_total_unsigned_flux():
    codes = np.full((8, 8), 128, dtype=np.uint8)  # 0 G
    codes[0, 0], codes[0, 1] = 128 + 35, 128 - 35  # +200 and -200 G
    built = crafted.corpus(
        [crafted.row("ar11001", 0, 0, image=crafted.png(codes))], channel="hmi-magnetogram", cutout_arcsec=80.0
    )
    measured = measure(built, MAGNETOGRAM)
    # By hand: 10 arcsec at 1 au are 7252.7 km; 2 x 200 G x (7.2527e8 cm)^2 = 2.104e20 Mx.
    assert measured.images["unsigned_flux_mx"][0] == pytest.approx(2.104e20, rel=1e-3)


def test_a_magnetogram_of_unknown_size_has_a_mean_unsigned_field_of_its_known_pixels():
    codes = np.array([[0, 128 + 35], [128 - 35, 128]])  # missing, 200, -200, 0 G
    built = crafted.corpus([crafted.row("ar11001", 0, 0, image=crafted.png(codes))], channel="hmi-magnetogram")
    measured = measure(built, MAGNETOGRAM)
    assert measured.images["mean_unsigned"][0] == pytest.approx(400 / 3, rel=1e-5)
    assert measured.images["missing_share"][0] == 0.25


def test_the_pixels_area_grows_with_the_square_of_the_distance_in_the_header():
    near = pixel_area_cm2(1.0, f'{{"DSUN_OBS": {0.98 * ASTRONOMICAL_UNIT_M}}}')
    assert near / pixel_area_cm2(1.0, "{}") == pytest.approx(0.98**2)
    assert pixel_area_cm2(1.0, "") == pytest.approx((725.27e5) ** 2, rel=1e-4)


def test_every_extra_numeric_column_is_a_quantity_and_text_and_flags_are_not():
    extra = {"Area (MSH)": 120.0, "Note": "12", "Flare": True, "Empty": np.nan}
    measured = measure(crafted.corpus([crafted.row("ar11001", 0, 0, **extra)]), BROWSE)
    assert "Area (MSH)" in _names(measured)
    assert not {"Note", "Flare", "Empty", "source_row", "noaa_ar", "x_px"} & set(_names(measured))


def test_an_infinite_value_counts_as_missing():
    rows = [crafted.row("ar11001", 0, 0, area=math.inf), crafted.row("ar11002", 0, 0, area=5.0)]
    assert measure(crafted.corpus(rows), BROWSE).images["area"].isna().tolist() == [True, False]


def test_a_corpus_without_positions_is_described_without_them():
    rows = [crafted.row("ar11001", 0, 0, latitude_deg=None, longitude_deg=None)]
    assert _names(measure(crafted.corpus(rows), BROWSE)) == ["year", "brightness"]


def test_time_is_a_decimal_year_also_in_a_leap_year():
    noon = pd.Timestamp("2012-07-02", tz="UTC")  # day 184 of 366 begins
    measured = measure(crafted.corpus([crafted.row("ar11001", 0, 0, observed=noon)]), BROWSE)
    assert measured.images["year"][0] == 2012.5


def test_a_region_counts_once_with_the_median_of_its_images():
    rows = [crafted.row("ar11001", 0, day, code) for day, code in enumerate((10, 20, 90))]
    regions = measure(crafted.corpus(rows), BROWSE).regions
    assert regions["brightness"].to_dict() == {"ar11001": 20.0}


def test_a_region_of_two_classes_belongs_to_the_class_of_most_of_its_images_and_is_counted():
    rows = [
        crafted.row("ar11001", 0, 0, 10),
        crafted.row("ar11001", 1, 1, 50),
        crafted.row("ar11001", 1, 2, 70),
        crafted.row("ar11002", 2, 3, 90),
    ]
    measured = measure(crafted.corpus(rows), BROWSE)
    assert measured.regions["class"].to_dict() == {"ar11001": "beta", "ar11002": "complex"}
    assert measured.regions["brightness"]["ar11001"] == 60.0  # of its images as beta
    assert (measured.several_classes, measured.left_out) == (1, 1)


def test_a_tie_between_classes_goes_to_the_class_seen_first():
    rows = [crafted.row("ar11001", 0, 5, 10), crafted.row("ar11001", 1, 2, 50)]
    assert measure(crafted.corpus(rows), BROWSE).regions["class"].to_dict() == {"ar11001": "beta"}
