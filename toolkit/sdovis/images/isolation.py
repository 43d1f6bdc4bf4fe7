"""Work in child processes that may be killed: a hostile file costs only its own task.

Decoders are C code that trusts what it reads: a file may crash one, hang it, or make it ask for all memory. Here each
task runs in a child with limits on its time and address space, and a child's death becomes its task's result.

The children are forked by a server: one small single-threaded process, started when first needed, that imports once
what the work needs. Starting a child therefore takes milliseconds, and neither the caller's threads nor its
``__main__`` are ever copied. The server lives as long as the caller: when the caller ends, even by kill -9, it kills
every child and exits. Requires fork and resource limits: Linux or macOS.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sdovis.errors import UnreadableImage
from sdovis.images import forking
from sdovis.images.children import receive, send

if TYPE_CHECKING:
    from sdovis.images.images import SolarImage

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks per worker that may be running or done before the next result is taken: bounds the memory
SMALL_TASK = 32 * 1024  # bytes: such a task fits into a socket's buffer, so handing it out early does not block
READING_SECONDS, READING_BYTES = 10.0, 2**30
ASKING_S = 0.2  # how often whoever wants a result is asked whether it still does
KEPT_S = 30.0
READING_IMPORTS = ("sdovis.images.images", "astropy.io.fits", "astropy.units", "scipy.fft", "scipy.ndimage")


class Death(UnreadableImage):
    """The result of a task whose child died or was killed: ``why``, and its peak memory (0 if unknown)."""

    def __init__(self, why: str, peak_bytes: int = 0) -> None:
        super().__init__("", why)
        self.peak_bytes = peak_bytes


def imap(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int | None = None,
    seconds: float,
    memory_bytes: int,
    imports: Sequence[str] = (),
    kept: Kept | None = None,
) -> Iterator[Result | Death]:
    """``function`` of each task, in the tasks' order, computed by ``workers`` children (None: one per core).

    A task that crashes its child, takes longer than ``seconds`` or needs more than ``memory_bytes`` above what the child
    held at first gives a `Death`; the others continue. What ``function`` raises is raised here, in its turn. Tasks are
    taken only a few ahead of the results. ``function`` (from a module, not from ``__main__``), tasks and results must
    be picklable; ``imports`` are loaded before any child is forked. Closing the iterator ends the children, but for those
    without a task that ``kept`` takes.
    """
    inner = function.func if isinstance(function, partial) else function
    if getattr(inner, "__module__", None) == "__main__":
        raise ValueError(f"{inner!r} is in __main__, which a child process cannot import: move it into a module")
    workers = workers or len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    asked = pickle.dumps(function), tuple(imports), memory_bytes
    if kept is None:
        return _results(partial(_Child, *asked), tasks, workers, seconds)
    return _results(partial(kept.child, *asked), tasks, workers, seconds, end=kept.take)


def isolated(
    function: Callable[[Task], Result],
    task: Task,
    *,
    seconds: float,
    memory_bytes: int,
    imports: Sequence[str] = (),
    wanted: Callable[[], bool] | None = None,
) -> Result | Death:
    """``function`` of one task in a child of its own, as `imap` has it.

    The child is killed soon after ``wanted``, if given, says no; that gives a `Death` too.
    """
    new_child = partial(_Child, pickle.dumps(function), tuple(imports), memory_bytes)
    results = _results(new_child, [task], 1, seconds, wanted)
    try:
        return next(results)  # type: ignore[no-any-return]
    finally:
        results.close()


def read_isolated(
    path: Path | str, *, seconds: float = READING_SECONDS, memory_bytes: int = READING_BYTES, **kwargs: Any
) -> SolarImage:
    """`images.read_image` in a separate child. Raises `UnreadableImage`, also for files that kill the child."""
    result = isolated(
        partial(_read, kwargs), Path(path), seconds=seconds, memory_bytes=memory_bytes, imports=READING_IMPORTS
    )
    if isinstance(result, Death):
        raise UnreadableImage(path, result.why)
    if isinstance(result, tuple):
        raise UnreadableImage(path, *result)
    return result


def _read(kwargs: dict[str, Any], path: Path) -> SolarImage | tuple[str, str]:
    """The image, or why it cannot be read and what to do."""
    from sdovis.images.images import read_image

    try:
        return read_image(path, **kwargs)
    except UnreadableImage as error:
        return error.why, error.problems[0].hint


# --- the caller's side ------------------------------------------------------------------------------------------------


class _Raised:
    """What a task raised, kept until its turn."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _results(
    new_child: Callable[[], _Child],
    tasks: Iterable[Any],
    workers: int,
    seconds: float,
    wanted: Callable[[], bool] | None = None,
    end: Callable[[_Child], object] | None = None,
) -> Generator[Any]:
    numbered = ((number, pickle.dumps(task)) for number, task in enumerate(tasks))
    again: deque[tuple[int, bytes]] = deque()  # tasks that were queued behind one that killed their child
    children: list[_Child] = []
    done: dict[int, Any] = {}
    due = 0

    def lost(child: _Child, why: str = "") -> None:
        """Give up a child: its first task gets a `Death`, the others are handed out again."""
        children.remove(child)
        said, peak = child.end()
        done[child.waiting.popleft()[0]] = Death(why or said, peak)
        again.extendleft(reversed(child.waiting))

    try:
        while True:
            while due in done:
                result = done.pop(due)
                due += 1
                if isinstance(result, _Raised):
                    raise result.error
                yield result
            _hand_out(chain(_drain(again), numbered), again, children, new_child, workers, due)
            if not any(child.waiting for child in children):
                if not again:
                    return
                continue
            for child in _ready(children, seconds, math.inf if wanted is None else ASKING_S):
                try:
                    kind, result = child.answer()
                except (EOFError, OSError):
                    lost(child)
                    continue
                if kind == "memory":
                    lost(child, f"needed more than {child.memory_bytes / 2**30:.3g} GiB of memory")
                else:
                    done[child.waiting.popleft()[0]] = result if kind == "result" else _Raised(result)
                    child.since = time.monotonic()
            now = time.monotonic()
            for child in [c for c in children if c.waiting and now - c.since > seconds]:
                if not _readable([child], 0):
                    lost(child, f"took longer than {seconds:g} s")
            if wanted is not None and not wanted():
                for child in [c for c in children if c.waiting]:
                    lost(child, "nobody waits for it any more")
    finally:
        for child in children:
            (end or _Child.end)(child)


def _drain(queue: deque[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    while queue:
        yield queue.popleft()


def _hand_out(
    tasks: Iterator[tuple[int, bytes]],
    again: deque[tuple[int, bytes]],
    children: list[_Child],
    new_child: Callable[[], _Child],
    workers: int,
    due: int,
) -> None:
    """Give idle children a task, and busy ones a second small one, so that they need not wait for the caller."""
    while True:
        child = min(children, key=lambda c: len(c.waiting), default=None)
        idle = child is not None and not child.waiting
        grow = not idle and len(children) < workers
        if not idle and not grow and (child is None or len(child.waiting) >= 2):
            return
        number, payload = next(tasks, (-1, b""))
        if number < 0:
            return
        if number >= due + AHEAD * workers or (not idle and not grow and len(payload) > SMALL_TASK):
            again.appendleft((number, payload))
            return
        if grow or child is None:
            child = new_child()
            children.append(child)
        child.hand(number, payload)


def _ready(children: list[_Child], seconds: float, most: float) -> list[_Child]:
    """Those with an answer, after waiting at most until the first runs out of time, or ``most`` seconds."""
    first = min(child.since for child in children if child.waiting)
    return _readable(children, min(max(first + seconds - time.monotonic(), 0) + 0.01, most))


def _readable(children: list[_Child], timeout: float) -> list[_Child]:
    poll = select.poll()
    by_fd = {child.socket.fileno(): child for child in children if child.waiting}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poll.poll(timeout * 1000)]


class _Child:
    """A child process as its caller sees it; ``waiting`` holds the tasks it was given and has not answered, in order."""

    def __init__(self, function: bytes, imports: tuple[str, ...], memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.since = 0.0
        self.work: Any = None  #: what `Kept` knows it by
        self.server, self.pid, self.socket = forking.child(function, imports, memory_bytes)

    def hand(self, number: int, payload: bytes) -> None:
        if not self.waiting:
            self.since = time.monotonic()
        self.waiting.append((number, payload))
        with contextlib.suppress(OSError):  # if it has died, the end of its answers will show it
            send(self.socket, [payload])

    def answer(self) -> tuple[str, Any]:
        """("result" | "error" | "memory", value). Raises EOFError or OSError when the child is dead."""
        data, *buffers = receive(self.socket)
        return pickle.loads(data, buffers=buffers)  # type: ignore[no-any-return]

    def has_ended(self) -> bool:
        """Whether it died without a task."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def end(self) -> tuple[str, int]:
        """Kill it. Returns why it had ended, if it had, and its peak memory in bytes."""
        self.socket.close()
        return self.server.end(self.pid)


class Kept:
    """Children that wait for whoever asks for the same work again, for `KEPT_S` after their last task.

    One that has died meanwhile is not used again, and one for other work ends.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, _Child]] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def child(self, function: bytes, imports: tuple[str, ...], memory_bytes: int) -> _Child:
        """One that waits in this folder, or a new one."""
        work = self._work(function, imports, memory_bytes)
        while True:
            with self._lock:
                found = next((number for number, (of, _) in enumerate(self._waiting) if of == work), None)
                if found is None:
                    break
                child = self._waiting.pop(found)[1]
            if not child.has_ended():
                return child
            child.end()
        child = _Child(function, imports, memory_bytes)
        child.work = work
        return child

    def take(self, child: _Child) -> None:
        """Keep a child that has answered all its tasks; end any other."""
        if child.waiting:
            child.end()
            return
        with self._lock:
            other = [of for work, of in self._waiting if work != child.work]
            self._waiting = [(work, of) for work, of in self._waiting if work == child.work]
            self._waiting.append((child.work, child))
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(KEPT_S, self.close)
            self._timer.daemon = True
            self._timer.start()
        for each in other:
            each.end()

    def close(self) -> None:
        """End those that wait."""
        with self._lock:
            ending, self._waiting = self._waiting, []
        for _, child in ending:
            child.end()

    @staticmethod
    def _work(*asked: Any) -> Any:
        # A fork of the caller must not share a child with it; relative names mean what they meant when a child began.
        return os.getpid(), str(Path.cwd()), asked
