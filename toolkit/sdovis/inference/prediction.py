"""A model asked about any number of images: children look ahead, the network answers by the batch, answers come in order.

The images are decoded, cut and coded in child processes that may be killed (`looking`), and only codes return. A thread takes
what they have, so that they go on while the network works. On a CPU several batches are answered side by side, each by few
threads: threads that share a batch wait for one another whenever a child has taken their core.

Batches never go beyond a part (`PART_IMAGES` images), so that what stands in a part depends on nothing but its images: a
prediction that was killed and goes on leaves the same table as one that was not.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis.channels.view import View
from sdovis.errors import Problem
from sdovis.images import cluster, isolation
from sdovis.inference import looking
from sdovis.inference.answers import Parts
from sdovis.inference.inputs import Asked
from sdovis.inference.looking import Shown, Sought, Spot
from sdovis.inference.scoring import Engine, Scored
from sdovis.learning.familiarity import caution

PART_IMAGES = 256
BATCH = 32
#: Batches answered side by side on a CPU, at most: each holds the network's activations.
LANES = 4
#: Images that are looked at but not yet asked about, at most, in batches.
AHEAD = 2
DECODING_SECONDS, DECODING_BYTES = 60.0, 2 * 2**30


@dataclass(frozen=True)
class Pace:
    """How the work is done, which changes no answer: children (None: one per core), a Dask scheduler instead, batches.

    Children are ``kept`` for whoever asks again soon.
    """

    workers: int | None = None
    scheduler: str = ""
    batch: int = BATCH
    lanes: int | None = None
    kept: isolation.Kept = field(default_factory=isolation.Kept, compare=False)


@dataclass(frozen=True, eq=False)
class Answered:
    """One image with its answers: of each spot that is coded a row of ``scored``; or what is wrong with the image."""

    asked: Asked
    shown: Shown | None
    scored: Scored
    problem: Problem | None = None

    def answers(self, classes: Sequence[str]) -> list[tuple[Spot, dict[str, float] | None, float | None]]:
        """Each spot with the probability of each class and its unfamiliarity; None where nothing was answered."""
        found: list[tuple[Spot, dict[str, float] | None, float | None]] = []
        row = 0
        for spot in self.shown.spots if self.shown else ():
            if not spot.coded:
                found.append((spot, None, None))
                continue
            strange = self.scored.unfamiliarity
            probabilities = dict(zip(classes, map(float, self.scored.probabilities[row]), strict=True))
            found.append((spot, probabilities, None if strange is None else float(strange[row])))
            row += 1
        return found


def predict(
    images: Iterable[Asked],
    sought: Sought,
    view: View,
    engine: Engine,
    *,
    pace: Pace,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Answered]:
    """The answers for ``images``, in order, batched among themselves. ``tick`` is called for each image looked at."""
    images = iter(images)
    some = iter(lambda: list(islice(images, pace.batch)), [])
    yield from (each for part in _parts(some, sought, view, engine, pace, tick) for each in part)


def predict_parts(
    images: Iterator[Asked],
    parts: Parts,
    row_of: Callable[[Answered], list[dict[str, Any]]],
    sought: Sought,
    view: View,
    engine: Engine,
    *,
    pace: Pace,
    part_images: int = PART_IMAGES,
    tick: Callable[[int], None] = lambda images: None,
    seen: Callable[[Answered], None] = lambda answered: None,
) -> None:
    """Write the parts that are not there yet; ``row_of`` gives the rows of an image, and ``seen`` is shown each."""
    done = parts.finished()
    wanted: deque[int] = deque()

    def missing() -> Iterator[list[Asked]]:
        number = 0
        while some := list(islice(images, part_images)):
            if number in done:
                tick(len(some))
            else:
                wanted.append(number)
                yield some
            number += 1

    for part in _parts(missing(), sought, view, engine, pace, lambda: tick(1)):
        number = wanted.popleft()
        for each in part:
            seen(each)
        rows = [row for each in part for row in row_of(each)]
        parts.write(number, rows, (each.problem for each in part if each.problem))


def rows_of(answered: Answered, classes: Sequence[str], pin: str) -> list[dict[str, Any]]:
    """An image's rows in the table (`answers.schema`)."""
    about: dict[str, Any] = {"file": answered.asked.name, "model": pin}
    if answered.shown is None:
        why = "" if answered.problem is None else str(replace(answered.problem, file=""))
        return [about | {"sha256": answered.asked.sha256 or None, "unusable": True, "notes": why}]
    about |= {"sha256": answered.shown.sha256}
    found = []
    for spot, probabilities, strange in answered.answers(classes):
        unlike = "" if strange is None else caution(strange)
        best = "" if probabilities is None else max(probabilities, key=lambda name: probabilities[name])
        found.append(
            about
            | {
                "id": spot.id or None, "observed": answered.shown.observed, "region": spot.region,
                "latitude_deg": spot.latitude_deg, "longitude_deg": spot.longitude_deg, "x_px": spot.x_px, "y_px": spot.y_px,
                **{f"prob_{name}": value for name, value in (probabilities or {}).items()},
                "class": best or None, "unfamiliarity": strange, "unusable": False, "quality": bool(spot.quality),
                "near_limb": spot.near_limb, "unfamiliar": None if strange is None else bool(unlike),
                "notes": "; ".join(filter(None, (*spot.notes, spot.quality, unlike))),
            }
        )  # fmt: skip
    return found


# --- the children -----------------------------------------------------------------------------------------------------


def _looked(images: Iterable[Asked], sought: Sought, view: View, pace: Pace) -> Iterator[Any]:
    """What children see of each image, in order: `Shown`, what is wrong, or how the child died."""
    imports = dict.fromkeys(
        (*isolation.READING_IMPORTS, looking.__name__, *(n for k in view.channels for n in k.imports))
    )
    return cluster.imap(
        looking.Look(sought),
        images,
        scheduler=pace.scheduler,
        workers=pace.workers,
        seconds=DECODING_SECONDS,
        memory_bytes=DECODING_BYTES,
        imports=tuple(imports),
        # A study's images may lie in stores, which a child knows by their names alone and would not open again.
        kept=None if sought.study else pace.kept,
    )


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _taken(results: Iterator[Any], most: int) -> Iterator[Any]:
    """``results``, taken by a thread as soon as they are there, up to ``most`` ahead."""
    waiting: queue.Queue[Any] = queue.Queue(most)
    ended, end = threading.Event(), object()

    def put(item: Any) -> bool:
        while not ended.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return True
        return False

    def take() -> None:
        try:
            for result in results:
                if not put(result):
                    return
            put(end)
        except BaseException as error:  # raised where the results are wanted
            put(_Failed(error))
        finally:
            getattr(results, "close", lambda: None)()

    thread = threading.Thread(target=take, name="sdovis-ahead", daemon=True)
    thread.start()
    try:
        while (result := waiting.get()) is not end:
            if isinstance(result, _Failed):
                raise result.error
            yield result
    finally:
        ended.set()


# --- the batches ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Part:
    """A part under way: its images with what was seen of them, and the batches that were handed out."""

    images: list[tuple[Asked, Any]] = field(default_factory=list)
    batches: list[Future[Scored]] = field(default_factory=list)

    def answered(self) -> list[Answered]:
        scored = [batch.result() for batch in self.batches]
        found, row = [], 0
        probabilities = (
            np.concatenate([each.probabilities for each in scored]) if scored else np.empty((0, 0), np.float32)
        )
        strange = [each.unfamiliarity for each in scored if each.unfamiliarity is not None]
        unfamiliarity = np.concatenate(strange) if strange else None
        for asked, seen in self.images:
            if not isinstance(seen, Shown):
                problem = Problem(seen.why, "", asked.name) if isinstance(seen, isolation.Death) else seen
                found.append(Answered(asked, None, Scored(probabilities[:0], None), problem))
                continue
            own = slice(row, row + len(seen.codes))
            answer = Scored(probabilities[own], None if unfamiliarity is None else unfamiliarity[own])
            found.append(Answered(asked, replace(seen, codes=seen.codes[:0]), answer))
            row += len(seen.codes)
        return found


def _parts(
    parts: Iterable[Iterable[Asked]],
    sought: Sought,
    view: View,
    engine: Engine,
    pace: Pace,
    tick: Callable[[], None],
) -> Iterator[list[Answered]]:
    """The answers of each part, in order. While one is waited for, the next is under way."""
    waiting: deque[Asked | None] = deque()  # None ends a part

    def images() -> Iterator[Asked]:
        for part in parts:
            for asked in part:
                waiting.append(asked)
                yield asked
            waiting.append(None)

    lanes = pace.lanes or 1
    looked = _taken(_looked(images(), sought, view, pace), AHEAD * pace.batch)
    under_way: deque[_Part] = deque()
    with _Here() if lanes == 1 else ThreadPoolExecutor(lanes, "sdovis-lane") as pool, _few_threads(lanes):
        part, pending = _Part(), list[NDArray[np.uint8]]()

        def hand_out(least: int) -> None:
            """Give the lanes the whole batches among the pending codes, and with ``least`` 1 what is left of them too."""
            nonlocal pending
            while pending and (count := sum(map(len, pending))) >= least:
                codes = _stacked(pending)
                part.batches.append(pool.submit(engine.scored, codes[: pace.batch]))
                pending = [codes[pace.batch :]] if count > pace.batch else []
                unfinished = [each for of in (*under_way, part) for each in of.batches if not each.done()]
                if len(unfinished) > lanes + 1:  # one waits, so that no lane has to
                    unfinished[0].result()

        try:
            for seen in looked:
                asked = waiting.popleft()
                while asked is None:
                    hand_out(1)
                    under_way.append(part)
                    part = _Part()
                    asked = waiting.popleft()
                part.images.append((asked, seen))
                if isinstance(seen, Shown) and len(seen.codes):
                    pending.append(seen.codes)
                    hand_out(pace.batch)
                tick()
                while under_way and (len(under_way) > 1 or all(batch.done() for batch in under_way[0].batches)):
                    yield under_way.popleft().answered()
            hand_out(1)
            under_way.append(part)
            while under_way:
                if (found := under_way.popleft()).images:
                    yield found.answered()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            looked.close()  # type: ignore[attr-defined]


class _Here(Executor):
    """A single lane: this thread, whose helpers torch has started already."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        found: Future[Any] = Future()
        found.set_result(fn(*args, **kwargs))
        return found


def _stacked(pending: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Codes together; beside coloured pictures, grey ones are coloured, which the network sees as the same."""
    if len({codes.ndim for codes in pending}) > 1:
        pending = [np.repeat(codes[..., None], 3, axis=-1) if codes.ndim == 3 else codes for codes in pending]
    return np.concatenate(pending)


def lanes_for(images: int | None, batch: int) -> int:
    """How many batches are answered side by side: one for a few images, or where the network has a device of its own."""
    import torch

    if torch.accelerator.current_accelerator() is not None or (images is not None and images <= 2 * batch):
        return 1
    return min(LANES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@contextmanager
def _few_threads(lanes: int) -> Iterator[None]:
    """Meanwhile, torch's threads are shared among the lanes."""
    if lanes == 1:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // lanes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pin_of(folder: Path) -> str:
    """What tells the model in ``folder`` from every other: one sha256 over what its answers depend on."""
    from sdovis import manifests

    names = ("config.json", "preprocessor_config.json")
    files = sorted(path for path in folder.iterdir() if path.name in names or path.suffix == ".safetensors")
    return "sha256:" + manifests.sha256_text(" ".join(f"{path.name} {manifests.sha256_file(path)}" for path in files))
