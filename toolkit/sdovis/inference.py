"""A model folder becomes a ready pipeline: evaluation, predict and the Space all score through here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.errors import BadInput, Problem
from sdovis.learning import backbones, loader
from sdovis.sun.channels import Channel, channel, to_picture
from sdovis.sun.images import SolarImage, read_image

if TYPE_CHECKING:
    from transformers import ImageClassificationPipeline


def pipeline(model: str | Path, **kwargs: Any) -> ImageClassificationPipeline:
    """transformers' image-classification pipeline for a model of ours, which also takes physical images.

    ``model`` is a folder or a Hub id; ``kwargs`` are those of `transformers.pipeline`. Beside PIL images and PNG or JPEG
    files, the pipeline takes a FITS file (also gzipped) and an array (H, W) of physical values, solar north up, row 0 in
    the north; it sees them through the channel that the model was trained with. The pictures are cut out already: it
    does not look for regions. Raises `BadInput` for a web address, and `UnreadableImage` for a file that is neither.
    """
    from transformers import pipeline as stock

    with backbones.quiet():
        ready: ImageClassificationPipeline = stock(
            "image-classification", model=str(model), pipeline_class=_pipeline_class(), **kwargs
        )
    return ready


def picture(source: Any, about: Mapping[str, Any]) -> Image.Image:
    """What the network is shown of ``source``, before its processor: 8-bit grey in the channel of ``about``.

    ``source`` is a path, a PIL image, or an array: uint8 is a picture, any other type physical values. Of ``about``, the
    ``sdovis`` in the model's configuration, this reads ``channel`` (name, version) and ``cutout_arcsec``. Raises
    `BadInput` where the channel has changed since, or the image's header says that it spans something else.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise BadInput(Problem("web addresses are not opened", "download the image first", file=source))
    if isinstance(source, str | Path):
        source = read_image(source)
    elif isinstance(source, Image.Image):
        source = _from_pil(source)
    if not isinstance(source, SolarImage | np.ndarray):
        raise BadInput(Problem(f"a {type(source).__name__} is no image", "give a path, a PIL image or a numpy array"))
    if isinstance(source, SolarImage):
        _refuse_other_span(source, about.get("cutout_arcsec"))
    if "channel" in about:
        return to_picture(source, _channel(about["channel"]))
    values = source.values if isinstance(source, SolarImage) else source
    if values.dtype != np.uint8:
        raise BadInput(Problem("this model does not say which channel it sees", "give it 8-bit pictures"))
    return Image.fromarray(values)


def probabilities(
    model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True
) -> NDArray[np.float32]:
    """Class probabilities (N, K), fp32, of PNG files as the corpus holds them: the one scoring path.

    The model is reloaded from disk and sees the images through its saved processor, as the stock pipeline shows them.
    """
    import torch
    from tqdm.auto import tqdm

    model, processor, device = _loaded(model_folder)
    answers = loader.table(processor)
    scored = []
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="score", unit="batch", disable=not progress, dynamic_ncols=True):
        batch = loader.normalised(loader.decode(images[start : start + batch_size], processor), answers)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = model(torch.from_numpy(batch).to(device)).logits
        scored.append(torch.softmax(logits.float(), dim=1).cpu().numpy())
    return np.concatenate([np.empty((0, model.config.num_labels), np.float32), *scored])


def latency(model_folder: Path, images: Sequence[bytes], *, warmup: int = 5) -> NDArray[np.float64]:
    """Seconds from the PNG file to the probabilities of each image alone; ``warmup`` untimed ones go before."""
    import torch

    model, processor, device = _loaded(model_folder)
    answers = loader.table(processor)

    def score(image: bytes) -> None:
        batch = loader.normalised(loader.decode([image], processor), answers)
        # Back on the CPU: only then has an accelerator really finished.
        torch.softmax(model(torch.from_numpy(batch).to(device)).logits, dim=1).cpu()

    seconds = np.empty(len(images))
    with torch.inference_mode():
        for i in range(min(warmup, len(images))):
            score(images[i])
        for i, image in enumerate(images):
            start = time.perf_counter()
            score(image)
            seconds[i] = time.perf_counter() - start
    return seconds


def _loaded(model_folder: Path) -> tuple[Any, Any, Any]:
    import torch

    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    return backbones.reload(model_folder).to(device), backbones.load_processor(model_folder), device


def _channel(trained: Mapping[str, Any]) -> Channel:
    """The channel that a model was trained with, by name and version. Raises `BadInput` where another is installed."""
    found = channel(str(trained["name"]))
    if found.version != trained["version"]:
        what = f"the model sees {found.name} in version {trained['version']}, and version {found.version} is installed"
        raise BadInput(Problem(what, "install the sdovis that its card names"))
    return found


def _refuse_other_span(image: SolarImage, cutout_arcsec: float | None) -> None:
    """A whole disc gets probabilities like any picture, and they mean nothing to a network that learned cutouts."""
    if cutout_arcsec is None or image.frame is None:
        return
    span = max(image.values.shape[:2]) * image.frame.arcsec_per_px
    if not 0.9 < span / cutout_arcsec < 1.1:
        raise BadInput(
            Problem(
                f"spans {span:.0f} arcsec, and the model was trained on cutouts of {cutout_arcsec:.0f}",
                "cut the region out first",
                file=str(image.path or ""),
            )
        )


def _from_pil(image: Image.Image) -> SolarImage:
    if image.mode[:1] in "IF":
        raise BadInput(Problem(f"a picture of mode {image.mode} would be cut off at 255", "give it as an array"))
    grey = image.mode == "L"
    codes = np.asarray(image if grey else image.convert("RGB"))
    return SolarImage(codes, "grey" if grey else "rgb", format=image.format or "")


@cache
def _pipeline_class() -> type[ImageClassificationPipeline]:
    from transformers import ImageClassificationPipeline

    class SolarPipeline(ImageClassificationPipeline):
        """`ImageClassificationPipeline` that is shown every source through the model's channel."""

        def preprocess(self, image: Any, timeout: float | None = None) -> Any:
            return super().preprocess(picture(image, getattr(self.model.config, "sdovis", {})), timeout=timeout)

    return SolarPipeline
