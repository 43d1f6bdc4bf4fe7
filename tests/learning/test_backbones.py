from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from sdovis.errors import BadInput, HubFailure, SdovisError
from sdovis.learning import backbones
from sdovis.learning.training import weights_sha256

KINDS = tiny.BACKBONES | {
    "deit": tiny.BACKBONES["vit"] | {"model_type": "deit"},
    "swin": {"model_type": "swin", "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
    "convnext": {"model_type": "convnext", "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
}
ABOUT = {"channel": "hmi-magnetogram", "size_px": 32, "simulated": True, "meanings": {"alpha": "one polarity"}}


def build(size_px: int = tiny.SIZE, **backbone: object):
    study = tiny.study(images={"size_px": size_px}, backbone=backbone)
    return backbones.build(study, tiny.CLASSES, ABOUT)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_tensor_survives_saving_and_reloading(kind: str, tmp_path: Path) -> None:
    model, processor = build(config=KINDS[kind])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = backbones.reload(tmp_path)
    assert weights_sha256(again) == weights_sha256(model)
    assert again.config.sdovis == ABOUT
    assert [again.config.id2label[i] for i in range(3)] == list(tiny.CLASSES)
    assert not again.training and again.dtype == torch.float32


def test_the_seed_decides_the_first_weights() -> None:
    first, second = (weights_sha256(build(config=KINDS["vit"])[0]) for _ in range(2))
    study = tiny.study(study={"name": "tiny", "seed": 6})
    assert first == second != weights_sha256(backbones.build(study, tiny.CLASSES, {})[0])


@pytest.mark.parametrize("kind", ["vit", "deit", "dinov2"])
def test_another_image_size_interpolates_the_position_embeddings_as_the_network_itself_would(
    kind: str, tmp_path: Path
) -> None:
    large, _ = build(64, config=KINDS[kind])
    large.save_pretrained(tmp_path)
    small, processor = build(32, id=str(tmp_path))
    assert small.config.image_size == 32 and processor.size["height"] == 32
    images = torch.randn(2, 3, 32, 32)
    at_run_time = {} if kind == "dinov2" else {"interpolate_pos_encoding": True}
    with torch.no_grad():
        assert torch.equal(small(images).logits, large(images, **at_run_time).logits)


def test_a_pretrained_body_is_kept_and_the_classifier_replaced(tmp_path: Path) -> None:
    pretrained, _ = build(config=KINDS["vit"])
    pretrained.half().save_pretrained(tmp_path)
    study = tiny.study(backbone={"id": str(tmp_path)})
    model, _ = backbones.build(study, ("quiet", "spotted"), {})
    assert model.dtype == torch.float32 and model.classifier.weight.shape[0] == 2
    body = pretrained.float().base_model.state_dict()
    assert all(torch.equal(tensor, body[name]) for name, tensor in model.base_model.state_dict().items())


def test_a_pretrained_backbone_with_a_lost_tensor_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    build(config=KINDS["vit"])[0].save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in tensors if "layernorm_before" in name)
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"do not fit together: vit\.layers\.\S+layernorm_before\.\w+;"):
        build(id=str(tmp_path))
    with pytest.raises(SdovisError, match=r"not restored: vit\.\S+layernorm_before\.\w+$"):
        backbones.reload(tmp_path)


def test_the_processor_of_a_pretrained_backbone_normalises_as_it_did_but_never_crops(tmp_path: Path) -> None:
    from transformers import BitImageProcessorPil

    build(config=KINDS["vit"])[0].save_pretrained(tmp_path)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    BitImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, image_mean=mean, image_std=std, resample=3
    ).save_pretrained(tmp_path)
    _, processor = build(id=str(tmp_path))
    assert [*processor.image_mean] == mean and [*processor.image_std] == std and processor.resample == 3
    picture = np.zeros((64, 64), np.uint8)
    picture[0, 0] = picture[-1, -1] = 255
    seen = processor(images=[Image.fromarray(picture).convert("RGB")], return_tensors="np")["pixel_values"][0]
    assert seen.shape == (3, 32, 32)
    assert (seen[:, [0, -1], [0, -1]] > seen[:, 5, 5][:, None] + 0.1).all()


def test_dinov2_small_is_read_in_fp32_and_ready_for_the_studys_size(shared_weights: Path) -> None:
    model, processor = build(112, id=str(shared_weights / "dinov2-small"))
    assert model.dtype == torch.float32 and model.config.image_size == 112
    assert model.base_model.embeddings.position_embeddings.shape == (1, 1 + 8 * 8, 384)
    assert [*processor.image_mean] == [0.485, 0.456, 0.406] and not getattr(processor, "do_center_crop", False)


@pytest.mark.parametrize(
    ("backbone", "size_px", "error", "line"),
    [
        ({"id": "nobody/nothing"}, 32, HubFailure, r"reached; go online, or .* --set backbone.id=FOLDER$"),
        ({"id": "./nowhere"}, 32, BadInput, r"'./nowhere' is neither a local folder nor a Hub id"),
        ({"config": {"model_type": "vitt"}}, 32, BadInput, r"'vitt' is not an image classifier .* did you mean 'vit'\?"),
        ({"config": {"model_type": "vit", "hiden_size": 8}}, 32, BadInput, r"unknown to vit; did you mean 'hidden_size'\?"),
        ({"config": {"model_type": "vit", "image_size": 64}}, 32, BadInput, r"image_size differs from images.size_px"),
        ({"config": KINDS["vit"]}, 36, BadInput, r"36 is not a multiple of .* patches of 8 px.*; set it to 32 or 40"),
        ({"config": KINDS["vit"] | {"num_channels": 1}}, 32, BadInput, r"does not take colour images of 32 x 32 px"),
    ],
)  # fmt: skip
def test_a_backbone_that_cannot_be_used_is_one_clear_line(
    backbone: dict[str, object], size_px: int, error: type[SdovisError], line: str
) -> None:
    with pytest.raises(error, match=line) as raised:
        build(size_px, **backbone)
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"contains no config\.json"):
        build(id=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(BadInput, match="not an image-classification model"):
        build(id=str(tmp_path))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_attention_by_products_learns_what_torchs_kernel_does(kind: str, tmp_path: Path) -> None:
    ours, theirs = (build(config=KINDS[kind])[0] for _ in range(2))
    backbones.attend_fast(ours, tiny.SIZE, "bf16", "cpu")
    images, labels = torch.randn(4, 3, tiny.SIZE, tiny.SIZE), torch.tensor([0, 1, 2, 0])
    for model in (ours, theirs):
        model(images, labels=labels).loss.backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6, msg=name)
    ours.save_pretrained(tmp_path)
    assert backbones.reload(tmp_path).config._attn_implementation == theirs.config._attn_implementation


@pytest.mark.parametrize(
    ("size_px", "precision", "device", "chosen"),
    [
        (32, "bf16", "cpu", "eager"),
        (32, "no", "cpu", "sdpa"),
        (32, "bf16", "cuda", "sdpa"),
        (256, "bf16", "cpu", "sdpa"),
    ],
)
def test_attention_by_products_is_for_training_few_patches_in_bf16_on_a_cpu(
    size_px: int, precision: str, device: str, chosen: str
) -> None:
    model, _ = build(size_px, config=KINDS["vit"])
    backbones.attend_fast(model, size_px, precision, device)
    assert model.config._attn_implementation == chosen


def test_attention_that_was_chosen_otherwise_stays() -> None:
    model, _ = build(config=KINDS["vit"])
    model.set_attn_implementation("flex_attention")
    backbones.attend_fast(model, tiny.SIZE, "bf16", "cpu")
    assert model.config._attn_implementation == "flex_attention"
