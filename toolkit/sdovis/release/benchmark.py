"""The Hub's own format for scores: ``eval.yaml`` on a dataset, and ``.eval_results/``, what a model scored in it.

docs/hub/eval-results.md and eval_results.yaml of github.com/huggingface/hub-docs at commit
242f4a1eeb867daf4ac3f44026a5df4a68908a3d, read in November 2026. ``evaluation_framework`` must be on a list that Hugging Face
keeps (huggingface.js, packages/tasks/src/eval.ts), and sdovis is not on it: so the study has to name one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import plain, yaml_of

BENCHMARK, RESULTS = "eval.yaml", ".eval_results/scores.yaml"


def benchmark(facts: Facts, framework: str) -> str:
    """The dataset's ``eval.yaml``: a task, and so a leaderboard, for each score that is one number."""
    said: dict[str, Any] = {
        "name": plain(facts.title),
        "description": plain(facts.description) or "Labelled images of solar active regions.",
        "evaluation_framework": framework,
        "tasks": [{"id": name, "config": "default", "split": facts.scores.part} for name in facts.scores.overall],
    }
    return yaml_of(said)


def results(facts: Facts) -> str:
    """The model's ``.eval_results``: what it scored in each task. Without a date, which would be another on another day."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    where, bootstrap = facts.repositories, facts.scores.bootstrap
    interval = f"{bootstrap.confidence:.0%} interval, resampled by region"
    entries = [
        EvalResultEntry(
            dataset_id=where.dataset,
            task_id=name,
            value=round(entry.estimate, 4),
            source_url=f"https://huggingface.co/{where.model}/blob/{where.pin}/scores.json",
            source_name="scores.json",
            notes="" if entry.low is None else f"[{entry.low:.4f}, {entry.high:.4f}]: {interval}",
        )
        for name, entry in facts.scores.overall.items()
        if entry.estimate is not None
    ]
    return yaml_of(eval_result_entries_to_yaml(entries))


def write(facts: Facts, folder: Path) -> None:
    """Write both into the release in ``folder``, if the study names a framework."""
    if not facts.offers.benchmark:
        return
    (folder / "dataset" / BENCHMARK).write_text(benchmark(facts, facts.offers.benchmark), encoding="utf-8")
    file = folder / "model" / RESULTS
    file.parent.mkdir()
    file.write_text(results(facts), encoding="utf-8")
