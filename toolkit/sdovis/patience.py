"""How long somebody else's server is waited for: time-outs, pauses between tries, and when nothing more is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Seconds to open a connection, and seconds without a byte in either direction after which a request is given up.
CONNECT, SILENCE = 15.0, 30.0
#: Seconds after a first failure, without one good answer since, after which nothing more is asked of a server.
PATIENCE = 60.0
#: The sum of pauses, in seconds, that a server may ask for between two good answers.
LONGEST_PAUSE = 180.0
#: Seconds before the second and each later try, where the server does not say.
PAUSES = (1.0, 2.0, 4.0, 8.0)
#: Answers that may be others a moment later.
PASSING = frozenset({408, 429, 500, 502, 503, 504})


def asked_for(headers: Mapping[str, str]) -> float | None:
    """The pause in seconds that an answer asks for, as ``Retry-After`` (seconds or a date) or as a rate limit; None if none."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max((until - datetime.now(UTC)).total_seconds(), 0.0) if until.tzinfo else None
