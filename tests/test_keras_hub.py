"""The snippet for JAX in docs/engines.md, as it is printed there. It needs keras-hub and jax: SDOVIS_KERAS=1 runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import saved_models
from sdovis.learning import backbones
from studies import ROOT

SHOWN = re.search(
    r"```python\n(import os, json.*?)```", (ROOT / "docs" / "engines.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.skipif(not os.environ.get("SDOVIS_KERAS"), reason="SDOVIS_KERAS=1 asks for it; it needs keras-hub and jax")
@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
def test_keras_hub_on_jax_gives_the_logits_of_torch(tmp_path: Path, epsilon: float) -> None:
    import torch

    model = saved_models.network("vit")
    model.config.layer_norm_eps = epsilon
    model.save_pretrained(tmp_path / "model")
    pixels = np.random.default_rng(0).normal(size=(4, 3, saved_models.SIZE, saved_models.SIZE)).astype(np.float32)
    with torch.inference_mode():
        told = backbones.reload(tmp_path / "model")(torch.from_numpy(pixels)).logits.numpy()
    np.save(tmp_path / "pixels.npy", pixels)
    assert SHOWN is not None
    code = SHOWN[1].replace("runs/simulated/model", str(tmp_path / "model"))
    code = f"import numpy\npixel_values = numpy.load({str(tmp_path / 'pixels.npy')!r})\n{code}"
    code += f"numpy.save({str(tmp_path / 'logits.npy')!r}, logits)\n"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
    assert np.abs(np.load(tmp_path / "logits.npy") - told).max() < 1e-3
