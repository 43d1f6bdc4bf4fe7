"""What a corpus says of itself, for tests that make a corpus by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sdovis.channels.channel import ChannelFacts
from sdovis.channels.hmi import HMI_MAGNETOGRAM
from sdovis.corpus.facts import CorpusFacts
from sdovis.labels.schemes import MOUNT_WILSON_3, LabelScheme


def corpus_facts(
    *,
    scheme: LabelScheme = MOUNT_WILSON_3,
    classes: Mapping[str, str] = MOUNT_WILSON_3.meanings,
    channels: Iterable[ChannelFacts] = (HMI_MAGNETOGRAM.facts(),),
    **changes: Any,
) -> CorpusFacts:
    """Of a corpus without rows, but for ``changes``."""
    told = {
        "study": "crafted", "simulated": False, "size_px": 32, "cutout_arcsec": None, "cutout_deg": None,
        "rows": 0, "rejects": 0, "rejects_by_reason": {}, "spellings": {name: {} for name in classes},
    }  # fmt: skip
    own = scheme.facts(classes, ())
    return CorpusFacts(**(told | changes), classes=dict(classes), scheme=own, channels=tuple(channels))
