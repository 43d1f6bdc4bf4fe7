"""A saved network in ONNX, for onnxruntime and transformers.js: how it is written, and the engine that runs it.

    onnx/model.onnx             fp32, opset 20, one file, any number of pictures at a time
    onnx/model_quantized.onnx   the same with weights of 8 bits, one scale for each output; activations are scaled as they come
    onnx/export.json            of which model they were made: an engine refuses to run those of another

The names are those that transformers.js looks for. The input is ``pixel_values`` (N, 3, S, S), what the processor makes of
pictures; the outputs are ``logits`` (N, K) and, where a network has a single linear classifier, ``features`` (N, D), which
that is given and by which unfamiliar pictures are known.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdovis import formats, records
from sdovis.errors import BadInput, Problem
from sdovis.inference.scoring import Scored
from sdovis.learning import backbones, loader
from sdovis.learning.description import familiarity_of
from sdovis.learning.model_files import is_fused
from sdovis.manifests import sha256_file

FOLDER, EXPORTED = "onnx", "export.json"
FP32, INT8 = "model.onnx", "model_quantized.onnx"
OPSET = 20
INPUT, LOGITS, FEATURES = "pixel_values", "logits", "features"
#: A protobuf message, which a single ONNX file is, holds less than 2 GiB; some is left for the graph.
MOST_BYTES = 2**31 - 2**24
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
STEPS: tuple[formats.Step, ...] = ()


@dataclass(frozen=True)
class Exported:
    """``export.json``: sha256 sums of the ``files`` in the folder and of the model's files that they were made ``of``.

    ``versions`` are of the packages that wrote them.
    """

    opset: int
    of: Mapping[str, str]
    files: Mapping[str, str]
    versions: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path) -> Exported:
        """Of a folder ``onnx/``. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / EXPORTED, made_by="export", steps=STEPS)


def export(model_folder: Path, folder: Path) -> Exported:
    """Write the files above, made of the model in ``model_folder``, to ``folder``.

    The same model and packages give the same bytes. Raises `BadInput` for a network that torch cannot export, or that does
    not fit into one file, and if the extra is not installed.
    """
    if is_fused(model_folder):
        what = "the model is told values beside the image, which ONNX files do not take"
        raise BadInput(Problem(what, "use the engine torch, and leave publish.onnx out", str(model_folder)))
    for package in PACKAGES:
        _needed(package)
    _write(model_folder, folder / FP32)
    _quantise(folder / FP32, folder / INT8)
    files = {name: sha256_file(folder / name) for name in (FP32, INT8)}
    found = Exported(OPSET, _made_of(model_folder), files, {name: version(name) for name in ("torch", *PACKAGES)})
    records.write(found, folder / EXPORTED, steps=STEPS)
    return found


def _needed(package: str) -> Any:
    """A package of the extra. Raises `BadInput` if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        what = f"ONNX needs {package}, which is not installed"
        raise BadInput(Problem(what, "pip install 'sdovis[onnx]'")) from error


def _made_of(model_folder: Path) -> dict[str, str]:
    """sha256 of everything in a model folder that decides what the network answers."""
    kept = [model_folder / name for name in ("config.json", "preprocessor_config.json", "model.safetensors.index.json")]
    files = [*(path for path in kept if path.is_file()), *sorted(model_folder.glob("*.safetensors"))]
    return {path.name: sha256_file(path) for path in files}


def _write(model_folder: Path, file: Path) -> None:
    import onnx
    import torch

    model = backbones.reload(model_folder)
    size = sum(tensor.numel() * 4 for tensor in model.state_dict().values())
    if size > MOST_BYTES:
        what = f"{size / 2**30:.1f} GiB of weights do not fit into one ONNX file, which holds less than 2 GiB"
        raise BadInput(Problem(what, "use the engine torch", str(model_folder)))
    # torch guards its fused attention against rows that are masked whole; there are none, and it costs a fifth of the time.
    model.set_attn_implementation("eager")
    size_px = backbones.load_processor(model_folder).size["height"]
    network, outputs = _with_features(model.eval())
    # Two pictures: of one, torch would take the number for a constant.
    shown = torch.zeros(2, 3, size_px, size_px)
    with _silent(), _unmasked():
        try:
            program = torch.onnx.export(
                network, (), kwargs={INPUT: shown}, dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[INPUT], output_names=outputs,
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch", min=1)}},
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            first = str(error).strip().partition("\n")[0]
            what = f"torch cannot export {type(model).__name__} to ONNX: {first}"
            raise BadInput(Problem(what, "use the engine torch", str(model_folder))) from error
    assert program is not None
    written = program.model_proto
    _forget(written)
    onnx.checker.check_model(written)
    file.write_bytes(written.SerializeToString(deterministic=True))


def _with_features(model: Any) -> tuple[Any, list[str]]:
    """``model`` as a module that gives logits and, if it has a single linear classifier, what that is given; their names."""
    import torch

    from sdovis.learning import features

    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return self.body(pixel_values=pixel_values).logits

    class WithFeatures(Alone):
        def __init__(self) -> None:
            super().__init__()
            self.head = head
            model.set_submodule(name, torch.nn.Identity())

        def forward(self, pixel_values: torch.Tensor) -> Any:
            given = self.body(pixel_values=pixel_values).logits
            return self.head(given), given

    try:
        head = features.classifier(model)
    except BadInput:
        return Alone(), [LOGITS]
    name = next(name for name, module in model.named_modules() if module is head)
    return WithFeatures(), [LOGITS, FEATURES]


def _forget(model: Any) -> None:
    """Take out what torch notes of where each operation comes from: paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in model.functions:
        for part in (function, *function.node, *function.value_info):
            del part.metadata_props[:]
            part.doc_string = ""


def _quantise(file: Path, into: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _silent():
        quantize_dynamic(
            file, into, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"],
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
    model = onnx.load(into)
    _forget(model)
    into.write_bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _unmasked() -> Iterator[None]:
    """No part of a picture is masked, but in an export transformers adds a mask of zeros to the attention of each layer."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS as MASKS

    MASKS["eager"] = lambda *args, **kwargs: None
    try:
        yield
    finally:
        del MASKS["eager"]


@contextmanager
def _silent() -> Iterator[None]:
    """torch and onnxruntime warn of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class OnnxEngine:
    """The network of a model folder in onnxruntime, on the CPU, with as many threads as torch has (see `Engine`).

    In 8 bits activations are scaled by their range in all of a batch: there each picture is a batch of its own, so that no
    answer depends on what else is asked, and the threads take a picture each.
    """

    def __init__(self, model_folder: Path, *, int8: bool = False, files: Path | None = None) -> None:
        """``files`` is the folder with the ONNX files, by default ``onnx`` in the model's.

        Raises `BadInput` if they are missing, damaged or of another model, and without onnxruntime.
        """
        onnxruntime = _needed("onnxruntime")
        import torch

        file = (files or model_folder / FOLDER) / (INT8 if int8 else FP32)
        refuse_others(file, model_folder)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(threads) if int8 else None
        options.intra_op_num_threads = 1 if int8 else threads
        # Threads that spin while they wait take the time of whatever else the machine does.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._answers = loader.table(backbones.load_processor(model_folder))
        self._familiar = familiarity_of(backbones.load_config(model_folder), model_folder)

    def run(self, pixel_values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The bare forward of (N, 3, S, S), as the processor makes them: output -> array."""
        if self._pool is None:
            parts = [self._pass(pixel_values)]
        else:
            parts = list(self._pool.map(self._pass, np.split(pixel_values, len(pixel_values))))
        return {name: np.concatenate(of) for name, of in zip(self._outputs, zip(*parts, strict=True), strict=True)}

    def _pass(self, pixel_values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = self._session.run(None, {INPUT: pixel_values})
        return found

    def scored(self, codes: NDArray[np.uint8], table: NDArray[np.float32] | None = None) -> Scored:
        """See `Engine`; models that are told a table are not exported."""
        import torch

        found = self.run(loader.normalised(torch.from_numpy(codes), self._answers).numpy())
        probabilities = torch.softmax(torch.from_numpy(found[LOGITS]), dim=1).numpy()
        familiar = self._familiar
        return Scored(probabilities, familiar.of(found.get(FEATURES), familiar.looks(codes)) if familiar else None)


def refuse_others(file: Path, model_folder: Path) -> None:
    """Raise `BadInput` unless ``file`` is, undamaged, what was exported from this model."""
    again = "run sdovis export with the run's folder"
    if not file.is_file():
        raise BadInput(Problem("is not there: the model was not exported to ONNX", again, str(file)))
    said = Exported.load(file.parent)
    if said.of != _made_of(model_folder):
        raise BadInput(Problem("was made of another model than the one in this folder", again, str(file)))
    if said.files.get(file.name) != sha256_file(file):
        raise BadInput(Problem("is damaged, or of another model", again, str(file)))
