"""Ways to train, on the real studies: one is chosen by cross-validation, and only then, once, the test part is opened.

    python benchmarks/studies.py choose STUDY DATA --weights FOLDER-or-id --out FOLDER     every way that has no score yet
    python benchmarks/studies.py open STUDY DATA --weights FOLDER-or-id --out FOLDER       the test part, once
    python benchmarks/studies.py table                                                     what is known, as Markdown

DATA is as the headers of the examples say. A way is a patch of its study's example: settings as of ``sdovis --set``. Each is
trained anew on all but one of `FOLDS` folds of the regions of the training and validation parts, and scored on that fold;
no row of the test part is looked at. A single validation part of some sixty regions would tell little: two ways
that differ by 0.03 cannot be told apart on it. Scores are of the predictions of all folds together, with intervals by region.

``open`` trains the example as it is, through the stages of ``sdovis run``, and scores it and every baseline on the
test part. It refuses a second time unless ``--again`` says why; each opening is recorded. Stopped at any moment, the same
command goes on. Results go to benchmarks/studies.json after each fold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sdovis import inference, manifests, records, stages
from sdovis import study as studies
from sdovis.channels.channel import channel
from sdovis.corpus import measures
from sdovis.corpus.build import Corpus
from sdovis.evaluation.facts import Estimate
from sdovis.evaluation.scores import Scores
from sdovis.learning import description, training
from sdovis.learning import folds as folds_of
from sdovis.learning.plan import TrainingPlan
from sdovis.statistics import bootstrap, shallow, skill

ROOT = Path(__file__).parents[1]
FILE = ROOT / "benchmarks" / "studies.json"
SCORE = "balanced-accuracy"
FOLDS = 2
EXAMPLES = {
    "hmi-magnetogram": "hmi_magnetogram.toml", "hmi-continuum": "hmi_continuum.toml",
}  # fmt: skip
#: Ends like a training that is not watched: its last weights, as they come.
UNWATCHED = {
    "method.keep": "last", "method.calibrate": False, "method.calibration": "temperature", "method.calibration_folds": 0,
    "method.seeds": 1, "method.refit": "none",
    "training.eval_strategy": "no", "training.save_strategy": "no",
}  # fmt: skip
#: A network from scratch that learns ten times faster than DINOv2-small: a residual one of 1.2 million weights.
RESIDUAL = {
    "model_type": "resnet", "embedding_size": 32, "hidden_sizes": [32, 64, 128, 256], "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}  # fmt: skip
#: The network that examples/simulated_browse.toml leaves, in the folder of the runs.
SIMULATED = "runs/simulated-browse/model"
SCRATCH = {"backbone": {"config": RESIDUAL}, "training.learning_rate": 1e-3, "training.num_train_epochs": 20}

#: Half of each label is the second opinion of the measures of other regions.
SOFT = {"method.soft_labels": 0.5}
FROZEN = {"method.trainable": "head", "training.num_train_epochs": 60, "training.learning_rate": 1e-3}

#: What a way does not name.
FIRST_TRIED = {
    "method.trainable": "all", "method.augment": True, "training.num_train_epochs": 6, "training.learning_rate": 5e-5,
}  # fmt: skip

#: Settings by name, on top of those of the example.
Patch = Mapping[str, Any]
WAYS: Mapping[str, Mapping[str, Patch]] = {
    "hmi-magnetogram": {
        "full": {"training.num_train_epochs": 4},
        "full, layer-wise rates": {
            "training.num_train_epochs": 4, "training.learning_rate": 2e-4, "method.layer_decay": 0.75,
        },
        "convolutional": SCRATCH,
        "convolutional, 240 arcsec": {**SCRATCH, "images.cutout_arcsec": 240.0},
        "convolutional, simulator first": {**SCRATCH, "backbone": {"id": SIMULATED}, "training.learning_rate": 5e-4},
        "convolutional, simulator first, smoothed labels": {
            **SCRATCH, "backbone": {"id": SIMULATED}, "training.learning_rate": 5e-4,
            "training.label_smoothing_factor": 0.1,
        },
        "convolutional, simulator first, soft labels": {
            **SCRATCH, "backbone": {"id": SIMULATED}, "training.learning_rate": 5e-4, **SOFT,
        },
        "full, layer-wise rates, soft labels": {
            "training.num_train_epochs": 4, "training.learning_rate": 2e-4, "method.layer_decay": 0.75, **SOFT,
        },
        "convolutional, simulator first, 40 epochs": {
            **SCRATCH, "backbone": {"id": SIMULATED}, "training.learning_rate": 5e-4, "training.num_train_epochs": 40,
        },
        "convolutional, simulator first, renderings": {
            **SCRATCH, "backbone": {"id": SIMULATED}, "training.learning_rate": 5e-4,
            "method.augment": ["flip_ns", "flip_ew", "rotate90", "polarity", "rendering"],
        },
    },
    "hmi-continuum": {
        "frozen": {**FROZEN, "images.neighbours": "keep", "images.flatten": False},
        "frozen, masked, flat": {**FROZEN, "images.neighbours": "mask", "images.flatten": True},
        "frozen, masked, flat, soft labels": {**FROZEN, "images.neighbours": "mask", "images.flatten": True, **SOFT},
        "convolutional, masked, flat, soft labels": {
            **SCRATCH, "images.neighbours": "mask", "images.flatten": True, **SOFT,
        },
        "full, layer-wise rates, masked, flat, soft labels": {
            "training.num_train_epochs": 4, "training.learning_rate": 2e-4, "method.layer_decay": 0.75,
            "images.neighbours": "mask", "images.flatten": True, **SOFT,
        },
        "convolutional, masked, flat": {**SCRATCH, "images.neighbours": "mask", "images.flatten": True},
        "convolutional, masked, flat, renderings": {
            **SCRATCH, "images.neighbours": "mask", "images.flatten": True,
            "method.augment": ["flip_ns", "flip_ew", "rotate90", "rendering"],
        },
        "convolutional, masked, flat, 40 epochs": {
            **SCRATCH, "images.neighbours": "mask", "images.flatten": True, "training.num_train_epochs": 40,
        },
    },
}  # fmt: skip


def variant(name: str, patch: Patch | None, data: Path, weights: str) -> studies.Study:
    """The study ``name`` with the settings of a way, on DINOv2-small if these name no backbone; without a way, as it ships."""
    example = studies.load(ROOT / "examples" / EXAMPLES[name], [f"source.root={data}"])
    if patch is not None:
        return example.with_settings({"backbone": {"id": weights}, **FIRST_TRIED, **patch})
    if example.backbone.id is None:
        return example
    return example.with_settings(
        {"backbone": {"id": {"facebook/dinov2-small": weights}.get(example.backbone.id, SIMULATED)}}
    )


def prepared(study: studies.Study) -> Corpus:
    """The study's corpus, which all ways have in common that show the same pictures."""
    shown = manifests.sha256_text(study.digest_of("source", "images", "labels", "split"))[:8]
    with stages.opened(study.with_settings({"study.name": f"{study.name}-{shown}"})) as folders:
        return stages.prepare(study, folders, print)


def dealt(corpus: Corpus) -> Iterator[tuple[NDArray[np.int64], Corpus]]:
    """The folds of `folds.dealt`, the same for every way."""
    return folds_of.dealt(corpus, FOLDS, 0)


def learned(study: studies.Study, corpus: Corpus, place: Path) -> NDArray[np.float32]:
    """Probabilities (N, K) of the validation rows, from a network trained on the training rows."""
    plan = TrainingPlan(
        study,
        corpus,
        place,
        augmentations=frozenset(stages.augmentations(study, corpus)),
        signed=tuple(channel.signed for channel in corpus.facts.view.channels),
        about=description.of_corpus(corpus.facts),
        made_from=stages.training_made_from(study, corpus),
    )
    training.run(plan)
    found = inference.probabilities(plan.model_folder, corpus.pictures_of("validation"), progress=False)
    shutil.rmtree(place)
    return found


def cross_validated(study: studies.Study, out: Path, folds: int) -> dict[str, Any]:
    """The scores of a way on the first ``folds`` folds."""
    corpus = prepared(study)
    out.mkdir(parents=True, exist_ok=True)
    probabilities = np.full((len(corpus.rows), len(corpus.classes)), np.nan, np.float32)
    seconds = 0.0
    for fold, (held, parts) in enumerate(itertools.islice(dealt(corpus), folds)):
        kept = out / f"{fold}.npz"
        if not kept.is_file():
            begun = time.monotonic()
            seen = learned(study, parts, out / str(fold))
            np.savez(kept, probabilities=seen, seconds=time.monotonic() - begun)
        with np.load(kept) as saved:
            probabilities[held] = saved["probabilities"]
            seconds += float(saved["seconds"])
    known = np.isfinite(probabilities[:, 0])
    return {"folds": folds, **scored(corpus.rows[known], probabilities[known]), "seconds": round(seconds)}


def scored(rows: Any, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Balanced accuracy, with its interval by region, and log loss."""
    truth, k = rows["label"].to_numpy(), probabilities.shape[1]
    matrices = bootstrap.by_cluster(truth, probabilities.argmax(axis=1), rows["group"], k)
    interval = bootstrap.cluster_bootstrap(matrices, skill.balanced_accuracy, seed=0)
    of_truth = np.clip(probabilities[np.arange(len(truth)), truth], 1e-6, 1)
    return {
        "balanced_accuracy": records.plain(Estimate.of(interval)),
        "log_loss": float(-np.log(of_truth).mean()),
        "rows": len(truth),
        "regions": len(matrices),
    }


def tuned() -> Mapping[str, tuple[Any, Mapping[str, Sequence[Any]]]]:
    """Models that need no network, and what is tuned in each: by region, inside what it is fitted on."""
    linear, trees = shallow.logistic(1.0, max_iter=500), shallow.boosted(3, 100, 0.05)
    return {
        "linear": (linear, {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}),
        "boosted": (trees, {"max_leaf_nodes": [3, 6], "max_iter": [100, 200], "learning_rate": [0.05]}),
    }


def tables(corpus: Corpus, study: studies.Study) -> dict[str, NDArray[np.float64]]:
    """Measures of the Sun -> (N, features) of every row, and their union with the baselines that look at pixels."""
    found = measures.tables(corpus, [channel(name) for name in study.images.channels])
    measured = {name: table for name, table in found.items() if name in measures.MEASURED}
    return {**measured, "union": np.concatenate(list(found.values()), axis=1)}


def fitted(model: Any, grid: Mapping[str, Sequence[Any]], table: Any, labels: Any, groups: Any) -> Any:
    """``model`` with the settings that do best over folds by region, fitted on all rows."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=1)
    return GridSearchCV(model, grid, scoring="balanced_accuracy", cv=folds).fit(table, labels, groups=groups)


def rivals(corpus: Corpus, study: studies.Study, folds: int) -> dict[str, Any]:
    """Scores of every baseline on the first ``folds`` folds of the ways, tuned within the rows that each is fitted on."""
    # Features are computed only of rows that may be looked at.
    known = np.flatnonzero(corpus.rows["split"] != "test")
    seen = replace(corpus, rows=corpus.rows.iloc[known], pictures=[corpus.pictures[int(i)] for i in known])
    labels, groups = (seen.rows[name].to_numpy() for name in ("label", "group"))
    found = {}
    for name, table in tables(seen, study).items():
        for kind, (model, grid) in tuned().items():
            probabilities = np.full((len(known), len(corpus.classes)), np.nan, np.float32)
            for rows, _ in itertools.islice(dealt(corpus), folds):
                held = np.isin(known, rows)
                best = fitted(model, grid, table[~held], labels[~held], groups[~held])
                probabilities[held] = best.predict_proba(table[held])
            scored_rows = np.isfinite(probabilities[:, 0])
            scores = scored(seen.rows[scored_rows], probabilities[scored_rows])
            found[f"{name}, {kind}"] = {"folds": folds, **scores}
    return found


def trained(study: studies.Study) -> None:
    """Prepare and train a study, as ``sdovis run`` does first."""
    with stages.opened(study) as folders:
        stages.prepare(study, folders, print)
        stages.train(study, folders, print)


def opened(name: str, study: studies.Study) -> dict[str, Any]:
    """What the test part says of the study as its example stands, and of what needs no network."""
    with stages.opened(study) as folders:
        stages.evaluate(study, folders, print)
    corpus, found = Corpus.load(folders.corpus), Scores.load(folders.scores)
    facts = found.facts
    test = (corpus.rows["split"] == "test").to_numpy()
    labels, groups = (corpus.rows[column].to_numpy() for column in ("label", "group"))
    prob = [f"prob_{each}" for each in corpus.classes]
    ours = found.predictions[prob].to_numpy()[test]
    by_region = [
        bootstrap.by_cluster(labels[test], ours.argmax(axis=1), groups[test], len(corpus.classes))
    ]  # fmt: skip
    others = {}
    for of, table in tables(corpus, study).items():
        for kind, (model, grid) in tuned().items():
            best = fitted(model, grid, table[~test], labels[~test], groups[~test])
            theirs = best.predict(table[test])
            matrices = bootstrap.by_cluster(labels[test], theirs, groups[test], len(corpus.classes))
            interval = bootstrap.cluster_bootstrap(matrices, skill.balanced_accuracy, seed=0)
            difference = bootstrap.paired_difference(by_region[0], matrices, skill.balanced_accuracy, seed=0)
            others[f"{of}, {kind}"] = {
                "balanced_accuracy": records.plain(Estimate.of(interval)),
                "model_minus_this": records.plain(Estimate.of(difference)),
                "settings": best.best_params_,
            }
    return {
        "study": name,
        "balanced_accuracy": records.plain(facts.overall[SCORE]),
        "brier_skill": facts.brier_skill,
        "rows": facts.rows,
        "regions": facts.regions,
        "of_the_run": {of: records.plain(scores[SCORE]) for of, scores in facts.baselines.items()},
        "tuned_on_training_and_validation": others,
    }


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a block a study."""
    lines = []
    for name, found in results.items():
        if "ways" not in found:
            continue
        lines += [f"\n`{name}`\n", "| way | balanced accuracy | log loss | s |", "|---|---|---|---|"]
        best = max(found["ways"], key=lambda way: found["ways"][way]["balanced_accuracy"]["estimate"])
        for way, of in {**found["ways"], **found.get("baselines", {})}.items():
            title = f"**{way}**" if way == best else way
            seconds = of.get("seconds", "")
            lines.append(f"| {title} | {_interval(of['balanced_accuracy'])} | {of['log_loss']:.3f} | {seconds} |")
    return "\n".join(lines)


def _interval(entry: Mapping[str, float], sign: str = "") -> str:
    return f"{entry['estimate']:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"


def choose(name: str, wanted: Iterable[str], folds: int, results: dict[str, Any], data: Path, weights: str) -> None:
    """Score each wanted way that has no score yet on that many folds, and the baselines if all are wanted."""
    of = results.setdefault(name, {})
    ways = of.setdefault("ways", {})
    for way in wanted:
        patch = WAYS[name][way]
        if ways.get(way, {}).get("patch") == patch and ways[way]["folds"] >= folds:
            continue
        study = variant(name, {**patch, **UNWATCHED}, data, weights)
        found = cross_validated(study, Path(name, way), folds)
        ways[way] = {"patch": patch, "seed": study.study.seed, **found}
        save(results)
        print(way, _interval(found["balanced_accuracy"]), found["seconds"], "s")
    behind = any(each["folds"] < folds for each in of.get("baselines", {"none": {"folds": 0}}).values())
    if behind and set(wanted) == set(WAYS[name]):
        study = variant(name, {}, data, weights)
        of["baselines"] = rivals(prepared(study), study, folds)
        save(results)


def save(results: Mapping[str, Any]) -> None:
    """Write the results, whole or not at all."""
    beside = FILE.with_suffix(".part")
    beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    beside.replace(FILE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("choose", "open"):
        of = verbs.add_parser(verb)
        of.add_argument("study", choices=EXAMPLES)
        of.add_argument("data", type=Path)
        of.add_argument("--weights", default="facebook/dinov2-small", help="DINOv2-small on the Hub, or its folder")
        of.add_argument("--out", type=Path, default=Path("studies"), help="where the runs go")
        if verb == "choose":
            of.add_argument("--only", action="append", metavar="WAY", help="one way; may be repeated")
            of.add_argument("--folds", type=int, default=FOLDS, help="only the first of them, to leave poor ways soon")
        else:
            of.add_argument("--again", metavar="WHY", help="open the test part once more, and record why")
    verbs.add_parser("table")
    asked = parser.parse_args()
    results = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    if asked.verb == "table":
        print(table(results))
        return
    data, weights = asked.data.resolve(), asked.weights
    if Path(weights).is_dir():
        weights = str(Path(weights).resolve())
    asked.out.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.out)
    if asked.verb == "choose":
        choose(asked.study, asked.only or WAYS[asked.study], asked.folds, results, data, weights)
        return
    openings = results.setdefault(asked.study, {}).setdefault("openings", [])
    if openings and not asked.again:
        parser.error(f"the test part was opened on {openings[-1]['on']}; --again WHY opens it once more")
    study = variant(asked.study, None, data, weights)
    trained(study)
    # Recorded before it is looked at: an opening that fails afterwards was one all the same.
    openings.append({"on": datetime.now(UTC).isoformat(timespec="seconds"), "why": asked.again or "the first time"})
    save(results)
    openings[-1]["found"] = opened(asked.study, study)
    save(results)


if __name__ == "__main__":
    main()
