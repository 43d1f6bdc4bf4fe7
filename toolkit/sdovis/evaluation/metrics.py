"""The field's scores as `evaluate.Metric` subclasses that need no internet: `metric("tss").compute(...)`.

Each is a light `MetricSpec`, registered by name in the entry-point group ``sdovis.metrics``; importing this module does
not import `evaluate`, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdovis import plugins
from sdovis.statistics import skill

if TYPE_CHECKING:
    import evaluate

GROUP = "sdovis.metrics"

_WILKS = "Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2."
_BLOOMFIELD = "Bloomfield et al. (2012), ApJ 747, L41."


@dataclass(frozen=True)
class MetricSpec:
    """One score: a ``function`` of a confusion matrix (..., K, K), rows = truth, vectorised over leading axes.

    It returns (...), or (..., K) if ``per_class``. ``ordered`` scores need classes that form a scale.
    """

    name: str
    description: str
    citation: str
    function: Callable[[NDArray[Any]], NDArray[Any]]
    per_class: bool = False
    ordered: bool = False

    @property
    def key(self) -> str:
        """Its name in the dictionary that ``compute`` returns: ``balanced_accuracy``."""
        return self.name.replace("-", "_")


def _counts(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(matrix)


ACCURACY = MetricSpec("accuracy", "Fraction of items whose class is right.", _WILKS, skill.accuracy)
BALANCED_ACCURACY = MetricSpec(
    "balanced-accuracy", "Mean recall over the classes that occur.", _WILKS, skill.balanced_accuracy
)
MACRO_F1 = MetricSpec("macro-f1", "Mean F1 over the classes that occur or are predicted.", _WILKS, skill.macro_f1)
PRECISION = MetricSpec("precision", "TP / (TP + FP) of each class.", _WILKS, skill.precision, per_class=True)
RECALL = MetricSpec("recall", "TP / (TP + FN) of each class.", _WILKS, skill.recall, per_class=True)
TSS = MetricSpec(
    "tss", "True skill statistic of each class against the rest, POD - POFD.", _BLOOMFIELD, skill.tss, per_class=True
)
MACRO_TSS = MetricSpec("macro-tss", "Mean true skill statistic over classes.", _BLOOMFIELD, skill.macro_tss)
HSS = MetricSpec("hss", "Heidke skill score of each class against the rest.", _BLOOMFIELD, skill.hss, per_class=True)
MACRO_HSS = MetricSpec("macro-hss", "Mean Heidke skill score over classes.", _BLOOMFIELD, skill.macro_hss)
SEDI = MetricSpec(
    "sedi",
    "Symmetric extremal dependence index of each class against the rest, for rare classes.",
    "Ferro and Stephenson (2011), Weather and Forecasting 26, 699.",
    skill.sedi,
    per_class=True,
)
PEIRCE = MetricSpec("peirce", "Multi-category Peirce skill score.", _WILKS, skill.peirce)
HEIDKE = MetricSpec("heidke", "Multi-category Heidke skill score (Cohen's kappa).", _WILKS, skill.heidke)
GERRITY = MetricSpec(
    "gerrity",
    "Gandin-Murphy-Gerrity score, for ordered classes.",
    "Gerrity (1992), Monthly Weather Review 120, 2709.",
    skill.gerrity,
    ordered=True,
)
CONFUSION_MATRIX = MetricSpec(
    "confusion-matrix", "Raw counts, rows = truth, columns = prediction.", _WILKS, _counts, per_class=True
)


def metric_names() -> tuple[str, ...]:
    """The names of all registered metrics, sorted."""
    return plugins.names(GROUP)


def spec(name: str) -> MetricSpec:
    """The `MetricSpec` registered as ``name``. Raises `BadInput` for an unknown name or a plug-in of the wrong type."""
    found: MetricSpec = plugins.load(GROUP, name, MetricSpec)
    return found


def metric(name: str, *, n_classes: int | None = None) -> evaluate.Metric:
    """A fresh `evaluate.Metric` of that name, with ``add_batch``, ``compute`` and `evaluate.combine`, offline.

    ``compute(predictions=, references=)`` takes class numbers and returns {key: value}: a float, a list with one float
    per class, or a list of rows of counts. ``n_classes`` defaults to the highest class number seen plus one: give it, or
    the last classes are missing from the list if they neither occur nor are predicted. Undefined scores are nan.
    """
    return _metric_class()(spec(name), n_classes)


@cache
def _metric_class() -> type[Any]:
    import datasets
    import evaluate

    class ConfusionMetric(evaluate.Metric):
        """A score of the confusion matrix."""

        def __init__(self, of: MetricSpec, n_classes: int | None) -> None:
            self.spec, self.n_classes = of, n_classes
            # In memory: otherwise each metric leaves an Arrow file in the user's cache.
            super().__init__(keep_in_memory=True)

        def _info(self) -> evaluate.MetricInfo:
            numbers = {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            return evaluate.MetricInfo(
                module_name=self.spec.key,
                description=self.spec.description,
                citation=self.spec.citation,
                inputs_description="predictions and references: class numbers from 0",
                features=datasets.Features(numbers),
            )

        def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
            truth, predicted = np.asarray(references), np.asarray(predictions)
            k = self.n_classes or int(max(truth.max(initial=0), predicted.max(initial=0))) + 1
            matrix = skill.confusion(truth, predicted, k)
            return {self.spec.key: np.asarray(self.spec.function(matrix)).tolist()}

    return ConfusionMetric
