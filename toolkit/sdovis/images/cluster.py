"""`isolation.imap` across machines: the same tasks on the workers of a Dask cluster, each still in a child of its own.

Dask tries a task again when its worker dies, and gives up after a few: a hostile file would take a worker with it each time.
So a worker does not do the work itself; its child does, and a death in there is a result like any other. Where workers are
lost for other reasons, their tasks are done elsewhere. Tasks and results are pickled as for `isolation.imap`, and results
come in the tasks' order, so what is made of them does not depend on where it was done. Files are read where the workers
are: they must see them under the same paths.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.images import isolation
from sdovis.images.isolation import Death, Result, Task

#: Tasks per thread of the cluster that are handed out before the next result is taken, which bounds the memory.
AHEAD = 4
CONNECTING_S = 30


def imap(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    scheduler: str = "",
    workers: int | None = None,
    seconds: float,
    memory_bytes: int,
    imports: Sequence[str] = (),
) -> Iterator[Result | Death]:
    """As `isolation.imap`, in this machine's children or, with the address of a ``scheduler``, on its workers.

    Raises `BadInput` if Dask is not installed or the scheduler cannot be reached.
    """
    if not scheduler:
        return isolation.imap(
            function, tasks, workers=workers, seconds=seconds, memory_bytes=memory_bytes, imports=imports
        )
    work = pickle.dumps(function)
    limits = {"seconds": seconds, "memory_bytes": memory_bytes, "imports": tuple(imports), "folder": str(Path.cwd())}
    return _on_cluster(work, tasks, scheduler, limits)


def _on_cluster(work: bytes, tasks: Iterable[Any], scheduler: str, limits: dict[str, Any]) -> Iterator[Any]:
    with _client(scheduler) as client:
        from distributed import KilledWorker

        ahead = AHEAD * max(1, sum(client.nthreads().values()))
        running: deque[Any] = deque()

        def first() -> Any:
            future = running.popleft()
            try:
                return future.result()
            except KilledWorker as error:
                return Death(f"every worker that tried it was lost: {str(error).partition(chr(10))[0]}")

        try:
            for task in tasks:
                # Pure tasks would be looked up by their contents: the same file may have changed.
                running.append(client.submit(in_child, work, pickle.dumps(task), limits, pure=False))
                if len(running) >= ahead:
                    yield first()
            while running:
                yield first()
        finally:
            for future in running:
                future.cancel()


def _client(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise BadInput(
            Problem("--scheduler needs dask.distributed, which is not installed", "pip install 'sdovis[dask]'")
        ) from error
    try:
        return Client(scheduler, timeout=CONNECTING_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        what = f"no Dask scheduler answers there: {str(error).partition(chr(10))[0]}"
        raise BadInput(
            Problem(what, "start one with dask scheduler, and give its tcp:// address", scheduler)
        ) from error


def in_child(work: bytes, task: bytes, limits: dict[str, Any]) -> Any:
    """On a worker: one task in a child, as `isolation.isolated` has it."""
    if Path.cwd() != Path(limits["folder"]):
        os.chdir(limits["folder"])  # relative names mean what they meant to the caller
    return isolation.isolated(
        pickle.loads(work),
        pickle.loads(task),
        seconds=limits["seconds"],
        memory_bytes=limits["memory_bytes"],
        imports=limits["imports"],
    )
