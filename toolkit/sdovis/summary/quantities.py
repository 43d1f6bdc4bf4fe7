"""What is measured on each image of a corpus, and its aggregation to the independent unit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis.channels.channel import Channel
from sdovis.corpus.build import Corpus, layers
from sdovis.corpus.columns import BY_NAME, NAMES
from sdovis.sun.constants import ARCSEC, ASTRONOMICAL_UNIT_M

#: Corpus columns that are names or provenance, or are described separately; any other numeric column is a quantity.
NOT_QUANTITIES = frozenset({*NAMES, "split"})
#: Units that an axis has as signs.
SIGNS = {"deg": "°"}


@dataclass(frozen=True)
class Quantity:
    """Something measured on each image.

    ``place`` marks where and when an image was taken, which `first_and_last` does not test. A quantity that is not
    ``per_region`` is described by image only and not tested.
    """

    name: str
    label: str
    unit: str
    meaning: str
    place: bool = False
    per_region: bool = True

    @property
    def axis(self) -> str:
        """Label of an axis: name and unit."""
        return f"{self.label} ({SIGNS.get(self.unit, self.unit)})" if self.unit else self.label


@dataclass(frozen=True)
class Measured:
    """``images``: one row per image: group, class (a name), observed, longitude_deg, and one column per quantity.

    ``regions``: one row per region (index: group), in the class that most of its images have or, in a tie, the class
    seen first; each value is the median over the region's images of that class, so that a region counts once in all.
    ``several_classes`` regions were seen in more than one class; ``left_out`` of their images are of another class.
    """

    quantities: tuple[Quantity, ...]
    images: pd.DataFrame
    regions: pd.DataFrame
    several_classes: int
    left_out: int


def measure(corpus: Corpus, channels: Sequence[Channel]) -> Measured:
    """Measure every image of ``corpus``: position and time, its pixels, and every extra numeric column.

    A quantity that no image has is left out; an infinite value counts as missing.
    """
    rows = corpus.rows
    columns: dict[str, Any] = {}
    quantities = []
    for quantity, values in (*_positions(rows), *_pixels(corpus, channels), *_extras(rows)):
        known = np.where(np.isfinite(values), values, np.nan)
        if not np.isnan(known).all():
            quantities.append(quantity)
            columns[quantity.name] = known
    fixed = {
        "group": rows["group"].to_numpy(),
        "class": np.asarray(corpus.classes, dtype=object)[rows["label"].to_numpy()],
        "observed": rows["observed"],
        "longitude_deg": rows["longitude_deg"].to_numpy(dtype=float),
    }
    images = pd.DataFrame(fixed | columns)
    home = home_classes(images)
    own = images[images["class"] == images["group"].map(home)]
    regions = own.groupby("group", sort=True)[["longitude_deg", *columns]].median()
    regions.insert(0, "class", home)
    regions.insert(1, "observed", own.groupby("group")["observed"].median())
    several = int((images.groupby("group")["class"].nunique() > 1).sum())
    return Measured(tuple(quantities), images, regions, several, len(images) - len(own))


def home_classes(images: pd.DataFrame) -> pd.Series:
    """Group -> the class of most of its images; a tie goes to the class that was seen first."""
    seen = images.groupby(["group", "class"], as_index=False).agg(n=("class", "size"), first=("observed", "min"))
    seen = seen.sort_values(["group", "n", "first", "class"], ascending=[True, False, True, True])
    return seen.drop_duplicates("group").set_index("group")["class"]


Column = tuple[Quantity, NDArray[np.float64]]


def _positions(rows: pd.DataFrame) -> Iterator[Column]:
    lat, lon = BY_NAME["latitude_deg"], BY_NAME["longitude_deg"]
    latitude, longitude = (rows[column.name].to_numpy(dtype=float) for column in (lat, lon))
    # Quiet positions of one image lie in both hemispheres: their median latitude would be one that nobody saw.
    yield Quantity(lat.name, "latitude", lat.unit, lat.meaning, place=True, per_region=False), latitude
    label, meaning = "distance from the equator", "absolute value of the latitude"
    yield Quantity("equator_distance_deg", label, lat.unit, meaning, place=True), np.abs(latitude)
    label, meaning = "distance from the central meridian", "absolute value of the longitude"
    yield Quantity("meridian_distance_deg", label, lon.unit, meaning, place=True), np.abs(longitude)
    time = rows["observed"].dt
    year_begins = pd.to_datetime(time.year.astype(str) + "-01-01", utc=True)
    length = np.where(time.is_leap_year, 366.0, 365.0)
    year = time.year + (rows["observed"] - year_begins) / pd.Timedelta(days=1) / length
    meaning = "decimal year of the observation, UTC"
    yield Quantity("year", "time of observation", "year", meaning, place=True), year.to_numpy(dtype=float)


def _pixels(corpus: Corpus, channels: Sequence[Channel]) -> Iterator[Column]:
    """Brightness or field in each channel, from the pixels the network sees, decoded to the channel's unit."""
    size, side = corpus.facts.view.size_px, corpus.facts.view.cutout_arcsec
    flux_side = [side if channel.signed and channel.unit == "G" else None for channel in channels]
    levels = [np.abs(channel.levels) if channel.signed else channel.levels for channel in channels]
    missing = np.zeros(len(corpus.rows))
    found = np.full((len(channels), len(corpus.rows)), np.nan)
    for i, (png, header) in enumerate(zip(corpus.pictures, corpus.rows["header"], strict=True)):
        for k, codes in enumerate(layers(png)):
            values = levels[k][codes].astype(np.float64)
            known = np.isfinite(values)
            missing[i] += (1 - known.mean()) / len(channels)
            if known.any():
                wide = flux_side[k]
                area = pixel_area_cm2(wide / size, header) if wide else 1.0
                found[k, i] = values[known].sum() * area if wide else values[known].mean()
    for k, channel in enumerate(channels):
        # Three magnetograms would otherwise share one name.
        which = f"_{channel.name}" if len(channels) > 1 else ""
        of = f" ({channel.title})" if which else ""
        unit, title = channel.unit, channel.title
        if flux_side[k]:
            meaning = (
                f"sum of |B| times pixel area over the whole cutout ({side:g} arcsec wide), {title}: as seen, without "
                "a threshold, not corrected for foreshortening; noise adds to it"
            )
            yield Quantity(f"unsigned_flux_mx{which}", f"total unsigned flux{of}", "Mx", meaning), found[k]
        elif channel.signed:
            label = "mean unsigned field" if unit == "G" else "mean unsigned value"
            yield Quantity(f"mean_unsigned{which}", label + of, unit, f"mean of |value|, {title}"), found[k]
        else:
            yield Quantity(f"brightness{which}", f"mean brightness{of}", unit, f"mean, {title}"), found[k]
    if missing.any():
        meaning = "share of the image's pixels that hold no value: beyond the frame, or not a number"
        yield Quantity("missing_share", "missing pixels", "share", meaning), missing


def pixel_area_cm2(arcsec_per_px: float, header: str) -> float:
    """Area of a pixel on the Sun seen face on, at the header's distance DSUN_OBS (metres) or, without it, 1 au."""
    entries: Mapping[str, Any] = json.loads(header) if header else {}
    # With several channels there is one header for each.
    said = [entries, *(of for of in entries.values() if isinstance(of, dict))]
    distance = next((of["DSUN_OBS"] for of in said if "DSUN_OBS" in of), None)
    metres = float(distance) if isinstance(distance, int | float) and distance > 0 else ASTRONOMICAL_UNIT_M
    return float((arcsec_per_px * ARCSEC * metres * 100) ** 2)


def _extras(rows: pd.DataFrame) -> Iterator[Column]:
    """Numbers that the reader gave beyond what the study asks for, such as a group's area and number of spots."""
    for name in rows.columns:
        column = rows[name]
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if name not in NOT_QUANTITIES and number:
            values = column.to_numpy(dtype=float, na_value=np.nan)
            yield Quantity(str(name), str(name), "", "a column of the workbook, unchanged"), values
    given = pd.DataFrame([json.loads(text) if text else {} for text in rows.get("extra", pd.Series(dtype=str))])
    for name in given.columns:
        numbers = pd.to_numeric(given[name], errors="coerce")
        if numbers.notna().any() and numbers.notna().sum() == given[name].notna().sum():
            yield (
                Quantity(str(name), str(name), "", "as the source of the rows gives it"),
                numbers.to_numpy(dtype=float),
            )
