"""A model folder becomes a ready pipeline, which takes physical images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sdovis.errors import BadInput, Problem
from sdovis.inference import values
from sdovis.inference.sources import codes
from sdovis.learning import backbones, loader
from sdovis.learning.description import beside_of, familiarity_of, view_of
from sdovis.learning.familiarity import Familiarity, caution
from sdovis.learning.model_files import is_fused

if TYPE_CHECKING:
    from transformers import ImageClassificationPipeline


class Unfamiliar(UserWarning):
    """A picture is unlike anything that the model was trained on."""


class Classified(list[dict[str, Any]]):
    """The classes of a picture with their scores, as the stock pipeline lists them.

    ``unfamiliarity`` is above 1 for a picture unlike those of the training part (`Familiarity`); None if the model, of an
    older sdovis, cannot tell. ``notes`` say what must be known of the values beside the image.
    """

    unfamiliarity: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def caution(self) -> str:
        """Why the answer must not be used, in words; "" if nothing is known against it."""
        return "" if self.unfamiliarity is None else caution(self.unfamiliarity)


def pipeline(model: str | Path, **kwargs: Any) -> ImageClassificationPipeline:
    """transformers' image-classification pipeline for a model trained by sdovis, which also takes physical images.

    ``model`` is a folder or a Hub id; ``kwargs`` are those of `transformers.pipeline`. Besides PIL images and PNG or JPEG
    files, the pipeline takes a FITS file (also gzipped) and an array (H, W) of physical values, solar north up, row 0 in
    the north; it sees them through the channel that the model was trained with. A model of three channels takes a tuple
    of three such sources in the channels' order, a mapping of channel names to sources, an array (H, W, 3), or the
    colour picture that sdovis saved; a list is a batch. Sources must already be cut out: it does not look for regions, and
    it cannot tell a region from its neighbours: if the model masks those, it warns unless sdovis saved the cutout.
    A model that is told values beside the image needs ``beside``, a mapping of their names to values: a number, a category as
    in training, or None for one that is missing; for a list of sources a list of as many. A value unlike those of training
    is warned of (`Unfamiliar`).
    The answer for a source is a `Classified`, a list as in the stock pipeline that also says how unlike the training
    pictures the source is; beyond the limit it warns (`Unfamiliar`).
    Raises `BadInput` for a web address, a blank image, and values beside the image that are missing or not known, and
    `UnreadableImage` for a file that is not an image.
    """
    from transformers import pipeline as stock

    where = {name: value for name, value in {**kwargs.get("model_kwargs", {}), **kwargs}.items() if name in _OF_THE_HUB}
    opened: dict[str, Any] = {"model": str(model)}
    with backbones.quiet():
        if (folder := _fused(model, where)) is not None:
            opened = {"model": backbones.reload(folder), "image_processor": backbones.load_processor(folder)}
            model, where = folder, {}
            kwargs = {name: value for name, value in kwargs.items() if name not in (*_OF_THE_HUB, "model_kwargs")}
        ready: ImageClassificationPipeline = stock(
            "image-classification", **opened, pipeline_class=_pipeline_class(), **kwargs
        )
    ready.familiarity = familiarity_of(ready.model.config, model, **where)
    return ready


#: Arguments of `transformers.pipeline` that say where on the Hub a model is.
_OF_THE_HUB = ("revision", "token", "cache_dir", "local_files_only", "force_download")


def _fused(model: str | Path, where: Mapping[str, Any]) -> Path | None:
    """The folder, of this machine, of a model that is told values beside the image; None for any other."""
    from huggingface_hub import snapshot_download
    from transformers.utils import cached_file

    if not (folder := Path(model)).is_dir():
        try:
            config = cached_file(str(model), "config.json", **where)
        except OSError:  # the stock pipeline says what is wrong
            return None
        if config is None or not is_fused(Path(config).parent):
            return None
        folder = Path(snapshot_download(str(model), allow_patterns=["*.json", "*.safetensors"], **where))
    return folder if is_fused(folder) else None


def found(model: str) -> tuple[Path, str]:
    """The model folder of a run folder, a model folder or a Hub id, and the id with its commit; "" for a folder.

    Raises `BadInput` if there is none.
    """
    from huggingface_hub import snapshot_download

    folder = Path(model) / "model"
    folder = folder if folder.is_dir() else Path(model)
    if folder.is_dir() and (folder / "config.json").is_file():
        return folder, ""
    hint = "name runs/NAME, a model folder or a Hub id"
    if folder.is_dir():
        raise BadInput(Problem("no model can be opened here: the folder holds no config.json", hint, model))
    try:
        copied = Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "onnx/*"]))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        what = f"no model can be opened here: there is no such folder, and as an id on the Hub: {reason}"
        raise BadInput(Problem(what, hint, model)) from error
    return copied, f"{model}@{copied.name}"


def _are_several(inputs: Any) -> bool:
    """Whether these are images one after the other: a generator, or a data set."""
    single = isinstance(inputs, str | tuple | Mapping | np.ndarray | Image.Image)
    return not single and (hasattr(inputs, "__next__") or hasattr(inputs, "__getitem__"))


@cache
def _pipeline_class() -> type[ImageClassificationPipeline]:
    import torch
    from transformers import ImageClassificationPipeline

    from sdovis.learning.fusion import takes_table
    from sdovis.learning.seen import Watched

    class SolarPipeline(ImageClassificationPipeline):
        """`ImageClassificationPipeline` that is shown every source through the model's view."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.view = view_of(self.model.config)
            self.familiarity: Familiarity | None = None  # `pipeline` knows where it is
            self.watched = Watched(self.model)
            whole = loader.by_pillow(self.image_processor)
            self.answers = loader.table(self.image_processor).numpy() if whole else None
            self.weight = next(self.model.parameters())  # transformers goes through all of them to tell the type
            self.told = beside_of(self.model.config)

        def check_model_type(self, supported_models: Any) -> None:
            """Transformers would say that it does not support a model that is told values: it need not."""
            if not takes_table(self.model):
                super().check_model_type(supported_models)

        def _sanitize_parameters(self, *args: Any, beside: Any = None, **kwargs: Any) -> Any:
            before, *others = super()._sanitize_parameters(*args, **kwargs)
            return before if beside is None else {**before, "beside": beside}, *others

        def __call__(self, inputs: Any = None, *args: Any, beside: Any = None, **kwargs: Any) -> Any:
            """As the stock pipeline's, with the values ``beside`` the image, of a list of images a list of them."""
            if isinstance(inputs, list):
                inputs = values.paired(inputs, beside, self.told)
            elif self.told and _are_several(inputs):
                what = "values stand beside each image, and these images are no list"
                raise BadInput(Problem(what, "give a list of images, and a list with the values of each"))
            elif beside is not None:
                kwargs["beside"] = beside
            return super().__call__(inputs, *args, **kwargs)

        def preprocess(self, image: Any, timeout: float | None = None, beside: Any = None) -> Any:
            if isinstance(image, values.Paired):
                image, beside = image.source, image.beside
            table, strange, missing = values.row(self.told, beside)
            for said in strange:
                warnings.warn(said, Unfamiliar, stacklevel=2)
            picture = Image.fromarray(codes(image, self.view))
            if self.answers is None:
                inputs = super().preprocess(picture, timeout=timeout)
            else:  # the same numbers, several times as fast
                shown = loader.normalised_alone(loader.resized(picture, self.image_processor), self.answers)
                inputs = {"pixel_values": torch.from_numpy(shown).to(self.weight.dtype)}
            if table is not None:
                inputs["beside"], inputs["notes"] = torch.from_numpy(table), [*strange, *missing]
            if self.familiarity:
                looks = self.familiarity.looks(loader.resized(picture, self.image_processor)[None])
                inputs["texture"] = torch.from_numpy(looks.astype(np.float32))
            return inputs

        def get_inference_context(self) -> Any:
            return torch.inference_mode

        def _forward(self, model_inputs: Any) -> Any:
            looks, notes = model_inputs.pop("texture", None), model_inputs.pop("notes", None)
            outputs = super()._forward(model_inputs)
            if notes is not None:
                outputs["notes"] = notes
            if self.familiarity:
                strange = self.familiarity.of(self.watched.last(), looks.cpu().numpy())
                outputs["unfamiliarity"] = torch.from_numpy(strange.astype(np.float32))
            return outputs

        def postprocess(self, model_outputs: Any, *args: Any, **kwargs: Any) -> Any:
            answer = Classified(super().postprocess(model_outputs, *args, **kwargs))
            answer.notes = tuple(model_outputs.get("notes", ()))
            if self.familiarity:
                answer.unfamiliarity = float(model_outputs["unfamiliarity"][0])
            if answer.caution:
                warnings.warn(answer.caution, Unfamiliar, stacklevel=2)
            return answer

    return SolarPipeline
