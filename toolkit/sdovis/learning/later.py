"""What comes with transformers' Trainer and no training here needs: loaded when somebody uses it, and not before.

The Trainer's modules import peft and datasets, for classes of which a model or a table may be an instance, and
scipy.optimize, for a function of object detection: with what these import, a fifth of all modules loaded before the first
step. While the Trainer is imported, modules stand in for them that were not imported yet. Nothing is an instance of a class
that nobody has imported: so a class that stands in for another says no until then, and asks the other afterwards.

transformers also reads through all of its models' files to learn which names they have, twice: here once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

#: Module -> its classes that others only ask instances about, and its functions.
_CLASSES = {"peft": ("PeftModel", "PeftMixedModel"), "datasets": ("Dataset", "IterableDataset")}
_FUNCTIONS = {"scipy.optimize": ("linear_sum_assignment",)}


class _Unimported(type):
    """A class that stands in for one of the same name in the module ``home``."""

    home: str

    def __instancecheck__(cls, one: object) -> bool:
        home = sys.modules.get(cls.home)
        return home is not None and isinstance(one, getattr(home, cls.__name__))


class _StandIn(ModuleType):
    """A module that is imported when something is asked of it that it does not have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # what the import system asks of any module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _function(home: str, name: str) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(home), name)(*given, **named)

    return call


def _stand_in(home: str) -> _StandIn:
    module = _StandIn(home)
    module.__spec__ = find_spec(home)
    for name in _CLASSES.get(home, ()):
        setattr(module, name, _Unimported(name, (), {"home": home}))
    for name in _FUNCTIONS.get(home, ()):
        setattr(module, name, _function(home, name))
    return module


@contextmanager
def left() -> Iterator[None]:
    """What is imported meanwhile gets stand-ins of the modules above, unless these are there already or not installed."""
    from transformers.utils import import_utils

    scan = import_utils.create_import_structure_from_path  # it remembers what it found, by the path as it was written
    import_utils.create_import_structure_from_path = lambda path: scan(Path(str(path).removesuffix("__init__.py")))
    homes = [home for home in (*_CLASSES, *_FUNCTIONS) if home not in sys.modules and find_spec(home)]
    sys.modules |= {home: _stand_in(home) for home in homes}
    try:
        yield
    finally:
        import_utils.create_import_structure_from_path = scan
        for home in homes:
            if isinstance(sys.modules.get(home), _StandIn):
                del sys.modules[home]
