"""A model folder becomes a ready pipeline: evaluation, predict and the Space all score through here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis import allocation
from sdovis.channels.channel import Channel, channel, composite, encode, matched, together
from sdovis.channels.place import Spot, pixel_of
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage, read_image
from sdovis.images.isolation import read_isolated
from sdovis.learning import backbones, loader

if TYPE_CHECKING:
    from transformers import ImageClassificationPipeline


def pipeline(model: str | Path, **kwargs: Any) -> ImageClassificationPipeline:
    """transformers' image-classification pipeline for a model of ours, which also takes physical images.

    ``model`` is a folder or a Hub id; ``kwargs`` are those of `transformers.pipeline`. Beside PIL images and PNG or JPEG
    files, the pipeline takes a FITS file (also gzipped) and an array (H, W) of physical values, solar north up, row 0 in
    the north; it sees them through the channel that the model was trained with. A model of three channels takes a tuple
    of three such sources in the channels' order, a mapping of channel names to sources, an array (H, W, 3), or the
    picture in colour that sdovis saved; a list is a batch. The pictures are cut out already: it does not look for
    regions. Raises `BadInput` for a web address, and `UnreadableImage` for a file that is neither.
    """
    from transformers import pipeline as stock

    with backbones.quiet():
        ready: ImageClassificationPipeline = stock(
            "image-classification", model=str(model), pipeline_class=_pipeline_class(), **kwargs
        )
    return ready


def picture(source: Any, about: Mapping[str, Any]) -> Image.Image:
    """What the network is shown of ``source``, before its processor: 8 bits in the channels of ``about``.

    ``source`` is a path, a PIL image, a `SolarImage` or an array: uint8 is a picture, any other type physical values;
    for three channels also a tuple or a mapping of them. Grey for one channel, RGB for three. Of ``about``, the ``sdovis``
    in the model's configuration, this reads ``channels`` (name, version), ``cutout_arcsec`` and ``cutout_deg``. Raises
    `BadInput` where a channel has changed since, or an image's header says that it spans something else.
    """
    kinds = channels_of(about)
    if not kinds:
        return _plain(_opened(source, about))
    if len(kinds) == 1:
        return Image.fromarray(kinds[0].encode(kinds[0].values(_opened(source, about))))
    if isinstance(source, Mapping | tuple | list):
        images = [_opened(each, about) for each in _of_each(source, kinds)]
        together([image for image in images if isinstance(image, SolarImage)])
        return Image.fromarray(encode([c.values(i) for c, i in zip(kinds, images, strict=True)], kinds))
    return Image.fromarray(composite(_opened(source, about), kinds))


def gathered(
    files: Sequence[str | Path], about: Mapping[str, Any], place: tuple[float, float] | None = None
) -> SolarImage | tuple[SolarImage, ...] | Image.Image:
    """What to give the pipeline for the files of one image: the one file, or those of three channels put in order.

    ``place`` (heliographic latitude and longitude, degrees, west positive) is where a region is to be cut out of images
    that show more than the model looks at. The files are opened in child processes. Raises `BadInput` where one cannot
    be read, where headers and names do not tell which file is of which channel, and where a place is missing or too much.
    """
    images = [read_isolated(file) for file in files]
    kinds = channels_of(about)
    view = View.of(about, kinds)
    try:
        layers = view.layers(images)
        exceeded = view.is_exceeded_by(layers[0])
        if exceeded and not place:
            first = layers[0].image
            hint = "" if first.frame or first.grid else "keep the name that the archive gave the file, and "
            hint += "say where the region is, as in --at S21W42"
            raise BadInput(Problem("shows more than the model looks at", hint))
        if place and not exceeded:
            for layer in layers:
                view.refuse_other_span(layer.image, layer.scale)
            what = "this is taken as one cutout, in which there is nothing to choose"
            raise BadInput(Problem(what, "leave --at out"))
        if not place:
            return images[0] if len(images) == 1 else matched(images, kinds)
        parts = view.cut(layers, *pixel_of(Spot(*place), layers[0].image, 1))
    except BadInput as error:
        named = ",".join(map(str, files))
        raise BadInput(replace(problem, file=problem.file or named) for problem in error.problems) from error
    return Image.fromarray(encode(parts, kinds) if kinds else parts[0])


def channels_of(about: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The channels that a model was trained with; () where it does not say.

    Raises `BadInput` where one is not installed, or in another version.
    """
    return tuple(_channel(trained) for trained in about.get("channels") or ())


def _opened(source: Any, about: Mapping[str, Any]) -> SolarImage | NDArray[Any]:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise BadInput(Problem("web addresses are not opened", "download the image first", file=source))
    if isinstance(source, str | Path):
        source = read_image(source)
    elif isinstance(source, Image.Image):
        source = _from_pil(source)
    if not isinstance(source, SolarImage | np.ndarray):
        raise BadInput(Problem(f"a {type(source).__name__} is no image", "give a path, a PIL image or a numpy array"))
    if isinstance(source, SolarImage):
        # A browse picture tells by its size that it shows the disc.
        view = View.of(about, ())
        view.refuse_other_span(*view.placed(source))
    return source


def _plain(source: SolarImage | NDArray[Any]) -> Image.Image:
    values = source.values if isinstance(source, SolarImage) else source
    if values.dtype != np.uint8:
        raise BadInput(Problem("this model does not say which channel it sees", "give it 8-bit pictures"))
    return Image.fromarray(values)


def _of_each(source: Mapping[str, Any] | Sequence[Any], kinds: Sequence[Channel]) -> list[Any]:
    """The sources in the order of the channels."""
    names = [kind.name for kind in kinds]
    wanted = f"the model sees {', '.join(names)}"
    if isinstance(source, Mapping):
        if source.keys() != set(names):
            raise BadInput(Problem(f"sources for {', '.join(map(str, source))}, where {wanted}"))
        return [source[name] for name in names]
    if len(source) != len(kinds):
        raise BadInput(Problem(f"{len(source)} sources, where {wanted}", "give one for each, in this order"))
    return list(source)


def probabilities(
    model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True
) -> NDArray[np.float32]:
    """Class probabilities (N, K), fp32, of PNG files as the corpus holds them: the one scoring path.

    The model is reloaded from disk and sees the images through its saved processor, as the stock pipeline shows them.
    """
    import torch
    from tqdm.auto import tqdm

    model, processor, device = _loaded(model_folder)
    answers = loader.table(processor).to(device)
    scored = []
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="score", unit="batch", disable=not progress, dynamic_ncols=True):
        codes = torch.from_numpy(loader.decode(images[start : start + batch_size], processor)).to(device)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = model(loader.normalised(codes, answers)).logits
        scored.append(torch.softmax(logits.float(), dim=1).cpu().numpy())
    return np.concatenate([np.empty((0, model.config.num_labels), np.float32), *scored])


def latency(model_folder: Path, images: Sequence[bytes], *, warmup: int = 5) -> NDArray[np.float64]:
    """Seconds from the PNG file to the probabilities of each image alone; ``warmup`` untimed ones go before."""
    import torch

    model, processor, device = _loaded(model_folder)
    answers = loader.table(processor).to(device)

    def score(image: bytes) -> None:
        codes = torch.from_numpy(loader.decode([image], processor)).to(device)
        # Back on the CPU: only then has an accelerator really finished.
        torch.softmax(model(loader.normalised(codes, answers)).logits, dim=1).cpu()

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

    allocation.keep_freed()
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    return backbones.reload(model_folder).to(device), backbones.load_processor(model_folder), device


def _channel(trained: Mapping[str, Any]) -> Channel:
    """The channel that a model was trained with, by name and version. Raises `BadInput` where another is installed."""
    found = channel(str(trained["name"]))
    if found.version != trained["version"]:
        what = f"the model sees {found.name} in version {trained['version']}, and version {found.version} is installed"
        raise BadInput(Problem(what, "install the sdovis that its card names"))
    return found


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
