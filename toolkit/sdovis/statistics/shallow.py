"""Models that need no network, as scikit-learn has them, weighted to balance the classes."""

from __future__ import annotations

from typing import Any


def logistic(inverse_penalty: float, *, max_iter: int) -> Any:
    """A logistic regression on standardised features; ``inverse_penalty`` is the inverse strength of its L2 penalty."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=max_iter)
    return make_pipeline(StandardScaler(), model)


def boosted(leaves: int, trees: int, rate: float) -> Any:
    """Gradient-boosted trees of so many leaves each, with this learning rate."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_leaf_nodes=leaves,
        max_iter=trees,
        learning_rate=rate,
        class_weight="balanced",
        early_stopping=False,
        random_state=0,
    )
