from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from sdovis.learning.losses import Loss, logit_offsets, loss_of

LABELS = [0] * 6 + [1] * 3 + [2]


def _method(**settings: object):
    return tiny.study(method=settings).method


def test_logit_adjustment_is_the_cross_entropy_of_logits_shifted_by_tau_log_share() -> None:
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    loss = loss_of(_method(logit_adjustment=1.5), LABELS, 3, 0.0)
    shifted = logits + 1.5 * torch.log(torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64))
    assert torch.allclose(loss({"logits": logits}, labels), torch.nn.functional.cross_entropy(shifted, labels))


def test_with_logit_adjustment_a_network_that_knows_nothing_answers_with_equal_logits() -> None:
    logits = torch.zeros(10, 3, requires_grad=True)
    loss_of(_method(logit_adjustment=1.0), LABELS, 3, 0.0)({"logits": logits}, torch.tensor(LABELS)).backward()
    assert torch.allclose(logits.grad.sum(dim=0), torch.zeros(3), atol=1e-7)
    logits.grad = None
    loss_of(_method(class_weights="none"), LABELS, 3, 0.0)({"logits": logits}, torch.tensor(LABELS)).backward()
    assert logits.grad.sum(dim=0).abs().max() > 0.1


def test_a_class_that_does_not_occur_makes_nothing_infinite() -> None:
    offsets = logit_offsets([0, 0, 2], 4, 1.0)
    assert np.isfinite(offsets).all() and offsets[1] == offsets[3] < offsets[2] < offsets[0]


def test_label_smoothing_and_class_weights_are_torchs() -> None:
    logits, labels = torch.randn(10, 3), torch.tensor(LABELS)
    weights = torch.tensor([10 / 18, 10 / 9, 10 / 3])
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=weights, reduction="sum", label_smoothing=0.1)
    found = loss_of(_method(class_weights="balanced"), LABELS, 3, 0.1)({"logits": logits}, labels)
    assert found.item() == pytest.approx(expected.item() / 10, rel=1e-5)


def test_only_the_loss_of_training_is_remembered() -> None:
    loss = Loss(torch.ones(3), 0.0)
    logits = torch.zeros(2, 3, requires_grad=True)
    loss({"logits": logits}, torch.tensor([0, 1]), num_items_in_batch=8)
    assert loss.last is not None and loss.last.item() == pytest.approx(np.log(3)) and not loss.last.requires_grad
    with torch.no_grad():
        loss({"logits": logits + torch.tensor([9.0, 0, 0])}, torch.tensor([1, 1]))
    assert loss.last.item() == pytest.approx(np.log(3))
