"""Runs a training of transformers' Trainer and notes what only its own process can tell: for `gpu.py`.

    python benchmarks/gpu_watch.py REPORT [--first N --last N] [--profile N] -- -m sdovis train STUDY.toml
    python benchmarks/gpu_watch.py REPORT [--first N --last N] -- benchmarks/example.py STAMPS SCRIPT [its arguments]

REPORT (JSON) is written at step ``last`` and again when the process ends: when step 1, ``first`` and ``last`` were over,
what the device had to hold, how long the host fetched batches, and with --profile how long the device did nothing.
At those steps alone the device is waited for: a Trainer runs ahead of it, and the time at which a step has been asked
for says little.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Interval = tuple[float, float]


def union(intervals: Iterable[Interval], within: Interval) -> list[Interval]:
    """The intervals clipped to ``within`` and merged where they overlap, in order."""
    merged: list[Interval] = []
    for start, end in sorted((max(a, within[0]), min(b, within[1])) for a, b in intervals):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def idle_shares(busy: Iterable[Interval], fetching: Iterable[Interval], within: Interval) -> dict[str, float]:
    """Shares of ``within`` in which the device did nothing: in all, and while the host was fetching a batch."""
    length = within[1] - within[0]
    edges = [within[0], *(edge for each in union(busy, within) for edge in each), within[1]]
    gaps = union(zip(edges[::2], edges[1::2], strict=True), within)
    both = (union(fetching, gap) for gap in gaps)
    waited = sum(b - a for of_gap in both for a, b in of_gap)
    return {"idle": sum(b - a for a, b in gaps) / length, "idle_while_fetching": waited / length}


class Notes:
    """What is noted of the process, and where it is written."""

    def __init__(self, report: Path, first: int, last: int, profiled: int) -> None:
        import psutil  # type: ignore[import-untyped]

        self.report, self.first, self.last, self.profiled = report, first, last, profiled
        self.begun = float(psutil.Process().create_time())
        self.found: dict[str, Any] = {"steps": {}, "pid": os.getpid()}
        self.fetches: list[Interval] = []
        self.profiler: Any = None
        self.from_ns = 0.0

    def step_ended(self, step: int) -> None:
        if step in (1, self.first, self.last, self.first + self.profiled):
            finish()
            self.found["steps"][step] = time.time() - self.begun
        if self.profiled and step == self.first:
            self._profile()
        elif self.profiler is not None and step == self.first + self.profiled:
            self._end_profile()
        if step == self.last:
            self.write()

    def _profile(self) -> None:
        import torch
        from torch.profiler import ProfilerActivity, profile

        # Tracing what the host does would slow it down, and the device would wait for that.
        kind = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
        self.profiler = profile(activities=[kind], acc_events=True)
        self.profiler.start()
        self.fetches.clear()
        self.from_ns = time.time_ns()

    def _end_profile(self) -> None:
        from torch.autograd import DeviceType

        within = (self.from_ns, time.time_ns())
        self.profiler.stop()
        events = self.profiler.profiler.kineto_results.events()
        busy = [(e.start_ns(), e.start_ns() + e.duration_ns()) for e in events if e.device_type() == DeviceType.CUDA]
        fetching = sum(b - a for a, b in union(self.fetches, within)) / (within[1] - within[0])
        self.found["profile"] = {"steps": self.profiled, "fetching": fetching, "device_events": len(busy)}
        if busy:
            self.found["profile"] |= idle_shares(busy, self.fetches, within)
        self.profiler = None

    def write(self) -> None:
        import torch

        if torch.cuda.is_available():
            self.found |= {
                "device": torch.cuda.get_device_name(),
                "peak_allocated_mib": torch.cuda.max_memory_allocated() / 2**20,
                "peak_reserved_mib": torch.cuda.max_memory_reserved() / 2**20,
            }
        else:
            self.found |= {"device": "cpu", "peak_allocated_mib": None, "peak_reserved_mib": None}
        if dynamo := sys.modules.get("torch._dynamo.utils"):
            self.found["graphs"] = dynamo.counters["stats"].get("unique_graphs", 0)
            self.found["graph_breaks"] = sum(dynamo.counters["graph_break"].values())
        self.report.write_text(json.dumps(self.found), encoding="utf-8")


def finish() -> None:
    """Wait until the device has done what it was asked for."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def watch(notes: Notes) -> None:
    """Every Trainer from now on is watched."""
    from transformers import TrainerCallback, trainer

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            notes.step_ended(state.global_step)

    trainer.DEFAULT_CALLBACKS.append(Watcher)
    fetch = trainer.Trainer.get_batch_samples

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.time_ns()
        try:
            return fetch(self, *args, **kwargs)
        finally:
            notes.fetches.append((begun, time.time_ns()))

    trainer.Trainer.get_batch_samples = timed


def compile_for_rehearsal() -> None:
    """torch.compile makes graphs, and no code of them: on a CPU that takes minutes, and nothing of it is a GPU's."""
    import torch

    torch.compiler.set_stance("default", force_backend="aot_eager")


def shard_on_cpu() -> None:
    """accelerate shards on GPUs alone: it is told that this process, which a launcher started, has one."""
    import torch
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    torch.distributed.init_process_group("gloo")
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)  # type: ignore[method-assign]


def main(given: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if given is None else given)
    cut = arguments.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--first", type=int, default=1, help="the step after which rates count")
    parser.add_argument("--last", type=int, default=0, help="the step that ends them")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="profile N steps after the first")
    parser.add_argument("--compile-nothing", action="store_true", help="for rehearsals")
    parser.add_argument("--shard-on-cpu", action="store_true")
    options, command = parser.parse_args(arguments[:cut]), arguments[cut + 1 :]
    notes = Notes(options.report, options.first, options.last, options.profile)
    if options.shard_on_cpu:
        shard_on_cpu()
    if Path(command[0]).name == "example.py":
        import example

        example.import_torchvision()  # before transformers asks for it
    watch(notes)
    if options.compile_nothing:
        compile_for_rehearsal()
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            sys.path.insert(0, str(Path(command[0]).parent))
            runpy.run_path(command[0], run_name="__main__")
    finally:
        notes.write()


if __name__ == "__main__":
    main()
