"""What a model that is told values beside the image owes to each: three heads on the same features, fitted alike.

The features are those that the model's own classifier is given, so the network was trained with the table beside it. On
them, on the coded values, and on both together a logistic regression is fitted in the same way as the baselines: on the
training part, the penalty chosen by the validation part, the classes balanced. The test part only compares the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdovis.corpus import beside
from sdovis.corpus.build import Corpus
from sdovis.corpus.split import PARTS
from sdovis.evaluation import baselines
from sdovis.evaluation.facts import Ablation
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, by_cluster, cluster_bootstrap, paired_difference

#: The table, beside ``predictions.parquet``: id, and the class that each head predicts.
TABLE = "ablation.parquet"
IMAGE, VALUES, BOTH = HEADS = ("image", "table", "both")
#: Pairs of heads that are compared, the first minus the second.
PAIRS = ((BOTH, IMAGE), (BOTH, VALUES), (IMAGE, VALUES))


def predictions(corpus: Corpus, model_folder: Path) -> pd.DataFrame | None:
    """One row per image of the corpus: id, and each head's class index; None for a model that is told nothing."""
    from sdovis import inference
    from sdovis.learning import backbones, description, features, streaming

    told = description.beside_of(backbones.load_config(model_folder))
    if not told:
        return None
    model, processor, device = inference.loaded(model_folder)
    codes: Any = streaming.Decoded(corpus, processor, *PARTS)
    seen = features.compute(model, codes, processor, precision="no", batch_size=32, device=device)
    values = beside.encoded(told, corpus.rows)
    shown = {IMAGE: seen, VALUES: values, BOTH: np.concatenate([seen, values], axis=1)}
    fit = baselines.fitting(corpus, ("train",))
    found = {name: fit(baselines.linear(), table, table) for name, table in shown.items()}
    return pd.DataFrame({"id": corpus.rows["id"], **found})


def ablation(table: pd.DataFrame, rows: pd.DataFrame, n_classes: int, **draws: Any) -> Ablation:
    """The facts of the test rows of such a ``table``, beside ``rows`` (label, group), in the same order."""
    truth, groups = rows["label"].to_numpy(), rows["group"].to_numpy()
    of = {name: by_cluster(truth, table[name].to_numpy(), groups, n_classes) for name in HEADS}
    scores: Mapping[str, Estimate] = {
        name: Estimate.of(cluster_bootstrap(each, skill.balanced_accuracy, **draws)) for name, each in of.items()
    }
    differences = {
        f"{one} - {other}": Estimate.of(paired_difference(of[one], of[other], skill.balanced_accuracy, **draws))
        for one, other in PAIRS
    }
    return Ablation(scores, differences)
