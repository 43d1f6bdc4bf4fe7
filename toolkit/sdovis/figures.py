"""Arrays and tables in, matplotlib figures out. Nothing here reads a file or knows a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(width: float, height: float) -> Figure:
    # Not pyplot: it would keep every figure alive and choose a window system.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 144 dots an inch; the same figure gives the same bytes."""
    figure.savefig(path, dpi=144, metadata={"Software": None})


def confusion_matrix(matrix: NDArray[Any], classes: Sequence[str]) -> Figure:
    """Counts (K, K), rows = truth; coloured by the share of the true class."""
    figure = _figure(1.6 + 0.95 * len(classes), 1.2 + 0.85 * len(classes))
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(matrix):
        ink = "white" if share[i, j] > 0.55 else "black"
        axes.text(j, i, f"{count}\n{share[i, j]:.0%}", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("observed")
    axes.spines[:].set_visible(False)
    return figure


def intervals(rows: Mapping[str, Mapping[str, float | None]], quantity: str, *, chance: float | None = None) -> Figure:
    """Estimates with their intervals, a row each, the first on top; ``chance`` is drawn as a dashed line."""
    figure = _figure(5.5, 0.9 + 0.42 * len(rows))
    axes = figure.subplots()
    for y, entry in enumerate(rows.values()):
        estimate, low, high = (np.nan if (v := entry[k]) is None else v for k in ("estimate", "low", "high"))
        axes.plot([low, high], [y, y], color="tab:blue", linewidth=2)
        axes.plot(estimate, y, "o", color="tab:blue")
        axes.annotate(f"{estimate:.2f}", (estimate, y), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    if chance is not None:
        axes.axvline(chance, color="grey", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlim(0, 1)
    axes.set_xlabel(quantity)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def learning_curve(history: Sequence[Mapping[str, Any]], score: str, kept_step: int | None) -> Figure:
    """Training loss, and the validation score by which a checkpoint is kept, against the optimizer step."""
    figure = _figure(6.0, 3.2)
    left = figure.subplots()
    right = left.twinx()
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    scores = [(entry["step"], entry[f"eval_{score}"]) for entry in history if f"eval_{score}" in entry]
    if losses:
        left.plot(*zip(*losses, strict=True), color="tab:blue")
    if scores:
        right.plot(*zip(*scores, strict=True), "o-", color="tab:orange", markersize=3)
    if kept_step is not None:
        left.axvline(kept_step, color="grey", linestyle="--", linewidth=1)
        left.annotate("kept", (kept_step, 1), (3, -10), xycoords=("data", "axes fraction"), textcoords="offset points")
    left.set_xlabel("step")
    left.set_ylabel("training loss", color="tab:blue")
    right.set_ylabel(f"validation {score.replace('_', ' ')}", color="tab:orange")
    return figure


def cutouts(images: Sequence[NDArray[Any]], titles: Sequence[str], colormap: str, columns: int = 6) -> Figure:
    """Images (H, W), row 0 on top, in the channel's own colours, with a title each."""
    lines = -(-len(images) // columns)
    figure = _figure(1.5 * columns, 1.75 * lines)
    for position, (image, title) in enumerate(zip(images, titles, strict=True), 1):
        axes = figure.add_subplot(lines, columns, position)
        axes.imshow(image, cmap=colormap, vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    return figure
