from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sdovis.errors import BadInput
from sdovis.evaluation import metrics
from sdovis.evaluation.metrics import MetricSpec, metric, metric_names, spec
from sdovis.statistics import skill

TRUTH = [0, 0, 0, 1, 1, 2, 2, 2]
PREDICTED = [0, 0, 1, 1, 2, 2, 2, 0]
BUILT_IN = {
    "accuracy": metrics.ACCURACY,
    "balanced-accuracy": metrics.BALANCED_ACCURACY,
    "macro-f1": metrics.MACRO_F1,
    "precision": metrics.PRECISION,
    "recall": metrics.RECALL,
    "tss": metrics.TSS,
    "macro-tss": metrics.MACRO_TSS,
    "hss": metrics.HSS,
    "macro-hss": metrics.MACRO_HSS,
    "peirce": metrics.PEIRCE,
    "heidke": metrics.HEIDKE,
    "gerrity": metrics.GERRITY,
    "confusion-matrix": metrics.CONFUSION_MATRIX,
}


def test_importing_the_module_does_not_import_evaluate() -> None:
    code = "import sys, sdovis.evaluation.metrics; sys.exit(any(m in sys.modules for m in ('evaluate', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_built_in_metrics_are_registered_under_their_own_names() -> None:
    assert set(BUILT_IN) <= set(metric_names())
    assert all(spec(name) is of and of.name == name for name, of in BUILT_IN.items())


def test_an_unknown_metric_gets_the_nearest_as_hint() -> None:
    with pytest.raises(BadInput, match="did you mean 'balanced-accuracy'"):
        metric("balanced_acuracy")


@pytest.mark.parametrize("of", BUILT_IN.values(), ids=BUILT_IN)
def test_compute_gives_the_score_of_the_confusion_matrix(of: MetricSpec) -> None:
    import evaluate

    found = metric(of.name)
    assert isinstance(found, evaluate.Metric)
    result = found.compute(predictions=PREDICTED, references=TRUTH)
    expected = of.function(skill.confusion(TRUTH, PREDICTED, 3))
    assert list(result) == [of.key]
    np.testing.assert_allclose(result[of.key], expected)
    assert np.ndim(result[of.key]) == (2 if of.name == "confusion-matrix" else int(of.per_class))
    assert found.description == of.description and found.citation == of.citation


def test_batches_add_up_and_instances_do_not_share_them() -> None:
    first, second = metric("tss", n_classes=3), metric("tss", n_classes=3)
    first.add_batch(predictions=PREDICTED[:3], references=TRUTH[:3])
    first.add_batch(predictions=np.array(PREDICTED[3:]), references=np.array(TRUTH[3:]))
    second.add_batch(predictions=TRUTH, references=TRUTH)
    whole = skill.tss(skill.confusion(TRUTH, PREDICTED, 3))
    assert first.compute()["tss"] == pytest.approx(whole)
    assert second.compute()["tss"] == [1, 1, 1]


def test_metrics_combine() -> None:
    import evaluate

    together = evaluate.combine([metric("accuracy"), metric("balanced-accuracy"), metric("confusion-matrix")])
    together.add_batch(predictions=PREDICTED, references=TRUTH)
    found = together.compute()
    assert found["accuracy"] == pytest.approx(5 / 8)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 1, 1], [1, 0, 2]]


def test_a_class_that_never_occurs_is_nan_at_its_place_when_the_classes_are_counted() -> None:
    found = metric("recall", n_classes=4).compute(predictions=PREDICTED, references=TRUTH)["recall"]
    assert found[:3] == pytest.approx([2 / 3, 1 / 2, 2 / 3]) and np.isnan(found[3])
    with pytest.raises(ValueError, match=r"outside 0 \.\.\. 1"):
        metric("recall", n_classes=2).compute(predictions=PREDICTED, references=TRUTH)
