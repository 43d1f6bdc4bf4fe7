"""The stages as functions of a study alone, for notebooks: `sdovis.prepare(study)` does what ``sdovis prepare`` does.

Each takes a `Study` or the path of a study file, locks the run folder (`Conflict` if another process is working there),
runs again only what has changed, and raises `BadInput` with every problem found. ``say`` receives the lines of progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sdovis import stages, waiting
from sdovis import study as studies
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation.scores import Scores
    from sdovis.learning.record import TrainingRecord
    from sdovis.release.assembly import Release
    from sdovis.summary import Summary


@contextmanager
def _opened(study: Study | Path | str) -> Iterator[tuple[Study, stages.Folders]]:
    waiting.bounded()
    found = study if isinstance(study, Study) else studies.load(study)
    with stages.opened(found) as folders:
        yield found, folders


def prepare(study: Study | Path | str, *, say: stages.Say = print) -> Corpus:
    """Rows and images -> corpus."""
    with _opened(study) as (found, folders):
        return stages.prepare(found, folders, say)


def describe(study: Study | Path | str, *, say: stages.Say = print) -> Summary:
    """Corpus, and timings if there are any -> summary."""
    with _opened(study) as (found, folders):
        return stages.describe(found, folders, say)


def train(study: Study | Path | str, *, say: stages.Say = print) -> TrainingRecord:
    """Corpus -> model, in this process alone. Continues an earlier call that was interrupted."""
    with _opened(study) as (found, folders):
        return stages.train(found, folders, say)


def evaluate(study: Study | Path | str, *, say: stages.Say = print) -> Scores:
    """Corpus and model -> scores."""
    with _opened(study) as (found, folders):
        return stages.evaluate(found, folders, say)


def card(study: Study | Path | str, *, say: stages.Say = print) -> Release:
    """What the stages saved -> both cards, and the release with dataset, model and Space."""
    with _opened(study) as (found, folders):
        return stages.release(found, folders, say)


def run(study: Study | Path | str, *, say: stages.Say = print) -> Release:
    """All of them in order; finished stages are not run again."""
    with _opened(study) as (found, folders):
        _, released = stages.run(found, folders, say)
        return released
