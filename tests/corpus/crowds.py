"""Random region-image graphs, and a check of a split that knows nothing of how it was made."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from sdovis.sun.rotation import synodic_rate

START = pd.Timestamp("2011-01-01", tz="UTC")
SIDE_DEG = 12.0
BITS = 4


def table(days, groups, frames, labels, **more) -> pd.DataFrame:
    observed = START + pd.to_timedelta(np.asarray(days, float), unit="D")
    return pd.DataFrame({"observed": observed, "group": groups, "frame": frames, "label": labels, **more})


def season(regions=60, per_region=4, seed=0, classes=("alpha", "beta", "complex")) -> pd.DataFrame:
    """Regions through three years, each seen on successive days, classes at random."""
    rng = np.random.default_rng(seed)
    born = np.sort(rng.uniform(0, 1000, regions))
    days = (born[:, None] + np.arange(per_region)).ravel()
    groups = np.repeat([f"ar{i}" for i in range(regions)], per_region)
    labels = np.repeat(rng.choice(list(classes), regions), per_region)
    return table(days, groups, [f"f{i}" for i in range(len(days))], labels)


@st.composite
def crowds(draw) -> pd.DataFrame:
    """Several regions an image, several images a region, in any order; places, hashes and pixels that repeat."""
    n = draw(st.integers(3, 70))
    regions = draw(st.sampled_from([1, 2, 5, 20, 60]))
    frames = draw(st.sampled_from([1, 3, 12, 60, 200]))
    classes = draw(st.sampled_from(["a", "ab", "abc"]))
    span = draw(st.sampled_from([0.0, 10.0, 200.0, 1500.0]))
    repeats = draw(st.sampled_from([0.0, 0.1, 0.5]))
    everywhere = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame = rng.integers(0, frames, n)
    group = rng.integers(0, regions, n)
    if everywhere:  # one region in every image
        group[np.unique(frame, return_index=True)[1]] = 0
    pool = rng.integers(0, 2**64, 6, dtype=np.uint64)
    codes = rng.integers(0, 2**64, n, dtype=np.uint64)
    copy = rng.random(n) < repeats
    codes[copy] = rng.choice(pool, copy.sum()) ^ (np.uint64(1) << rng.integers(0, 64, copy.sum()).astype(np.uint64))
    codes[rng.random(n) < repeats / 4] = 0  # blank
    pixels = np.where(rng.random(n) < repeats / 4, rng.integers(0, 3, n), 1000 + np.arange(n))
    known = rng.random(n) > 0.1
    return table(
        rng.uniform(0, span, frames)[frame],
        [f"ar{g}" for g in group],
        [f"f{f}" for f in frame],
        rng.choice(list(classes), n),
        id=[f"i{i}" for i in range(n)],
        noaa_ar=11000 + group,
        latitude_deg=np.where(known, rng.uniform(-40, 40, regions)[group], np.nan),
        longitude_deg=np.where(known, rng.uniform(-90, 90, n), np.nan),
        pixels_sha256=[f"p{p}" for p in pixels],
        perceptual_hash=[f"{code:016x}" for code in codes.tolist()],
        mean_code=np.where(rng.random(n) < 0.2, np.nan, rng.choice([100.0, 100.5, 150.0], n)),
    )


def what_crosses(rows: pd.DataFrame, part: np.ndarray, group: np.ndarray, side_deg=SIDE_DEG, bits=BITS) -> list[str]:
    """Everything that lies in two parts, found pair by pair."""
    kept = rows.assign(part=part, group=group)[part != ""]
    kept["day"] = (kept["observed"] - START) / pd.Timedelta(days=1)
    kept["code"] = [int(text, 16) for text in kept["perceptual_hash"]]
    kept["rate"] = [
        float(synodic_rate(latitude, time.floor("D").to_pydatetime()))
        for latitude, time in zip(kept["latitude_deg"], kept["observed"], strict=True)
    ]
    found = []
    for a, b in itertools.combinations(kept.itertuples(), 2):
        if a.part == b.part:
            continue
        found += [
            f"{key} {getattr(a, key)}"
            for key in ("group", "frame", "pixels_sha256")
            if getattr(a, key) == getattr(b, key)
        ]
        if _alike(a, b, bits):
            found.append(f"near-duplicates {a.id}, {b.id}")
        if _overlap(a, b, side_deg):
            found.append(f"overlap {a.id}, {b.id}")
    return found


def _alike(a, b, bits) -> bool:
    if (a.code ^ b.code).bit_count() > bits or min(a.code.bit_count(), b.code.bit_count()) < 24:
        return False
    return not abs(a.mean_code - b.mean_code) > 1


def _overlap(a, b, side_deg) -> bool:
    """Whether b's centre, turned with the Sun to a's time, lies within the side of a cutout; a hair apart is let off."""
    side = side_deg - 1e-6
    away = b.day - a.day
    if abs(away) > 14 or not abs(a.latitude_deg - b.latitude_deg) < side:
        return False
    apart = abs(a.longitude_deg + (a.rate + b.rate) / 2 * away - b.longitude_deg)
    return apart * min(math.cos(math.radians(row.latitude_deg)) for row in (a, b)) < side
