"""Small corpora with known numbers, made in memory, and timings written as the stages write them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from crafted_facts import corpus_facts
from PIL import Image
from sdovis import manifests
from sdovis.channels.channel import ChannelFacts
from sdovis.corpus.build import Corpus
from sdovis.manifests import Manifest
from sdovis.study import Study

CLASSES = ("alpha", "beta", "complex")
CHANNELS = {"aia-211-browse": ("grey level", "sdoaia211", False), "hmi-magnetogram": ("G", "hmimag", True)}


def study(**evaluation: Any) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "crafted", "title": "=1+1"},
            "source": {"workbook": "book.xlsx"},
            "images": {"channel": "aia-211-browse"},
            "backbone": {"config": {"model_type": "vit"}},
            "evaluation": evaluation,
        }
    )


def png(codes: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(codes, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def row(group: str, label: int, day: float, code: int = 100, **changes: Any) -> dict[str, Any]:
    """A row of a corpus: an image of 8 px all of one code, seen ``day`` days after 2011-01-01."""
    return {
        "id": f"{group}-{day:g}",
        "image": png(np.full((8, 8), code)),
        "label": label,
        "noaa_ar": int(group[2:]) if group.startswith("ar") else None,
        "observed": pd.Timestamp("2011-01-01", tz="UTC") + pd.Timedelta(days=day),
        "group": group,
        "frame": f"f{day:g}",
        "latitude_deg": 15.0,
        "longitude_deg": -20.0,
        "x_px": 3.5,
        "y_px": 3.5,
        "source_row": 7,
        "header": "{}",
        "split": "train",
    } | changes


def corpus(rows: Iterable[Mapping[str, Any]], *, channel: str = "aia-211-browse", **facts: Any) -> Corpus:
    """A corpus of these rows that was never written to disk."""
    unit, colormap, signed = CHANNELS[channel]
    told = ChannelFacts(channel, "1", channel, unit, signed, not signed, "Crafted.", colormap)
    crafted = {"classes": dict.fromkeys(CLASSES, "A class."), "size_px": 8, "rejects": 2}
    known = corpus_facts(**{**crafted, "channels": (told,), "rejects_by_reason": {"no class": 2}} | facts)
    table = pd.DataFrame([dict(r) for r in rows])
    pictures = table.pop("image").tolist()
    made = Manifest("prepare", {}, {"data": str(len(table))})
    return Corpus(Path(), tuple(known.classes), table, pictures, known, made)


def three_classes(seed: int = 0, regions: int = 8, images: int = 3) -> list[dict[str, Any]]:
    """Regions of three classes with brightness rising from class to class, each seen on ``images`` days."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in range(3):
        for region in range(regions):
            part = ("train", "validation", "test")[region % 3]
            for image in range(images):
                code = int(60 + 40 * label + rng.integers(0, 30))
                place = {"latitude_deg": float(rng.normal(0, 18)), "longitude_deg": float(rng.uniform(-60, 60))}
                day = 40.0 * region + image
                rows.append(row(f"ar{11000 + 100 * label + region}", label, day, code, split=part, **place))
    return rows


def scores_folder(folder: Path, seconds: Mapping[str, float]) -> Path:
    """A finished scores folder that holds latencies only."""
    with manifests.whole(folder, stage="evaluate", made_from={}) as beside:
        table = pd.DataFrame({"id": list(seconds), "seconds": list(seconds.values())})
        table.to_parquet(beside / "latency.parquet")
    return folder


def training_folder(folder: Path, lines: str) -> Path:
    folder.mkdir()
    (folder / "steps.csv").write_text("session,step,seconds\n" + lines)
    return folder


def strict_json(path: Path) -> Any:
    """The file's contents; NaN and Infinity, which are no JSON, are an error."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
