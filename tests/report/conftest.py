"""The finished run of the cards' tests."""

from cards.conftest import facts, finished, make_run, run  # noqa: F401  fixtures
