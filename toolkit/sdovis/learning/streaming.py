"""Pictures of a corpus too large for a cache: decoded from its Parquet files whenever they are asked for.

An epoch is an order of indices, drawn from (seed, epoch) before anything is read, so that a training resumes without
reading what came before. It goes through the files one window of row groups at a time, each process through its own
row groups. Importing this module imports torch.
"""

from __future__ import annotations

import bisect
import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch.utils.data import Sampler

from sdovis.learning import loader

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

#: Row groups (100 pictures each) that are shuffled together, and that a reader holds, still as PNG.
WINDOW = 16


class Decoded:
    """The codes of the pictures of some parts, one after the other, indexed like an array by slices and lists of indices."""

    def __init__(self, corpus: Corpus, processor: Any, *parts: str) -> None:
        import pyarrow.parquet as pq

        self.processor = processor
        #: For each row group: its file, its number in that file, and its number of rows.
        self.groups: list[tuple[Path, int, int]] = []
        files = (sorted((corpus.folder / "data").glob(f"{part}-*.parquet")) for part in parts)
        for path in itertools.chain.from_iterable(files):
            metadata = pq.read_metadata(path)
            rows = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
            self.groups += [(path, group, count) for group, count in enumerate(rows)]
        self._firsts = np.cumsum([0, *self.rows]).tolist()
        self._held: OrderedDict[int, list[bytes]] = OrderedDict()

    @property
    def rows(self) -> list[int]:
        """How many pictures each row group holds."""
        return [count for _, _, count in self.groups]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self[:1].shape[1:]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, which: slice | Sequence[int]) -> loader.Pixels:
        indices = range(*which.indices(len(self))) if isinstance(which, slice) else which
        return loader.decode([self._picture(int(index)) for index in indices], self.processor)

    def _picture(self, index: int) -> bytes:
        import pyarrow.parquet as pq

        group = bisect.bisect_right(self._firsts, index) - 1
        if group not in self._held:
            path, number, _ = self.groups[group]
            with pq.ParquetFile(path) as file:
                column = file.read_row_group(number, columns=["image"])["image"]
            self._held[group] = [image["bytes"] for image in column.to_pylist()]
            if len(self._held) > WINDOW:
                self._held.popitem(last=False)
        self._held.move_to_end(group)
        picture: bytes = self._held[group][index - self._firsts[group]]
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_held": OrderedDict()}


class Epochal(Protocol):
    """Examples that know the epoch."""

    @property
    def epoch(self) -> int: ...


class WindowSampler(Sampler[int]):
    """Every picture once per epoch, in an order that reads each row group once and holds a window of them.

    The groups are dealt out to the processes again in each epoch. Each process shuffles its own, one window at a time,
    and the batches of the processes alternate, as accelerate deals batches out in turn. A process with none left takes
    from the one that has most.
    """

    def __init__(self, rows: Sequence[int], examples: Epochal, *, seed: int, batch: int, processes: int) -> None:
        self.rows, self.examples, self.seed, self.batch, self.processes = list(rows), examples, seed, batch, processes
        self._firsts = np.cumsum([0, *self.rows])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.examples.epoch))
        order = rng.permutation(len(self.rows)).tolist()
        shares = [order[process :: self.processes] for process in range(self.processes)]
        left = [sum(self.rows[group] for group in share) for share in shares]
        streams = [self._shuffled(share, rng) for share, rng in zip(shares, rng.spawn(self.processes), strict=True)]
        turn = 0
        while any(left):
            for _ in range(min(self.batch, sum(left))):
                source = turn % self.processes if left[turn % self.processes] else int(np.argmax(left))
                left[source] -= 1
                yield next(streams[source])
            turn += 1

    def _shuffled(self, groups: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
        for start in range(0, len(groups), WINDOW):
            window = groups[start : start + WINDOW]
            indices = [np.arange(self._firsts[group], self._firsts[group + 1]) for group in window]
            yield from rng.permutation(np.concatenate(indices)).tolist()
