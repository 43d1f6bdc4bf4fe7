"""The simulator is checked against what is known of the Sun, from its files as any reader would open them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sdovis import manifests
from sdovis.errors import BadInput, Conflict
from sdovis.simulation.magnetogram import Camera, observe, sun_centre_px, surface, to_fits
from sdovis.simulation.passages import simulate
from sdovis.simulation.region import (
    DELTA_DEG,
    PLAGE_G,
    SPELLINGS,
    SPOTTED_G,
    delta_pairs,
    design,
    dividing_gap,
    evolve,
)

AU_M = 1.495978707e11


@dataclass(frozen=True)
class Sample:
    workbook: Path
    table: pd.DataFrame
    truth: pd.DataFrame
    stored: NDArray[np.float64]  # gauss, as the files have them

    @property
    def north_up(self) -> NDArray[np.float64]:
        return self.stored[:, ::-1, ::-1]

    @property
    def true_class(self) -> pd.Series:
        right = self.truth.set_index("Image")["Mount Wilson (true)"]
        return self.table["Image"].map(right).fillna(self.table["Mount Wilson"])

    @property
    def three(self) -> NDArray[np.int_]:
        return self.true_class.map({"Alpha": 0, "Beta": 1}).fillna(2).to_numpy(int)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    from astropy.io import fits

    workbook = simulate(tmp_path_factory.mktemp("sun") / "sim", regions=300, days=(2, 3), workers=1, progress=False)
    sheets = pd.read_excel(workbook, sheet_name=None)
    table = sheets["Active regions"]
    stored = np.stack([fits.getdata(workbook.parent / "images" / name) for name in table["Image"]])
    return Sample(workbook, table, sheets["Truth"], np.nan_to_num(stored.astype(float)))


def _axis(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the centroid of negative to that of positive flux: pixels west and north, a row an image."""
    y, x = np.indices(images.shape[1:])
    strong = np.where(np.abs(images) > 100, images, 0)
    parts = np.clip(strong, 0, None), np.clip(-strong, 0, None)
    ends = [np.stack([(p * x).sum((1, 2)), (p * y).sum((1, 2))], 1) / p.sum((1, 2))[:, None] for p in parts]
    return ends[0] - ends[1]


def test_leading_polarity_follows_hale_by_hemisphere_once_north_is_up(sample: Sample) -> None:
    north = sample.table["Latitude (deg)"].to_numpy() > 0
    # Cycle 24: negative leads (lies west) in the north, so the axis from negative to positive points east there.
    follows = (_axis(sample.north_up)[:, 0] < 0) == north
    assert 0.88 < follows[north].mean() < 1.0
    assert 0.88 < follows[~north].mean() < 1.0


def test_a_reader_that_ignores_crota2_sees_hale_upside_down(sample: Sample) -> None:
    north = sample.table["Latitude (deg)"].to_numpy() > 0
    assert ((_axis(sample.stored)[:, 0] < 0) == north).mean() < 0.12


def test_tilt_follows_joy(sample: Sample) -> None:
    near = (np.abs(sample.table["Longitude (deg)"]) < 40).to_numpy()
    latitude = sample.table["Latitude (deg)"].to_numpy()[near]
    axis = _axis(sample.north_up)[near]
    leading = axis * np.sign(axis[:, :1])  # whichever polarity lies west
    equatorward = np.degrees(np.arctan2(-leading[:, 1] * np.sign(latitude), leading[:, 0]))
    slope = np.sum(equatorward * np.abs(latitude)) / np.sum(latitude**2)
    assert 0.3 < slope < 0.8, "0.5 x latitude, to the scatter of some hundred regions"
    assert 12 < np.std(equatorward) < 35


@pytest.mark.parametrize("three", [0, 1, 2])
def test_net_flux_is_near_zero_in_every_class(sample: Sample, three: int) -> None:
    images = sample.stored[sample.three == three]
    share = images.sum((1, 2)) / np.abs(images).sum((1, 2))
    assert abs(share.mean()) < 0.02
    assert np.median(np.abs(share)) < 0.06


def test_alpha_images_have_strong_field_of_one_polarity_only(sample: Sample) -> None:
    weaker = np.minimum(sample.stored.max((1, 2)), -sample.stored.min((1, 2)))
    stronger = np.maximum(sample.stored.max((1, 2)), -sample.stored.min((1, 2)))
    alpha = sample.three == 0
    assert np.median(stronger[alpha]) > 1200
    assert np.quantile(weaker[alpha], 0.99) < 1.3 * PLAGE_G
    assert np.median(weaker[~alpha]) > 1.3 * np.median(weaker[alpha])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", SPELLINGS)
def test_regions_obey_the_definition_of_their_class_on_every_day(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for region in evolve(design(rng, kind, 17.0), rng, 6):
        spots = region.spots
        polarities = np.unique(np.sign(spots[:, 2]))
        assert np.all(np.abs(spots[:, 2]) > SPOTTED_G)
        assert len(polarities) == (1 if kind == "Alpha" else 2)
        if kind != "Alpha":
            assert (dividing_gap(spots) > 0) == ("Gamma" not in kind)
        assert (delta_pairs(spots) > 0) == ("Delta" in kind)
        if "Delta" in kind:
            apart = np.linalg.norm(spots[:, None, :2] - spots[None, :, :2], axis=-1)
            assert apart[spots[:, None, 2] * spots[None, :, 2] < 0].min() < DELTA_DEG


def test_the_opposite_umbrae_of_a_delta_are_seen_within_two_degrees() -> None:
    """In the image itself: strong field of both signs within 2 degrees, in most deltas and hardly any beta."""
    from scipy.ndimage import distance_transform_edt

    def close(kind: str, seed: int) -> bool:
        rng = np.random.default_rng(seed)
        view = Camera(AU_M, 0.0, 180.0, sun_centre_px(15.0, 0.0, AU_M, 0.0, 180.0, 96), 96)
        image = observe(design(rng, kind, 15.0), rng, view, 0.0)
        if image.max() < 900 or image.min() > -900:
            return False
        # One degree at disc centre is 8.3 pixels; umbral edges are nearer than umbral centres.
        return bool(distance_transform_edt(image > -900)[image > 900].min() < 8.3)

    assert np.mean([close("Beta-Delta", seed) for seed in range(25)]) > 0.8
    assert np.mean([close("Beta", seed) for seed in range(25)]) < 0.2


def test_sunpy_opens_an_hmi_map_whose_centre_is_the_position_in_the_workbook(sample: Sample) -> None:
    import astropy.units as u
    import sunpy.map
    from astropy.utils import iers
    from sunpy.map.sources import HMIMap

    rows = sample.table.iloc[:: len(sample.table) // 8]
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in rows.to_dict("records"):
            opened = sunpy.map.Map(sample.workbook.parent / "images" / row["Image"])
            assert isinstance(opened, HMIMap)
            assert opened.unit == u.Gauss
            assert opened.measurement == "magnetogram"
            middle = opened.pixel_to_world(47.5 * u.pix, 47.5 * u.pix).heliographic_stonyhurst
            assert middle.lon.deg == pytest.approx(row["Longitude (deg)"], abs=0.005)
            assert middle.lat.deg == pytest.approx(row["Latitude (deg)"], abs=0.005)
            # CRLN_OBS, CRLT_OBS and DSUN_OBS are the Earth's at T_OBS.
            assert opened.observer_coordinate.heliographic_stonyhurst.lon.deg == pytest.approx(0, abs=0.01)
            assert opened.rsun_obs.to_value("arcsec") == pytest.approx(
                np.degrees(np.arcsin(6.96e8 / opened.dsun.to_value("m"))) * 3600, abs=0.01
            )
            assert opened.reference_date.utc.to_datetime() == pytest.approx(
                row["Observed (UTC)"].to_pydatetime(), abs=pd.Timedelta("1s").to_pytimedelta()
            )


def test_headers_say_hmi_tai_and_simulated(sample: Sample) -> None:
    from astropy.io import fits

    headers = [fits.getheader(sample.workbook.parent / "images" / name) for name in sample.table["Image"]]
    assert {h["TELESCOP"] for h in headers} == {"SDO/HMI"}
    assert all(h["SIMULATE"] is True and "SIMULATED" in str(h["HISTORY"]) for h in headers)
    assert [h["NOAA_AR"] for h in headers] == sample.table["NOAA AR"].tolist()
    assert [h["HARPNUM"] for h in headers] == sample.table["HARP"].tolist()
    assert all(h["T_REC"].endswith("_TAI") and h["T_OBS"].endswith("_TAI") for h in headers)
    rolls = np.array([h["CROTA2"] for h in headers])
    assert np.all(np.abs(rolls - 180) <= 0.1)
    assert np.ptp(rolls) > 0
    radii = np.array([h["RSUN_OBS"] for h in headers])
    assert radii.max() / radii.min() == pytest.approx(1.034, abs=0.004), "perihelion against aphelion"
    assert np.ptp([h["CRLT_OBS"] for h in headers]) > 14


def test_workbook_is_utc_and_the_header_tai_by_the_leap_seconds_of_the_day(sample: Sample) -> None:
    from astropy.io import fits

    for row in sample.table.iloc[::20].to_dict("records"):
        stamp = fits.getheader(sample.workbook.parent / "images" / row["Image"])["T_OBS"].removesuffix("_TAI")
        tai = pd.to_datetime(stamp.replace(".", "-", 2).replace("_", "T"), format="ISO8601")
        leap = 34 if row["Observed (UTC)"] < pd.Timestamp("2012-07-01") else 35
        assert (tai - row["Observed (UTC)"]).total_seconds() == pytest.approx(leap, abs=0.51)


def test_regions_cross_the_disc_within_sixty_degrees_at_the_suns_rate(sample: Sample) -> None:
    table = sample.table
    angle = np.cos(np.radians(table["Latitude (deg)"])) * np.cos(np.radians(table["Longitude (deg)"]))
    assert np.degrees(np.arccos(angle)).max() < 66, "60 degrees, B0 and the scatter of positions aside"
    days = table.groupby("NOAA AR")["Observed (UTC)"].transform(lambda t: (t - t.min()).dt.total_seconds() / 86400)
    first = table.groupby("NOAA AR")["Longitude (deg)"].transform("first")
    moved = ((table["Longitude (deg)"] - first) / days)[days > 1.5]
    assert moved.mean() == pytest.approx(13.4, abs=0.25)
    later = table.groupby("NOAA AR")["Observed (UTC)"].min()
    assert later.is_monotonic_increasing, "numbers are given in the order of appearance"
    assert {later.min().year, later.max().year} == {2011, 2014}


def test_mislabelled_rows_are_the_ones_the_truth_lists(sample: Sample) -> None:
    assert len(sample.truth) == round(0.03 * len(sample.table))
    written = sample.table.set_index("Image").loc[sample.truth["Image"], "Mount Wilson"].to_numpy()
    np.testing.assert_array_equal(written, sample.truth["Mount Wilson (written)"].to_numpy())
    coarse = {"Alpha": "alpha", "Beta": "beta"}
    for wrong, true in zip(written, sample.truth["Mount Wilson (true)"], strict=True):
        assert coarse.get(wrong, "complex") != coarse.get(true, "complex")
    by_region = sample.true_class.groupby(sample.table["NOAA AR"]).nunique()
    assert by_region.max() == 1
    assert set(sample.table["Mount Wilson"]) == set(SPELLINGS)


def test_readme_sheet_says_simulated(sample: Sample) -> None:
    text = pd.read_excel(sample.workbook, sheet_name="README")
    assert text.loc[0, "About"] == "SIMULATED"


@pytest.mark.parametrize("cells", [14, 32])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_linear_model_on_pixels_stays_below_0_65(sample: Sample, cells: int, absolute: bool) -> None:
    edges = np.linspace(0, 96, cells + 1).astype(int)[:-1]
    field = np.abs(sample.north_up) if absolute else sample.north_up
    pixels = np.add.reduceat(np.add.reduceat(field, edges, axis=1), edges, axis=2).reshape(len(field), -1)
    assert _linear_score(pixels, sample) < 0.65


def test_a_linear_model_on_flux_peak_and_area_stays_below_0_65(sample: Sample) -> None:
    flux = np.abs(sample.stored).sum((1, 2))
    net = sample.stored.sum((1, 2))
    peak = np.abs(sample.stored).max((1, 2))
    area = sample.table["Area (MSH)"].to_numpy()
    scalars = np.stack([np.log(flux), net / flux, np.abs(net) / flux, peak, np.log(area)], axis=1)
    score = _linear_score(scalars, sample)
    assert 0.4 < score < 0.65, "complex groups are larger, on the Sun and here: not chance, and not enough"


def _linear_score(features: NDArray[np.float64], sample: Sample) -> float:
    """Balanced accuracy of a logistic regression, cross-validated by region."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = []
    for strength in (1e-3, 1e-2):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=200))
        folds = GroupKFold(4)
        guess = cross_val_predict(model, features, sample.three, cv=folds, groups=sample.table["NOAA AR"])
        scores.append(balanced_accuracy_score(sample.three, guess))
    return float(max(scores))


def test_same_seed_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    made = []
    for name, seed, workers in (("one", 3, 1), ("two", 3, 2), ("other", 4, 1)):
        workbook = simulate(tmp_path / name, regions=12, days=(1, 2), seed=seed, workers=workers, progress=False)
        made.append(manifests.sums(workbook.parent))
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert len(made[0]) > 12


def test_off_the_disc_is_nan_in_the_file(tmp_path: Path) -> None:
    from astropy.io import fits

    rng = np.random.default_rng(0)
    view = Camera(AU_M, 0.0, 180.0, sun_centre_px(40.0, 60.0, AU_M, 0.0, 180.0, 96), 96)
    image = observe(design(rng, "Beta", 40.0), rng, view, 60.0)
    (tmp_path / "limb.fits").write_bytes(to_fits(image, view, []))
    read = fits.getdata(tmp_path / "limb.fits")
    row, column = np.indices(image.shape)
    radius = np.hypot(column - view.centre_px[0], row - view.centre_px[1]) * 4 * 0.504311
    np.testing.assert_array_equal(
        np.isnan(read)[np.abs(radius - view.sun_arcsec) > 3],
        (radius > view.sun_arcsec)[np.abs(radius - view.sun_arcsec) > 3],
    )
    assert 0 < np.isnan(read).mean() < 0.9
    np.testing.assert_allclose(read, image, atol=0.051)


@pytest.mark.parametrize("roll", [180.0, 155.0])
def test_every_pixel_lies_where_the_header_says(tmp_path: Path, roll: float) -> None:
    import astropy.units as u
    import sunpy.map
    from sunpy.coordinates import frames

    view = Camera(0.99 * AU_M, 6.5, roll, sun_centre_px(-20.0, 40.0, 0.99 * AU_M, 6.5, roll, 96), 96)
    keywords = [
        ("DATE-OBS", "2012-08-20T00:00:00", ""),
        ("HGLT_OBS", 6.5, ""),
        ("T_OBS", "2012.08.20_00:00:35_TAI", ""),
    ]
    (tmp_path / "turned.fits").write_bytes(to_fits(np.zeros((96, 96), np.float32), view, keywords))
    longitude, latitude, (upward, westward, northward) = surface(view)
    row, column = np.array([0, 0, 95, 95, 30]), np.array([0, 95, 0, 95, 70])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = sunpy.map.Map(tmp_path / "turned.fits")
        where = opened.pixel_to_world(column * u.pix, row * u.pix)
        there = where.transform_to(frames.HeliographicStonyhurst(obstime=opened.reference_date))
    np.testing.assert_allclose(np.degrees(longitude[row, column]), there.lon.deg, atol=2e-3)
    np.testing.assert_allclose(np.degrees(latitude[row, column]), there.lat.deg, atol=2e-3)
    # The weights are the observer's direction: up, and east and north of a region in the south-west.
    np.testing.assert_allclose(upward**2 + westward**2 + northward**2, 1, atol=1e-9)
    assert westward.max() < 0 < northward.min()
    sun_radii = np.hypot(where.Tx.to_value("arcsec"), where.Ty.to_value("arcsec")) / view.sun_arcsec
    np.testing.assert_allclose(upward[row, column], np.sqrt(1 - sun_radii**2), atol=1e-3)


def test_the_west_is_darkened_by_projection_as_cosine() -> None:
    """A line-of-sight magnetogram sees the radial field times the cosine of the angle to disc centre."""
    fluxes = []
    for longitude in (0.0, 60.0):
        rng = np.random.default_rng(5)
        view = Camera(AU_M, 0.0, 180.0, sun_centre_px(0.0, longitude, AU_M, 0.0, 180.0, 96), 96)
        fluxes.append(np.nansum(np.abs(observe(design(rng, "Alpha", 5.0), rng, view, longitude)) > 400))
    assert fluxes[1] < 0.6 * fluxes[0], "half for the foreshortened area, less for the weaker field"


def test_what_is_there_is_not_overwritten_but_an_older_simulation_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(Conflict, match="mine"):
        simulate(tmp_path / "mine", regions=1, progress=False, workers=1)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]

    workbook = simulate(tmp_path / "sim", regions=1, seed=1, progress=False, workers=1)
    first = manifests.sums(workbook.parent)
    made = workbook.stat().st_mtime_ns
    simulate(tmp_path / "sim", regions=1, seed=1, progress=False, workers=1)
    assert workbook.stat().st_mtime_ns == made, "made already, so left alone"
    simulate(tmp_path / "sim", regions=1, seed=2, progress=False, workers=1)
    assert manifests.sums(workbook.parent) != first


def test_impossible_arguments_are_all_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        simulate(tmp_path / "sim", regions=0, seed=-1, mislabelled=1.5, days=(4, 2), size_px=9, workers=0)
    for name in ("regions", "seed", "mislabelled", "days", "size_px", "workers"):
        assert name in str(caught.value)
    assert not (tmp_path / "sim").exists()
