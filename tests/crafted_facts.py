"""What a corpus says of itself, for tests that make a corpus by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from sdovis.channels.channel import ChannelFacts
from sdovis.channels.hmi import HMI_MAGNETOGRAM
from sdovis.channels.view import View
from sdovis.corpus.facts import CorpusFacts
from sdovis.labels.schemes import MOUNT_WILSON_3, LabelScheme


def corpus_facts(
    *,
    scheme: LabelScheme = MOUNT_WILSON_3,
    classes: Mapping[str, str] = MOUNT_WILSON_3.meanings,
    channels: Iterable[ChannelFacts] = (HMI_MAGNETOGRAM.facts(),),
    **changes: Any,
) -> CorpusFacts:
    """Of a corpus without rows, but for ``changes``, those of its view among them."""
    view = replace(View((), 32).facts(), channels=tuple(channels))
    view = replace(view, **{each.name: changes.pop(each.name) for each in fields(view) if each.name in changes})
    told = {
        "study": "crafted", "simulated": False, "view": view, "rows": 0, "rejects": 0, "rejects_by_reason": {},
        "spellings": {name: {} for name in classes},
    }  # fmt: skip
    return CorpusFacts(**(told | changes), classes=dict(classes), scheme=scheme.facts(classes, ()))
