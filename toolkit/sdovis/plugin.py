"""Everything the author of a plug-in needs: what each entry-point group takes, and the types it is built from::

    sdovis.readers         a `Reader`: ``read(source, settings)`` gives rows, a `RawRow` each; ``settings`` is the
                           subclass of `SourceSettings` that describes ``[source.NAME]``
    sdovis.labels          a `LabelScheme`, or a callable ``(values, classes) -> LabelScheme``
    sdovis.channels        a `Channel`: `SolarImage` -> codes; `Limits` of its instrument; `channel` finds an installed
                           one to build on; its `Contrast` says what stands out of the quiet Sun, so that neighbours can
                           be masked
    sdovis.augmentations   an `Augmentation`
    sdovis.metrics         a `MetricSpec`
    sdovis.targets         a `Target`: takes a `Request`, returns lines; `Release` reads and verifies what it is to send

For bad input, raise `BadInput` with one `Problem` per mistake, each saying where it is and how to fix it (`nearest` words
the hint for a misspelt name). `UnreadableImage` is for images, `HubFailure` for the network, and `Conflict` for anything in
the way that must not be overwritten. Importing this module loads neither torch nor pandas.
`Release` does when it is first used, and a Space does not have it: import it in the function that needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdovis.channels.channel import Channel, Contrast, Limits, channel
from sdovis.errors import BadInput, Conflict, HubFailure, Problem, UnreadableImage, nearest
from sdovis.evaluation.metrics import MetricSpec
from sdovis.images.images import SolarImage
from sdovis.labels.augmentations import Augmentation
from sdovis.labels.schemes import LabelScheme, UnknownLabel
from sdovis.readers.rows import FlareFacts, RawRow
from sdovis.release.request import Request, Target
from sdovis.study import Columns, Reader, Source, SourceSettings

if TYPE_CHECKING:
    from sdovis.release.assembly import Release

__all__ = [
    "Augmentation",
    "BadInput",
    "Channel",
    "Columns",
    "Conflict",
    "Contrast",
    "FlareFacts",
    "HubFailure",
    "LabelScheme",
    "Limits",
    "MetricSpec",
    "Problem",
    "RawRow",
    "Reader",
    "Release",
    "Request",
    "SolarImage",
    "Source",
    "SourceSettings",
    "Target",
    "UnknownLabel",
    "UnreadableImage",
    "channel",
    "nearest",
]


def __getattr__(name: str) -> Any:
    if name != "Release":
        raise AttributeError(f"module 'sdovis.plugin' has no attribute {name!r}")
    return import_module("sdovis.release.assembly").Release
