"""`[training]`: transformers' TrainingArguments by their own names, except those that sdovis sets."""

from __future__ import annotations

import ast
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sdovis.errors import nearest

#: Set by sdovis itself: a study's own value would be silently overridden.
OURS = frozenset(
    "output_dir hub_token push_to_hub hub_model_id hub_strategy hub_private_repo hub_always_push hub_revision "
    "remove_unused_columns resume_from_checkpoint label_names do_train do_eval do_predict data_seed seed "
    "load_best_model_at_end metric_for_best_model greater_is_better accelerator_config include_for_metrics "
    "save_only_model ignore_data_skip torch_compile torch_compile_backend torch_compile_mode".split()
)
#: The least value of arguments that would only fail, or train nothing, once the training runs.
_LEAST = {
    "per_device_train_batch_size": 1, "per_device_eval_batch_size": 1, "gradient_accumulation_steps": 1,
    "dataloader_num_workers": 0, "weight_decay": 0, "max_grad_norm": 0, "warmup_steps": 0, "save_total_limit": 1,
    "adam_beta1": 0, "adam_beta2": 0, "label_smoothing_factor": 0,
}  # fmt: skip
_POSITIVE = {"num_train_epochs", "learning_rate", "adam_epsilon", "save_steps", "eval_steps", "logging_steps"}
_BELOW_1 = {"adam_beta1", "adam_beta2", "label_smoothing_factor"}
TRACKERS = ("wandb", "tensorboard", "trackio", "none")


@cache
def fields() -> dict[str, Any]:
    """Name -> default of every argument of transformers' TrainingArguments; None if it is not a literal.

    Read from its source: importing it would import torch, and no command that does not train should wait for that.
    """
    package = find_spec("transformers")
    assert package is not None and package.origin is not None
    source = Path(package.origin).with_name("training_args.py").read_text(encoding="utf-8")
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    found = {}
    for node in classes["TrainingArguments"].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Call):
            given = {keyword.arg: _literal(keyword.value) for keyword in node.value.keywords}
            if given.get("init") is not False:
                found[node.target.id] = given.get("default")
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def problem_of(name: str, value: Any) -> str:
    """What is wrong with an argument and how to fix it; an empty string if nothing is."""
    if name in OURS:
        hints = {"seed": "set study.seed", "data_seed": "set study.seed", "metric_for_best_model": "set method.keep_by"}
        hints["load_best_model_at_end"] = "set method.keep"
        hints |= dict.fromkeys((n for n in OURS if n.startswith("torch_compile")), "set method.compile = true")
        return f"training.{name} is set by sdovis; {hints.get(name, 'remove it')}"
    known = fields()
    if name not in known:
        return f"training.{name} is not one of transformers' TrainingArguments; {nearest(name, sorted(known))}"
    default = known[name]
    if isinstance(default, bool) and not isinstance(value, bool):
        return f"training.{name}: {value!r} is not true or false; write {name} = true or {name} = false"
    if name == "report_to" and (unknown := [t for t in _listed(value) if t not in TRACKERS]):
        return f"training.report_to: {unknown[0]!r} is unknown; {nearest(str(unknown[0]), TRACKERS)}"
    # An integer default does not forbid a fraction: warmup_steps = 0.1 is a share of all steps.
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"training.{name}: {value!r} is not a number; write it without quotes, like {default}"
    return _out_of_range(name, value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _out_of_range(name: str, value: float) -> str:
    if not math.isfinite(value):
        return f"training.{name}: {value} is not a finite number"
    if name in _POSITIVE and value <= 0:
        return f"training.{name}: {value} is not above 0"
    if name in _LEAST and value < _LEAST[name]:
        return f"training.{name}: {value} is less than {_LEAST[name]}"
    if name in _BELOW_1 and value >= 1:
        return f"training.{name}: {value} is not below 1"
    if name == "max_steps" and (value == 0 or value < -1):
        return f"training.max_steps: {value} is no number of steps; remove it to train for num_train_epochs"
    return ""
