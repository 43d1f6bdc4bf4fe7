"""Where the labels of a disc's regions go, and in which colours: for the wall and for the page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

#: Inks for the classes, in their order, told apart by colour-blind eyes too: Okabe & Ito (2008), lighter, for a black sky.
INKS = ("#56B4E9", "#F0E442", "#FF7F2A", "#2BC79B", "#F29AC8", "#E6B84D", "#6FA8FF", "#FFFFFF")
#: For regions without an answer, or with one that is not to be relied on.
DOUBTFUL = "#B8B8B8"

#: A box: the centre (x, y) and the side of a cutout. A rectangle: left, top, right, bottom. Rows grow downwards.
Box = tuple[float, float, float]
Rectangle = tuple[float, float, float, float]


def ink(classes: Sequence[str], name: str) -> str:
    """The colour of a class, in hexadecimal notation."""
    return INKS[list(classes).index(name) % len(INKS)]


def beside(
    boxes: Sequence[Box], sizes: Sequence[tuple[float, float]], bounds: Rectangle, gap: float
) -> list[Rectangle]:
    """A rectangle of each size (width, height) for the label of each box, so that labels lie inside ``bounds``, over no
    other label and, if possible, over no box.

    Each is tried around its box and then farther and farther out.
    """
    edges = [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y, side in boxes]
    found: list[Rectangle] = []
    for (x, y, side), (wide, high) in zip(boxes, sizes, strict=True):
        best: tuple[float, Rectangle] | None = None
        for far, turn in itertools.product(range(8), range(16)):
            angle = 2 * np.pi * turn / 16 - np.pi / 2
            away = far * high * 0.8
            # The label's own half size is added, so that it touches the box from any side.
            across = float(np.cos(angle)) * (side / 2 + wide / 2 + gap + away)
            down = float(np.sin(angle)) * (side / 2 + high / 2 + gap + away)
            tried = x + across - wide / 2, y + down - high / 2, x + across + wide / 2, y + down + high / 2
            if tried[0] < bounds[0] or tried[1] < bounds[1] or tried[2] > bounds[2] or tried[3] > bounds[3]:
                continue
            over_labels = sum(_overlap(tried, other, gap) for other in found)
            over_boxes = sum(_overlap(tried, other, 0) for other in edges)
            cost = 1000 * over_labels + 10 * over_boxes + far + 0.01 * turn
            if best is None or cost < best[0]:
                best = cost, tried
        found.append(best[1] if best else _inside(x, y, wide, high, bounds))
    return found


def _inside(x: float, y: float, wide: float, high: float, bounds: Rectangle) -> Rectangle:
    """At (x, y), or as near as ``bounds`` allow: a label that fits nowhere else."""
    left = max(bounds[0], min(x, bounds[2] - wide))
    top = max(bounds[1], min(y, bounds[3] - high))
    return left, top, left + wide, top + high


def _overlap(one: Rectangle, other: Rectangle, gap: float) -> bool:
    return one[0] < other[2] + gap and other[0] < one[2] + gap and one[1] < other[3] + gap and other[1] < one[3] + gap
