"""Children that die, hang and swell; what becomes of the others; what is left behind: nothing."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hostile_work as work
import numpy as np
import pytest
from sdovis.errors import UnreadableImage
from sdovis.images import forking, isolation
from sdovis.images.images import read_image
from sdovis.images.isolation import Death, Kept, imap, isolated, read_isolated

LIMITS: dict[str, Any] = {"seconds": 20, "memory_bytes": 2**28}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()


def ended(pids: list[int], within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_their_tasks(workers: int) -> None:
    assert list(imap(work.slow_first, range(40), workers=workers, **LIMITS)) == list(range(40))
    assert list(imap(work.obey, [], workers=workers, **LIMITS)) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("deed", "why"),
    [("crash", "crashed the process that read it (SIGSEGV)"), ("hang", "took longer than 0.5 s"),
     ("spin", "took longer than 0.5 s"), ("eat", "needed more than 0.25 GiB of memory"),
     ("leave", "ended the process that read it (exit code 3)"), ("be killed", "was killed, perhaps because memory ran out")],
)  # fmt: skip
def test_a_deed_costs_its_own_task_only(deed: str, why: str, workers: int) -> None:
    tasks = ["a", "b", deed, "c", "d", "e", deed, "f"]
    results = list(imap(work.obey, tasks, workers=workers, seconds=0.5, memory_bytes=2**28))
    deaths = [result for result in results if isinstance(result, Death)]
    assert [r if isinstance(r, str) else "dead" for r in results] == [t if t != deed else "dead" for t in tasks]
    assert len(deaths) == 2 and all(why in death.why and isinstance(death, UnreadableImage) for death in deaths)


def test_an_error_is_raised_at_its_turn_with_its_own_type() -> None:
    results = imap(work.obey, [1, "bad", 3], workers=2, **LIMITS)
    assert next(results) == 1
    with pytest.raises(ValueError, match="a bad task") as caught:
        next(results)
    assert "obey" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="cannot be sent"):
        list(imap(work.obey, ["unpicklable"], workers=1, **LIMITS))


def test_work_that_a_child_cannot_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work.obey, "__module__", "__main__")
    with pytest.raises(ValueError, match="move it into a module"):
        imap(partial(work.obey), [1], workers=1, **LIMITS)
    with pytest.raises(RuntimeError, match="no_such_module"):
        list(imap(work.my_pid, [1], workers=1, imports=["no_such_module"], **LIMITS))
    assert list(imap(work.obey.__class__ and work.where, [1], workers=1, **LIMITS)), "the server is still there"


def test_tasks_are_taken_only_a_few_ahead() -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = imap(work.slow_first, tasks(), workers=2, **LIMITS)
    assert next(results) == 0
    assert len(taken) <= 2 * isolation.AHEAD + 2
    results.close()


def test_memory_stays_flat_as_the_work_grows() -> None:
    def peak(tasks: int) -> int:
        gc.collect()
        tracemalloc.start()
        total = sum(int(array[0, 0]) for array in imap(work.ones, [300] * tasks, workers=2, **LIMITS))
        assert total == tasks
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    one, most = 300 * 300 * 4, 2 * isolation.AHEAD + 3
    assert peak(30) < most * one + 2**20
    assert peak(300) < most * one + 2**20


def test_arrays_come_back_whole_and_writable() -> None:
    (array,) = imap(work.ones, [2048], workers=1, **LIMITS)
    assert array.shape == (2048, 2048) and (array == 1).all()
    array[0] = 2


def test_large_tasks_and_large_results_do_not_block_each_other() -> None:
    tasks = [np.full((400, 400), number, np.float64) for number in range(12)]
    results = list(imap(work.obey_array, tasks, workers=2, **LIMITS))
    assert [int(result[0, 0]) for result in results] == list(range(12))


def test_the_memory_limit_is_what_the_child_held_and_the_bytes_given() -> None:
    ((limit, held),) = imap(work.limits, [0], workers=1, seconds=9, memory_bytes=2**29)
    assert abs(limit - held - 2**29) < 2**24


def test_a_relative_path_means_what_it_means_to_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, tmp_path.parent):
        monkeypatch.chdir(folder)
        assert list(imap(work.where, [0], workers=1, **LIMITS)) == [str(folder)]


def test_closing_the_iterator_ends_its_children() -> None:
    results = imap(work.my_pid, range(100), workers=2, **LIMITS)
    pids = list({next(results) for _ in range(20)})
    assert all(alive(pid) for pid in pids)
    results.close()
    assert ended(pids)
    results = imap(work.pid_or_hang, [0, 1], workers=1, **LIMITS)
    busy = next(results)
    results.close()
    assert ended([busy], within=3)


def test_a_server_that_was_killed_takes_its_children_along_and_is_started_again() -> None:
    results = imap(work.pid_or_hang, [0, 1], workers=1, **LIMITS)
    busy = next(results)
    assert forking._server is not None
    forking._server.process.kill()
    forking._server.process.wait()
    assert ended([busy])
    assert isinstance(next(results), Death)
    assert list(imap(work.obey, [1, 2], workers=2, **LIMITS)) == [1, 2]


CALLER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell inherits it ignored
sys.path.insert(0, {folder!r})
import hostile_work as work
from sdovis.images.isolation import imap
list(imap(work.announce_and_hang, [{pids!r}] * 2, workers=2, seconds=600, memory_bytes=2**28))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_caller_ends(tmp_path: Path, how: signal.Signals) -> None:
    code = CALLER.format(folder=str(Path(work.__file__).parent), pids=str(tmp_path))
    caller = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while len(pids := [int(p.name) for p in tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    server = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    if how == signal.SIGINT:  # a terminal sends it to the whole group
        os.killpg(caller.pid, how)
    else:
        caller.send_signal(how)
    assert caller.stderr is not None
    said = caller.stderr.read()
    assert caller.wait(10) != 0 and ended([*pids, server])
    if how == signal.SIGINT:
        assert said.rstrip().endswith("KeyboardInterrupt") and said.count("Traceback") == 1


def test_an_unguarded_script_may_use_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"print('started')\nimport sys; sys.path.insert(0, {str(Path(work.__file__).parent)!r})\n"
        "import hostile_work\nfrom sdovis.images.isolation import imap\n"
        "print(list(imap(hostile_work.obey, [1, 2], workers=2, seconds=9, memory_bytes=2**28)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "started\n[1, 2]\n"


def test_several_threads_may_use_it_at_once() -> None:
    found: dict[int, list[int]] = {}

    def use(number: int) -> None:
        found[number] = list(imap(work.obey, range(number, number + 30), workers=2, **LIMITS))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: list(range(number, number + 30)) for number in range(4)}


def test_a_task_costs_less_than_a_fifth_of_a_millisecond() -> None:
    def per_task() -> float:
        start = time.perf_counter()
        assert sum(1 for _ in imap(work.obey, range(2000), workers=2, **LIMITS)) == 2000
        return (time.perf_counter() - start) / 2000

    assert min(per_task() for _ in range(5)) < 0.2e-3


def test_an_image_read_in_a_child_is_the_one_read_here(shared_data: Path) -> None:
    for path in sorted((shared_data / "fits_samples").iterdir()):
        if path.suffix == ".txt":
            continue
        here, there = read_image(path), read_isolated(path)
        assert np.array_equal(here.values, there.values, equal_nan=True) and here.values.dtype == there.values.dtype
        for name in ("unit", "frame", "observed", "header", "path", "sha256", "format", "simulated", "grid"):
            assert getattr(here, name) == getattr(there, name), name
    with pytest.raises(UnreadableImage, match="lies outside the image root"):
        read_isolated(path, root=Path("/usr"))
    with pytest.raises(UnreadableImage, match="there is no such image"):
        read_isolated("gone.fits")


def test_a_child_whose_result_nobody_wants_any_more_is_killed_at_once(tmp_path):
    start = time.monotonic()
    result = isolated(work.announce_and_hang, str(tmp_path), **LIMITS, wanted=lambda: not any(tmp_path.iterdir()))
    assert isinstance(result, Death) and "nobody waits for it any more" in str(result)
    assert time.monotonic() - start < LIMITS["seconds"] / 2
    (named,) = tmp_path.iterdir()
    assert ended([int(named.name)])


def test_one_task_gives_its_result_or_raises_what_it_raised():
    assert isolated(work.obey, "something", **LIMITS, wanted=lambda: True) == "something"
    assert isinstance(isolated(work.obey, "crash", **LIMITS), Death)
    with pytest.raises(ValueError, match="a bad task"):
        isolated(work.obey, "bad", **LIMITS)


# --- children that wait for whoever asks again -----------------------------------------------------------------------


def asked(kept: Kept, work_of: Any, tasks: list[Any]) -> list[Any]:
    return list(imap(work_of, tasks, workers=1, **LIMITS, kept=kept))


def test_a_kept_child_is_asked_again_for_the_same_work_in_the_same_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    (first,) = asked(kept, work.my_pid, [0])
    assert asked(kept, work.my_pid, [0, 0]) == [first, first] and alive(first)
    assert asked(kept, work.where, [0]) == [str(Path.cwd())]
    assert asked(Kept(), work.my_pid, [0]) != [first]
    monkeypatch.chdir(tmp_path)
    assert asked(kept, work.where, [0]) == [str(tmp_path)]
    kept.close()
    assert ended([first])


def test_a_kept_child_that_died_or_was_left_at_work_is_not_asked_again() -> None:
    kept = Kept()
    (first,) = asked(kept, work.my_pid, [0])
    os.kill(first, signal.SIGKILL)
    assert ended([first])
    (second,) = asked(kept, work.my_pid, [0])
    assert second != first
    results = imap(work.pid_or_hang, [0, 1], workers=1, **LIMITS, kept=kept)
    busy = next(results)
    results.close()
    assert ended([busy])
    assert [str(type(each).__name__) for each in asked(kept, work.obey, ["crash", "a"])] == ["Death", "str"]
    assert asked(kept, work.obey, ["b"]) == ["b"]
    kept.close()


def test_a_kept_child_ends_when_nobody_asks_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "KEPT_S", 0.05)
    (pid,) = asked(Kept(), work.my_pid, [0])
    assert ended([pid])
