"""What transformers' Trainer brings along is left until somebody uses it, and then it is what it always was."""

from __future__ import annotations

import subprocess
import sys

#: What a training must not wait for before its first step. In a process of its own, as pytest's has imported everything.
PROGRAM = """
import sys
from sdovis.learning import later
with later.left():
    from sdovis.learning import trainer
    from transformers import ViTForImageClassification
print(sorted(set(sys.modules) & {"peft", "datasets", "scipy.optimize", "scipy.stats", "sklearn", "matplotlib", "evaluate",
    "tensorboard", "wandb", "trackio", "torchvision", "astropy", "sunpy", "gradio", "optuna", "httpx"}))
from transformers import trainer_utils, trainer as theirs
import torch
network = torch.nn.Linear(1, 1)
print(trainer_utils._is_peft_model(network), isinstance(network, theirs.datasets.Dataset), "peft" in sys.modules)
from peft import LoraConfig, get_peft_model
adapted = get_peft_model(torch.nn.Sequential(network), LoraConfig(target_modules=["0"]))
print(trainer_utils._is_peft_model(adapted), trainer_utils._is_peft_model(network), isinstance(adapted, theirs.PeftModel))
import datasets
table = datasets.Dataset.from_dict({"a": [1]})
print(isinstance(table, theirs.datasets.Dataset), isinstance([], theirs.datasets.Dataset))
print(theirs.datasets.__version__ == datasets.__version__, theirs.datasets.Features is datasets.Features)
from transformers.loss import loss_for_object_detection as loss
from scipy.optimize import linear_sum_assignment
print([list(map(int, side)) for side in loss.linear_sum_assignment([[2, 1], [1, 2]])])
from transformers.models import vit, dinov2
print(vit.ViTModel.__name__, dinov2.Dinov2Model.__name__)
"""


def run(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_a_training_imports_none_of_what_it_does_not_use_and_all_of_it_works_when_used():
    *_, left, unused, adapted, table, others, assigned, models = run(PROGRAM)
    assert left == "[]"
    assert unused == "False False False"
    assert adapted == "True False True"
    assert table == "True False"
    assert others == "True True"
    assert assigned == "[[0, 1], [1, 0]]"
    assert models == "ViTModel Dinov2Model"


def test_what_is_imported_already_is_not_replaced():
    program = (
        "import peft; from sdovis.learning import later\nwith later.left(): import peft as again\nprint(peft is again)"
    )
    assert run(program) == ["True"]
