"""Do probabilities mean what they say, and which way of calibrating them helps?

    python benchmarks/calibration.py runs RUN...          error, interval and floor of finished runs and their other sources
    python benchmarks/calibration.py ways RUN FOLDS       ways to calibrate a run, chosen by what its folds say, told elsewhere
    python benchmarks/calibration.py floor                the floor, beside the errors that true probabilities show

FOLDS is the folder that `studies.py choose` leaves for the run's way to train: what networks trained on half of the regions
say of the other half, before anything calibrated it. Each way is fitted on these, and judged there by cross-validation over
regions (log loss, each region counting once). Nothing is trained: the run's own temperature is undone, and that of each way
put in its place. ``runs`` and ``ways`` keep what they find in benchmarks/calibration.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sdovis.corpus.build import Corpus
from sdovis.evaluation.scores import HELD_BACK, held_back
from sdovis.learning.folds import dealt
from sdovis.learning.losses import prior
from sdovis.learning.record import TrainingRecord
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Interval
from sdovis.statistics.calibration import calibration, calibration_where, fit_temperature, fit_temperature_and_biases

FILE = Path(__file__).with_suffix(".json")
#: As `studies.py` deals.
FOLDS = 2
#: Folds of regions in which a way is judged on what the networks said.
JUDGED = 10
DRAWS = {"samples": 2000, "seed": 0}

#: From logits, labels and regions to probabilities.
Fit = Callable[["Said"], Callable[[NDArray[Any]], NDArray[Any]]]


@dataclass(frozen=True)
class Said:
    """Logits (n, K) of rows, their classes (n,) and regions (n,)."""

    logits: NDArray[np.float64]
    truth: NDArray[np.int64]
    regions: NDArray[Any]

    def only(self, rows: NDArray[Any]) -> Said:
        return Said(self.logits[rows], self.truth[rows], self.regions[rows])


def ways(taught: NDArray[np.float64], validation: Said | None) -> dict[str, Fit]:
    """By name; ``taught`` are the shares (K,) of the classes in the loss, ``validation`` what the first network said."""

    def divided(temperature: float, biases: Any = 0.0) -> Callable[[NDArray[Any]], NDArray[Any]]:
        return lambda logits: softmax(logits / temperature + biases, axis=1)

    shipped: dict[str, Fit] = {}
    if validation is not None:
        on_one = fit_temperature(validation.truth, validation.logits, validation.regions)
        shipped["temperature, validation part"] = lambda said: divided(on_one)
    return {
        "none": lambda said: divided(1.0),
        **shipped,
        "temperature": lambda said: divided(fit_temperature(said.truth, said.logits, said.regions)),
        "weighted-temperature": lambda said: divided(fit_temperature(said.truth, said.logits, said.regions, taught)),
        "temperature+bias": lambda said: divided(*fit_temperature_and_biases(said.truth, said.logits, said.regions)),
    }


def told(probabilities: NDArray[Any], of: Said, taught: NDArray[np.float64]) -> dict[str, Any]:
    """What probabilities are worth on some rows."""
    found = calibration(of.truth, probabilities, of.regions, **DRAWS)
    matrix = skill.confusion(of.truth, probabilities.argmax(axis=1), probabilities.shape[1])
    entry = {
        "rows": len(of.truth),
        "regions": len(np.unique(of.regions)),
        "balanced_accuracy": round(float(skill.balanced_accuracy(matrix)), 3),
        "log_loss": round(float(found.log_loss.estimate), 3),
        "log_loss_by_region": round(by_region(probabilities, of), 3),
        "log_loss_as_taught": round(by_region(probabilities, of, taught), 3),
        "confidence": round(float(probabilities.max(axis=1).mean()), 3),
        "right": round(float((probabilities.argmax(axis=1) == of.truth).mean()), 3),
        "ece": _plain(found.ece),
        "floor": _plain(found.floor),
    }
    there = calibration_where(of.truth, probabilities, of.regions, taught, **DRAWS)
    return entry | dict(zip(("ece_as_taught", "floor_as_taught"), map(_plain, there), strict=True))


def by_region(probabilities: NDArray[Any], of: Said, shares: NDArray[np.float64] | None = None) -> float:
    """Log loss, each region counting once; with ``shares``, classes are weighted to have these."""
    losses = -np.log(np.maximum(probabilities[np.arange(len(of.truth)), of.truth], 1e-12))
    names = pd.factorize(of.regions)[0]
    weights = 1 / np.bincount(names)[names]
    if shares is not None:
        weights *= shares[of.truth] / np.bincount(of.truth, weights, minlength=len(shares))[of.truth]
    return float((weights * losses).sum() / weights.sum())


def _plain(interval: Interval) -> list[float]:
    return [round(float(value), 3) for value in (interval.estimate, interval.low, interval.high)]


def before(probabilities: NDArray[np.float64], record: TrainingRecord) -> NDArray[np.float64]:
    """Logits (n, K) of a run's ``probabilities``, as if nothing had calibrated it."""
    logits = np.log(np.maximum(probabilities, 1e-30)) - _biases(record)
    return np.asarray(logits * (record.temperature or 1.0))


def as_it_is(logits: NDArray[np.float64], record: TrainingRecord) -> NDArray[np.float64]:
    """A run's probabilities as it gave them, of logits that nothing had calibrated."""
    return np.asarray(softmax(logits / (record.temperature or 1.0) + _biases(record), axis=1))


def _biases(record: TrainingRecord) -> Any:
    return list(record.biases.values()) or 0.0


@dataclass(frozen=True)
class Run:
    """A finished run: what it says of each part and other source before it was calibrated, and what it was taught.

    ``validation`` is what its first network says of that part; None if an older sdovis did not keep it.
    """

    name: str
    record: TrainingRecord
    classes: tuple[str, ...]
    corpus: Corpus
    validation: Said | None
    places: dict[str, Said]

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Of a run folder."""
        corpus, record = Corpus.load(folder / "corpus"), TrainingRecord.load(folder / "training")

        def said(table: pd.DataFrame) -> Said:
            p = table[[f"prob_{name}" for name in corpus.classes]].to_numpy(dtype=np.float64)
            return Said(before(p, record), table["label"].to_numpy(), table["group"].to_numpy())

        table = pd.read_parquet(folder / "scores" / "predictions.parquet")
        places = {"test": said(table[(table["split"] == "test").to_numpy()])}
        for other in sorted((folder / "on").glob("*/predictions.parquet")):
            places[other.parent.name] = said(pd.read_parquet(other))
        known = (folder / "scores" / HELD_BACK).is_file() or not record.refit
        validation = said(held_back(folder / "scores")) if known else None
        return cls(folder.name, record, corpus.classes, corpus, validation, places)

    @property
    def taught(self) -> NDArray[np.float64]:
        """The shares (K,) of the classes in the loss."""
        learned = self.corpus.rows["split"].isin(["train", "validation"] if self.record.refit else ["train"])
        counts = np.bincount(self.corpus.rows.loc[learned, "label"], minlength=len(self.classes))
        return prior(self.record.method, counts / counts.sum())


def of_runs(folders: list[Path]) -> Iterator[tuple[str, Any]]:
    for run in map(Run.load, folders):
        yield (
            run.name,
            {place: told(as_it_is(of.logits, run.record), of, run.taught) for place, of in run.places.items()},
        )


def of_ways(folder: Path, folds: Path) -> tuple[str, Any]:
    from sklearn.model_selection import StratifiedGroupKFold

    run = Run.load(folder)
    where, logits = [], []
    for number, (rows, _) in enumerate(dealt(run.corpus, FOLDS, 0)):
        if (kept := folds / f"{number}.npz").is_file():
            where.append(rows)
            logits.append(np.log(np.load(kept)["probabilities"].astype(np.float64)))
    rows = run.corpus.rows.iloc[np.concatenate(where)]
    said = Said(np.concatenate(logits), rows["label"].to_numpy(), rows["group"].to_numpy())
    parts = list(
        StratifiedGroupKFold(JUDGED, shuffle=True, random_state=1).split(said.logits, said.truth, said.regions)
    )
    found = {}
    for name, fit in ways(run.taught, run.validation).items():
        crossed = np.zeros_like(said.logits)
        for known, asked in parts:
            crossed[asked] = fit(said.only(known))(said.logits[asked])
        apply = fit(said)
        # softmax(logits / T + b) at logits of 0 and at a unit vector give b and 1 / T back.
        biases = np.log(apply(np.zeros((1, len(run.classes)))))[0]
        unit = np.log(apply(np.eye(len(run.classes))))[0] - biases
        found[name] = {
            "temperature": round(float(1 / (unit[0] - unit[1])), 3),
            "biases": [round(float(each), 2) for each in biases - biases.mean()],
            "folds": told(crossed, said, run.taught),
            **{place: told(apply(of.logits), of, run.taught) for place, of in run.places.items()},
        }
    return run.name, found


def simulated() -> Iterator[dict[str, Any]]:
    """Mean error of true probabilities, and mean floor, for regions whose images have much or nothing in common."""
    for regions in (20, 40, 100, 400):
        for alike in (0.0, 0.5, 0.9):
            shown, floors = [], []
            for seed in range(100):
                rng = np.random.default_rng(seed)
                of = np.repeat(np.arange(regions), 1 + rng.poisson(4, regions))
                shared, own = (1.5 * rng.normal(size=(count, 3)) for count in (regions, len(of)))
                p = softmax(shared[of] * alike**0.5 + own * (1 - alike) ** 0.5, axis=1)
                drawn = np.where(rng.random(len(of)) < alike, rng.random(regions)[of], rng.random(len(of)))
                truth = (drawn[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=2)
                found = calibration(truth, p, of, samples=300, seed=seed)
                shown.append(found.ece.estimate)
                floors.append((found.floor.estimate, found.floor.low, found.floor.high))
            mean, low, high = np.array(floors).T
            inside = float(np.mean((low <= shown) & (shown <= high)))
            yield {
                "regions": regions, "shared by a region's images": alike, "mean error": round(float(np.mean(shown)), 3),
                "mean floor": round(float(mean.mean()), 3), "errors within the floor's bounds": round(inside, 3),
            }  # fmt: skip


def _bracketed(entry: list[float]) -> str:
    return f"{entry[0]:.3f} [{entry[1]:.3f}, {entry[2]:.3f}]"


def table(results: dict[str, Any]) -> str:
    """Markdown of all that is known."""
    lines = [
        "| run | where | images, regions | said, right | ECE | if perfectly calibrated | as taught | if perfectly calibrated |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, places in results.get("runs", {}).items():
        for place, of in places.items():
            each = (_bracketed(of[key]) for key in ("ece", "floor", "ece_as_taught", "floor_as_taught"))
            counts, means = f"{of['rows']}, {of['regions']}", f"{of['confidence']:.2f}, {of['right']:.2f}"
            lines.append(f"| `{name}` | {place} | {counts} | {means} | {' | '.join(each)} |")
    for name, found in results.get("ways", {}).items():
        lines += [
            f"\n`{name}`\n",
            "| way | T; biases | on | log loss by region | as taught | balanced accuracy | ECE | if perfectly calibrated |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for way, of in found.items():
            biases = "; " + ", ".join(f"{each:+.2f}" for each in of["biases"]) if any(of["biases"]) else ""
            first = (way, f"{of['temperature']:.2f}{biases}")
            for place in (each for each in of if each not in ("temperature", "biases")):
                losses = (
                    f"{of[place][key]:.3f}" for key in ("log_loss_by_region", "log_loss_as_taught", "balanced_accuracy")
                )
                errors = (_bracketed(of[place][key]) for key in ("ece", "floor"))
                lines.append(f"| {' | '.join((*first, place, *losses, *errors))} |")
                first = ("", "")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("runs").add_argument("runs", nargs="+", type=Path)
    of = verbs.add_parser("ways")
    of.add_argument("run", type=Path)
    of.add_argument("folds", type=Path)
    verbs.add_parser("floor")
    verbs.add_parser("table")
    asked = parser.parse_args()
    if asked.verb == "floor":
        for each in simulated():
            print(json.dumps(each), flush=True)
        return
    results = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    if asked.verb == "runs":
        results["runs"] = results.get("runs", {}) | dict(of_runs(asked.runs))
    elif asked.verb == "ways":
        name, found = of_ways(asked.run, asked.folds)
        results["ways"] = results.get("ways", {}) | {name: found}
    if asked.verb != "table":
        FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
