"""benchmarks/train.py: what it measures of a process, and what it makes of that."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import pytest
from studies import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import processes
import train as benchmark

#: Five steps of 0.2 s after 0.5 s of start, 64 MB held and 8 MB written meanwhile.
WORK = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
folder.mkdir()
held = b"x" * (64 << 20)
with open(folder / "written", "wb") as file:
    file.write(os.urandom(8 << 20))
    os.fsync(file.fileno())
time.sleep(0.5)
(folder / "steps.csv").write_text("session,step,seconds\\n")
for step in range(1, 6):
    time.sleep(0.2)
    with open(folder / "steps.csv", "a") as file:
        file.write(f"1,{step},0.2\\n")
"""


def contestant(tmp_path: Path, code: str, name: str = "out") -> processes.Contestant:
    out = tmp_path / name
    return processes.Contestant([sys.executable, "-c", code, str(out)], out / "steps.csv", [out])


def test_a_process_is_timed_by_the_ends_of_its_steps(tmp_path):
    (found,) = processes.measured([contestant(tmp_path, WORK)], tmp_path, images_per_step=10)
    assert 25 < found.images_per_second < 51  # at most 10 images in 0.2 s; less on a machine that is busy
    assert 0.7 < found.first_step_s < found.seconds - 0.7
    assert found.peak_mib > 64
    assert 8 <= found.written_mib < 16


def test_neither_an_earlier_run_nor_a_heading_is_a_step(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "steps.csv").write_text("1,1,0.1\n1,2,0.1\n")
    heading = WORK[: WORK.index("for step")]
    (found,) = processes.measured([contestant(tmp_path, heading + "time.sleep(0.2)")], tmp_path, images_per_step=1)
    assert math.isnan(found.first_step_s)


def test_a_process_that_fails_stops_the_benchmark_with_its_last_words(tmp_path):
    with pytest.raises(SystemExit, match="no such optimizer"):
        processes.measured([contestant(tmp_path, "raise SystemExit('no such optimizer')")], tmp_path, images_per_step=1)


#: Steps of 0.1 s, or as many times longer as the second argument says, of a core's work each.
BUSY = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
folder.mkdir()
for step in range(1, 13):
    end = time.process_time() + 0.1 * {times}
    while time.process_time() < end:
        pass
    with open(folder / "steps.csv", "a") as file:
        file.write(f"{{step}}\\n")
(folder / "end").write_text(str(time.time()))
"""


def test_several_take_turns_and_a_halt_is_no_part_of_a_step(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "TURN_S", 0.3)
    two = [contestant(tmp_path, BUSY.format(times=n), f"out-{n}") for n in (1, 2)]
    begun = time.time()
    fast, slow = processes.measured(two, tmp_path, images_per_step=1)
    both = time.time() - begun
    assert fast.images_per_second / slow.images_per_second == pytest.approx(2, rel=0.25)
    assert fast.seconds + slow.seconds == pytest.approx(both, rel=0.15), "never two at once, and no idle time"
    first, last = (float((tmp_path / f"out-{n}" / "end").read_text()) - begun for n in (1, 2))
    assert first > fast.seconds + 0.5 and last > first, "the slow one had turns before the fast one was done"


def test_a_rate_within_a_turn_is_between_the_ends_that_lie_in_it():
    ends = {3: 1.0, 4: 2.0, 5: 2.5, 6: 3.5, 8: 4.0}
    assert processes.rate_within(ends, 1.0, 4.0) == pytest.approx(4 / 2)
    assert processes.rate_within(ends, 2.0, 3.0) == pytest.approx(1.0), "one step in a second"
    assert processes.rate_within(ends, 4.0, 9.0) == 0


FOREVER = BUSY.replace("range(1, 13)", "range(1, 10_000)")


def test_whoever_never_ends_is_timed_alone_and_beside_a_busy_process(tmp_path):
    two = [contestant(tmp_path, FOREVER.format(times=n), f"out-{n}") for n in (0.2, 0.4)]
    found = list(processes.alone_and_beside(two, tmp_path, rounds=1, seconds=0.5, threads=1))
    assert [each[:3] for each in found] == [(0, 0, False), (0, 1, False), (0, 0, True), (0, 1, True)]
    assert found[0][3] > found[1][3] > 0, "the second has twice the work"


def test_the_steps_that_warm_up_do_not_count():
    assert processes.rate({1: 10.0, 2: 12.0, 3: 12.5, 6: 14.0}) == pytest.approx(2.0)
    assert processes.rate({2: 1.0, 6: 3.0}) == pytest.approx(2.0)  # steps between two looks are no loss
    assert math.isnan(processes.rate({1: 1.0, 2: 2.0}))


def entry(who: str, number: int, rate: float, first: float = 1.0, images: str = "cutouts") -> dict[str, object]:
    work = {"flop_per_image": 2.0, "matmul_flop_per_s": 80.0} if who == "floor" else {}
    seen = {"images_per_second": rate, "first_step_s": first, "seconds": 9.0, "peak_mib": 100.0, "written_mib": 5.0}
    images = "" if who in ("floor", "tuned") else images
    return {"round": number, "model": "tiny", "images": images, "who": who, **seen, **work}


def test_ratios_are_of_the_same_round_and_medians_of_them():
    found = []
    for number, slower in enumerate((1.0, 2.0, 4.0)):  # a machine that slows down slows all
        found += [entry("floor", number, 20 / slower), entry("tuned", number, 25 / slower, 2.0)]
        found += [entry("sdovis", number, 19 / slower, 3.0), entry("example", number, 10 / slower, 7.0)]
    line, share = [line for line in benchmark.speed_table(found).splitlines() if line.strip()][2:]
    ratios = "**0.95** (0.95 to 0.95) | **0.76** (0.76 to 0.76) | **1.90** (1.90 to 1.90)"
    assert f"| 10.0 / 12.5 / 9.5 / 5.0 | {ratios} | 1.0 / 2.0 / 3.0 / 7.0 |" in line
    assert share.endswith("25% of the rate of a large matrix product.")  # 10 images of 2 operations of 80 a second


def test_without_the_example_its_columns_are_empty():
    found = [entry("floor", 0, 20.0), entry("tuned", 0, 19.0), entry("sdovis", 0, 19.0)]
    line = benchmark.speed_table(found).splitlines()[2]
    ratios = "**0.95** (0.95 to 0.95) | **1.00** (1.00 to 1.00)"
    assert line.startswith(f"| tiny | cutouts | 20.0 / 19.0 / 19.0 | {ratios} | - |")


def test_frozen_is_so_many_times_faster_in_the_same_round():
    scores = {"accuracy": 0.8, "balanced_accuracy": 0.7, "peak_mib": 1.0, "written_mib": 1.0}
    seconds = {"sdovis": (10.0, 20.0, 10.0), "unweighted": (5.0, 5.0, 6.0), "example": (100.0, 240.0, 90.0)}
    found = [{"who": who, "seconds": s, **scores} for who, of in seconds.items() for s in of]
    ratios = [line.split(" | ")[-1] for line in benchmark.frozen_table(found).splitlines()[2:]]
    assert ratios == ["10.0 times |", "20.0 times |", "1.0 times |"]


def test_sdovis_and_the_bare_step_are_measured_on_the_real_discs(shared_data, tmp_path, capsys):
    options = ["--models", "tiny", "--images", "discs", "--size", "32", "--batch", "4", "--steps", "2", "--rounds", "1"]
    saved = tmp_path / "found.json"
    benchmark.main(["speed", str(shared_data), "--work", str(tmp_path / "work"), *options, "--json", str(saved)])
    floor, tuned, mine = json.loads(saved.read_text())
    assert (floor["who"], tuned["who"], mine["who"], mine["images"]) == ("floor", "tuned", "sdovis", "discs")
    assert 0 < mine["first_step_s"] < mine["seconds"]
    assert all(each["images_per_second"] > 0 for each in (floor, tuned, mine))
    steps = (tmp_path / "work" / "runs" / "discs-32" / "training" / "steps.csv").read_text().splitlines()
    assert len(steps) == 1 + processes.WARM + 2
    pictures = list((tmp_path / "work" / "discs-32" / "train").glob("*/*.jpg"))
    assert {path.parent.name for path in pictures} == {"even", "odd"}
    originals = {path.read_bytes() for path in (shared_data / "aia211").iterdir()}
    assert len(pictures) > 200 and {path.read_bytes() for path in pictures} <= originals
    # 12 layers of 4 * 192**2 + 2 * 192 * 768 weights, 5 tokens; forward and backward are three times two operations.
    least = 6 * 5 * 12 * (4 * 192**2 + 2 * 192 * 768)
    assert least < floor["flop_per_image"] < 1.3 * least
    assert "| tiny | discs |" in capsys.readouterr().out


def test_the_first_step_is_timed_and_the_process_ended_after_it(tmp_path):
    endless = WORK.replace("time.sleep(0.2)", "time.sleep(0.2 if step == 1 else 3600)")
    seconds, of_cores = processes.first_step(contestant(tmp_path, endless), tmp_path)
    assert seconds > 0.7 and 0 < of_cores < seconds * 3


def test_first_steps_are_compared_within_a_round():
    seconds = {"sdovis": (3.0, 6.0, 2.0), "example": (6.0, 10.0, 5.0)}
    found = [
        {"images": "discs", "who": who, "first_step_s": s, "cores_s": s / 2} for who, of in seconds.items() for s in of
    ]
    clock, cores = benchmark.first_table(found).splitlines()[2:]
    assert clock == "| discs | on the clock | 3.0 | 6.0 | **0.50** (0.40 to 0.60) |"
    assert cores == "| discs | of the cores | 1.5 | 3.0 | **0.50** (0.40 to 0.60) |"
    assert benchmark.first_table(found[:3]).splitlines()[2] == "| discs | on the clock | 3.0 | - | - |"
