#!/usr/bin/env bash
# onnxruntime 1.32.0, quantize_dynamic
#
# Expected. A classifier without batch normalisation answers for each image of a batch as it does for the image alone; "dynamic"
#   means that the range of the activations is found when the model runs
#   (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
# Seen. The range is taken over the whole batch: one 8-bit step for all images in it. The probabilities of an image change
#   with what else happens to be in its batch, and where one image is much stronger than the rest, the rest are
#   rounded to a few steps and change their class. The float model gives the same to the last digits, alone or not.
# For solar data. Fields span three orders of magnitude: a quiet region beside a sunspot group loses its own structure. A
#   score depends on batch size and order, and a service that gathers requests into batches gives one user another answer
#   because of another user's image.
# Instead. Run an int8 model one image at a time, or quantize_static, whose ranges are fixed by calibration.
#
# Output seen (64 quiet images with fields of 5 G, each in a batch with one more image, quiet or of up to 3000 G):
#   float, quiet beside it: a probability changes by up to 0.000, the class of 0 of 64
#   float, spots beside it: a probability changes by up to 0.000, the class of 0 of 64
#   int8, quiet beside it: a probability changes by up to 0.024, the class of 1 of 64
#   int8, spots beside it: a probability changes by up to 0.992, the class of 37 of 64
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import logging

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)  # a hint to preprocess the model first
print("onnxruntime", onnxruntime.__version__)
SIZE, HIDDEN, CLASSES = 16, 64, 5
rng = np.random.default_rng(0)


def weights(name, rows, columns):
    drawn = rng.normal(scale=rows**-0.5, size=(rows, columns)).astype("f4")
    return numpy_helper.from_array(drawn, name)


graph = helper.make_graph(
    [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ],
    "classifier",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])],
    [weights("first", SIZE * SIZE, HIDDEN), weights("second", HIDDEN, CLASSES)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx")

quiet = rng.normal(scale=5, size=(64, 1, SIZE, SIZE)).astype("f4")  # G
spots = rng.normal(scale=1000, size=(1, 1, SIZE, SIZE)).clip(-3000, 3000).astype("f4")
changes = {}
for name in ("float", "int8"):
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])

    def classify(images, session=session):
        return session.run(None, {"image": images})[0]

    alone = np.concatenate([classify(image[None]) for image in quiet])
    for mates, companions in {"quiet": np.roll(quiet, 1, axis=0), "spots": np.repeat(spots, len(quiet), axis=0)}.items():
        pairs = zip(quiet, companions, strict=True)
        beside = np.concatenate([classify(np.stack(pair))[:1] for pair in pairs])
        largest = float(np.abs(beside - alone).max())
        changed = int((beside.argmax(1) != alone.argmax(1)).sum())
        print(
            f"{name}, {mates} beside it: a probability changes by up to {largest:.3f},",
            f"the class of {changed} of {len(quiet)}",
        )
        changes[name, mates] = largest, changed

assert all(changes["float", mates] < (1e-5, 1) for mates in ("quiet", "spots"))
assert changes["int8", "quiet"][0] > 0.001
assert changes["int8", "spots"][0] > 0.2 and changes["int8", "spots"][1] > 10
PYTHON
