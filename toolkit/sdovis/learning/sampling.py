"""Which images an epoch shows, if not each of them once. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class Labelled(Protocol):
    """Examples that know their classes and the epoch."""

    @property
    def epoch(self) -> int: ...
    @property
    def labels(self) -> NDArray[np.int64]: ...


class BalancedSampler(Sampler[int]):
    """As many images as there are, with every class equally often, drawn from (seed, epoch) and nothing else.

    An image of a common class is shown at most once per epoch; one of a rare class is shown again only after all others
    of its class. The epoch is that of the examples, which is set in every process (see `trainer`).
    """

    def __init__(self, examples: Labelled, seed: int) -> None:
        self.examples, self.seed = examples, seed
        labels = np.asarray(examples.labels)
        self._of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def __len__(self) -> int:
        return len(self.examples.labels)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.examples.epoch))
        each, rest = divmod(len(self), len(self._of_class))
        quota = np.full(len(self._of_class), each)
        quota[rng.permutation(len(quota))[:rest]] += 1
        drawn = [
            np.concatenate([rng.permutation(of) for _ in range(-(-wanted // len(of)))])[:wanted]
            for of, wanted in zip(self._of_class, quota, strict=True)
        ]
        yield from rng.permutation(np.concatenate(drawn)).tolist()
