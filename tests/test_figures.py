import io

import numpy as np
import pytest
from PIL import Image
from sdovis import figures
from sdovis.statistics.bootstrap import Estimate


def _pixels(figure) -> np.ndarray:
    buffer = io.BytesIO()
    figures.save(figure, buffer)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _texts(figure) -> list[str]:
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


RNG = np.random.default_rng(0)
SAMPLES = {"alpha": RNG.normal(0, 1, 40), "beta": RNG.normal(1, 1, 30)}
ALL = {
    "confusion_matrix": lambda: figures.confusion_matrix(np.array([[5, 1], [2, 9]]), ["alpha", "beta"]),
    "intervals": lambda: figures.intervals({"model": Estimate(0.5, 0.4, 0.6)}, "recall", chance=0.5),
    "comparison": lambda: figures.comparison(
        {"a": Estimate(0.5, 0.4, 0.6), "b": Estimate(0.6, 0.5, 0.7)}, {("a", "b"): Estimate(-0.1, -0.2, 0.0)}, "recall"
    ),
    "learning_curve": lambda: figures.learning_curve([{"step": 1, "loss": 2.0}, {"step": 1, "eval_f1": 0.5}], "f1", 1),
    "cutouts": lambda: figures.cutouts([np.eye(8) * 255] * 2, ["one", "two"], "gray"),
    "class_balance": lambda: figures.class_balance(
        np.array([[3, 4]]), np.array([[1, 2]]), ["train"], ["alpha", "beta"]
    ),
    "histograms": lambda: figures.histograms(SAMPLES, "brightness (grey level)", "regions"),
    "boxes": lambda: figures.boxes(SAMPLES, "brightness (grey level)"),
    "scatter": lambda: figures.scatter({k: (v, v) for k, v in SAMPLES.items()}, "x (°)", "y (°)"),
    "paired": lambda: figures.paired(np.array([1.0, 2.0]), np.array([1.5, 2.5]), "a (ms)", "b (ms)"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_not_blank_and_the_same_twice(name):
    first, second = _pixels(ALL[name]()), _pixels(ALL[name]())
    assert (first == second).all()
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("name", ["class_balance", "histograms", "boxes", "scatter"])
def test_the_samples_are_named_with_their_sizes(name):
    text = "\n".join(_texts(ALL[name]()))
    assert "alpha" in text
    assert "beta" in text
    for size in ("3 (1)", "4 (2)") if name == "class_balance" else ("n = 40", "n = 30"):
        assert size in text


def test_axes_bear_the_labels_given():
    assert {"x (°)", "y (°)"} <= set(_texts(ALL["scatter"]()))
    assert any(text.startswith("brightness (grey level)") for text in _texts(ALL["histograms"]()))


def test_both_names_of_a_difference_are_drawn_whole():
    long, longer = "hmi-continuum-mount-wilson-2010", "hmi-continuum-mount-wilson-2011"
    scores = dict.fromkeys((long, longer), Estimate(0.5, 0.4, 0.6))
    drawn = figures.comparison(scores, {(long, longer): Estimate(-0.1, -0.2, 0.0)}, "recall")
    assert f"{long}\nminus {longer}" in _texts(drawn)


def test_missing_values_and_an_empty_class_are_drawn_without_complaint(recwarn):
    samples = {"alpha": np.array([1.0, np.nan, 3.0]), "none": np.empty(0)}
    for figure in (figures.histograms(samples, "q", "regions"), figures.boxes(samples, "q")):
        assert any("n = 2" in text for text in _texts(figure))
        assert any("n = 0" in text for text in _texts(figure))
    _pixels(figures.scatter({"none": (np.empty(0), np.empty(0))}, "x", "y"))
    assert not recwarn.list


@pytest.mark.parametrize("name", ["$x$", "\\frac{$", "_hidden", "two\nlines", "$\\undefined$", "a" * 300])
def test_a_name_is_drawn_as_it_stands_and_opens_no_formula(name):
    drawn = figures.scatter({name: (np.arange(3.0), np.arange(3.0))}, "x", figures.plain(name))
    assert len(np.unique(_pixels(drawn))) > 10
    (legend,) = [axes.get_legend() for axes in drawn.axes]
    assert len(legend.get_texts()) == 1
    assert len(figures.plain(name).replace("\\$", "$")) <= figures.NAME_LENGTH
    assert "\n" not in figures.plain(name)


def test_no_two_of_twenty_classes_share_colour_and_shape():
    points = {f"class {i}": (np.arange(2.0), np.arange(2.0)) for i in range(20)}
    lines = figures.scatter(points, "x", "y").axes[0].get_lines()
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 20


def test_the_class_with_the_most_points_lies_below_the_others():
    points = {"rare": (np.arange(2.0), np.arange(2.0)), "common": (np.arange(9.0), np.arange(9.0))}
    lines = figures.scatter(points, "x", "y").axes[0].get_lines()
    assert [len(line.get_xdata()) for line in lines] == [9, 2]


def test_a_map_shows_the_disc_and_grows_with_points_beyond_it():
    inside = figures.scatter({"a": (np.array([10.0]), np.array([10.0]))}, "x", "y", degrees=True).axes[0]
    assert (inside.get_xlim(), inside.get_ylim()) == ((-90, 90), (-60, 60))
    beyond = figures.scatter({"a": (np.array([-101.0, 0.0]), np.array([70.0, 0.0]))}, "x", "y", degrees=True).axes[0]
    assert beyond.get_xlim()[0] < -101
    assert beyond.get_ylim()[1] > 70


def test_a_logarithmic_axis_is_labelled_in_plain_numbers():
    texts = _texts(figures.boxes({"run": np.array([180.0, 200.0, 280.0])}, "ms", log=True))
    assert "200" in texts
