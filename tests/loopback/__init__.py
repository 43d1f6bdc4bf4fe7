"""Servers on 127.0.0.1 for tests: a Hub, a Zenodo, and what can go wrong with both."""

from loopback.hub import LoopbackHub
from loopback.repositories import Repository
from loopback.wire import Fault
from loopback.zenodo import LoopbackZenodo

__all__ = ["Fault", "LoopbackHub", "LoopbackZenodo", "Repository"]
