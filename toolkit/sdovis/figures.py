"""Arrays and tables in, matplotlib figures out. Nothing here reads a file or knows a study."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from sdovis.statistics.bootstrap import Estimate


#: Dots per inch of every figure.
DPI = 144


def _figure(width: float, height: float) -> Figure:
    # Not pyplot: it would keep every figure in memory and select a GUI backend.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path | io.BytesIO) -> None:
    """Write a PNG; the same figure gives the same bytes."""
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def png(figure: Figure) -> bytes:
    """The bytes that `save` writes."""
    buffer = io.BytesIO()
    save(figure, buffer)
    return buffer.getvalue()


def confusion_matrix(matrix: NDArray[Any], classes: Sequence[str]) -> Figure:
    """Counts (K, K), rows = truth; coloured by the share of the true class."""
    figure = _figure(1.6 + 0.95 * len(classes), 1.2 + 0.85 * len(classes))
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(matrix):
        ink = "white" if share[i, j] > 0.55 else "black"
        axes.text(j, i, f"{count}\n{share[i, j]:.0%}", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(classes)), [plain(name) for name in classes], rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), [plain(name) for name in classes])
    axes.set_xlabel("predicted")
    axes.set_ylabel("observed")
    axes.spines[:].set_visible(False)
    return figure


def intervals(rows: Mapping[str, Estimate], quantity: str, *, chance: float | None = None) -> Figure:
    """Estimates with their intervals, one per row, the first on top; ``chance`` is drawn as a dashed line."""
    figure = _figure(5.5, 0.9 + 0.42 * len(rows))
    axes = figure.subplots()
    _bars(axes, map(plain, rows), rows.values())
    if chance is not None:
        axes.axvline(chance, color="grey", linestyle="--", linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel(quantity)
    return figure


def comparison(
    scores: Mapping[str, Estimate], differences: Mapping[tuple[str, str], Estimate], quantity: str
) -> Figure:
    """Scores and their intervals above; below the paired differences of two, with a dashed line at no difference."""
    heights = [0.9 + height * len(rows) for height, rows in ((0.42, scores), (0.55, differences))]
    figure = _figure(6.5, sum(heights))
    above, below = figure.subplots(2, 1, height_ratios=heights)
    _bars(above, map(plain, scores), scores.values())
    above.set_xlabel(quantity)
    _bars(below, [f"{plain(a)}\nminus {plain(b)}" for a, b in differences], differences.values())
    below.axvline(0, color="grey", linestyle="--", linewidth=1)
    below.set_xlabel(f"difference in {quantity}, paired")
    return figure


def _bars(axes: Axes, names: Iterable[str], entries: Collection[Estimate]) -> None:
    for y, entry in enumerate(entries):
        estimate, low, high = (np.nan if v is None else v for v in (entry.estimate, entry.low, entry.high))
        axes.plot([low, high], [y, y], color="tab:blue", linewidth=2)
        axes.plot(estimate, y, "o", color="tab:blue")
        # On white, as the dashed line of chance may run through it.
        axes.annotate(
            f"{estimate:.2f}", (estimate, y), (0, 6), textcoords="offset points", ha="center", fontsize=8,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    axes.set_yticks(range(len(entries)), list(names))
    axes.set_ylim(len(entries) - 0.5, -0.7)
    axes.spines[["top", "right"]].set_visible(False)


def reliability(
    confidence: Sequence[float], right: Sequence[Estimate], images: Sequence[int], title: str = ""
) -> Figure:
    """For each bin: share of ``right`` answers against the mean probability of the predicted class, and its ``images``.

    On the dashed line both agree.
    """
    figure = _figure(4.6, 4.8)
    above, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    above.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    for x, each in zip(confidence, right, strict=True):
        if each.low is not None and each.high is not None:
            above.plot([x, x], [each.low, each.high], color=INKS[0], linewidth=5, alpha=0.3, solid_capstyle="butt")
    shares = [np.nan if each.estimate is None else each.estimate for each in right]
    above.plot(confidence, shares, "o-", color=INKS[0], markersize=4)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right answers")
    above.set_title(title, fontsize=9, loc="left")
    below.vlines(confidence, 0, images, color=INKS[0], linewidth=3)
    below.set(xlabel="probability of the predicted class", ylabel="images")
    below.set_ylim(bottom=0)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def risk_coverage(
    curve: Sequence[tuple[float, float]], coverage: Estimate | None = None, risk: Estimate | None = None
) -> Figure:
    """Share of wrong answers against the share of images that are answered, the surest first, and one chosen threshold."""
    figure = _figure(5.0, 3.2)
    axes = figure.subplots()
    axes.plot(*zip(*curve, strict=True), color=INKS[0], drawstyle="steps-post")
    axes.axhline(curve[-1][1], color="grey", linestyle="--", linewidth=1)
    if coverage is not None and risk is not None:
        (x, left, right), (y, low, high) = (
            [np.nan if value is None else value for value in (of.estimate, of.low, of.high)] for of in (coverage, risk)
        )
        axes.plot([left, right], [y, y], [x, x], [low, high], color=INKS[1], linewidth=2)
    axes.set(xlim=(0, 1.02), xlabel="share of images answered", ylabel="share of these answered wrongly")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def roc(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], at: float | None = None) -> Figure:
    """Shares found against false alarms, a curve for each name; a dashed line where false alarms are ``at``."""
    figure = _figure(7.2, 4.2)
    axes = figure.subplots()
    for number, (name, (alarms, found)) in enumerate(curves.items()):
        dashes = ("-", "--", ":")[number // len(INKS) % 3]
        axes.step(
            alarms,
            found,
            where="post",
            color=INKS[number % len(INKS)],
            linestyle=dashes,
            label=plain(name),
            zorder=-number,
        )
    if at is not None:
        axes.axvline(at, color="grey", linestyle="--", linewidth=1)
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="share of the test part called unfamiliar", ylabel="share noticed")
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        figure.legend(loc="outside right center", fontsize=7, title="strange pictures (AUROC)", title_fontsize=7)
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
    """Images (H, W), row 0 on top, in the channel's own colours, or (H, W, 3) unchanged, each with a title."""
    lines = -(-len(images) // columns)
    figure = _figure(1.5 * columns, 1.75 * lines)
    for position, (image, title) in enumerate(zip(images, titles, strict=True), 1):
        axes = figure.add_subplot(lines, columns, position)
        axes.imshow(image, cmap=colormap, vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    return figure


def glowing(under: NDArray[Any], found: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``under`` (H, W), grey from 0 to 1, with a map (rows, columns; 0 to 1), smoothly enlarged, glowing over it: (H, W, 3)."""
    import matplotlib
    from PIL import Image

    size = (under.shape[1], under.shape[0])
    weight = np.asarray(Image.fromarray(found).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    glow = matplotlib.colormaps["inferno"](0.35 + 0.6 * weight)[..., :3]
    opacity = 0.75 * weight[..., None]
    mixed: NDArray[np.uint8] = (255 * ((1 - opacity) * under[..., None] + opacity * glow)).round().astype(np.uint8)
    return mixed


#: Okabe and Ito's colours, distinguishable by the colour-blind; each with a shape, so that grey prints are too.
INKS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SHAPES = ("o", "^", "s", "D", "v", "P", "X", "*")
#: Longest name written out in a figure.
NAME_LENGTH = 40


def plain(text: str) -> str:
    """``text`` as matplotlib draws it unchanged: on one line, cut at 40 characters, with dollar signs escaped."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    short = line if len(line) <= NAME_LENGTH else line[: NAME_LENGTH - 1] + "…"
    return short.replace("$", r"\$")


def class_balance(images: NDArray[Any], regions: NDArray[Any], parts: Sequence[str], classes: Sequence[str]) -> Figure:
    """Bars of the classes' shares in each part, from counts (parts, classes) that are printed beside the bars."""
    figure = _figure(2.0 + 2.9 * len(parts), 1.0 + 0.5 * len(classes))
    share = images / np.maximum(images.sum(axis=1, keepdims=True), 1)
    panels = figure.subplots(1, len(parts), sharex=True, sharey=True, squeeze=False)[0]
    for axes, part, bars, n, of in zip(panels, parts, share, images, regions, strict=True):
        axes.barh(range(len(classes)), 100 * bars, color=_inks(len(classes)), edgecolor="black", linewidth=0.4)
        for y, (width, count, distinct) in enumerate(zip(bars, n, of, strict=True)):
            axes.annotate(
                f"{width:.0%}   {count} ({distinct})", (100 * width, y), (4, 0), textcoords="offset points", va="center",
                fontsize=8,
            )  # fmt: skip
        axes.set_title(f"{part}: {n.sum()} images", fontsize=10)
        axes.set_yticks(range(len(classes)), [plain(name) for name in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.set_xlim(0, 100 * min(1.0, share.max()) * 1.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("share of the part's images (%); beside it: images (regions)", fontsize=10)
    return figure


def histograms(samples: Mapping[str, NDArray[Any]], quantity: str, unit_of_count: str, *, log: bool = False) -> Figure:
    """One histogram per sample, stacked on a common axis, with a line at each median; NaN is left out."""
    from matplotlib.ticker import MaxNLocator

    known = {name: values[np.isfinite(values)] for name, values in samples.items()}
    pooled = np.concatenate(list(known.values()))
    count = int(np.clip(np.sqrt(len(pooled)), 8, 30))
    bins = np.histogram_bin_edges(np.log10(pooled) if log else pooled, bins=count)
    bins = 10**bins if log else bins
    figure = _figure(5.5, 0.8 + 1.15 * len(known))
    panels = figure.subplots(len(known), 1, sharex=True, squeeze=False)[:, 0]
    for axes, ink, (name, values) in zip(panels, _inks(len(known)), known.items(), strict=True):
        axes.hist(values, bins=bins, color=ink, edgecolor="white", linewidth=0.4)
        if len(values):
            axes.axvline(float(np.median(values)), color="black", linestyle="--", linewidth=1)
        axes.set_title(f"{plain(name)}, n = {len(values)}", fontsize=9, loc="left")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    if log:
        panels[-1].set_xscale("log")
        _plain_numbers(panels[-1].xaxis)
    panels[-1].set_xlabel(f"{quantity}; dashed: median")
    figure.supylabel(unit_of_count, fontsize=10)
    return figure


def part_histograms(counts: Mapping[str, Sequence[int]], edges: Sequence[float], quantity: str) -> Figure:
    """Bars of counts between ``edges``, one panel per part, stacked on a common axis of ``quantity``."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(5.5, 0.8 + 1.05 * len(counts))
    panels = figure.subplots(len(counts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, ink, (name, rows) in zip(panels, _inks(len(counts)), counts.items(), strict=True):
        axes.stairs(rows, edges, fill=True, color=ink, edgecolor="white", linewidth=0.4)
        axes.set_title(f"{plain(name)}, n = {sum(rows)}", fontsize=9, loc="left")
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))
    panels[-1].set_xlabel(quantity)
    figure.supylabel("images", fontsize=10)
    return figure


def boxes(samples: Mapping[str, NDArray[Any]], quantity: str, *, log: bool = False) -> Figure:
    """One box per sample (quartiles, median; whiskers to 1.5 interquartile ranges) over its individual values."""
    known = {name: values[np.isfinite(values)] for name, values in samples.items()}
    figure = _figure(1.6 + 1.1 * max(len(known), 3), 3.6)
    axes = figure.subplots()
    jitter = np.random.default_rng(0)
    for x, (ink, values) in enumerate(zip(_inks(len(known)), known.values(), strict=True)):
        alpha = float(np.clip(12 / np.sqrt(len(values) + 1), 0.25, 0.9))
        spread = x + jitter.uniform(-0.28, 0.28, len(values))
        axes.plot(spread, values, "o", color=ink, markersize=3, alpha=alpha, mew=0)
    axes.boxplot(
        list(known.values()), positions=range(len(known)), widths=0.62, showfliers=False,
        medianprops={"color": "black", "linewidth": 2}, boxprops={"linewidth": 1.1},
    )  # fmt: skip
    axes.set_xticks(range(len(known)), [f"{plain(name)}\nn = {len(values)}" for name, values in known.items()])
    if len(known) > 3:
        axes.tick_params(axis="x", labelrotation=30)
    if log:
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    axes.set_ylabel(quantity)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def scatter(
    points: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    x: str,
    y: str,
    *,
    log: bool = False,
    degrees: bool = False,
) -> Figure:
    """Points (x, y) of each class in its colour and shape; x may be datetime64, ``log`` applies to y.

    ``degrees``: x and y are longitude and latitude, drawn from -90 to 90 and -60 to 60, or farther if points lie
    beyond.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MultipleLocator

    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    inks = dict(zip(points, _inks(len(points)), strict=True))
    drawn = {}
    # The class with the most points is drawn first, so that it does not hide the others.
    for name in sorted(points, key=lambda name: -len(points[name][0])):
        i = list(points).index(name)
        # After the first eight, shapes shift against colours, so that no two classes share both.
        shape = SHAPES[(i + i // len(SHAPES)) % len(SHAPES)]
        alpha = float(np.clip(25 / np.sqrt(len(points[name][0]) + 1), 0.45, 0.9))
        (drawn[name],) = axes.plot(
            *points[name], shape, color=inks[name], markersize=4.5, alpha=alpha, mec="white", mew=0.3, linestyle=""
        )
    labels = [f"{plain(name)}, n = {len(points[name][0])}" for name in points]
    axes.legend([drawn[name] for name in points], labels, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if any(np.asarray(values[0]).dtype.kind == "M" for values in points.values()):
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if log:
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    if degrees:
        (x_low, x_high), (y_low, y_high) = axes.get_xlim(), axes.get_ylim()
        axes.set_xlim(min(x_low, -90), max(x_high, 90))
        axes.set_ylim(min(y_low, -60), max(y_high, 60))
        axes.set_aspect("equal")
        axes.xaxis.set_major_locator(MultipleLocator(30))
        axes.yaxis.set_major_locator(MultipleLocator(30))
    axes.grid(color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def paired(x: NDArray[Any], y: NDArray[Any], x_label: str, y_label: str) -> Figure:
    """Pairs of durations on equal logarithmic axes; on the dashed line both are the same."""
    figure = _figure(4.4, 4.2)
    axes = figure.subplots()
    ends = np.array([min(x.min(), y.min()) * 0.95, max(x.max(), y.max()) * 1.05])
    axes.plot(ends, ends, color="grey", linestyle="--", linewidth=1)
    axes.plot(x, y, "o", color=INKS[0], markersize=4, alpha=0.7, mew=0)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal", xlabel=x_label, ylabel=y_label)
    _plain_numbers(axes.xaxis)
    _plain_numbers(axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis 1, 10, 100 and, if it spans less than two decades, some values in between."""
    from matplotlib.ticker import LogFormatter

    axis.set_major_formatter(LogFormatter(labelOnlyBase=False))
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


def _inks(n: int) -> list[str]:
    return [INKS[i % len(INKS)] for i in range(n)]
