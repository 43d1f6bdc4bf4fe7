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
from itertools import islice
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.images import isolation
from sdovis.images.isolation import Death, Result, Task

#: Tasks that a worker is given at once, for one child, and how many times as many for each thread of the cluster are handed
#: out before the next result is taken, which bounds the memory.
TOGETHER, AHEAD = 8, 2
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
    kept: isolation.Kept | None = None,
) -> Iterator[Result | Death]:
    """As `isolation.imap`, in this machine's children or, with the address of a ``scheduler``, on its workers.

    Raises `BadInput` if Dask is not installed or the scheduler cannot be reached.
    """
    if not scheduler:
        return isolation.imap(
            function, tasks, workers=workers, seconds=seconds, memory_bytes=memory_bytes, imports=imports, kept=kept
        )
    work = pickle.dumps(function)
    limits = {"seconds": seconds, "memory_bytes": memory_bytes, "imports": tuple(imports), "folder": str(Path.cwd())}
    return _on_cluster(work, tasks, scheduler, limits)


def _on_cluster(work: bytes, tasks: Iterable[Any], scheduler: str, limits: dict[str, Any]) -> Iterator[Any]:
    with _client(scheduler) as client:
        from distributed import KilledWorker

        ahead = AHEAD * max(1, sum(client.nthreads().values()))
        running: deque[tuple[list[bytes], Any]] = deque()

        def submitted(some: list[bytes]) -> Any:
            # Pure tasks would be looked up by their contents: the same file may have changed.
            return client.submit(in_child, work, some, limits, pure=False)

        def first() -> list[Any]:
            some, future = running.popleft()
            try:
                return list(future.result())
            except KilledWorker as error:
                if len(some) > 1:  # one of them, or chance: the others are not to pay for it
                    running.extendleft(reversed([([each], submitted([each])) for each in some]))
                    return []
                return [Death(f"every worker that tried it was lost: {str(error).partition(chr(10))[0]}")]

        try:
            payloads = map(pickle.dumps, tasks)
            while some := list(islice(payloads, TOGETHER)):
                running.append((some, submitted(some)))
                while len(running) >= ahead:
                    yield from first()
            while running:
                yield from first()
        finally:
            for _, future in running:
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


def in_child(work: bytes, tasks: Sequence[bytes], limits: dict[str, Any]) -> list[Any]:
    """On a worker: some tasks in a child, one after another, as `isolation.imap` has it."""
    if Path.cwd() != Path(limits["folder"]):
        os.chdir(limits["folder"])  # relative names mean what they meant to the caller
    return list(
        isolation.imap(
            pickle.loads(work),
            map(pickle.loads, tasks),
            workers=1,
            seconds=limits["seconds"],
            memory_bytes=limits["memory_bytes"],
            imports=limits["imports"],
        )
    )
