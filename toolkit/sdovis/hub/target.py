"""The target `hub`: a release on the Hugging Face Hub, or on a compatible one."""

from __future__ import annotations

from sdovis.hub.publish import publish
from sdovis.release.request import Request


def hub(asked: Request) -> list[str]:
    """To a Hub: the place is its URL, by default HF_ENDPOINT or huggingface.co. See `sdovis.hub.publish`."""
    return publish(
        asked.release,
        private=not asked.public,
        dry_run=asked.dry_run,
        accept=asked.accept,
        endpoint=asked.place or None,
        say=asked.say,
    ).lines()
