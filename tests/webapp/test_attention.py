"""Attention rollout: its arithmetic, the networks it works for, and those it declines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from saved_models import SIZE, network
from sdovis.webapp.attention import rolled_out, rollout


def test_rolling_out_one_layer_mixes_the_mean_of_the_heads_with_the_residual_in_equal_parts():
    heads = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert rolled_out([heads]) == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]))


def test_rolling_out_layers_multiplies_the_later_one_from_the_left():
    first, second = (np.array([[[p, 1 - p], [q, 1 - q]]]) for p, q in ((0.2, 0.6), (1.0, 1.0)))
    half = [(layer[0] + np.eye(2)) / 2 for layer in (first, second)]
    assert rolled_out([first, second]) == pytest.approx(half[1] @ half[0])
    assert rolled_out([first, second]).sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_a_vision_transformer_has_a_map_over_its_patches_from_0_to_1(kind):
    looked = rollout(network(kind), torch.randn(1, 3, SIZE, SIZE))
    assert looked.shape == (SIZE // 8, SIZE // 8)
    assert (looked.min(), looked.max()) == (0, 1)


def test_the_map_lies_over_the_patch_that_the_class_token_attends_to():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = type("Config", (), {"patch_size": 8})()

        def set_attn_implementation(self, name):
            pass

        def forward(self, pixel_values, output_attentions):
            layer = torch.eye(17).repeat(1, 2, 1, 1)
            layer[:, :, 0] = 0
            layer[:, :, 0, 1 + 4 * 2 + 3] = 1  # row 2, column 3 of the patches
            return type("Output", (), {"attentions": (layer, layer)})()

    looked = rollout(Model(), torch.zeros(1, 3, SIZE, SIZE))
    assert np.argwhere(looked > 0).tolist() == [[2, 3]]


@pytest.mark.parametrize("kind", ["swin", "convnext"])
def test_a_network_without_global_attention_has_no_map(kind):
    assert rollout(network(kind), torch.randn(1, 3, SIZE, SIZE)) is None


def test_a_map_leaves_the_network_with_the_kernels_and_the_answer_it_had():
    model, pixels = network(), torch.randn(1, 3, SIZE, SIZE)
    kernels = model.config._attn_implementation
    with torch.inference_mode():
        before = model(pixels).logits
        rollout(model, pixels)
        after = model(pixels).logits
    assert model.config._attn_implementation == kernels == "sdpa"
    assert torch.equal(before, after)
