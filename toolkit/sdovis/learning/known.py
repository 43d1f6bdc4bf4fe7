"""From a finished training to the familiarity of its network: what it knows, and pictures that it should not know.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdovis.channels.channel import Channel, ChannelFacts
from sdovis.learning import loader
from sdovis.learning.familiarity import MOST, Familiarity, fitted
from sdovis.learning.features import FeatureSet
from sdovis.learning.seen import Seen, seen
from sdovis.simulation import strangers
from sdovis.statistics import texture

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

#: Strange pictures of each case, by which the distance of features is chosen.
EACH = 6


def familiarity(
    model: Any,
    processor: Any,
    corpus: Corpus,
    codes: Mapping[str, loader.Pixels],
    validation: Seen,
    *,
    held: Any = None,
    seed: int,
    batch_size: int,
    device: Any,
) -> Familiarity:
    """Fit it to a trained ``model``, which made ``validation`` of the validation part.

    ``codes`` are the pictures of the parts train and validation. Features that the training ``held`` anyway, if they are a
    `FeatureSet`, are not computed again.
    """
    rng = np.random.default_rng(seed)
    regions, others = (corpus.part(part)["group"].to_numpy(str) for part in ("train", "validation"))
    some = np.sort(rng.permutation(len(regions))[:MOST])
    if isinstance(held, FeatureSet):
        looks = [texture.measures(np.array(codes["train"][list(batch)])) for batch in _batches(some)]
        known = Seen(np.empty((0, 0), np.float32), held.features[some].numpy(), np.concatenate(looks))
    else:
        known = seen(model, codes["train"], processor, rows=some.tolist(), batch_size=batch_size, device=device)
    cases, pictures = strange(corpus.facts.view.channels, codes["validation"], seed)
    found = seen(model, pictures, processor, batch_size=batch_size, device=device)
    return fitted(known, regions[some].tolist(), validation, others.tolist(), found, cases, seed=seed)


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
