"""From a finished training to the familiarity of its network: what it knows, and pictures that it should not know.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.channel import Channel, ChannelFacts
from sdovis.learning import loader
from sdovis.learning.familiarity import MOST, Familiarity, fitted
from sdovis.learning.features import FeatureSet
from sdovis.learning.record import Session
from sdovis.learning.seen import Seen, seen
from sdovis.simulation import strangers
from sdovis.statistics import texture

#: Strange pictures of each case, by which the distance of features is chosen.
EACH = 6


def familiarity(session: Session, model: Any, validation: Seen) -> Familiarity:
    """Fit it to a session that ended with ``model``, which made ``validation`` of the validation part.

    Features that the training computed anyway are not computed again.
    """
    plan, arguments = session.plan, session.trainer.args
    rng = np.random.default_rng(plan.study.study.seed)
    regions, others = (plan.corpus.part(part)["group"].to_numpy(str) for part in ("train", "validation"))
    some = np.sort(rng.permutation(len(regions))[:MOST])
    where = {"batch_size": arguments.per_device_eval_batch_size, "device": arguments.device}
    codes, processor = session.pictures.codes, session.trainer.processor
    held = session.task.training
    if isinstance(held, FeatureSet):
        looks = [texture.measures(np.array(codes[list(batch)])) for batch in _batches(some)]
        known = Seen(np.empty((0, 0), np.float32), held.features[some].numpy(), np.concatenate(looks))
    else:
        known = seen(model, codes, processor, rows=some.tolist(), **where)
    cases, pictures = strange(plan.corpus.facts.view.channels, session.validation.codes, plan.study.study.seed)
    found = seen(model, pictures, processor, **where)
    return fitted(known, regions[some].tolist(), validation, others.tolist(), found, cases, seed=plan.study.study.seed)


def _batches(rows: NDArray[np.int64], size: int = 64) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def strange(
    channels: Sequence[Channel | ChannelFacts], own: loader.Pixels, seed: int
) -> tuple[list[str], loader.Pixels]:
    """The case of each strange picture that is not blank (those are refused), and the pictures as ``own`` are kept."""
    drawn = np.random.default_rng(seed).permutation(len(own))[:EACH]
    pictures = np.array(own[drawn.tolist()])
    made = strangers.made(channels, list(pictures), each=EACH, seed=seed)
    kept = [(case, each) for case, of in made.items() for each in of if np.ptp(each)]
    mode = "L" if pictures.ndim == 3 else "RGB"
    return [case for case, _ in kept], np.stack([np.asarray(Image.fromarray(each).convert(mode)) for _, each in kept])
