"""Releases to look at."""

from hub_fixture import hub  # noqa: F401  fixtures
from releases import crafted, finished_run  # noqa: F401  fixtures
