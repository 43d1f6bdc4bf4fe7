"""Maps of where a network looked: their arithmetic, the networks they are made for, and independent implementations."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from saved_models import SIZE, network
from sdovis.evaluation import maps
from sdovis.evaluation.maps import (
    blank,
    integrated_gradients,
    relative,
    relevance,
    rolled_out,
    rollout,
    weighted_rollout,
)


def pictures(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def predicted(model, seen) -> torch.Tensor:
    with torch.inference_mode():
        return model(seen).logits.argmax(dim=1)


def test_rolling_out_one_layer_mixes_the_mean_of_the_heads_with_the_residual_in_equal_parts():
    heads = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert rolled_out([heads]) == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]))


def test_rolling_out_layers_multiplies_the_later_one_from_the_left():
    first, second = (np.array([[[p, 1 - p], [q, 1 - q]]]) for p, q in ((0.2, 0.6), (1.0, 1.0)))
    half = [(layer[0] + np.eye(2)) / 2 for layer in (first, second)]
    assert rolled_out([first, second]) == pytest.approx(half[1] @ half[0])
    assert rolled_out([first, second]).sum(axis=1) == pytest.approx([1, 1])


def test_relevance_counts_only_what_speaks_for_the_class_and_keeps_what_passes_by():
    heads = np.array([[[0.5, -4.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 1.0]]])
    assert relevance([heads]) == pytest.approx(np.eye(2) + np.array([[0.25, 1.0], [0.0, 0.5]]))


@pytest.mark.parametrize("kind", ["vit", "dinov2", "dinov2_with_registers"])
@pytest.mark.parametrize("name", maps.METHODS)
def test_a_vision_transformer_has_maps_over_its_patches_each_as_if_it_were_alone(kind, name):
    model, seen = network(kind), pictures()
    target = predicted(model, seen)
    found = maps.METHODS[name](model, seen, target)
    assert found.shape == (2, SIZE // 8, SIZE // 8)
    alone = maps.METHODS[name](model, seen[1:], target[1:])
    assert found[1] == pytest.approx(alone[0], rel=1e-3, abs=1e-6)
    shown = relative(found[0])
    assert (shown.min(), shown.max()) == (0, 1)


def test_the_map_lies_over_the_patch_that_the_class_token_attends_to():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = SimpleNamespace(patch_size=8, num_attention_heads=2)

        def set_attn_implementation(self, name):
            pass

        def forward(self, pixel_values, output_attentions):
            layer = torch.eye(17).repeat(1, 2, 1, 1)
            layer[:, :, 0] = 0
            layer[:, :, 0, 1 + 4 * 2 + 3] = 1  # row 2, column 3 of the patches
            return SimpleNamespace(attentions=(layer, layer), logits=None)

    looked = rollout(Model(), torch.zeros(1, 3, SIZE, SIZE))
    assert np.argwhere(looked[0] > 0).tolist() == [[2, 3]]


@pytest.mark.parametrize("kind", ["swin", "convnext"])
def test_a_network_without_global_attention_has_gradients_only(kind):
    model, seen = network(kind), pictures()
    target = predicted(model, seen)
    assert rollout(model, seen) is None
    assert weighted_rollout(model, seen, target) is None
    assert integrated_gradients(model, seen, target).shape == (2, 8, 8)


@pytest.mark.parametrize("name", maps.METHODS)
def test_a_map_leaves_the_network_with_the_kernels_the_answer_and_the_gradients_it_had(name):
    model, seen = network(), pictures()
    kernels = model.config._attn_implementation
    next(model.parameters()).requires_grad_(False)
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    target = predicted(model, seen)
    with torch.inference_mode():
        before = model(seen).logits
    maps.METHODS[name](model, seen, target)
    with torch.inference_mode():
        after = model(seen).logits
    assert model.config._attn_implementation == kernels == "sdpa"
    assert torch.equal(before, after)
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_low_rank_adapters_do_not_change_how_maps_are_made(kind):
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(network(kind), LoraConfig(target_modules="all-linear", r=2))
    seen = pictures()
    for method in maps.METHODS.values():
        plain = method(network(kind), seen, predicted(network(kind), seen))
        assert method(adapted, seen, predicted(adapted, seen)) == pytest.approx(plain, rel=1e-3, abs=1e-6)


def test_integrated_gradients_add_up_to_what_the_picture_changes():
    """The completeness axiom, for a network whose gradients do not change abruptly."""
    model, seen = network(), pictures() / 10
    target = predicted(model, seen)
    found = integrated_gradients(model, seen, target).sum(axis=(1, 2))
    with torch.inference_mode():
        change = (model(seen).logits - model(blank(seen)).logits).gather(1, target[:, None])[:, 0]
    assert found == pytest.approx(change.numpy(), rel=0.05, abs=0.02)


def test_integrated_gradients_are_captum_s():
    captum = pytest.importorskip("captum.attr", reason="captum, the referee, is not installed")
    model, seen = network("dinov2"), pictures()
    target = predicted(model, seen)
    attributed = captum.IntegratedGradients(lambda x: model(x).logits).attribute(
        seen, baselines=blank(seen), target=target, n_steps=maps.PATH_STEPS, method="riemann_middle"
    )
    patches = attributed.sum(dim=1).unfold(1, 8, 8).unfold(2, 8, 8).sum(dim=(-1, -2))
    assert integrated_gradients(model, seen, target) == pytest.approx(patches.detach().numpy(), rel=1e-3, abs=1e-4)


def test_weighted_rollout_is_that_of_its_authors_code():
    """Their loop, written again from the paper: heads one after another, one picture, plain Python."""
    model, seen = network("vit"), pictures(1)
    target = predicted(model, seen)
    model.set_attn_implementation("eager")
    answer = model(seen.clone().requires_grad_(), output_attentions=True)
    gradients = torch.autograd.grad(answer.logits[0, target[0]], answer.attentions)
    tokens = answer.attentions[0].shape[-1]
    told = torch.eye(tokens)
    for attention, gradient in zip(answer.attentions, gradients, strict=True):
        heads = [(g * a).clamp(min=0) for a, g in zip(attention[0], gradient[0], strict=True)]
        told = told + torch.matmul(sum(heads) / len(heads), told)
    model.set_attn_implementation("sdpa")
    assert weighted_rollout(model, seen, target)[0].ravel() == pytest.approx(told[0, 1:].detach().numpy(), rel=1e-4)


def test_a_blank_picture_is_the_median_of_its_own_in_each_colour():
    seen = torch.zeros(1, 3, 3, 3)
    seen[0, 1] = torch.arange(9.0).view(3, 3)
    assert blank(seen)[0, :, 2, 2].tolist() == [0, 4, 0]


def test_what_speaks_against_the_class_is_shown_as_unimportant():
    assert relative(np.array([[-9.0, 0.0], [1.0, 2.0]])).tolist() == [[0, 0], [0.5, 1]]
    assert relative(np.array([[2.0, 3.0], [4.0, 6.0]])).tolist() == [[0, 0.25], [0.5, 1]]


def test_a_map_that_is_the_same_everywhere_shows_nothing():
    assert relative(np.full((4, 4), 0.3)) is None
    assert relative(-np.arange(4.0).reshape(2, 2)) is None
