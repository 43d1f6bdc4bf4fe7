"""What may go wrong with one request. They are met inside the room; what leaves it is an error of `sdovis.errors`."""

from __future__ import annotations


class Passing(Exception):
    """May be different a moment later, after ``pause`` seconds if the server says so."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class Missing(Exception):
    """The archive has no such file."""


class Failed(Exception):
    """It is of no use to ask again in this run."""
