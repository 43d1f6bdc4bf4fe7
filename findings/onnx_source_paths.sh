#!/usr/bin/env bash
# torch 2.13.0, torch.onnx.export, with onnxruntime 1.32.0
#
# Expected. An ONNX file holds a network: operators, names and weights (https://onnx.ai/onnx/intro/concepts.html). The same
#   network exported in two places gives the same file.
# Seen. Each node carries the Python stack of the line that made it, in metadata_props: absolute paths of source files, line
#   numbers, and the text of the lines with their comments. A path often holds a name, and the text is code that may
#   not be published. The copy that quantize_dynamic makes has it too, for each node that was not replaced.
# For solar data. Networks are published as ONNX so that a web page or a forecast service can run them. Their checksums
#   depend on the folder of the export, so a second site cannot confirm a release byte by byte.
# Instead. Before publishing, del node.metadata_props[:] for each node of the graph (and of model.functions).
#
# Output seen (the export's folder is printed as FOLDER):
#   3 nodes, 3 with a stack; the first:
#       File "FOLDER/network.py", line 10, in forward
#           strength = field.abs().clamp(max=1000.0)  # not to be published
#   stacks with the path in the quantised copy: 2
#   exports from two folders are the same: False; without metadata_props: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$work"
cat > network.py <<'PYTHON'
import torch


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, field):
        strength = field.abs().clamp(max=1000.0)  # not to be published
        return self.layer(strength)
PYTHON
cat > export.py <<'PYTHON'
import torch
from network import Network

torch.manual_seed(0)
torch.onnx.export(Network().eval(), (torch.ones(1, 4),), "network.onnx", external_data=False)
PYTHON
for folder in first second; do
    mkdir "$folder"
    cp network.py export.py "$folder"
    (cd "$folder" && "$work/venv/bin/python" export.py > ../export.log 2>&1)
done
"$work/venv/bin/python" - <<'PYTHON'
import logging
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)
print("torch", torch.__version__.split("+")[0], "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
HERE, TRACE, COMMENT = str(Path.cwd()), "pkg.torch.onnx.stack_trace", "# not to be published"


def told(model):
    """What the nodes of a model say about where they come from."""
    return [each.value for node in model.graph.node for each in node.metadata_props if each.key == TRACE]


models = {folder: onnx.load(f"{folder}/network.onnx") for folder in ("first", "second")}
traces = told(models["first"])
print(f"{len(models['first'].graph.node)} nodes, {len(traces)} with a stack; the first:")
print("    " + traces[0].replace(f"{HERE}/first", "FOLDER").replace("\n", "\n    "))
assert len(traces) == len(models["first"].graph.node)
assert f'File "{HERE}/first/network.py", line 10' in traces[0] and COMMENT in traces[0]

quantize_dynamic("first/network.onnx", "int8.onnx")
kept = sum(HERE in each for each in told(onnx.load("int8.onnx")))
print("stacks with the path in the quantised copy:", kept)
assert kept


def same():
    return models["first"].SerializeToString(deterministic=True) == models["second"].SerializeToString(deterministic=True)


before = same()
for model in models.values():
    for node in model.graph.node:
        del node.metadata_props[:]
print(f"exports from two folders are the same: {before}; without metadata_props: {same()}")
assert not before and same()
PYTHON
