"""How long a Hub is waited for: every request has a time-out, and failures that may pass are met with pauses, but not for ever.

`huggingface_hub` repeats some requests (pages of a list, uploads) and others not, gives most of them no time-out, and waits
as long as ``Retry-After`` says. Its one client is made here, so that all of them end.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from typing import Any

from sdovis.errors import HubFailure
from sdovis.patience import CONNECT, LONGEST_PAUSE, PASSING, PATIENCE, PAUSES, SILENCE, asked_for

__all__ = [
    "CONNECT",
    "LONGEST_PAUSE",
    "PASSING",
    "PATIENCE",
    "PATIENT",
    "PAUSES",
    "SILENCE",
    "Waiting",
    "asked_for",
    "install",
]

#: The same for a commit: a Hub with many files to look at says nothing until it has.
COMMITTING = 120.0
#: No progress either: the client repeats "another operation is in progress" by itself, without a limit.
_TAKEN = 409


class Waiting(threading.local):
    """Since when a thread has had no good answer of the Hub, and which pauses it was asked for since."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """To be called before each operation: what went wrong in an earlier one is forgotten."""
        self._failing_since: float | None = None
        self._unanswered, self._asked_for = False, 0.0

    def asking(self, request: Any) -> None:
        """For every request: a time-out, also where the client sets none. Raises `HubFailure` once patience ends."""
        now = time.monotonic()
        if self._unanswered and self._failing_since is None:
            self._failing_since = now
        if self._failing_since is not None and now > self._failing_since + PATIENCE + self._asked_for:
            raise HubFailure(f"no good answer for {now - self._failing_since:.0f} seconds; try again later")
        self._unanswered = True
        given = request.extensions.get("timeout", {})
        quiet = COMMITTING if "/commit/" in request.url.path else SILENCE
        limits = {"connect": CONNECT, "read": quiet, "write": SILENCE, "pool": SILENCE}
        request.extensions["timeout"] = {name: given.get(name) or limit for name, limit in limits.items()}

    def answered(self, response: Any) -> None:
        """For every answer. Raises `HubFailure` if it asks for too long a pause."""
        if response.status_code not in {*PASSING, _TAKEN}:
            self.begin()
            return
        self._asked_for += (pause := asked_for(response.headers) or 0.0)
        if self._asked_for > LONGEST_PAUSE:
            what = f"answered {response.status_code} and asks for a pause of {pause:.0f} seconds"
            raise HubFailure(f"{what}; try again after that")


PATIENT = Waiting()


@cache
def install() -> None:
    """Let `huggingface_hub` speak through a client with time-outs. Once: its old client is closed, whoever uses it."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def client() -> Any:
        made = default_client_factory()
        hooks = made.event_hooks
        made.event_hooks = {
            "request": [*hooks["request"], PATIENT.asking],
            "response": [*hooks["response"], PATIENT.answered],
        }
        return made

    set_client_factory(client)
    # What it does about a failure is no news; how an operation ended is told in one line.
    for name in ("utils._http", "file_download"):
        logging.getLogger(f"huggingface_hub.{name}").setLevel(logging.ERROR)
