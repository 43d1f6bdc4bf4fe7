"""A Hub on loopback, and releases to publish to it."""

from hub_fixture import hub  # noqa: F401  fixtures
from published import published  # noqa: F401  fixture
from releases import crafted, finished_run  # noqa: F401  fixtures
