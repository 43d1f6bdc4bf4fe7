"""Named lookup over entry points: the only way in for built-in and third-party plug-ins.

A plug-in is an object registered by its distribution under one of `GROUPS`. The built-ins are registered in this
project's own ``pyproject.toml`` exactly as third-party ones are.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sdovis.errors import BadInput, Problem, nearest

GROUPS = tuple(f"sdovis.{kind}" for kind in "readers labels channels augmentations metrics targets".split())


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


@cache  # what is installed does not change while a process runs, and a lookup costs milliseconds
def names(group: str) -> tuple[str, ...]:
    """The names registered in ``group``, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


@cache
def load(group: str, name: str, kind: Any = object) -> Any:
    """The object registered as ``name`` in ``group``, an instance of ``kind``: a class or `Callable`.

    Raises `BadInput` for an unknown name (with the nearest one), for a name that two distributions claim, and for a
    plug-in that fails to import or is not of ``kind`` (naming its distribution).
    """
    points = [point for point in entry_points(group=group) if point.name == name]
    what = group.rpartition(".")[2]
    if not points:
        raise BadInput(Problem(f"{what}: {name!r} is unknown", nearest(name, names(group))))
    claims = {(point.value, _distribution(point)) for point in points}
    if len(claims) > 1:
        who = " and ".join(sorted(dist for _, dist in claims))
        raise BadInput(Problem(f"{what}: {name!r} is registered by {who}", "uninstall one of them"))
    try:
        found = points[0].load()
    except Exception as error:  # a third-party module may fail in any way: the message names its distribution
        raise BadInput(
            Problem(
                f"{what}: plug-in {name!r} of {_distribution(points[0])} fails to import: {error!r}",
                "reinstall it or ask its author",
            )
        ) from error
    if not isinstance(found, kind):
        has = f"is of type {type(found).__name__} but must be of type {kind.__name__}"
        raise BadInput(Problem(f"{what}: plug-in {name!r} of {_distribution(points[0])} {has}", "ask its author"))
    return found


@cache
def version(group: str, name: str) -> str:
    """The distribution that provides ``name``, with its version: part of what a stage was made from."""
    return next((_distribution(point) for point in entry_points(group=group) if point.name == name), "")


def table() -> list[tuple[str, str, str, str]]:
    """Every registered plug-in as (group, name, object, distribution), with duplicates marked."""
    rows = [(g, p.name, p.value, _distribution(p)) for g in GROUPS for p in entry_points(group=g)]
    seen = Counter((g, n) for g, n, *_ in set(rows))
    return sorted((g, n, v + ("  (claimed twice)" if seen[g, n] > 1 else ""), d) for g, n, v, d in set(rows))
