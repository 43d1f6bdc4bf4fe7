"""Parts of `gpu.py` that measure speed: (a) against the bare step and the example, (f) compiling, (h) waiting for data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gpu_kit import Failed, Kit

Note = Callable[[str, Any], None]


def speed(kit: Kit, note: Note) -> None:
    """`sdovis train`, eager and compiled, beside the bare step, eager and compiled, and beside transformers' example."""
    best, other = kit.sizes.precisions
    for precision, compiled in ((best, False), (best, True)):
        _pair(kit, note, precision, compiled=compiled)
    try:
        for what, workers in [("example", 0), ("example, workers", kit.sizes.workers)][: kit.sizes.repeats - 1]:
            note(what, kit.example(kit.sizes.warm + kit.sizes.example_steps, best, workers))
    except Failed as failed:
        note("example", {"not_run": str(failed)})
    _pair(kit, note, other, compiled=False)


def _pair(kit: Kit, note: Note, precision: str, *, compiled: bool) -> None:
    what = f"{precision}{', compiled' * compiled}"
    note(f"floor, {what}", kit.floor(precision, compiled=compiled))
    note(f"sdovis, {what}", trained(kit, precision, compiled=compiled))


def trained(
    kit: Kit, precision: str, *, compiled: bool, name: str = "", sets: tuple[str, ...] = (), **watched: Any
) -> Any:
    """`sdovis train` of the large network with every weight and augmentation, images from the cache."""
    sizes = kit.sizes
    place = name or f"sdovis-{precision}{'-compiled' * compiled}"
    training = kit.training(sizes.warm + sizes.steps, precision)
    sets = (
        f"method.compile={json.dumps(compiled)}",
        f"backbone.id={kit.network(sizes.large)}",
        'method.keep="last"',
        *sets,
    )
    sets = (*sets, f"images.size_px={sizes.size_px}")
    return kit.sdovis(place, training, *sets, first=sizes.warm, last=sizes.warm + sizes.steps, **watched)


def compiling(kit: Kit, note: Note) -> None:
    """What `method.compile` gains and what its start costs, with an empty cache of torch's and with what that left."""
    precision = kit.sizes.precisions[0]
    cache = str(kit.work / "inductor")
    note("eager", trained(kit, precision, compiled=False, name="compile-eager"))
    for start in ("cold", "warm"):
        found = trained(kit, precision, compiled=True, name=f"compile-{start}", TORCHINDUCTOR_CACHE_DIR=cache)
        note(f"compiled, {start}", found)


def waiting(kit: Kit, note: Note) -> None:
    """How long the GPU does nothing, and how much of that is waiting for a batch, as the study leaves it and otherwise."""
    sizes = kit.sizes
    # The Trainer asks after every step whether the loss is a number, for which the host waits.
    unasked = "training.logging_nan_inf_filter=false"
    variants = {
        "as it is": ((), False),
        "compiled, without the filter of nan, with workers": (
            (unasked, f"training.dataloader_num_workers={sizes.workers}"),
            True,
        ),
        "without the filter of nan": ((unasked,), False),
        "with workers": ((f"training.dataloader_num_workers={sizes.workers}",), False),
    }
    for number, (what, (sets, compiled)) in list(enumerate(variants.items()))[: sizes.repeats]:
        name, precision = f"waiting-{number}", sizes.precisions[0]
        note(what, trained(kit, precision, compiled=compiled, name=name, sets=sets, profiled=sizes.profiled))
