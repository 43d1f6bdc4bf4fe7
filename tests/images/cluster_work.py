"""Work for the workers of a cluster: some of it takes its process down."""

from __future__ import annotations

import os
import signal
import time


def squared(number: int) -> int:
    """Its square; 5 kills whoever computes it."""
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return number * number
