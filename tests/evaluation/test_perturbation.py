"""Deletion and insertion: areas under curves of networks whose answer is known, and a second implementation."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from saved_models import SIZE, network
from sdovis.evaluation import maps, perturbation
from sdovis.evaluation.perturbation import STEPS, areas, orders

SHAPE = (4, 5)


class OnePatch(torch.nn.Module):
    """A network that is sure of class 1 as long as it sees one bright patch, and of class 0 without it."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.row, self.column = row, column

    def forward(self, pictures):
        seen = pictures[:, 0, self.row * 8 + 4, self.column * 8 + 4]
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(seen), 200 * (seen - 0.5)], dim=1))


def lit(row: int, column: int) -> torch.Tensor:
    picture = torch.zeros(3, SHAPE[0] * 8, SHAPE[1] * 8)
    picture[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 1
    return picture


@pytest.mark.parametrize("place", [(0, 0), (2, 1), (3, 4)])
def test_the_map_that_names_the_only_patch_that_matters_has_the_best_areas_and_its_opposite_the_worst(place):
    right = np.zeros(SHAPE)
    right[place] = 1
    ranked = orders(np.stack([right, -right]))
    (deletion, insertion), (last, never) = areas(OnePatch(*place), lit(*place), 1, ranked, SHAPE)
    assert (deletion, insertion) == pytest.approx((0.5 / STEPS, 1 - 0.5 / STEPS))
    assert (last, never) == pytest.approx((1 - 0.5 / STEPS, 0.5 / STEPS))


def test_patches_of_equal_weight_are_taken_in_reading_order():
    assert orders(np.array([[0.0, 1.0], [1.0, 2.0]])).tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize("kind", ["vit", "convnext"])
def test_areas_are_those_of_pictures_changed_one_at_a_time(kind):
    """Written again with loops and slices, without masks or batches."""
    model = network(kind)
    picture = torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    shape = maps.grid(model, picture[None])
    side = SIZE // shape[0]
    ranked = orders(np.random.default_rng(0).random((2, *shape)))
    empty = maps.blank(picture[None])[0]

    def probability(seen):
        with torch.inference_mode():
            return float(torch.softmax(model(seen[None]).logits.double(), 1)[0, 2])

    for order, found in zip(ranked, areas(model, picture, 2, ranked, shape), strict=True):
        for start, end, area in ((picture, empty, found[0]), (empty, picture, found[1])):
            points = []
            for share in np.linspace(0, 1, perturbation.STEPS + 1):
                seen = start.clone()
                count = round(share * len(order))
                for patch in order[:count]:
                    row, column = divmod(int(patch), shape[1])
                    cut = np.s_[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
                    seen[cut] = end[cut]
                points.append((count / len(order), probability(seen)))
            known = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
            assert area == pytest.approx(known, abs=1e-5)
