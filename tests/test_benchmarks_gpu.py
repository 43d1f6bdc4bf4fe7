"""benchmarks/gpu.py: what travels is complete, parts run in turn until the time is used up, and none takes another along."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from studies import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import gpu
import gpu_kit
import gpu_parts
import gpu_watch
import gpu_wheels
from gpu_table import table

PART = """
import json, sys, time
from pathlib import Path
name, work = sys.argv[1], Path(sys.argv[2])
file = work / "parts" / f"{name}.json"
file.parent.mkdir(exist_ok=True)
file.write_text(json.dumps({"state": "running", "found": {"first": name}}))
if name == "fails":
    raise SystemExit("no such operator")
time.sleep(30 if name == "hangs" else 0)
file.write_text(json.dumps({"state": "running", "found": {"first": name, "second": name}}))
"""


def part(least_s: float = 0.0, most_s: float = 20.0) -> gpu_parts.Part:
    return gpu_parts.Part("a part", lambda kit, note: None, least_s, most_s)


def run(
    tmp_path: Path, parts: dict[str, gpu_parts.Part], seconds: float = 60.0
) -> tuple[dict[str, Any], list[str], list[Any]]:
    said: list[str] = []
    told: list[Any] = []
    results = gpu.run_parts(
        parts,
        lambda name: [sys.executable, "-c", PART, name, str(tmp_path)],
        tmp_path,
        seconds=seconds,
        say=said.append,
        changed=lambda results: told.append(json.loads(json.dumps(results))),
    )
    return results, said, told


def test_a_part_that_fails_leaves_what_it_had_found_and_the_others(tmp_path: Path) -> None:
    results, _, told = run(tmp_path, {"one": part(), "fails": part(), "two": part()})
    assert [result["state"] for result in results.values()] == ["finished", "failed", "finished"]
    assert results["fails"]["why"].endswith("no such operator") and results["fails"]["found"] == {"first": "fails"}
    for name in ("one", "two"):
        saved = json.loads((tmp_path / "parts" / f"{name}.json").read_text())
        assert saved["state"] == "finished" and saved["found"] == {"first": name, "second": name}
    assert told[-1] == results


def test_a_part_that_hangs_is_stopped_with_all_it_started_and_keeps_what_it_had_found(tmp_path: Path) -> None:
    results, _, told = run(tmp_path, {"hangs": part(most_s=2.0), "one": part()})
    assert results["hangs"]["state"] == "stopped" and results["hangs"]["found"] == {"first": "hangs"}
    assert results["hangs"]["why"] == "it took longer than 2 s" and results["hangs"]["seconds"] < 10
    assert results["one"]["state"] == "finished"
    assert told[0]["hangs"] == {"title": "a part", "state": "running", "found": {"first": "hangs"}}, "told while it ran"


def test_when_the_time_is_used_up_the_rest_is_skipped_by_name(tmp_path: Path) -> None:
    results, said, _ = run(tmp_path, {"hangs": part(), "one": part(least_s=5.0), "two": part(least_s=9.0)}, seconds=3.0)
    assert [result["state"] for result in results.values()] == ["stopped", "skipped", "skipped"]
    assert results["one"]["why"] == "0 s were left, and it is not begun with less than 5"
    assert said[-1].startswith("two: skipped: 0 s were left")
    assert json.loads((tmp_path / "parts" / "two.json").read_text())["state"] == "skipped"


def test_the_parts_are_those_of_the_readme_in_its_order() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## On a GPU\n")[2].partition("\n## ")[0]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert [line[0].strip("|` ") for line in lines] == list(gpu_parts.PARTS)
    assert all(each.least_s < each.most_s for each in gpu_parts.PARTS.values())
    # What is skipped last is what is worth most: each part begun at the latest moment still has its least.
    assert sum(each.least_s for each in gpu_parts.PARTS.values()) < gpu.MINUTES * 60


def test_the_table_says_what_was_not_run_and_gives_no_figures_of_it() -> None:
    versions = dict.fromkeys(("torch", "transformers", "accelerate"), "1")
    report: dict[str, Any] = {
        "machine": {"device": "A card", "python": "3.12.3", "versions": versions},
        "rehearsal": False,
        "seconds": 400.0,
        "parts": {
            "a": {
                "title": "speed", "state": "stopped", "why": "it took longer than 210 s",
                "found": {
                    "floor, bf16": {"images_per_second": 1000.0, "flop_per_image": 1e11, "matmul_flop_per_s": 5e14},
                    "sdovis, bf16": {"images_per_second": 900.0, "peak_allocated_mib": 12000.0},
                    "floor, bf16, compiled": {"images_per_second": 1200.0, "flop_per_image": 1e11, "matmul_flop_per_s": 5e14},
                    "sdovis, bf16, compiled": {"images_per_second": 1150.0},
                    "example": {"images_per_second": 300.0},
                },
            },
            "b": {"title": "killed", "state": "skipped", "why": "3 s were left", "found": {}},
        },
    }  # fmt: skip
    told = table(report)
    assert told.startswith("A card, Python 3.12.3, torch 1")
    assert "| a | sdovis, bf16: share of the bare step, bf16 |  | **0.90** |" in told
    assert "| a | sdovis, bf16: share of the bare step, bf16, compiled |  | **0.75** |" in told
    assert "| a | sdovis, bf16, compiled: share of the bare step, bf16, compiled | 0.95 | **0.96** |" in told
    assert "| a | sdovis, bf16: share of the rate of a large matrix product |  | 18% |" in told
    assert "| a | sdovis, bf16, compiled: times the example | 3 | **3.8** |" in told
    assert "| a | speed | | **stopped**: it took longer than 210 s |" in told
    assert "| b | killed | | **skipped**: 3 s were left |" in told and told.count("\n| b ") == 1
    assert table(report | {"rehearsal": True}).startswith("A REHEARSAL on a CPU")


def test_what_a_gpu_does_while_the_host_fetches_is_told_from_what_it_does_not() -> None:
    # Busy from 2 to 5, in two kernels that overlap, and from 7 to 9; fetched from 0 to 3 and from 6 to 6.5.
    shares = gpu_watch.idle_shares([(2, 4), (3, 5), (7, 9)], [(0, 3), (6, 6.5)], (0, 10))
    assert shares == pytest.approx({"idle": 0.5, "idle_while_fetching": 0.25})
    assert gpu_watch.idle_shares([(-1, 11)], [(0, 3)], (0, 10)) == {"idle": 0, "idle_while_fetching": 0}
    assert gpu_watch.idle_shares([], [(4, 6)], (0, 10)) == pytest.approx({"idle": 1, "idle_while_fetching": 0.2})


def test_tensors_are_compared_bit_for_bit_and_the_worst_is_told() -> None:
    import torch
    from gpu_checks import apart

    one = {"a": torch.tensor([3.0, -4.0]), "b": torch.zeros(3)}
    assert apart(one, {name: tensor.clone() for name, tensor in one.items()})["differ"] == 0
    other = {"a": torch.tensor([3.0, -3.5]), "b": torch.zeros(3)}
    assert apart(one, other) == {"tensors": 2, "differ": 1, "largest": 0.5, "relative": 0.1}
    with pytest.raises(gpu_kit.Failed, match="different tensors"):
        apart(one, {"a": one["a"]})


def test_a_table_of_steps_that_is_being_written_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "steps.csv"
    assert gpu_kit.last_step(file) == 0
    file.write_text("session,step,seconds\n")
    assert gpu_kit.last_step(file) == 0
    file.write_text("session,step,seconds\n1,1,0.2\n1,12,0.2\n1,1")
    assert gpu_kit.last_step(file) == 12


def test_a_process_is_killed_at_a_step_and_one_that_is_over_by_then_is_a_failure(tmp_path: Path) -> None:
    code = "import time; open('steps.csv', 'w').write('session,step,seconds\\n1,4,0.1\\n'); time.sleep({})"
    kill = (tmp_path / "steps.csv", 4)
    command = [sys.executable, "-c", code.format(60)]
    assert gpu_kit.ran(command, tmp_path / "log.txt", within=tmp_path, kill=kill) < 30
    with pytest.raises(gpu_kit.Failed, match="ended before it could be killed"):
        gpu_kit.ran([sys.executable, "-c", ""], tmp_path / "log.txt", within=tmp_path, kill=(tmp_path / "none", 4))


# What travels.


def test_the_list_of_wheels_is_complete_by_the_metadata_of_all_that_sdovis_needs() -> None:
    machine, wheels = gpu_wheels.machine(), gpu_wheels.wheels()
    needed = gpu_wheels.needed()
    lacking = {
        name: str(asked)
        for name, asked in needed.items()
        if not (
            asked.contains(wheels[name], prereleases=True)
            if name in wheels
            else name in machine and (machine[name] is None or asked.contains(str(machine[name])))
        )
    }
    assert not lacking
    assert not wheels.keys() - needed.keys(), "carried for nothing"
    assert "torch" not in wheels, "the machine's own torch is the one for its card"
    # Those that are left out are needed, but for the parts of gpu.py, which a rehearsal shows.
    assert gpu_wheels.LEFT_OUT.keys() <= gpu_wheels.needed(left_out={}).keys()


def test_a_wheel_that_is_not_on_the_list_would_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = gpu_wheels.listed
    less = lambda file: {name: version for name, version in listed(file).items() if name != "tomlkit"}  # noqa: E731
    monkeypatch.setattr(
        gpu_wheels, "listed", lambda file: less(file) if file.name == "gpu_wheels.txt" else listed(file)
    )
    with pytest.raises(AssertionError, match="tomlkit"):
        test_the_list_of_wheels_is_complete_by_the_metadata_of_all_that_sdovis_needs()


def test_in_a_rehearsal_nothing_is_found_that_would_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    absent = gpu_wheels.absent()
    assert "gradio" in absent and "reproject" in absent
    assert not {"torch", "datasets", "sunpy", "sdovis", "numpy", "pytest"} & set(absent)
    code = "from importlib.util import find_spec; print(find_spec('gradio'), find_spec('sunpy') is None)"
    monkeypatch.setenv("GPU_ABSENT", ",".join(absent))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "benchmarks" / "gpu_bare"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


def test_every_wheel_that_was_packed_is_on_the_list_and_for_that_machine() -> None:
    folder = ROOT / "build" / "gpu" / "wheels"
    if not folder.is_dir():
        pytest.skip("benchmarks/gpu_pack.sh has made no bundle here")
    packed = {}
    for file in folder.glob("*.whl"):
        name, version, *_, python, abi, platform = file.stem.split("-")
        packed[canonicalize_name(name)] = version
        assert python in ("py3", "py2.py3", "py312", "cp312") or abi in ("abi3", "none"), file.name
        assert platform == "any" or "x86_64" in platform, file.name
    assert packed.pop("sdovis")
    assert packed == gpu_wheels.wheels()


def test_one_that_has_no_bundle_is_told_how_to_make_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path), "--bundle", str(tmp_path)])
    assert "is no bundle: run benchmarks/gpu_pack.sh" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path), "--only", "a,z"])
    assert "there is no part z" in capsys.readouterr().err
