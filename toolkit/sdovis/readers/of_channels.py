"""What the names of a study's channels tell a reader: which of a data set's arrays, variables or files they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Headings of the columns of images that a reader makes, one for each channel.
IMAGES = ("Image", "Image 2", "Image 3")


def told(study: Mapping[str, Any], patterns: Mapping[str, str]) -> tuple[Any, list[str]]:
    """The headings of the columns of images, and what each channel is called in the data set.

    ``study`` is as written, not yet checked; ``patterns`` maps a regular expression of a channel's name to the data set's own.
    The second is empty unless every channel's name tells.
    """
    section = study.get("images", {})
    channel = section.get("channel", ()) if isinstance(section, Mapping) else ()
    channels = [channel] if isinstance(channel, str) else list(channel) if isinstance(channel, list | tuple) else []
    names = [
        re.sub(pattern, name, each)
        for each in channels
        for pattern, name in patterns.items()
        if isinstance(each, str) and re.fullmatch(pattern, each)
    ]
    return (IMAGES if len(channels) > 1 else IMAGES[0]), (names if len(names) == len(channels) else [])
