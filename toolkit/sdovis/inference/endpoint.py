"""A model behind an Inference Endpoint of Hugging Face: what comes over the wire is read as sdovis reads files."""

from __future__ import annotations

import base64
import binascii
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from sdovis.channels.place import Position
from sdovis.errors import BadInput, Problem
from sdovis.inference.solar_pipeline import Unfamiliar, pipeline
from sdovis.inference.sources import gathered

#: Bytes of one file, as on the page.
LARGEST = 80 * 2**20


class EndpointHandler:
    """Called by the endpoint's server: once with the model's folder, then with each request's body, already decoded.

    https://huggingface.co/docs/inference-endpoints/guides/custom_handler; the server is huggingface-inference-toolkit. A
    picture sent as ``image/png`` or ``image/jpeg`` comes as a PIL image. A file of any other kind, FITS above all, is sent
    as JSON: ``{"inputs": BASE64}``, or a list of such texts, one for each channel, in any order. ``parameters`` may hold
    ``at``, the position of a region in an image of the disc (``"S21W42"``), ``top_k`` and, for a model that is told values
    beside the image, ``beside``: name -> value.

    The answer is a list of ``{"label": ..., "score": ...}``, the most probable class first; what a reader must know of it
    is in ``notes`` of the first. Raises `BadInput`, of which the server makes an answer with status 400.
    """

    def __init__(self, path: str = "") -> None:
        self.classify: Any = pipeline(path)

    def __call__(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        asked = dict(data.get("parameters") or {})
        at = asked.pop("at", None)
        position = None if at is None else Position.parse(str(at))
        top_k = asked.pop("top_k", self.classify.model.config.num_labels)
        if type(top_k) is not int or top_k < 1:
            raise BadInput(Problem(f"top_k = {top_k!r} is not a whole number of at least 1"))
        beside = asked.pop("beside", None)
        if asked:
            raise BadInput(
                Problem(f"parameters: {', '.join(map(repr, asked))} is not known", "give at, top_k or beside")
            )
        with ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore", Unfamiliar)  # the notes say it
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            source = gathered(_files(data.get("inputs"), folder), self.classify.view, position)
            answer = self.classify(source, top_k=top_k, beside=beside)
        notes = [*source.notes, *([answer.caution] if answer.caution else []), *answer.notes]
        found = [{"label": str(each["label"]), "score": float(each["score"])} for each in answer]
        return [{**found[0], "notes": notes}, *found[1:]] if notes else found


def _files(inputs: Any, folder: Path) -> list[Path]:
    """The files of one image. Their names say nothing: what they are is seen from their contents."""
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if not given or len(given) > 3:
        raise BadInput(
            Problem(f"inputs holds {len(given)} files", "send those of one image: one, or one for each channel")
        )
    files = []
    for number, each in enumerate(given):
        file = folder / f"image{number}"
        if isinstance(each, Image.Image):
            file = file.with_suffix(".png")
            _grey(each).save(file)
        else:
            file.write_bytes(_decoded(each))
        files.append(file)
    return files


def _grey(picture: Image.Image) -> Image.Image:
    """The server makes every picture RGB, also one in grey."""
    bands = picture.convert("RGB").split()
    return bands[0] if len({band.tobytes() for band in bands}) == 1 else picture.convert("RGB")


def _decoded(text: Any) -> bytes:
    if isinstance(text, bytes):
        content = text
    elif isinstance(text, str):
        try:
            content = base64.b64decode(text.rpartition(";base64,")[2], validate=True)
        except (binascii.Error, ValueError) as error:
            hint = 'send {"inputs": base64.b64encode(open(file, "rb").read()).decode()}'
            raise BadInput(Problem(f"inputs is not the base64 of a file: {error}", hint)) from error
    else:
        raise BadInput(Problem(f"inputs is a {type(text).__name__}", "send the base64 of a file, or a list of them"))
    if not 0 < len(content) <= LARGEST:
        raise BadInput(Problem(f"the file has {len(content)} bytes", f"send up to {LARGEST // 2**20} MiB"))
    return content
