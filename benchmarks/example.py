"""Runs transformers' example run_image_classification.py for `train.py`, unchanged, where it would not run as it is.

    python benchmarks/example.py STAMPS run_image_classification.py [its arguments]

- A line goes to the file STAMPS at the end of every optimizer step; `sdovis train` writes such a file by itself.
- It evaluates with the Hub's metric ``accuracy``: here the same two scores that sdovis reports, computed by
  scikit-learn as the Hub's metric does, without the Hub.
- torchvision built for CUDA does not import beside torch for CPUs: it tells torch about compiled operators of its own,
  which are absent then. The example uses its transforms alone, which are Pillow's work, so it may leave that out.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def import_torchvision() -> None:
    """Import torchvision, where it is built for CUDA without what it knows about its compiled operators."""
    try:
        import torchvision  # type: ignore[import-not-found]
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        registrations = "torchvision._meta_registrations"
        sys.modules[registrations] = ModuleType(registrations)
        import torchvision  # noqa: F401


def score_offline() -> None:
    """`evaluate.load` answers with accuracy and balanced accuracy, whatever it is asked for."""
    import datasets
    import evaluate
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    class Scores(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> evaluate.MetricInfo:
            numbers = {"predictions": datasets.Value("int32"), "references": datasets.Value("int32")}
            return evaluate.MetricInfo(
                description="", citation="", inputs_description="", features=datasets.Features(numbers)
            )

        def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
            return {
                "accuracy": float(accuracy_score(references, predictions)),
                "balanced_accuracy": float(balanced_accuracy_score(references, predictions)),
            }

    evaluate.load = lambda *args, **kwargs: Scores(keep_in_memory=True)


def stamp_steps(path: Path) -> None:
    """Every Trainer from now on appends a line to ``path`` when an optimizer step is over."""
    from transformers import TrainerCallback, trainer

    class Stamp(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{state.global_step}\n")

    trainer.DEFAULT_CALLBACKS.append(Stamp)


def main() -> None:
    stamps, script, *arguments = sys.argv[1:]
    import_torchvision()
    score_offline()
    Path(stamps).parent.mkdir(parents=True, exist_ok=True)
    stamp_steps(Path(stamps))
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
