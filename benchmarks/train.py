"""Training speed of `sdovis train` against the bare step, on the corpus and network of a finished run.

    python benchmarks/train.py runs/simulated

The floor is forward, backward and optimizer on one batch that lies in memory already: nothing decodes, augments or
logs. Both run in turns in one process, so that a machine that slows down slows both; medians of the rounds are given.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from sdovis import study as studies
from sdovis.corpus.build import Corpus


def floor(study: studies.Study, corpus: Corpus, steps: int) -> float:
    """Images a second of the bare step."""
    import torch
    from sdovis.learning import backbones, loader

    batch = int(study.training["per_device_train_batch_size"])
    model, processor = backbones.build(study, corpus.classes, {})
    rows = corpus.part("train").head(batch)
    pictures = loader.normalised(loader.decode(corpus.pictures[:batch], processor), loader.table(processor))
    inputs, labels = torch.from_numpy(pictures), torch.tensor(rows["label"].to_numpy())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(study.precision)
    for step in range(steps + 2):
        if step == 2:  # two to warm up
            begun = time.perf_counter()
        with torch.autocast("cpu", precision, enabled=precision is not None):
            logits = model(inputs).logits
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return steps * len(labels) / (time.perf_counter() - begun)


def ours(study: studies.Study, corpus: Corpus, steps: int) -> float:
    """Images a second of `sdovis train`, from the Trainer's own clock around its loop."""
    from sdovis.learning.training import train

    quiet = {"max_steps": steps, "eval_strategy": "no", "save_strategy": "no", "disable_tqdm": True}
    method = study.method.model_copy(update={"keep": "last"})
    short = study.model_copy(update={"training": study.training | quiet, "method": method})
    with tempfile.TemporaryDirectory() as folder:
        record = train(
            short,
            corpus,
            folder=Path(folder) / "training",
            model_folder=Path(folder) / "model",
            augmentations=frozenset({"flip_ns", "flip_ew", "rotate90"}),
            signed=[channel["signed"] for channel in corpus.facts["channels"]],
            about={},
            made_from={},
        )
    return record.images_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run, such as runs/simulated")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    study, corpus = studies.load(options.run / "study.toml"), Corpus.load(options.run / "corpus")
    ratios = []
    for number in range(options.rounds):
        bare, mine = floor(study, corpus, options.steps), ours(study, corpus, options.steps)
        ratios.append(mine / bare)
        print(f"round {number + 1}: bare step {bare:.1f} images/s, sdovis train {mine:.1f}, ratio {ratios[-1]:.3f}")
    low, high = np.min(ratios), np.max(ratios)
    print(f"median ratio {statistics.median(ratios):.3f} of the floor (from {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
