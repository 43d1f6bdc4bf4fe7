"""A model folder becomes a ready pipeline. Evaluation, predict and the Space all score through this module."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis import allocation
from sdovis.channels.channel import Channel, Codes, together
from sdovis.channels.layers import Coded, Layer, of_whole, shown
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.errors import BadInput, Problem
from sdovis.images.images import SolarImage, read_image
from sdovis.images.isolation import read_isolated
from sdovis.images.pictures import eight_bits
from sdovis.learning import backbones, loader
from sdovis.learning.description import familiarity_of, view_of
from sdovis.learning.familiarity import Familiarity, caution
from sdovis.sun.archives import Archive

if TYPE_CHECKING:
    from transformers import ImageClassificationPipeline


class Unfamiliar(UserWarning):
    """A picture is unlike anything that the model was trained on."""


class Classified(list[dict[str, Any]]):
    """The classes of a picture with their scores, as the stock pipeline lists them.

    ``unfamiliarity`` is above 1 for a picture unlike those of the training part (`Familiarity`); None if the model, of an
    older sdovis, cannot tell.
    """

    unfamiliarity: float | None = None

    @property
    def caution(self) -> str:
        """Why the answer must not be used, in words; "" if nothing is known against it."""
        return "" if self.unfamiliarity is None else caution(self.unfamiliarity)


@dataclass(frozen=True, eq=False)
class Scored:
    """Of N pictures: ``probabilities`` (N, K), fp32, and ``unfamiliarity`` (N,), which is None as in `Classified`."""

    probabilities: NDArray[np.float32]
    unfamiliarity: NDArray[np.float64] | None


def pipeline(model: str | Path, **kwargs: Any) -> ImageClassificationPipeline:
    """transformers' image-classification pipeline for a model trained by sdovis, which also takes physical images.

    ``model`` is a folder or a Hub id; ``kwargs`` are those of `transformers.pipeline`. Besides PIL images and PNG or JPEG
    files, the pipeline takes a FITS file (also gzipped) and an array (H, W) of physical values, solar north up, row 0 in
    the north; it sees them through the channel that the model was trained with. A model of three channels takes a tuple
    of three such sources in the channels' order, a mapping of channel names to sources, an array (H, W, 3), or the
    colour picture that sdovis saved; a list is a batch. Sources must already be cut out: it does not look for regions, and
    it cannot tell a region from its neighbours: if the model masks those, it warns unless sdovis saved the cutout.
    The answer for a source is a `Classified`, a list as in the stock pipeline that also says how unlike the training
    pictures the source is; beyond the limit it warns (`Unfamiliar`).
    Raises `BadInput` for a web address and for a blank image, and `UnreadableImage` for a file that is not an image.
    """
    from transformers import pipeline as stock

    with backbones.quiet():
        ready: ImageClassificationPipeline = stock(
            "image-classification", model=str(model), pipeline_class=_pipeline_class(), **kwargs
        )
    where = {name: value for name, value in {**kwargs.get("model_kwargs", {}), **kwargs}.items() if name in _OF_THE_HUB}
    ready.familiarity = familiarity_of(ready.model.config, model, **where)
    return ready


#: Arguments of `transformers.pipeline` that say where on the Hub a model is.
_OF_THE_HUB = ("revision", "token", "cache_dir", "local_files_only", "force_download")


def opened(model: str | Path) -> ImageClassificationPipeline:
    """The pipeline of a run folder, a model folder or a Hub id. Raises `BadInput` if none can be opened."""
    inner = Path(model) / "model"
    try:
        return pipeline(inner if inner.is_dir() else model)
    except OSError as error:
        reason = str(error).partition("\n")[0]
        if not Path(model).exists():
            reason = f"there is no such folder, and as an id on the Hub: {reason}"
        hint = "name runs/NAME, a model folder or a Hub id"
        raise BadInput(Problem(f"no model can be opened here: {reason}", hint, str(model))) from error


def codes(source: Any, view: View) -> Codes:
    """What the network is shown of ``source``, before its processor: the codes of the view's channels.

    ``source`` is a path, a PIL image, a `SolarImage` or an array: uint8 is a picture, any other type physical values;
    for three channels also a tuple or a mapping of these. Returns (H, W) for one channel, (H, W, 3) for three. Raises
    `BadInput` for an unusable image, and if an image's header says that it spans something other than the view.
    """
    if isinstance(source, Coded):
        return source.codes
    if len(view.channels) > 1 and isinstance(source, Mapping | tuple | list):
        images = [_opened(each) for each in _of_each(source, view.channels)]
        together([image for image in images if isinstance(image, SolarImage)])
        layers = [layer for number, each in enumerate(images) for layer in view.cut_already(each, number)]
    else:
        layers = view.cut_already(_opened(source), 0 if len(view.channels) < 2 else None)
    return shown(of_whole(layers)).codes


def gathered(
    files: Sequence[str | Path], view: View, position: Position | None = None, regions: Archive | None = None
) -> Coded:
    """What to give the pipeline for the files of one image: the one file, or those of three channels in any order.

    ``position`` is where to cut out a region from images that show more than the network looks at; ``regions`` are the
    region summaries that name the disc's other regions, for a view that masks them. What a reader must know is in the
    result's notes. The files are opened in child processes. Raises `BadInput` if one cannot be read, if headers and names
    do not say which file belongs to which channel, if a position is missing or not needed, or if no summary is near the
    image's time.
    """
    images = [read_isolated(file) for file in files]
    try:
        layers = view.layers(images)
        exceeded = view.is_exceeded_by(layers[0])
        if exceeded and position is None:
            first = layers[0].image
            hint = "" if first.frame or first.grid else "keep the name that the archive gave the file, and "
            hint += "say where the region is, as in --at S21W42"
            raise BadInput(Problem("shows more than the model looks at", hint))
        if position is not None and not exceeded:
            for layer in layers:
                view.refuse_other_span(layer)
            what = "this is taken as a single cutout, which needs no position"
            raise BadInput(Problem(what, "leave out --at"))
        if position is None:
            found, notes = view.whole(layers), view.caution(layers)
        else:
            others, notes = view.others(layers, position, _on_disc(regions, layers))
            found = view.cutout(layers, position, others)
    except BadInput as error:
        named = ",".join(map(str, files))
        raise BadInput(replace(problem, file=problem.file or named) for problem in error.problems) from error
    return Coded(found.codes[0], tuple(notes))


def _on_disc(regions: Archive | None, layers: Sequence[Layer]) -> list[Position]:
    if regions is None:
        return []
    observed = layers[0].image.observed
    if observed is None:
        raise BadInput("without its time of observation the regions of its day cannot be found")
    return [Position(*place) for place in regions.at(observed).values()]


def _opened(source: Any) -> SolarImage | NDArray[Any]:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise BadInput(Problem("web addresses are not opened", "download the image first", file=source))
    if isinstance(source, str | Path):
        source = read_image(source)
    elif isinstance(source, Image.Image):
        source = _from_pil(source)
    elif isinstance(source, np.ndarray):
        source = _from_array(source)
    if not isinstance(source, SolarImage | np.ndarray):
        raise BadInput(
            Problem(f"a {type(source).__name__} is not an image", "give a path, a PIL image or a numpy array")
        )
    return source


def _of_each(source: Mapping[str, Any] | Sequence[Any], kinds: Sequence[Channel]) -> list[Any]:
    """The sources in the order of the channels."""
    names = [kind.name for kind in kinds]
    wanted = f"the model sees {', '.join(names)}"
    if isinstance(source, Mapping):
        if source.keys() != set(names):
            raise BadInput(Problem(f"sources are given for {', '.join(map(str, source))}, but {wanted}"))
        return [source[name] for name in names]
    if len(source) != len(kinds):
        raise BadInput(Problem(f"{len(source)} sources are given, but {wanted}", "give one for each, in this order"))
    return list(source)


def probabilities(
    model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True
) -> NDArray[np.float32]:
    """Class probabilities (N, K) of `scored`."""
    return scored(model_folder, images, batch_size=batch_size, progress=progress).probabilities


def scored(model_folder: Path, images: Sequence[bytes], *, batch_size: int = 32, progress: bool = True) -> Scored:
    """Of PNG files as stored in the corpus: the only path by which images are scored.

    The model is reloaded from disk and sees the images through its saved processor, as in the stock pipeline.
    """
    import torch
    from tqdm.auto import tqdm

    from sdovis.learning.seen import Watched

    model, processor, device = loaded(model_folder)
    answers = loader.table(processor).to(device)
    familiar, watched = familiarity_of(model.config, model_folder), Watched(model)
    found, strange = [np.empty((0, model.config.num_labels), np.float32)], [np.empty(0)]
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="score", unit="batch", disable=not progress, dynamic_ncols=True):
        some = loader.decode(images[start : start + batch_size], processor)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = model(loader.normalised(torch.from_numpy(some).to(device), answers)).logits
        found.append(torch.softmax(logits.float(), dim=1).cpu().numpy())
        if familiar:
            strange.append(familiar.of(watched.last(), familiar.looks(some)))
    return Scored(np.concatenate(found), np.concatenate(strange) if familiar else None)


def latency(model_folder: Path, images: Sequence[bytes], *, warmup: int = 5) -> NDArray[np.float64]:
    """Seconds from PNG file to probabilities for each image alone, after ``warmup`` untimed images."""
    import torch

    model, processor, device = loaded(model_folder)
    answers = loader.table(processor).to(device)

    def score(image: bytes) -> None:
        codes = torch.from_numpy(loader.decode([image], processor)).to(device)
        # Only when the result is back on the CPU has an accelerator really finished.
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


def loaded(model_folder: Path) -> tuple[Any, Any, Any]:
    """The network as saved, in fp32 on the device where it runs best; its processor; and that device."""
    import torch

    allocation.keep_freed()
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    return backbones.reload(model_folder).to(device), backbones.load_processor(model_folder), device


def _from_pil(image: Image.Image) -> SolarImage:
    if image.mode[:1] in "IF":
        raise BadInput(
            Problem(f"values of a PIL image of mode {image.mode} would be clipped at 255", "pass it as an array")
        )
    name = getattr(image, "filename", "")  # of the file that it was opened from
    codes = eight_bits(image, name or "the PIL image")
    path = Path(name) if name else None
    return SolarImage(codes, "grey" if codes.ndim == 2 else "rgb", path=path, format=image.format or "")


def _from_array(values: NDArray[Any]) -> NDArray[Any]:
    """A plain array of numbers, NaN where a mask hides one. Raises `BadInput` for what is no image of numbers."""
    what = ""
    if values.dtype.kind not in "uif":
        what = f"an array of type {values.dtype} is not an image"
    elif not values.size or not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)):
        what = f"an array of shape {values.shape} is not an image of shape (H, W) or (H, W, 3)"
    elif (unit := getattr(values, "unit", None)) is not None:
        what = f"an array with the unit {str(unit)!r} is not taken"
    elif np.ma.is_masked(values) and values.dtype == np.uint8:
        what = "an array of codes with a mask is not taken"
    if what:
        raise BadInput(Problem(what, "pass a plain array of the channel's values, or of uint8 codes"))
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float32), np.nan) if np.ma.is_masked(values) else values.data
    return np.asarray(values)


@cache
def _pipeline_class() -> type[ImageClassificationPipeline]:
    import torch
    from transformers import ImageClassificationPipeline

    from sdovis.learning.seen import Watched

    class SolarPipeline(ImageClassificationPipeline):
        """`ImageClassificationPipeline` that is shown every source through the model's view."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.view = view_of(self.model.config)
            self.familiarity: Familiarity | None = None  # `pipeline` knows where it is
            self.watched = Watched(self.model)

        def preprocess(self, image: Any, timeout: float | None = None) -> Any:
            picture = Image.fromarray(codes(image, self.view))
            inputs = super().preprocess(picture, timeout=timeout)
            if self.familiarity:
                looks = self.familiarity.looks(loader.resized(picture, self.image_processor)[None])
                inputs["texture"] = torch.from_numpy(looks.astype(np.float32))
            return inputs

        def _forward(self, model_inputs: Any) -> Any:
            looks = model_inputs.pop("texture", None)
            outputs = super()._forward(model_inputs)
            if self.familiarity:
                strange = self.familiarity.of(self.watched.last(), looks.cpu().numpy())
                outputs["unfamiliarity"] = torch.from_numpy(strange.astype(np.float32))
            return outputs

        def postprocess(self, model_outputs: Any, *args: Any, **kwargs: Any) -> Any:
            answer = Classified(super().postprocess(model_outputs, *args, **kwargs))
            if self.familiarity:
                answer.unfamiliarity = float(model_outputs["unfamiliarity"][0])
            if answer.caution:
                warnings.warn(answer.caution, Unfamiliar, stacklevel=2)
            return answer

    return SolarPipeline
