"""A corpus of 32 px and networks that train in a second: what the tests of learning and of inference share."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sdovis import manifests
from sdovis.statistics.tabular import TableColumn
from sdovis.study import Study

sys.path.append(str(Path(__file__).resolve().parents[1]))  # also in the processes that the tests start

from crafted_facts import corpus_facts

CLASSES = ("alpha", "beta", "complex")
SIZE = 32
BACKBONES: dict[str, dict[str, Any]] = {
    "vit": {
        "model_type": "vit", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "patch_size": 8, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    },
    "dinov2": {
        "model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
        "patch_size": 8, "hidden_dropout_prob": 0.1,
    },
}  # fmt: skip


def picture(label: int, rng: np.random.Generator) -> np.ndarray:
    """Noise around 128 (0 G) and ``label`` bipoles somewhere: flips and reversed polarity keep the class."""
    codes = rng.normal(128, 8, (SIZE, SIZE))
    for _ in range(label):
        row, column = rng.integers(0, SIZE - 8, 2)
        codes[row : row + 8, column : column + 4] = 220
        codes[row : row + 8, column + 4 : column + 8] = 36
    return np.clip(codes, 1, 255).astype(np.uint8)


def _coloured(label: int, rng: np.random.Generator, colours: int) -> np.ndarray:
    grey = picture(label, rng)
    return grey if colours == 1 else np.stack([np.roll(grey, shift) for shift in range(colours)], axis=-1)


def png(codes: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "PNG")
    return file.getvalue()


#: What stands beside the images of a corpus that has such values.
TOLD = (
    TableColumn("area", "Area", "logarithm", 0.2, centre=3.0, scale=1.5, low=0.0, high=400.0, median=20.0),
    TableColumn("side", "Side", "category", 0.1, categories=("east", "west")),
)


def beside(labels: list[int], rng: np.random.Generator) -> dict[str, list[Any]]:
    """Columns of such values: an area that tells the class in part, sometimes missing, and a side that does not."""
    area = [None if rng.random() < 0.2 else float(rng.lognormal(2 + label, 0.5)) for label in labels]
    side = [[None, "east", "west"][int(rng.integers(3))] for _ in labels]
    return {"beside_area": area, "beside_side": side}


def write_corpus(
    folder: Path, train: int = 30, validation: int = 12, test: int = 9, colours: int = 1, *, told: bool = False
) -> Path:
    """A corpus folder as `sdovis prepare` leaves it; three colours are three channels of one region.

    ``told``: with values beside the images.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    with manifests.whole(folder, stage="prepare", made_from={"seed": "7", "told": str(told)}) as writing:
        (writing / "data").mkdir()
        rows_in_all, values = train + validation + test, TOLD if told else None
        corpus_facts(size_px=SIZE, rows=rows_in_all, beside=values).save(writing)
        for part, count in (("train", train), ("validation", validation), ("test", test)):
            labels = [i % 3 if i % 5 else 0 for i in range(count)]
            rows = {
                "id": [f"{part}-{i}" for i in range(count)],
                "image": [{"bytes": png(_coloured(label, rng, colours)), "path": None} for label in labels],
                "label": labels,
                "noaa_ar": [12000 + i for i in range(count)],
                "group": [f"AR {12000 + i}" for i in range(count)],
                **(beside(labels, rng) if told else {}),
            }
            pq.write_table(pa.table(rows), writing / "data" / f"{part}-00000-of-00001.parquet", row_group_size=7)
    return folder


def study(name: str = "tiny", kind: str = "vit", **sections: dict[str, Any]) -> Study:
    """A study of the tiny corpus; ``training={...}`` and the like are laid over the defaults."""
    data: dict[str, dict[str, Any]] = {
        "study": {"name": name, "seed": 5},
        "source": {"workbook": "regions.xlsx"},
        "images": {"channel": "hmi-magnetogram", "size_px": SIZE},
        "backbone": {"config": BACKBONES[kind]},
        "training": {
            "num_train_epochs": 3, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True,
        },
    }  # fmt: skip
    for section, values in sections.items():
        data[section] = (data.get(section, {}) if section != "backbone" else {}) | values
    return Study.model_validate(data)


def train(study: Study, corpus: Any, place: Path, *, restart: bool = False, **more: Any) -> Any:
    """Train on the tiny corpus into ``place``; ``more`` is laid over a plan without augmentations."""
    from sdovis.learning.plan import TrainingPlan
    from sdovis.learning.training import run

    plain: dict[str, Any] = {"augmentations": frozenset(), "signed": (True,), "about": {}, "made_from": {}}
    return run(TrainingPlan(study, corpus, place, **plain | more), restart=restart)
