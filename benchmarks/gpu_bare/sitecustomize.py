"""For rehearsals of `gpu.py`, on PYTHONPATH: what the machine to come does not have is not to be found here either."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

ABSENT = frozenset(filter(None, os.environ.get("GPU_ABSENT", "").split(",")))


class Bare(PathFinder):
    """Looks along sys.path, as Python does, but not for those names: libraries that ask what is there are told no."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname in ABSENT else super().find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
