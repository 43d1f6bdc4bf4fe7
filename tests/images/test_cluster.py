"""The same work on a Dask cluster: the same results in the same order, whoever dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from images.cluster_work import squared
from sdovis.cli import run_command
from sdovis.errors import BadInput
from sdovis.images import cluster
from sdovis.images.isolation import Death

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra dask)")
LIMITS = {"seconds": 60.0, "memory_bytes": 2**30}


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster of two workers, each a process with one thread."""
    before = dict(os.environ)  # Dask sets what its workers are to inherit in this process, and leaves it there
    with distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as running:
        yield running.scheduler_address
    os.environ.clear()
    os.environ.update(before)


def test_a_task_that_kills_its_child_costs_itself_alone_and_a_worker_that_is_lost_nothing(scheduler: str) -> None:
    results = cluster.imap(squared, range(80), scheduler=scheduler, **LIMITS)
    found = [next(results) for _ in range(10)]
    with distributed.Client(scheduler) as client:
        victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)
    found += results
    assert isinstance(found[5], Death)
    assert "was killed" in found[5].why
    assert [each for each in found if not isinstance(each, Death)] == [n * n for n in range(80) if n != 5]


def test_predict_and_prepare_leave_the_same_bytes_as_on_this_machine(
    scheduler: str, small_study: Path, small_model: Path, tmp_path: Path
) -> None:
    for name, where in (("here", ["--workers", "1"]), ("there", ["--scheduler", scheduler])):
        images = sorted(str(path) for path in (small_study.parent / "data" / "images").glob("*.fits"))[:9]
        assert run_command(["predict", str(small_model), *images, "--out", f"{name}.csv", *where]) == 0
        assert run_command(["prepare", "study.toml", "--set", f"study.name={name}", *where]) == 0
    assert Path("here.csv").read_bytes() == Path("there.csv").read_bytes()
    made = [sorted(Path("runs", name, "corpus", "data").iterdir()) for name in ("here", "there")]
    assert [path.read_bytes() for path in made[0]] == [path.read_bytes() for path in made[1]]


def test_no_scheduler_and_both_kinds_of_hands_are_refused_in_a_line(
    small_model: Path, tmp_path: Path, monkeypatch, capfd
):
    monkeypatch.setattr(cluster, "CONNECTING_S", 1)
    with pytest.raises(BadInput, match="no Dask scheduler answers there"):
        next(iter(cluster.imap(squared, [1], scheduler="tcp://127.0.0.1:9", **LIMITS)))
    (tmp_path / "x.fits").touch()
    both = ["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"]
    assert run_command(["predict", str(small_model), str(tmp_path / "x.fits"), *both]) == 2
    assert "leave out one of them" in capfd.readouterr().err
