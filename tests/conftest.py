"""What several tests share: where the real data lies, and an environment that asks nobody outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
# On a busy machine, threads that spin while they wait take the time of those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real data is not here: ../shared/data is absent (it is not part of the repository)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The folder of pretrained weights; skips where it is absent."""
    if not (SHARED / "weights").is_dir():
        pytest.skip("pretrained weights are not here: ../shared/weights is absent (it is not part of the repository)")
    return SHARED / "weights"


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of simulated observations: 40 regions, their FITS files and their workbook. Do not write into it."""
    from sdovis.sun.simulate import simulate

    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, regions=40, seed=3, progress=False)
    return folder


STUDY = """
[study]
name = "small"
simulated = true
[source]
root = "data"
workbook = "SDO_Simulated_Active_Regions.xlsx"
images = "images"
[source.columns]
image = "Image"
observed = "Observed (UTC)"
noaa_ar = "NOAA AR"
label = "Mount Wilson"
latitude_deg = "Latitude (deg)"
longitude_deg = "Longitude (deg)"
[images]
channel = "hmi-magnetogram"
size_px = 96
max_longitude_deg = 60.0
[labels]
scheme = "mount-wilson-3"
[split]
gap_days = 14.0
validation = 0.2
test = 0.25
[backbone.config]
model_type = "vit"
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
patch_size = 16
[training]
num_train_epochs = 2
per_device_train_batch_size = 16
learning_rate = 1e-3
[evaluation]
bootstrap_samples = 200
"""


@pytest.fixture
def small_study(simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file beside its own copy of the simulated data, in a working directory of its own."""
    shutil.copytree(simulated, tmp_path / "data")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "study.toml"
