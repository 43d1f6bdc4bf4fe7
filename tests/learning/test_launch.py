"""What accelerate's launcher is given: every file in examples/accelerate, and what a training makes of it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.learning.arguments import sharding, training_arguments
from studies import ROOT, STUDY

CONFIGS = sorted((ROOT / "examples" / "accelerate").glob("*.yaml"))
TRAINING = {"num_train_epochs": 1, "disable_tqdm": True, "use_cpu": True}


def _launched(config: Path) -> tuple[argparse.Namespace, dict[str, str]]:
    """What accelerate's launcher makes of a file: its arguments, and the environment it gives to the processes."""
    from accelerate.commands import launch
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    given = ["--config_file", str(config), "--main_process_port", "0", "-m", "sdovis", "train", "study.toml"]
    arguments, *_ = launch._validate_launch_command(launch.launch_command_parser().parse_args(given))
    if arguments.use_deepspeed:
        arguments.deepspeed_fields_from_accelerate_config = ""
        return arguments, prepare_deepspeed_cmd_env(arguments)[1]
    return arguments, prepare_multi_gpu_env(arguments)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_takes_every_configuration_and_its_header_says_how_to_launch_it_and_whether_it_is_tested(
    config: Path,
) -> None:
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    loaded = load_config_from_file(str(config))
    assert isinstance(loaded, ClusterConfig) and loaded.num_machines == 1
    head = " ".join(line.lstrip("# ") for line in config.read_text().split("compute_environment")[0].split("\n"))
    assert f"accelerate launch --config_file examples/accelerate/{config.name} -m sdovis train STUDY.toml" in head
    assert "tested" in head.lower()
    arguments, environment = _launched(config)
    assert arguments.num_processes == loaded.num_processes >= 2
    assert arguments.multi_gpu or arguments.use_fsdp or arguments.use_deepspeed, "else it starts one process"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no", "the study sets the precision"


def test_each_way_to_scale_has_its_configuration() -> None:
    assert [config.stem for config in CONFIGS] == ["ddp_cpu", "ddp_gpu", "deepspeed_zero2", "fsdp"]
    assert {c.stem: c.read_text().split("distributed_type: ")[1].split("\n")[0] for c in CONFIGS} == {
        "ddp_cpu": "MULTI_GPU", "ddp_gpu": "MULTI_GPU", "deepspeed_zero2": "DEEPSPEED", "fsdp": "FSDP",
    }  # fmt: skip


@pytest.fixture
def under(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Be a process that was launched with a configuration; ``change`` is laid over its environment."""

    def launched(name: str, **change: str) -> None:
        _, environment = _launched(ROOT / "examples" / "accelerate" / f"{name}.yaml")
        for key in environment.keys() - os.environ.keys():
            monkeypatch.setenv(key, environment[key])
        for key, value in change.items():
            monkeypatch.setenv(key, value)

    return launched


@pytest.mark.parametrize(("name", "shards"), [("ddp_cpu", None), ("fsdp", "FSDP"), ("deepspeed_zero2", "DEEPSPEED")])
def test_what_shards_is_told_from_the_environment(under: Any, name: str, shards: str | None) -> None:
    under(name)
    assert sharding() == shards


def _refusal(**training: Any) -> str:
    with pytest.raises(BadInput) as raised:
        training_arguments(tiny.study(training=TRAINING | training), Path("nowhere"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_sharding_where_accelerate_would_silently_do_without_it_is_refused(under: Any) -> None:
    under("fsdp")
    assert (
        "asks for FSDP, but accelerate shards only on GPUs; launch with examples/accelerate/ddp_cpu.yaml" in _refusal()
    )


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("fsdp", {"FSDP_VERSION": "1"}, "FSDP_VERSION to 1; set it to 2"),
        ("fsdp", {"FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}, "to SHARDED_STATE_DICT; set it to FULL_STATE_DICT"),
        ("fsdp", {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}, "FSDP_CPU_RAM_EFFICIENT_LOADING to true; set it to false"),
        ("deepspeed_zero2", {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "ZERO_STAGE to 3; set it to 1 or 2"),
    ],
)
def test_sharding_that_would_not_save_whole_tensors_is_refused(
    under: Any, name: str, change: dict[str, str], told: str
) -> None:
    under(name, **change)
    assert told in _refusal()


def test_sharding_is_the_launchers_to_set_and_not_the_studys() -> None:
    assert "training.fsdp must be set by the launcher; remove it" in _refusal(fsdp=True)


def test_deepspeed_that_is_not_installed_is_one_line(under: Any) -> None:
    from transformers.integrations.deepspeed import is_deepspeed_available

    if is_deepspeed_available():
        pytest.skip("DeepSpeed is installed")
    under("deepspeed_zero2", LOCAL_RANK="0", RANK="0", WORLD_SIZE="1")
    assert "DeepSpeed is not available" in _refusal(use_cpu=False)


def _launch(folder: Path, *command: str) -> str:
    config = ROOT / "examples" / "accelerate" / "ddp_cpu.yaml"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config), *command]
    # kill -9 on the launcher would leave the workers running: they get a process group of their own.
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(launch, cwd=folder, stdout=output, stderr=output, start_new_session=True)
        try:
            code = process.wait(timeout=150)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    text = (folder / "output").read_text()
    assert code == 0, text[-4000:]
    return text


def test_a_study_of_two_seeds_is_trained_by_two_processes_that_accelerate_launches(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(simulated)
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    assert run_command(["prepare", "study.toml"]) == 0
    train = ("-m", "sdovis", "train", "study.toml", "--seeds", "2", "--set", "training.use_cpu=true")
    said = _launch(tmp_path, *train)
    assert said.count("2 seeds;") == 1, "one process speaks"
    record = json.loads((tmp_path / "runs/small/training/training.json").read_text())
    assert record["processes"] == 2 and set(record["seeds"]["validation"]) == {"0", "1"}
    # Stopped before the chosen seed's model was put in its place: both processes find all seeds trained.
    shutil.rmtree(tmp_path / "runs/small/model")
    _launch(tmp_path, *train)
    again = json.loads((tmp_path / "runs/small/training/training.json").read_text())
    assert again == record and (tmp_path / "runs/small/model/model.safetensors").is_file()


#: Each process says whose work it got, before anything that starts the processes' group, and how it left the group:
#: what was registered first runs last at exit.
_ON_MAIN = """
import atexit, os, sys
from pathlib import Path

import torch

rank = Path(sys.argv[1] + os.environ["RANK"])
atexit.register(lambda: rank.with_suffix(".left").write_text(str(not torch.distributed.is_initialized())))
from sdovis.learning.training import on_main

rank.write_text(str(on_main(os.getpid)))
assert torch.distributed.is_initialized()
"""


def test_the_main_process_works_for_all_before_anything_was_trained_and_all_leave_the_group(tmp_path: Path) -> None:
    _launch(tmp_path, "--no_python", sys.executable, "-c", _ON_MAIN, f"{tmp_path}/rank-")
    first, second = ((tmp_path / f"rank-{rank}").read_text() for rank in (0, 1))
    assert first == second
    # A process whose group lives on when the interpreter goes ends with SIGABRT now and then.
    assert [(tmp_path / f"rank-{rank}.left").read_text() for rank in (0, 1)] == ["True", "True"]
