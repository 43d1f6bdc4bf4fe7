"""`method.compile`: steps through torch.compile, and everything else as without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from pydantic import ValidationError
from safetensors import safe_open
from sdovis.errors import BadInput
from sdovis.learning.arguments import training_arguments

HERE = Path(__file__).parent
#: 30 images in batches of 4: the last of an epoch has 2, and torch makes a graph for each of the two sizes.
STUDY: dict[str, Any] = {
    "training": {
        "num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "disable_tqdm": True,
        "save_steps": 5,
    },
    "method": {"compile": True, "keep": "last"},
    "backbone": {"config": tiny.BACKBONES["vit"] | {"num_hidden_layers": 1}},
}  # fmt: skip
#: Counts the graphs that are made while the training that follows runs, in FOLDER/graphs.json.
COUNTED = """
import json, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import sessions, torch
torch.set_num_threads(1)
job = json.loads(sys.argv[1])
record = sessions.run(job)
from torch._dynamo.utils import counters
Path(job["folder"], "graphs.json").write_text(json.dumps(counters["stats"].get("unique_graphs", 0)))
end = sessions.ending(Path(job["folder"]))
Path(job["folder"], "end.json").write_text(json.dumps(end))
"""


def _trained(corpus: Path, folder: Path, kill: list[Any] | None = None, **method: Any) -> int:
    """A training in a process of its own, as `sdovis train` is; its exit status."""
    job = {
        "corpus": str(corpus),
        "folder": str(folder),
        "kill": kill,
        "study": STUDY | {"method": STUDY["method"] | method},
    }
    command = [sys.executable, "-c", COUNTED.format(here=str(HERE)), json.dumps(job)]
    return subprocess.run(command, timeout=400).returncode


@pytest.fixture(scope="module")
def compiled(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("torch.compile needs a C++ compiler on a CPU, and there is none here")
    folder = tmp_path_factory.mktemp("compiled")
    assert _trained(corpus_folder, folder / "whole") == 0
    return folder


def test_a_compiled_training_saves_its_tensors_under_their_usual_names(
    compiled: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    assert _trained(corpus_folder, tmp_path, compile=False) == 0
    assert json.loads((compiled / "whole" / "graphs.json").read_text()) == 2
    assert json.loads((tmp_path / "graphs.json").read_text()) == 0

    def tensors(run: Path) -> dict[str, dict[str, Any]]:
        checkpoint = sorted((run / "training").rglob("checkpoint-*/model.safetensors"))[0]
        opened = {}
        for file in (run / "model" / "model.safetensors", checkpoint):
            with safe_open(file, "pt") as found:
                opened[file.parent.name] = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118
        return opened

    ours, plain = tensors(compiled / "whole"), tensors(tmp_path)
    assert {name: sorted(of) for name, of in ours.items()} == {name: sorted(of) for name, of in plain.items()}
    assert all(of[name].shape == plain[where][name].shape for where, of in ours.items() for name in of)
    assert json.loads((compiled / "whole/training/training.json").read_text())["method"]["compile"] is True


def test_a_compiled_training_that_was_killed_ends_as_if_it_had_not_been(compiled: Path, corpus_folder: Path) -> None:
    # After step 12: the one resumed from step 10 meets the epoch's last, smaller batch without having met it before.
    step = ["sdovis.learning.trainer:_Steps.on_step_end", "after", 12]
    assert _trained(corpus_folder, compiled / "killed", kill=step) == -9
    assert not (compiled / "killed" / "model").exists()
    assert _trained(corpus_folder, compiled / "killed") == 0
    whole, resumed = (json.loads((compiled / name / "end.json").read_text()) for name in ("whole", "killed"))
    assert resumed == whole
    record = json.loads((compiled / "killed/training/training.json").read_text())
    assert record["resumed_from"] == 10


def test_turning_it_on_in_the_middle_of_a_training_is_refused_by_name() -> None:
    from sdovis.learning.checkpoints import _changes

    off, on = (repr(tiny.study(method={"compile": choice}).method.compile) for choice in (False, True))
    assert list(_changes({"method.compile": off}, {"method.compile": on})) == ["method.compile: False -> True"]


def _refusal(**method: Any) -> str:
    with pytest.raises(BadInput) as raised:
        training_arguments(tiny.study(training={"disable_tqdm": True, "use_cpu": True}, method=method), Path("nowhere"))
    return str(raised.value)


def test_a_launcher_that_compiles_too_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    assert "the launcher asks for torch.compile (inductor); launch with --dynamo_backend no" in _refusal(compile=True)
    assert "set method.compile = true" in _refusal()


def test_without_a_compiler_it_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    assert "method.compile needs a C++ compiler, and there is none here; install g++" in _refusal(compile=True)
    monkeypatch.setenv("CXX", sys.executable)
    training_arguments(tiny.study(training={"use_cpu": True}, method={"compile": True}), tmp_path)


def test_what_is_sharded_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert "method.compile has never been tested with FSDP" in _refusal(compile=True)


@pytest.mark.parametrize("name", ["torch_compile", "torch_compile_backend", "torch_compile_mode"])
def test_transformers_own_way_to_compile_points_to_ours(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"training\.{name} is set by sdovis; set method.compile = true"):
        tiny.study(training={name: True})


def test_a_head_alone_is_not_compiled() -> None:
    with pytest.raises(ValidationError, match=r"compile has no effect: trainable = .head."):
        tiny.study(method={"trainable": "head", "compile": True})
