"""On a GPU: what the other tests of learning show on a CPU. `benchmarks/gpu.py` runs these too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from sdovis.corpus.build import Corpus
from sdovis.learning import augment

pytestmark = pytest.mark.gpu

AUGMENTATIONS = frozenset({"flip_ns", "flip_ew", "rotate90", "rotate_any", "polarity"})
BASE: dict[str, Any] = {
    "num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True, "save_steps": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _on_a_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")


def _trained(corpus: Corpus, folder: Path, method: dict[str, Any] | None = None, **training: Any) -> Any:
    study = tiny.study(training=BASE | training, method={"keep": "last"} | (method or {}))
    return tiny.train(study, corpus, folder, augmentations=AUGMENTATIONS)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_training_in_mixed_precision_runs_on_the_gpu_and_saves_fp32(
    corpus: Corpus, tmp_path: Path, precision: str
) -> None:
    import torch
    from sdovis.learning import backbones

    record = _trained(corpus, tmp_path, **{precision: True})
    assert record.hardware["device"] == torch.cuda.get_device_name() and record.precision == precision
    model = backbones.reload(tmp_path / "model")
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("trainable", ["head", "lora", "head-then-all"])
def test_every_method_runs_on_the_gpu(corpus: Corpus, tmp_path: Path, trainable: str) -> None:
    assert np.isfinite(_trained(corpus, tmp_path, {"trainable": trainable}, bf16=True).curves[0]["loss"])


def test_a_compiled_training_runs_on_the_gpu(corpus: Corpus, tmp_path: Path) -> None:
    assert np.isfinite(_trained(corpus, tmp_path, {"compile": True}, bf16=True).curves[0]["loss"])


def test_with_deterministic_algorithms_a_training_from_a_checkpoint_ends_with_the_same_weights(
    corpus: Corpus, tmp_path: Path
) -> None:
    import shutil

    import torch

    try:
        whole = _trained(corpus, tmp_path / "whole", full_determinism=True, save_total_limit=9)
        resumed = tmp_path / "resumed" / "training"
        shutil.copytree(
            tmp_path / "whole/training/checkpoints/checkpoint-10", resumed / "checkpoints" / "checkpoint-10"
        )
        shutil.copy(tmp_path / "whole/training/begun.json", resumed)
        again = _trained(corpus, tmp_path / "resumed", full_determinism=True, save_total_limit=9)
    finally:
        torch.use_deterministic_algorithms(False)
        for name in ("CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"):
            os.environ.pop(name, None)
    assert again.resumed_from == 10 < again.steps
    assert again.weights_sha256 == whole.weights_sha256


def test_augmentation_on_the_gpu_is_that_on_the_cpu(corpus: Corpus) -> None:
    import torch

    codes = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (12, 32, 32), dtype=np.uint8))
    names = augment.ordered(AUGMENTATIONS - {"rotate_any"})  # which interpolates
    draws = augment.drawn(names, seed=5, epoch=1, indices=range(12))
    here, there = (augment.augmented(codes.to(device), names, draws, (True,)).cpu() for device in ("cpu", "cuda"))
    assert torch.equal(here, there)


def test_probabilities_on_the_gpu_are_those_on_the_cpu(corpus: Corpus, tmp_path: Path) -> None:
    import torch
    from sdovis import inference
    from sdovis.learning import backbones, loader

    _trained(corpus, tmp_path, bf16=True)
    images = corpus.pictures_of("test")
    model, processor = backbones.reload(tmp_path / "model"), backbones.load_processor(tmp_path / "model")
    codes = torch.from_numpy(loader.decode(images, processor))
    with torch.inference_mode():
        expected = torch.softmax(model(loader.normalised(codes, loader.table(processor))).logits, dim=1).numpy()
    found = inference.probabilities(tmp_path / "model", images, progress=False)
    assert np.abs(found - expected).max() < 1e-5
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
