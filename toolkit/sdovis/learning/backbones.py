"""The network and the processor saved with it: pretrained, or built from scratch from a configuration.

A backbone is any image model of transformers that has an image-classification head. Its processor resizes and
normalises and does nothing else: a centre crop, as in many backbones' own processors, would cut off spot groups.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, HubFailure, Problem, SdovisError, nearest
from sdovis.learning.model_files import is_fused
from sdovis.study import Study

#: Components of a pretrained network that our classifier replaces or does not use.
_OTHER_HEADS = re.compile(r"(^|\.)(\w*classifier|pooler|head|lm_head|decoder|mask_token)(\.|$)")

#: Up to this many patches (224 px in patches of 14), eager attention is faster, and its weights are few enough to keep.
EAGER_PATCHES = 256


def build(study: Study, classes: Sequence[str], about: Mapping[str, object]) -> tuple[Any, Any]:
    """The network (fp32) and its processor, for images of ``study.images.size_px`` and these classes.

    ``about`` (plain JSON) travels as ``sdovis`` in the network's config.json. The weights are those of the backbone;
    missing ones are drawn from ``study.study.seed``.

    Raises `BadInput` for a backbone that is unknown, is not an image classifier, loses a tensor when loaded, or does not
    take images of that size; `HubFailure` if the Hub cannot be reached.
    """
    from transformers import set_seed

    size_px = study.images.size_px
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    set_seed(study.study.seed)
    with quiet():
        if study.backbone.id is not None:
            model = _pretrained(study.backbone.id, study.backbone.revision, labels)
            processor = _processor(size_px, study.backbone.id, study.backbone.revision)
        else:
            model = _from_config(study.backbone.config or {}, size_px, labels)
            processor = _processor(size_px)
        _refuse_cut_edges(model.config, size_px)
        model = _fitted(model, size_px)
    _refuse_wrong_size(model, size_px)
    model.config.sdovis = dict(about)
    return model, processor


def attend_fast(model: Any, size_px: int, precision: str, device: str) -> None:
    """If a network is to be trained in bf16 on a CPU, make it attend by matrix products instead of torch's kernel.

    That kernel, `scaled_dot_product_attention`, has a slow backward pass in bf16, a third of ViT-Small's step, but not in
    fp32 (benchmarks/README.md). Products keep the attention weights, which grow as the square of the number of patches:
    beyond `EAGER_PATCHES`, or if transformers chose something else, nothing is changed. Saved files do not depend on it.
    """
    patch = getattr(model.config, "patch_size", None)
    if precision != "bf16" or device != "cpu" or not isinstance(patch, int) or (size_px // patch) ** 2 > EAGER_PATCHES:
        return
    if model.config._attn_implementation == "sdpa":
        with quiet():  # transformers warns if the network has no attention to choose, such as a ConvNeXt
            model.set_attn_implementation("eager")


def reload(folder: Path) -> Any:
    """The fp32 network saved in ``folder``, in evaluation mode, with every tensor restored.

    Raises `SdovisError` if a tensor is missing, left over or of the wrong shape: transformers only warns.
    """
    import torch
    from transformers import AutoModelForImageClassification

    opened: Any = AutoModelForImageClassification.from_pretrained
    if is_fused(folder):
        from sdovis.learning import fusion

        opened = fusion.reload
    with quiet():
        model, report = opened(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    lost = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"], *report["error_msgs"]]
    if lost:
        raise SdovisError(f"{folder}: not restored: {_named(lost)}")
    return model.eval()


def load_processor(folder: Path) -> Any:
    """The processor saved in ``folder``."""
    from transformers import AutoImageProcessor

    with quiet():
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True)


def load_config(folder: Path) -> Any:
    """The configuration of the network saved in ``folder``."""
    from transformers import AutoConfig

    if is_fused(folder):
        from sdovis.learning import fusion

        return fusion.config_of(folder)
    return AutoConfig.from_pretrained(folder, local_files_only=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and load reports: what matters in them is checked and raised."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _pretrained(name: str, revision: str | None, labels: Mapping[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForImageClassification

    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        raise BadInput(Problem(f"backbone.id {name!r} contains no config.json", "name the folder of a saved model"))
    try:
        # The backbone may be stored in half precision and have a different number of classes.
        model, report = AutoModelForImageClassification.from_pretrained(
            name,
            revision=revision,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **labels,
        )
    except OSError as error:
        raise _unreachable(name, revision, error) from error
    except ValueError as error:
        reason = str(error).split("\n")[0][:200]
        raise BadInput(
            Problem(
                f"backbone.id {name!r} is not an image-classification model of transformers: {reason}",
                "choose a ViT, DeiT, DINOv2, Swin, ConvNeXt ...",
            )
        ) from error
    body = model.base_model_prefix + "."
    shapes = [key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]]
    lost = [key for key in [*report["missing_keys"], *shapes] if key.startswith(body)]
    lost += [key for key in report["unexpected_keys"] if not _OTHER_HEADS.search(key)]
    if lost:
        raise BadInput(
            Problem(
                f"backbone.id {name!r}: weights and config.json do not fit together: {_named(lost)}",
                "take both from the same network",
            )
        )
    return model


def _named(tensors: Sequence[object]) -> str:
    """The first three names and, if there are more, how many."""
    return ", ".join(sorted(map(str, tensors))[:3]) + (f" ... ({len(tensors)} in all)" if len(tensors) > 3 else "")


def _unreachable(name: str, revision: str | None, error: OSError) -> SdovisError:
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    chain: list[BaseException] = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    what = f"backbone.id {name!r}" + (f" at revision {revision!r}" if revision else "")
    if Path(name).is_dir():
        return BadInput(Problem(f"{what} contains no weights", "add model.safetensors"))
    if any(isinstance(e, HFValidationError) for e in chain):
        return BadInput(Problem(f"{what} is neither a local folder nor a Hub id", "check the spelling"))
    if any(isinstance(e, RepositoryNotFoundError | RevisionNotFoundError) for e in chain):
        return BadInput(
            Problem(f"{what} is not on the Hub, or private", "check the spelling, or log in with hf auth login")
        )
    return HubFailure(
        f"{what} is not a local folder, and the Hub cannot be reached; go online, or use a local copy with "
        "--set backbone.id=FOLDER"
    )


def _from_config(given: Mapping[str, Any], size_px: int, labels: Mapping[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, AutoModelForImageClassification

    settings = dict(given)
    kind = str(settings.pop("model_type", ""))
    kinds = sorted(config.model_type for config in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING)
    if kind not in kinds:
        raise BadInput(
            Problem(
                f"backbone.config.model_type {kind!r} is not an image classifier of transformers", nearest(kind, kinds)
            )
        )
    known = CONFIG_MAPPING[kind]().to_dict()
    unknown = [
        Problem(f"backbone.config.{key} is unknown to {kind}", nearest(key, sorted(known)))
        for key in settings
        if key not in known
    ]
    if settings.get("image_size", size_px) != size_px:
        unknown.append(Problem("backbone.config.image_size differs from images.size_px", "leave it out"))
    if unknown:
        raise BadInput(unknown)
    try:
        config: Any = CONFIG_MAPPING[kind](**(settings | {"image_size": size_px, **labels}))
        # Some kinds have several classifiers, and the configuration must say which; the first is the plain one.
        classifiers: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
        config.architectures = [(classifiers[0] if isinstance(classifiers, tuple) else classifiers).__name__]
        return AutoModelForImageClassification.from_config(config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(Problem(f"backbone.config does not make a working {kind}: {error}".split("\n")[0])) from error


def _processor(size_px: int, name: str | None = None, revision: str | None = None) -> Any:
    """Resizes to ``size_px`` and normalises as the backbone does; with mean and SD 0.5 if it does not say."""
    from transformers import AutoImageProcessor, ViTImageProcessorPil

    mean, std, resample = [0.5] * 3, [0.5] * 3, 2
    if name is not None:
        try:
            own = AutoImageProcessor.from_pretrained(name, revision=revision)
        except (OSError, ValueError):
            own = None
        if own is not None and own.image_mean is not None and own.image_std is not None:
            mean, std, resample = list(own.image_mean), list(own.image_std), int(own.resample or resample)
    return ViTImageProcessorPil(
        do_resize=True,
        size={"height": size_px, "width": size_px},
        resample=resample,
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=mean,
        image_std=std,
        do_convert_rgb=True,
    )


def _refuse_cut_edges(config: Any, size_px: int) -> None:
    patch = getattr(config, "patch_size", None)
    if isinstance(patch, int) and size_px % patch:
        low = size_px // patch * patch
        choices = " or ".join(str(size) for size in (low, low + patch) if size)
        raise BadInput(
            Problem(
                f"images.size_px {size_px} is not a multiple of the backbone's patches of {patch} px: the edges "
                "would be cut off",
                f"set it to {choices}",
            )
        )


def _fitted(model: Any, size_px: int) -> Any:
    """The same network for images of ``size_px``, with position embeddings interpolated once, as DINOv2 and ViT do."""
    if getattr(model.config, "image_size", size_px) == size_px:
        return model
    config = copy.deepcopy(model.config)
    config.image_size = size_px
    fitted = type(model)(config)
    tensors, shapes = model.state_dict(), {key: tensor.shape for key, tensor in fitted.state_dict().items()}
    for key, tensor in tensors.items():
        if tensor.shape == shapes[key]:
            continue
        if not key.endswith("position_embeddings"):
            raise BadInput(
                Problem(
                    f"the backbone's {key} is made for images of {model.config.image_size} px",
                    f"set images.size_px = {model.config.image_size}",
                )
            )
        tensors[key] = _interpolated(tensor, shapes[key][1], size_px // config.patch_size)
    fitted.load_state_dict(tensors, strict=True)
    return fitted.eval()


def _interpolated(embeddings: Any, count: int, side: int) -> Any:
    """(1, prefix + old**2, D) -> (1, prefix + side**2, D), bicubic; class and distillation tokens are kept."""
    import torch

    prefix = count - side * side
    tokens, grid = embeddings[:, :prefix], embeddings[:, prefix:]
    old = math.isqrt(grid.shape[1])
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([tokens, grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)


def _refuse_wrong_size(model: Any, size_px: int) -> None:
    import torch

    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, size_px, size_px))
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).split("\n")[0]
        raise BadInput(
            Problem(
                f"the backbone does not take colour images of {size_px} x {size_px} px: {reason}",
                "choose another images.size_px or backbone",
            )
        ) from error
