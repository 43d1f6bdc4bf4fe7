"""The picture for the wall of a forecaster: the disc, north up, with each region's box, number, class and probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sdovis.channels.view import View
from sdovis.inference.looking import DiscShown, Spot
from sdovis.inference.placards import DOUBTFUL, INKS, beside, ink
from sdovis.inference.prediction import Answered
from sdovis.learning.familiarity import caution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUND, LABEL = "#000000", "#16161C"
#: The brightest code of 255 is drawn as if there were so many: boxes and labels stand out from a Sun that is not white.
SUN_AT_MOST = 300
#: Labels in the figure: their height and width as shares of its side, the gap between them.
LABEL_HIGH, LABEL_WIDE, GAP = 0.052, 0.15, 0.006
#: How far the axes go beyond the disc, in radii: room for labels.
ROOM = 1.2


def named(spot: Spot) -> str:
    """A region as NOAA writes it: ``AR 11158 S21W14``."""
    place = ""
    if spot.latitude_deg is not None and spot.longitude_deg is not None:
        place = f"{'NS'[spot.latitude_deg < 0]}{abs(spot.latitude_deg):02.0f}"
        place += f"{'WE'[spot.longitude_deg < 0]}{abs(spot.longitude_deg):02.0f}"
    number = "" if spot.region is None else f"AR {spot.region}"
    return " ".join(filter(None, [number, place])) or "no numbered region"


def disc(answered: Answered, classes: Sequence[str], view: View, model: str) -> Figure:
    """The figure of one disc, whose `looking.DiscShown` was asked for."""
    from matplotlib.figure import Figure

    shown = answered.shown
    assert shown is not None
    assert shown.disc is not None
    figure = Figure(figsize=(9, 10), facecolor=GROUND)
    axes = figure.add_axes((0.0, 0.05, 1.0, 0.9))
    _draw_sun(axes, shown.disc)
    found = answered.answers(classes)
    boxes = [(spot, *_said(spot, probabilities, strange, classes)) for spot, probabilities, strange in found]
    placed = [each for each in boxes if each[0].x_px is not None and each[0].coded]
    _draw_regions(axes, shown.disc, placed, view)
    time = f"{shown.observed:%Y-%m-%d %H:%M} UT" if shown.observed else "time unknown"
    channel = view.channels[0].title if view.channels else ""
    figure.text(0.5, 0.977, f"{channel}   {time}", color="white", size=15, ha="center", va="center", weight="bold")
    figure.text(0.5, 0.952, f"model {model}", color="#A8A8B0", size=8.5, ha="center", va="center")
    left_out = [named(each[0]) for each in boxes if each not in placed and each[0].region is not None]
    note = f"not shown: {', '.join(left_out)}" if left_out else ""
    figure.text(0.5, 0.01, note, color="#A8A8B0", size=8, ha="center", va="bottom")
    _draw_key(figure, classes)
    return figure


def _said(
    spot: Spot, probabilities: dict[str, float] | None, strange: float | None, classes: Sequence[str]
) -> tuple[str, str, bool]:
    """A region's label, its ink, and whether the answer is doubtful."""
    number = f"{spot.region}" if spot.region is not None else named(spot)
    if probabilities is None:
        return number, DOUBTFUL, True
    best = max(probabilities, key=lambda name: probabilities[name])
    unlike = strange is not None and bool(caution(strange))
    doubt = unlike or spot.near_limb
    mark = " ?" if unlike else " (limb)" if spot.near_limb else ""
    colour = DOUBTFUL if unlike else ink(classes, best)
    return f"{number}\n{best.replace('_', ' ')} {probabilities[best]:.0%}{mark}", colour, doubt


def _draw_sun(axes: Axes, sun: DiscShown) -> None:
    height, width = sun.picture.shape[:2]
    # Pixel centres are whole numbers in the image itself: its first pixel begins at -0.5.
    extent = (-0.5, width / sun.zoom - 0.5, height / sun.zoom - 0.5, -0.5)
    if sun.table:
        axes.imshow(sun.picture, cmap=_table(sun.table), vmin=0, vmax=SUN_AT_MOST, extent=extent)
    else:
        axes.imshow(sun.picture, extent=extent)
    x, y = sun.center_px
    reach = ROOM * sun.radius_px
    axes.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach), facecolor=GROUND)
    axes.axis("off")
    angle = np.linspace(0, 2 * np.pi, 361)
    axes.plot(x + sun.radius_px * np.cos(angle), y + sun.radius_px * np.sin(angle), color="white", lw=0.6, alpha=0.7)
    for text, across, down in (("N", 0, -1), ("S", 0, 1), ("E", -1, 0), ("W", 1, 0)):
        at = (x + 1.045 * sun.radius_px * across, y + 1.045 * sun.radius_px * down)
        axes.text(*at, text, color="#A8A8B0", size=10, ha="center", va="center")


def _table(name: str) -> Any:
    import matplotlib

    if name not in matplotlib.colormaps:
        import sunpy.visualization.colormaps  # noqa: F401  registers SDO's tables with matplotlib
    return matplotlib.colormaps[name if name in matplotlib.colormaps else "gray"]


def _draw_regions(axes: Axes, sun: DiscShown, boxes: Sequence[tuple[Spot, str, str, bool]], view: View) -> None:
    from matplotlib.patches import Rectangle

    spots = [(each[0].x_px or 0.0, each[0].y_px or 0.0, each[0].side_px or 0.0) for each in boxes]
    labels = placed_labels(spots, sun)
    for (_, text, colour, doubt), (x, y, side), (left, top, right, bottom) in zip(boxes, spots, labels, strict=True):
        style = "--" if doubt else "-"
        for stroke, width in (("black", 2.6), (colour, 1.3)):
            corner = (x - side / 2, y - side / 2)
            axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=stroke, lw=width, linestyle=style))
        middle = (left + right) / 2, (top + bottom) / 2
        near = np.clip(middle, (x - side / 2, y - side / 2), (x + side / 2, y + side / 2))
        axes.plot((near[0], middle[0]), (near[1], middle[1]), color=colour, lw=0.8, zorder=2)
        axes.text(
            *middle, text, color=colour, size=8.5, ha="center", va="center", linespacing=1.1, zorder=3,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": LABEL, "edgecolor": colour, "linewidth": 0.7, "alpha": 0.88},
        )  # fmt: skip


def placed_labels(
    spots: Sequence[tuple[float, float, float]], sun: DiscShown
) -> list[tuple[float, float, float, float]]:
    """Where the label of each box (x, y, side) goes: left, top, right, bottom, in pixels of the image."""
    reach = ROOM * sun.radius_px
    x, y = sun.center_px
    sizes = [(LABEL_WIDE * 2 * reach, LABEL_HIGH * 2 * reach)] * len(spots)
    return beside(spots, sizes, (x - reach, y - reach, x + reach, y + reach), GAP * 2 * reach)


def _draw_key(figure: Figure, classes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=INKS[i % len(INKS)], lw=2, label=name) for i, name in enumerate(classes)]
    lines.append(Line2D([], [], color=DOUBTFUL, lw=2, linestyle="--", label="doubtful: limb, or ? unfamiliar"))
    figure.legend(
        handles=lines, loc="lower center", bbox_to_anchor=(0.5, 0.022), ncols=len(lines), frameon=False,
        labelcolor="white", fontsize=9,
    )  # fmt: skip
