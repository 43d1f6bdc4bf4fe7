"""Beside the image, on the real HMI study: image, table and both; chosen on folds, the test part opened once.

    python benchmarks/beside.py choose DATA --weights FOLDER-or-id    penalties, by cross-validation by region
    python benchmarks/beside.py open DATA --weights FOLDER-or-id      the test part, once
    python benchmarks/beside.py table                                 what is known, as Markdown

DATA is as the header of examples/hmi_continuum.toml says. The image is what a frozen backbone makes of it: its features know
nothing of labels or table, so each head is fitted on the same. ``SRS columns`` are area, number of spots and longitude of the
row as `[source.columns.beside]` codes them (McIntosh's letters are left out: they all but give the class away), ``spot
measures`` are `channels.spots.measures` of the image. Each head is a logistic regression, classes balanced; its penalty is
chosen on `FOLDS` folds of the regions of the training and validation parts, then it is fitted on both. ``open`` refuses a
second time. Results go to benchmarks/beside.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sdovis import records, stages
from sdovis import study as studies
from sdovis.channels.channel import channel
from sdovis.corpus import beside, measures
from sdovis.corpus.build import Corpus
from sdovis.corpus.split import PARTS
from sdovis.evaluation.facts import Estimate
from sdovis.learning import backbones, features, streaming
from sdovis.statistics import bootstrap, shallow, skill

ROOT = Path(__file__).parents[1]
FILE = ROOT / "benchmarks" / "beside.json"
FOLDS, SEED = 5, 0
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
IMAGE, SPOTS, SRS = "image", "spot measures", "SRS columns"
#: What a head is given.
WAYS = [(IMAGE,), (SPOTS,), (SRS,), (SPOTS, SRS), (IMAGE, SRS), (IMAGE, SPOTS, SRS)]
COLUMNS = {
    "numbers": {"longitude": "Longitude (deg)"},
    "logarithms": {"area": "Area (MSH)", "spots": "Spots"},
}

Table = NDArray[np.float64]


def named(way: tuple[str, ...]) -> str:
    return " + ".join(way)


def study_of(data: str, weights: str) -> studies.Study:
    """The example with the columns, and with a frozen backbone."""
    example = studies.load(ROOT / "examples" / "hmi_continuum.toml", [f"source.root={data}"])
    return example.with_settings({
        "study.name": "hmi-continuum-beside", "source.columns.beside": COLUMNS, "backbone": {"id": weights},
        "method.trainable": "head", "method.beside": "fusion",
    })  # fmt: skip


def prepared(study: studies.Study) -> tuple[Corpus, dict[str, Table]]:
    """The corpus, and what each source of knowledge says of its rows, in its order."""
    with stages.opened(study) as folders:
        corpus = stages.prepare(study, folders, print)
    kinds = [channel(name) for name in study.images.channels]
    model, processor = backbones.build(study, corpus.classes, {})
    codes: Any = streaming.Decoded(corpus, processor, *PARTS)
    device = next(model.parameters()).device
    seen = features.computed(
        model, {"all": codes}, processor, study.run_dir / "features", precision="no", batch_size=32, device=device
    )["all"]
    spots = measures.tables_once(corpus, kinds, study.run_dir / "measures")["spot-measures"]
    assert corpus.facts.beside is not None
    return corpus, {IMAGE: seen.astype(float), SPOTS: spots, SRS: beside.encoded(corpus.facts.beside, corpus.rows)}


def together(tables: Mapping[str, Table], way: tuple[str, ...]) -> Table:
    return np.concatenate([tables[name] for name in way], axis=1)


def folded(table: Table, labels: NDArray[np.int64], groups: Any, penalty: float) -> NDArray[np.int64]:
    """The class of each row as predicted by a head that was fitted on the other folds' regions."""
    from sklearn.model_selection import StratifiedGroupKFold

    found = np.empty(len(labels), np.int64)
    for fitted, held in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(table, labels, groups):
        found[held] = shallow.logistic(penalty, max_iter=1000).fit(table[fitted], labels[fitted]).predict(table[held])
    return found


def scores_of(predicted: Mapping[str, NDArray[np.int64]], labels: Any, groups: Any, classes: int) -> dict[str, Any]:
    """Balanced accuracies of heads on the same rows, and the paired differences of every two."""
    of = {name: bootstrap.by_cluster(labels, each, groups, classes) for name, each in predicted.items()}
    alone = {
        name: Estimate.of(bootstrap.cluster_bootstrap(each, skill.balanced_accuracy, seed=SEED))
        for name, each in of.items()
    }
    pairs = {
        f"{b} minus {a}": Estimate.of(bootstrap.paired_difference(of[b], of[a], skill.balanced_accuracy, seed=SEED))
        for a, b in combinations(of, 2)
    }
    return {"rows": len(labels), "regions": len(set(groups)), "scores": alone, "differences": pairs}


def known() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}


def noted(**entries: Any) -> None:
    FILE.write_text(json.dumps(known() | records.plain(entries), indent=1) + "\n", encoding="utf-8")


def choose(corpus: Corpus, tables: Mapping[str, Table]) -> None:
    """The penalty of each head, and what it scores on the folds; no row of the test part is looked at."""
    own = corpus.rows["split"].isin(["train", "validation"]).to_numpy()
    labels, groups = corpus.rows["label"].to_numpy()[own], corpus.rows["group"].to_numpy(str)[own]
    classes = len(corpus.classes)
    penalties, predicted = {}, {}
    for way in WAYS:
        table = together(tables, way)[own]
        tried = {penalty: folded(table, labels, groups, penalty) for penalty in PENALTIES}
        score = {p: float(skill.balanced_accuracy(skill.confusion(labels, of, classes))) for p, of in tried.items()}
        best = max(score, key=lambda penalty: score[penalty])
        penalties[named(way)], predicted[named(way)] = best, tried[best]
        print(f"{named(way)}: penalty {best:g}, {score[best]:.3f} on the folds", flush=True)
    noted(penalties=penalties, folds=scores_of(predicted, labels, groups, classes))


def open_test(corpus: Corpus, tables: Mapping[str, Table]) -> None:
    """Each head with its chosen penalty, fitted on the training and validation parts, on the test part: once."""
    said = known()
    if "penalties" not in said:
        raise SystemExit("nothing is chosen yet: run choose first")
    if "test" in said:
        raise SystemExit(f"the test part was opened on {said['opened']}")
    own, test = (corpus.rows["split"].isin(list(of)).to_numpy() for of in (("train", "validation"), ("test",)))
    labels, groups = corpus.rows["label"].to_numpy(), corpus.rows["group"].to_numpy(str)
    predicted = {}
    for way in WAYS:
        table, penalty = together(tables, way), said["penalties"][named(way)]
        head = shallow.logistic(penalty, max_iter=1000).fit(table[own], labels[own])
        predicted[named(way)] = np.asarray(head.predict(table[test]))
    found = scores_of(predicted, labels[test], groups[test], len(corpus.classes))
    noted(opened=f"{datetime.now(UTC):%Y-%m-%d}", test=found)


def interval(entry: Mapping[str, Any]) -> str:
    return f"{entry['estimate']:.2f} [{entry['low']:.2f}, {entry['high']:.2f}]"


def signed(entry: Mapping[str, Any]) -> str:
    return f"{entry['estimate']:+.2f} [{entry['low']:.2f}, {entry['high']:.2f}]"


def table() -> None:
    """What is known, as Markdown."""
    said = known()
    parts = [part for part in ("folds", "test") if part in said]
    heads = [f"{part}: {said[part]['rows']} images, {said[part]['regions']} regions" for part in parts]
    print(f"| head on | {' | '.join(heads)} |\n|---|{'---|' * len(parts)}")
    for way in map(named, WAYS):
        print(f"| {way} | {' | '.join(interval(said[part]['scores'][way]) for part in parts)} |")
    print(f"\n| difference, paired | {' | '.join(parts)} |\n|---|{'---|' * len(parts)}")
    for pair in said[parts[0]]["differences"]:
        print(f"| {pair} | {' | '.join(signed(said[part]['differences'][pair]) for part in parts)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["choose", "open", "table"])
    parser.add_argument("data", nargs="?", default="")
    parser.add_argument("--weights", default="facebook/dinov2-small", help="the backbone's folder or Hub id")
    given = parser.parse_args()
    if given.what == "table":
        table()
        return
    corpus, tables = prepared(study_of(given.data, given.weights))
    (choose if given.what == "choose" else open_test)(corpus, tables)


if __name__ == "__main__":
    main()
