"""Simulated full discs are checked against what is known of the Sun, from their files as any reader would open them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sdovis import manifests
from sdovis.channels.channel import channel
from sdovis.cli import run_command
from sdovis.errors import BadInput, Conflict
from sdovis.images.images import SolarImage, read_image
from sdovis.images.pointing import pointing_problem
from sdovis.simulation.days import simulate_discs
from sdovis.simulation.disc import NOISE_G, Placed, full_view, observe_disc
from sdovis.simulation.passages import SHEET, simulate
from sdovis.simulation.region import SPELLINGS, delta_pairs, design, field_map, intensity_map
from sdovis.sun.geometry import DiscFrame, disc_mu, heliographic_cutout, project

AU_M = 1.495978707e11
CHANNELS = {"Br image": "hmi-br", "Magnetogram": "hmi-magnetogram", "Continuum": "hmi-continuum"}
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """One moment, north up: the files, their values in the channels' units, mu, and the moment's rows."""

    files: dict[str, SolarImage]
    values: dict[str, Image]
    mu: Image
    rows: pd.DataFrame

    @property
    def frame(self) -> DiscFrame:
        frame = self.files["Br image"].frame
        assert frame is not None
        return frame


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_discs(tmp_path_factory.mktemp("sun") / "discs", discs=10, workers=1, progress=False)


@pytest.fixture(scope="module")
def table(workbook: Path) -> pd.DataFrame:
    return pd.read_excel(workbook, sheet_name=SHEET)


@pytest.fixture(scope="module")
def seen(workbook: Path, table: pd.DataFrame) -> list[Seen]:
    moments = []
    for _, rows in table.groupby("Br image"):
        files = {column: read_image(workbook.parent / "images" / rows.iloc[0][column]) for column in CHANNELS}
        values = {column: channel(name).values(files[column]) for column, name in CHANNELS.items()}
        frame = files["Br image"].frame
        assert frame is not None
        moments.append(Seen(files, values, disc_mu(values["Br image"].shape, frame), rows))
    return moments


def _all(seen: list[Seen], column: str) -> Image:
    return np.concatenate([s.values[column].ravel() for s in seen])


def _mu(seen: list[Seen]) -> Image:
    return np.concatenate([s.mu.ravel() for s in seen])


@pytest.mark.parametrize("mu", [0.35, 0.5, 0.65, 0.8, 0.95])
def test_the_line_of_sight_sees_mu_times_the_radial_field(seen: list[Seen], mu: float) -> None:
    radial, sight, at = _all(seen, "Br image"), _all(seen, "Magnetogram"), _mu(seen)
    strong = (np.abs(at - mu) < 0.05) & (np.abs(radial) > 400)
    assert strong.sum() > 200
    slope = float((radial[strong] * sight[strong]).sum() / (radial[strong] ** 2).sum())
    assert slope == pytest.approx(mu, abs=0.1), "less exactly in one region: flat penumbral fields add and take"


@pytest.mark.parametrize("mu", [0.5, 0.7, 0.9])
def test_the_line_of_sight_sees_mu_times_the_network_of_the_quiet_sun(mu: float) -> None:
    view = full_view(AU_M, 0.0, 0.0, (0.0, 0.0), 1024)
    frame = DiscFrame((511.5, 511.5), view.arcsec_per_px, view.sun_arcsec, 0.0)
    disc = observe_disc([], np.random.default_rng(2), view)
    ring = np.abs(disc_mu((1024, 1024), frame) - mu) < 0.07
    radial, sight = disc.radial_g[ring].astype(float), disc.line_of_sight_g[ring].astype(float)
    # Noise adds to the variance alone, and what both images share is the network.
    assert (sight.var() - NOISE_G**2) / (radial * sight).mean() == pytest.approx(mu, abs=0.06)


@pytest.mark.parametrize("mu", [0.15, 0.3, 0.5, 0.7, 0.9])
def test_the_channel_takes_limb_darkening_off_to_a_flat_quiet_sun(seen: list[Seen], mu: float) -> None:
    quiet = (np.abs(_mu(seen) - mu) < 0.05) & (np.abs(_all(seen, "Magnetogram")) < 50)
    ratio = _all(seen, "Continuum")[quiet]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.002)
    assert 0.008 < ratio.std() < 0.02, "granulation, averaged over 2 arcsec"
    raw = np.concatenate([s.files["Continuum"].values.ravel() for s in seen])[quiet]
    assert np.median(raw) < 62_500 * (0.4 + 0.6 * mu) * 1.1, "the file itself is darker towards the limb"


def test_noise_is_hmis(seen: list[Seen]) -> None:
    mu = _mu(seen)
    centre, limb = mu > 0.97, (mu > 0.1) & (mu < 0.3)
    scatter = {
        (column, name): 1.4826 * float(np.nanmedian(np.abs(_all(seen, column)[where])))
        for column in ("Br image", "Magnetogram")
        for name, where in (("centre", centre), ("limb", limb))
    }
    assert 6 < scatter["Magnetogram", "limb"] < 10
    assert 6 < scatter["Magnetogram", "centre"] < 14, "the network adds to it"
    assert scatter["Br image", "limb"] > 2.5 * scatter["Br image", "centre"], "the transverse field is the noisy one"


def _flux(s: Seen, latitude: float, longitude: float) -> float:
    """Mean |B| of the strong field within 4 degrees of a place."""
    cut = heliographic_cutout(s.values["Magnetogram"], latitude, longitude, s.frame, 8.0, 64)
    return float(np.nanmean(np.where(np.abs(cut) > 100, np.abs(cut), 0)))


def test_regions_lie_where_the_workbook_says_and_not_at_the_mirrored_places(seen: list[Seen]) -> None:
    there, mirrored = [], []
    for s in seen:
        places = s.rows[["Latitude (deg)", "Longitude (deg)"]].to_numpy()
        for latitude, longitude in places[np.abs(places[:, 1]) < 60]:
            there.append(_flux(s, latitude, longitude))
            for lat, lon in ((-latitude, longitude), (latitude, -longitude), (-latitude, -longitude)):
                if np.hypot(*(places - [lat, lon]).T).min() > 20:  # no other region happens to lie there
                    mirrored.append(_flux(s, lat, lon))
    assert len(there) > 25
    assert len(mirrored) > 25
    assert min(there) > 3, "the smallest regions fill a hundredth of the square"
    assert np.quantile(mirrored, 0.9) < 0.5, "regions beyond 75 degrees have no row"
    assert np.median(there) > 25


def test_spots_are_dark_where_the_field_is_strong_in_all_three_images(seen: list[Seen]) -> None:
    inner = _mu(seen) > 0.5
    radial, ratio = np.abs(_all(seen, "Br image"))[inner], _all(seen, "Continuum")[inner]
    steps = [np.median(ratio[(radial >= low) & (radial < low + 500)]) for low in (0, 500, 1000, 1500, 2000)]
    assert steps[0] == pytest.approx(1, abs=0.005)
    assert np.all(np.diff(steps) < 0)
    # The SHARP of 2011-02-15 has 0.75 at 1000 to 1250 G, 0.47 at 1500 to 1750 G, 0.27 at 2000 to 2250 G.
    assert 0.7 < steps[2] < 0.85
    assert 0.2 < steps[4] < 0.5
    assert np.quantile(radial[ratio < 0.6], 0.02) > 900
    assert np.mean(ratio < 0.9) > 1e-4


def test_the_flux_of_a_disc_and_of_its_regions_is_that_of_the_sun(seen: list[Seen]) -> None:
    for s in seen:
        pixel_cm2 = (6.96e10 / s.frame.radius_px) ** 2
        inner = s.mu > 0.3
        strong = np.where(inner & (np.abs(s.values["Magnetogram"]) > 50), np.abs(s.values["Br image"]) / s.mu, 0)
        assert 2e22 < np.nansum(strong) * pixel_cm2 < 1e24, "Mx"
        signed = np.where(inner & (np.abs(s.values["Magnetogram"]) > 50), s.values["Br image"] / s.mu, 0)
        assert abs(np.nansum(signed)) < 0.15 * np.nansum(strong), "flux comes and goes in pairs"


def test_larger_groups_of_spots_carry_more_flux(seen: list[Seen]) -> None:
    area, flux = [], []
    for s in seen:
        for row in s.rows[s.rows["Longitude (deg)"].abs() < 55].to_dict("records"):
            cut = heliographic_cutout(
                s.values["Br image"], row["Latitude (deg)"], row["Longitude (deg)"], s.frame, 14, 96
            )
            area.append(row["Area (MSH)"])
            flux.append(float(np.nansum(np.where(np.abs(cut) > 200, np.abs(cut), 0))))
    assert np.corrcoef(np.log(area), np.log(flux))[0, 1] > 0.75


def test_leading_polarity_follows_hale_once_north_is_up(seen: list[Seen]) -> None:
    follows = []
    for s in seen:
        for row in s.rows[s.rows["Longitude (deg)"].abs() < 55].to_dict("records"):
            cut = heliographic_cutout(
                s.values["Br image"], row["Latitude (deg)"], row["Longitude (deg)"], s.frame, 14, 96
            )
            strong = np.where(np.abs(cut) > 200, cut, 0)
            x = np.arange(96)[None, :]
            east_west = [
                (x * part).sum() / part.sum() for part in (np.clip(strong, 0, None), np.clip(-strong, 0, None))
            ]
            follows.append((east_west[1] > east_west[0]) == (row["Latitude (deg)"] > 0))  # cycle 24: negative leads
    assert len(follows) > 25
    assert np.mean(follows) > 0.85


def test_the_disc_is_where_the_header_says_and_nan_around_it(seen: list[Seen]) -> None:
    for s in seen[:4]:
        for column, image in s.files.items():
            assert pointing_problem(s.values[column], s.frame) is None
            assert image.simulated
            assert image.frame == s.frame
            off = np.isnan(image.values)
            assert (off != np.isnan(s.mu)).sum() < 20, "but for rounding on the limb itself"


def test_sunpy_opens_hmi_maps_of_one_moment_with_the_regions_in_them(workbook: Path, table: pd.DataFrame) -> None:
    import astropy.units as u
    import sunpy.map
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import frames
    from sunpy.map.sources import HMIMap

    row = table[table["Longitude (deg)"].abs() < 45].iloc[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = [sunpy.map.Map(workbook.parent / "images" / row[column]) for column in CHANNELS]
        assert all(isinstance(m, HMIMap) for m in maps)
        assert len({m.meta["t_obs"] for m in maps}) == 1
        assert [m.meta["bunit"] for m in maps] == ["Mx/cm^2", "Gauss", "DN/s"]
        assert [m.meta["content"] for m in maps] == ["BR", "MAGNETOGRAM", "CONTINUUM INTENSITY"]
        radial = maps[0]
        assert radial.observer_coordinate.heliographic_stonyhurst.lon.deg == pytest.approx(0, abs=0.01)
        earth = sunpy.coordinates.get_earth(radial.reference_date)
        assert radial.meta["crlt_obs"] == pytest.approx(earth.lat.deg, abs=0.01)
        assert radial.dsun.to_value("m") == pytest.approx(earth.radius.to_value("m"), rel=1e-4)
        place = SkyCoord(
            row["Longitude (deg)"] * u.deg,
            row["Latitude (deg)"] * u.deg,
            frame=frames.HeliographicStonyhurst(obstime=radial.reference_date),
        )
        column, line = radial.world_to_pixel(place.transform_to(radial.coordinate_frame))
    # Our own reader, north up, puts it at the same pixel.
    image = read_image(workbook.parent / "images" / row["Br image"])
    assert image.frame is not None
    x, y, _ = project(row["Latitude (deg)"], row["Longitude (deg)"], image.frame)
    raw = np.asarray(radial.data)
    turned = raw[::-1, ::-1][::-1]  # by 180 degrees, then FITS' rows from the south to ours from the north
    np.testing.assert_array_equal(turned[~np.isnan(turned)], image.values[~np.isnan(image.values)])
    assert (1023 - column.value, line.value) == pytest.approx((x, y), abs=1.2), "CROTA2 is 180 to 0.1 degrees"
    assert abs(radial.meta["crota2"] - 180) <= 0.1
    assert radial.meta["crota2"] != 180


def test_headers_say_when_in_tai_and_that_nothing_was_observed(workbook: Path, table: pd.DataFrame) -> None:
    from astropy.io import fits

    for row in table.drop_duplicates("Br image").to_dict("records"):
        for column in CHANNELS:
            with fits.open(workbook.parent / "images" / row[column], disable_image_compression=True) as file:
                header = file[1].header
            assert header["ZCMPTYPE"] == "RICE_1"
            assert header["SIMULATE"] is True
            assert "SIMULATED" in str(header["HISTORY"])
            assert header["QUALITY"] == 0
            assert header["T_REC"].endswith("00:00_TAI")
            stamp = header["T_OBS"].removesuffix("_TAI").replace(".", "-", 2).replace("_", "T")
            tai = pd.to_datetime(stamp, format="ISO8601")
            assert (tai - row["Observed (UTC)"]).total_seconds() == pytest.approx(34, abs=0.51)
            assert header["RSUN_OBS"] == pytest.approx(
                np.degrees(np.arcsin(6.96e8 / header["DSUN_OBS"])) * 3600, abs=0.01
            )


def test_the_files_hold_what_was_computed_to_half_a_step(tmp_path: Path) -> None:
    from sdovis.simulation.disc import to_compressed_fits

    view = full_view(AU_M, 5.0, 180.05, (1.0, -2.0), 4096)
    rng = np.random.default_rng(0)
    disc = observe_disc([Placed(design(rng, "Beta-Gamma-Delta", 15.0), 30.0)], rng, view)
    for name, values, step in (("b", disc.radial_g, 0.5), ("c", disc.continuum_dn_s, 25.0)):
        (tmp_path / f"{name}.fits").write_bytes(to_compressed_fits(values, step, view, [("INSTRUME", "HMI_SIDE1")]))
        read = read_image(tmp_path / f"{name}.fits").values[::-1][::-1, ::-1]
        known = np.isfinite(values)
        np.testing.assert_array_equal(known, np.isfinite(read))
        assert np.abs(read[known] - values[known]).max() <= 0.501 * step
    assert (tmp_path / "b.fits").stat().st_size < 16 * 2**20, "32 MB as 16-bit integers"
    # At HMI's own pixels, granules have their contrast of 3.3 %.
    middle = disc.continuum_dn_s[1900:2200, 1900:2200]
    assert 0.02 < middle.std() / middle.mean() < 0.04


def test_a_region_at_the_limb_is_foreshortened_and_keeps_its_flux() -> None:
    def extent_and_flux(longitude: float) -> tuple[float, float]:
        view = full_view(AU_M, 0.0, 0.0, (0.0, 0.0), 1024)
        rng = np.random.default_rng(3)
        region = design(np.random.default_rng(1), "Beta", 1.0)
        with_it = observe_disc([Placed(region, longitude)], rng, view).radial_g
        field = np.where(np.abs(with_it) > 300, np.abs(with_it), 0)
        x = np.arange(1024)[None, :]
        mean = (x * field).sum() / field.sum()
        mu = np.sqrt(1 - ((mean - 511.5) / (view.sun_arcsec / view.arcsec_per_px)) ** 2)
        return float(np.sqrt(((x - mean) ** 2 * field).sum() / field.sum())), float(field.sum() / mu)

    (wide, flux), (narrow, limb_flux) = extent_and_flux(0.0), extent_and_flux(60.0)
    assert narrow / wide == pytest.approx(0.5, abs=0.08)
    assert limb_flux / flux == pytest.approx(1.0, abs=0.2)


def _shared_penumbra(region_kind: str, seed: int) -> tuple[bool, bool]:
    """Whether one dark area holds umbrae of both signs, in the images; and whether the region's spots say delta."""
    region = design(np.random.default_rng(seed), region_kind, 15.0)
    up, dark = field_map(region, np.random.default_rng(seed), network=False)[0], intensity_map(region) < 0.9
    areas, count = ndimage.label(dark)
    both = any(up[areas == i].max() > 1000 and up[areas == i].min() < -1000 for i in range(1, count + 1))
    return both, delta_pairs(region.spots) > 0


@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_delta_and_nothing_else_has_opposite_umbrae_within_one_penumbra(kind: str) -> None:
    found = np.array([_shared_penumbra(kind, seed) for seed in range(25)])
    assert np.all(found[:, 1] == ("Delta" in kind))
    if "Delta" in kind:
        assert found[:, 0].mean() > 0.85, "a small partner may not reach 1000 G on the grid"
    else:
        assert found[:, 0].mean() < 0.05


def test_no_single_number_of_the_continuum_gives_the_class_away() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(5)
    kinds = rng.choice(SPELLINGS, 300, p=[0.3, 0.4, 0.15, 0.1, 0.05])
    three = pd.Series(kinds).map({"Alpha": 0, "Beta": 1}).fillna(2).to_numpy(int)
    numbers = []
    for kind in kinds:
        ratio = intensity_map(design(rng, kind, 15.0))
        numbers.append([(ratio < 0.9).mean(), (ratio < 0.6).mean(), ratio.min(), np.log(1 - ratio.mean())])
    features = (np.array(numbers) - np.mean(numbers, axis=0)) / np.std(numbers, axis=0)
    model = LogisticRegression(class_weight="balanced")
    for of in [[0], [1], [2], [3], [0, 1, 2, 3]]:
        score = balanced_accuracy_score(three, cross_val_predict(model, features[:, of], three, cv=5))
        assert score < 0.65, f"{of}: complex groups are larger, on the Sun and here: not chance, and not enough"


def test_regions_live_for_days_rotate_differentially_and_keep_apart(tmp_path: Path) -> None:
    from sdovis.simulation.days import _moments
    from sdovis.sun.rotation import synodic_rate

    moments = _moments(90, 1, 256)
    rows = [
        (k, number, placed.region.latitude_deg, placed.longitude_deg, placed.region.mount_wilson)
        for k, moment in enumerate(moments)
        for number, placed in zip(moment.noaa_ars, moment.regions, strict=False)
    ]
    table = pd.DataFrame(rows, columns=["k", "noaa", "lat", "lon", "kind"])
    by_region = table.groupby("noaa")
    assert by_region["kind"].nunique().max() == 1
    assert by_region["k"].agg(np.ptp).max() * 2 <= 10, "days"
    assert 1.8 < by_region.size().mean() < 4
    assert 3 < table.groupby("k").size().mean() < 8, "regions at once"
    assert table.drop_duplicates("noaa")["noaa"].is_monotonic_increasing, "numbers follow the order of appearance"
    rate = by_region["lon"].diff() / 2
    around = [datetime(2012, 3, 1, tzinfo=UTC) + timedelta(days=2 * k - 1) for k in table["k"]]
    law = np.array([synodic_rate(lat, at) for lat, at in zip(table["lat"], around, strict=True)])
    np.testing.assert_allclose(rate.dropna(), law[rate.notna()], atol=0.001)
    for _, rows_of in table.groupby("k"):
        lat, lon = np.radians(rows_of[["lat", "lon"]].to_numpy()).T
        cosine = np.sin(lat[:, None]) * np.sin(lat) + np.cos(lat[:, None]) * np.cos(lat) * np.cos(lon[:, None] - lon)
        apart = np.degrees(np.arccos(np.clip(cosine + 0, -1, 1)))[np.triu_indices(len(lat), 1)]
        assert not len(apart) or apart.min() > 14
    assert set(table["kind"]) == set(SPELLINGS)


def test_the_workbook_names_three_files_a_row_and_says_simulated(workbook: Path, table: pd.DataFrame) -> None:
    assert list(table.columns[:8]) == [
        "Br image", "Magnetogram", "Continuum", "Observed (UTC)", "NOAA AR", "Mount Wilson", "Latitude (deg)",
        "Longitude (deg)",
    ]  # fmt: skip
    named = set(table[list(CHANNELS)].to_numpy().ravel())
    assert named <= {path.name for path in (workbook.parent / "images").iterdir()}
    assert len(list((workbook.parent / "images").iterdir())) == 30
    assert len(named) == 3 * table["Br image"].nunique()
    assert pd.read_excel(workbook, sheet_name="README").loc[0, "About"] == "SIMULATED"


def test_same_seed_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    made = []
    for name, seed, workers in (("one", 3, 1), ("two", 3, 2), ("other", 4, 1)):
        book = simulate_discs(tmp_path / name, discs=10, seed=seed, size_px=256, workers=workers, progress=False)
        made.append(manifests.sums(book.parent))
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert len(made[0]) == 32


def test_what_is_there_is_not_overwritten_but_an_older_simulation_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(Conflict, match="mine"):
        simulate_discs(tmp_path / "mine", discs=1, progress=False, workers=1)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]

    simulate(tmp_path / "sim", regions=1, progress=False, workers=1)
    book = simulate_discs(tmp_path / "sim", discs=1, size_px=256, progress=False, workers=1)
    assert sorted(p.name for p in (tmp_path / "sim").iterdir()) == [
        "SDO_Simulated_Full_Discs.xlsx",
        "images",
        "manifest.json",
    ]
    made = book.stat().st_mtime_ns
    simulate_discs(tmp_path / "sim", discs=1, size_px=256, progress=False, workers=1)
    assert book.stat().st_mtime_ns == made, "made already, so left alone"


def test_impossible_arguments_are_all_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        simulate_discs(tmp_path / "sim", discs=0, seed=-1, size_px=5000, workers=0)
    for name in ("discs", "seed", "size_px", "workers"):
        assert name in str(caught.value)
    assert not (tmp_path / "sim").exists()


def test_the_verb_writes_full_discs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["simulate", str(tmp_path / "sun"), "--full-disc", "--discs", "2", "--size", "256"]) == 0
    assert "SDO_Simulated_Full_Discs.xlsx" in capfd.readouterr().out
    assert len(list((tmp_path / "sun" / "images").glob("*.fits"))) == 6
