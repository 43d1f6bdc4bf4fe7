"""The Hub on loopback."""

from hub_fixture import hub  # noqa: F401  fixtures
