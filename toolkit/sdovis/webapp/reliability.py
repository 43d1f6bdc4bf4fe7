"""What answers of a given probability have been worth: "of 100 such answers about 62 were right"."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sdovis import manifests
from sdovis.errors import BadInput
from sdovis.evaluation.facts import FILE, Reliability, ReliabilityBin, ScoreFacts

log = logging.getLogger(__name__)

#: With fewer images in a bin nothing is said.
LEAST_ROWS = 20
#: The probabilities of a bin's images are within about this of their mean; farther from every bin nothing is known.
NEAR = 0.1


def recorded(folder: Path) -> Reliability | None:
    """What the evaluation of a model found on its test part: in a release beside the model, in a run in its own folder.

    None if there was none, if it was of another model, or if it cannot be read: then nothing is said to visitors.
    """
    scores = folder if (folder / FILE).is_file() else folder.parent / "scores"
    try:
        if scores != folder and not _of_this_model(folder, scores):
            return None
        return ScoreFacts.load(scores).reliability
    except BadInput as error:
        log.warning("what answers were worth is not shown: %s", error)
        return None


def _of_this_model(folder: Path, scores: Path) -> bool:
    made = [folder / manifests.NAME, scores / manifests.NAME]
    if not all(path.is_file() for path in made):
        return False
    model, evaluation = manifests.read(folder, made_by="train"), manifests.read(scores, made_by="evaluate")
    return evaluation.made_from["model"] == model.digest


def hint(probability: float, known: Reliability | None) -> str:
    """What can be said of an answer with that probability; "" where there is no evidence."""
    near = _nearest(probability, known.bins if known else ())
    if near is None or near.right.estimate is None:
        return ""
    said = f"Of 100 answers with about this probability, about {100 * near.right.estimate:.0f} were right"
    counted = f"{near.rows} test images"
    if near.right.low is not None and near.right.high is not None:
        counted += f"; interval {100 * near.right.low:.0f} to {100 * near.right.high:.0f}"
    return f"{said} ({counted})."


def _nearest(probability: float, bins: Sequence[ReliabilityBin]) -> ReliabilityBin | None:
    found = min(bins, key=lambda each: abs(each.confidence - probability), default=None)
    if found is None or found.rows < LEAST_ROWS or abs(found.confidence - probability) > NEAR:
        return None
    return found
