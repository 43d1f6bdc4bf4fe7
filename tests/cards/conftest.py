"""A finished run, small and made by the stages' own code; only the network is replaced by probabilities of ours."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sdovis import inference, manifests
from sdovis import study as studies
from sdovis.cards.facts import Facts, gather
from sdovis.corpus import build
from sdovis.corpus.catalog import REJECT_COLUMNS, Catalog
from sdovis.corpus.duplicates import perceptual_hash
from sdovis.corpus.observations import Sorted
from sdovis.corpus.shards import Looked, Shards
from sdovis.evaluation import scores
from sdovis.evaluation.elsewhere import REGION, TIME, Elsewhere, OtherSource
from sdovis.labels.schemes import MOUNT_WILSON_3
from sdovis.learning.training import TrainingRecord
from sdovis.study import Study

STUDY = """
[study]
name = "crafted"
title = "Mount Wilson classes, crafted"
description = "Three classes of crafted regions."
{simulated}
[source]
root = "."
workbook = "books/Regions.xlsx"
sheets = ["Active regions"]
licence = "cc0-1.0"
credit = "Crafted for the tests"
{columns}
[images]
channel = {channels}
size_px = 16
max_longitude_deg = 60.0
[labels]
scheme = "mount-wilson-3"
[split]
{split}
[backbone]
config = {{ model_type = "vit", hidden_size = 32 }}
[training]
num_train_epochs = 2
learning_rate = 1e-3
[evaluation]
bootstrap_samples = 200
[publish]
{publish}
"""
SPELLINGS = {"alpha": ["Alpha", "alpha", "A"], "beta": ["Beta", "BETA", "b"], "complex": ["Beta-Gamma", "BGD", "Delta"]}
REASONS = ["61.3 degrees from the central meridian, beyond 60", "the label is blank", "the cutout is blank"]
#: When the first region was seen.
FIRST = datetime(2011, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """A run folder and its study."""

    study: Study
    folder: Path

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a JSON file of the run; the sums of its folder then agree with it again."""
        path = self.folder / file
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")
        if path.name != manifests.NAME:
            self.reseal(path.parent.name)

    def reseal(self, name: str) -> None:
        """Make the manifest of a folder agree with what is in it."""
        folder = self.folder / name
        if not (folder / manifests.NAME).exists():
            return
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != manifests.NAME)
        sums = {p.relative_to(folder).as_posix(): manifests.sha256_file(p) for p in files}
        self.edit(f"{name}/{manifests.NAME}", lambda data: data.update(files=sums))

    def relink(self) -> None:
        """Let model and scores say that they were made from what is in the folders now."""
        corpus = manifests.read(self.folder / "corpus", made_by="prepare").digest
        self.edit("training/training.json", lambda data: data.update(corpus=corpus))
        self.edit("training/training.json", lambda data: data["made_from"].update(corpus=corpus))
        self.edit("model/manifest.json", lambda data: data["made_from"].update(corpus=corpus))
        model = manifests.read(self.folder / "model", made_by="train").digest
        self.edit("scores/manifest.json", lambda data: data["made_from"].update(corpus=corpus, model=model))


def rows(spellings: dict[str, list[str]], colours: int = 1, first: datetime = FIRST) -> list[dict[str, Any]]:
    """Sixty regions of three images each, five days apart, their classes in turn; grey, or in three colours."""
    rng = np.random.default_rng(7)
    found: list[dict[str, Any]] = []
    shape = (16, 16) if colours == 1 else (16, 16, colours)
    for region, image in np.ndindex(60, 3):
        label = MOUNT_WILSON_3.classes[region % 3]
        codes = rng.integers(0, 256, shape).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(codes).save(buffer, "PNG")
        frame = f"hmi_{region:03d}_{image}"
        found.append(
            {
                "id": f"{frame}-ar{11000 + region}",
                "image": buffer.getvalue(),
                "label": label,
                "noaa_ar": 11000 + region,
                "observed": first + timedelta(days=5 * region + image),
                "group": f"ar{11000 + region}",
                "frame": frame,
                "latitude_deg": float(rng.uniform(-30, 30)),
                "longitude_deg": float(rng.uniform(-60, 60)),
                "x_px": None,
                "y_px": None,
                "native_side_px": 16.0,
                "missing_share": 0.0,
                "masked_share": None,
                "mean_code": float(codes.mean()),
                "perceptual_hash": perceptual_hash(codes),
                "label_text": spellings[label][(region + image) % len(spellings[label])],
                "source_file": "Regions.xlsx",
                "source_sheet": "Active regions",
                "source_row": len(found) + 2,
                "image_file": f"{frame}.fits",
                "image_sha256": hashlib.sha256(frame.encode()).hexdigest(),
                "pixels_sha256": hashlib.sha256(codes.tobytes()).hexdigest(),
                "header": "{}",
                "extra": "",
                "simulated": False,
                "unit": "",
                "published_part": "",
                "beside": "",
            }
        )
    return found


def make(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    simulated: bool = False,
    channels: tuple[str, ...] = ("hmi-magnetogram",),
    split: str = "gap_days = 5.0",
    first: datetime = FIRST,
    publish: str = "",
    spellings: dict[str, list[str]] = SPELLINGS,
    reasons: list[str] = REASONS,
) -> Run:
    """A whole run in ``folder``: corpus, training, model and scores by the stages' own code."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.toml"
    columns = '[source.columns]\nimage = ["Image", "Image 2", "Image 3"]' if len(channels) > 1 else ""
    named = json.dumps(channels[0] if len(channels) == 1 else channels)
    told = "simulated = true" if simulated else ""
    text = STUDY.format(channels=named, columns=columns, publish=publish, simulated=told, split=split)
    file.write_text(text, encoding="utf-8")
    study = studies.load(file)
    rejects = pd.DataFrame(
        [["Regions.xlsx", "Active regions", 300 + i, "x.fits", "11999", "Beta", r, r] for i, r in enumerate(reasons)],
        columns=list(REJECT_COLUMNS),
    )

    def catalog(*_: Any, shards: Shards, **__: Any) -> Catalog:
        shards.write(0, [Looked("0" * 64, Sorted(rows(spellings, len(channels), first)))])
        return Catalog(shards.read(0)[1], rejects, MOUNT_WILSON_3)

    monkeypatch.setattr(build, "catalog", catalog)
    corpus = build.build(study, folder / "corpus", [], progress=False)
    _train(study, corpus, folder)
    monkeypatch.setattr(inference, "scored", lambda _, images, **__: inference.Scored(_guesses(corpus), None))
    monkeypatch.setattr(inference, "latency", lambda _, images, **__: np.linspace(0.010, 0.020, len(images)))
    # A logistic regression may differ in a decimal from machine to machine.
    monkeypatch.setattr(scores.baselines, "predictions", lambda corpus, *_, **__: _rivals(corpus))
    scores.evaluate(study, corpus, folder / "model", folder / "scores", progress=False)
    return Run(study, folder)


def _guesses(corpus: build.Corpus) -> np.ndarray:
    """Probabilities that lean to the truth, and are often wrong."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1, (len(corpus.rows), 3)) + 1.3 * np.eye(3)[corpus.rows["label"]]
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def _rivals(corpus: build.Corpus) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    guess = rng.integers(0, 3, len(corpus.rows))
    told = np.where(rng.uniform(size=len(guess)) < 0.4, corpus.rows["label"], guess)
    return pd.DataFrame({"id": corpus.rows["id"], "majority": 0, "raw-pixels": told, "absolute-field": guess})


def _train(study: Study, corpus: build.Corpus, folder: Path) -> None:
    made_from = {f"training.{k}": repr(v) for k, v in study.training.items()}
    made_from |= {f"method.{k}": repr(v) for k, v in study.method}
    made_from |= {"study.seed": "0", "backbone": study.backbone.model_dump_json(), "corpus": corpus.manifest.digest}
    config = {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "id2label": dict(enumerate(corpus.classes)),
        "sdovis": {"study": study.name},
    }
    processor = {"size": {"height": 16, "width": 16}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    with manifests.whole(folder / "model", stage="train", made_from=made_from) as beside:
        (beside / "config.json").write_text(json.dumps(config))
        (beside / "preprocessor_config.json").write_text(json.dumps(processor))
        (beside / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # no tensors
    record = TrainingRecord(
        study=study.name,
        made_from=made_from,
        corpus=corpus.manifest.digest,
        images={part: len(corpus.part(part)) for part in ("train", "validation")},
        seed=0,
        precision="no",
        processes=1,
        augmentations=("flip_ns", "polarity"),
        class_weights={"alpha": 0.9, "beta": 1.0, "complex": 1.1},
        arguments={"learning_rate": 0.001, "num_train_epochs": 2, "warmup_steps": 0.1, "fsdp": None},
        parameters=1_234_567,
        trainable_parameters=1_234_567,
        steps=40,
        epochs=2.0,
        kept_step=20,
        kept_by="balanced_accuracy",
        kept_score=0.6123,
        resumed_from=None,
        seconds=12.5,
        images_per_second=210.4,
        weights_sha256="0" * 64,
        hardware={"device": "cpu", "machine": "x86_64", "cores": 2, "threads": 2},
        versions={"torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.2"},
        curves=[
            {"step": 20, "epoch": 1.0, "loss": 1.05},
            {"step": 20, "epoch": 1.0, "eval_loss": 1.0, "eval_balanced_accuracy": 0.6123},
            {"step": 40, "epoch": 2.0, "loss": 0.8},
            {"step": 40, "epoch": 2.0, "eval_loss": 1.1, "eval_balanced_accuracy": 0.58},
        ],
        method=study.method.model_dump(mode="json"),
    )
    (folder / "training").mkdir()
    (folder / "training" / "training.json").write_text(json.dumps(asdict(record)))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; not to be changed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return make(tmp_path_factory.mktemp("runs") / "crafted", monkeypatch)


@pytest.fixture(scope="session")
def facts(finished: Run) -> Facts:
    """The facts of the finished run."""
    return gather(finished.study, finished.folder)


@pytest.fixture
def facts_elsewhere(facts: Facts) -> Facts:
    """The same with scores on two other sources: on the first the model is better than the best baseline."""
    scores, best = facts.scores, facts.headline.rival
    better = {name: replace(each, estimate=0.2, low=0.1, high=0.3) for name, each in scores.difference_to[best].items()}
    won = replace(scores, rows=90, difference_to=scores.difference_to | {best: better})
    later = OtherSource(
        "later", "Later years", 90, 31, "2013-01-02T00:00:00", "2014-05-31T12:00:00", {REGION: 12, TIME: 1}, 20, {},
        3, (), False, "cc0-1.0", "Crafted for the tests",
    )  # fmt: skip
    other = replace(later, name="sim", title="Simulated", dropped={}, shared_with_test=0, missing_classes=("complex",))
    lost = replace(
        scores, difference_to=scores.difference_to | {best: {n: replace(e, low=-0.1) for n, e in better.items()}}
    )
    return replace(facts, elsewhere=(Elsewhere(later, won), Elsewhere(replace(other, simulated=True), lost)))


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be changed at will."""
    folder = tmp_path / "crafted"
    shutil.copytree(finished.folder, folder)
    return Run(studies.load(folder / "study.toml"), folder)


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """`make` in a fresh folder."""
    return lambda **options: make(tmp_path / "made", monkeypatch, **options)
