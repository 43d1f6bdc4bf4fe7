"""Do the intervals hold what they promise, and how fast are they?

    python benchmarks/intervals.py cover [--studies 2000]     share of 95 % intervals that cover the truth, and how often
                                                              `compare` sees a difference where there is none
    python benchmarks/intervals.py probabilities [--studies 2000]   the same of calibration errors and areas under curves
    python benchmarks/intervals.py time                       10,000 resamples of ten scores, and a loop over scikit-learn

Studies are drawn from a known population: regions of three classes with one to many images each; in a region, a classifier
is right about all images or about few, as on the Sun (the share of right answers differs between regions with a standard
deviation of 0.3). The truth is what the scores would be with endless regions. Probabilities are those of Bayes' rule for an
image that leans to its class, with noise that the images of a region share in part, and logits ``SURE`` times as large.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Interval, bootstrap_items, by_cluster, cluster_bootstrap, paired_difference
from sdovis.statistics.calibration import calibration
from sdovis.statistics.decisions import aurc
from sdovis.statistics.permutation import paired_permutation
from sdovis.statistics.ranking import auroc

CLASSES = 3
SHARES = (0.3, 0.45, 0.25)
#: Beta distribution of a region's share of right answers: mean 0.7, standard deviation 0.3.
RIGHT = (0.93, 0.4)
SCORES = (
    skill.accuracy, skill.balanced_accuracy, skill.macro_f1, skill.heidke, skill.macro_tss, skill.macro_hss, skill.peirce,
    skill.recall, skill.precision, skill.tss,
)  # fmt: skip
#: Logits are so many times too large: what is said is true, is too sure, and is much too sure.
SURE = (1.0, 1.3, 2.0)
#: Noise of a region and of an image, and how far an image leans to its class.
NOISE, LEANING = (0.7, 0.7), 1.6
REGIONS, RESAMPLES = 2000, 10_000
#: Resamples for which the loop is timed.
LOOPS = 20


def study(rng: np.random.Generator, regions: int, classifiers: int = 1) -> tuple[NDArray, list[NDArray], NDArray]:
    """Truth, the answers of each classifier, and the region of every image."""
    images = 1 + rng.poisson(4, regions)
    region = np.repeat(np.arange(regions), images)
    truth = rng.choice(CLASSES, regions, p=SHARES)[region]
    answers = []
    for _ in range(classifiers):
        right = rng.random(len(region)) < rng.beta(*RIGHT, regions)[region]
        answers.append(np.where(right, truth, (truth + rng.integers(1, CLASSES, len(truth))) % CLASSES))
    return truth, answers, region


def cover(studies: int) -> None:
    mean = RIGHT[0] / (RIGHT[0] + RIGHT[1])
    for regions in (40, 100, 400):
        rng, inside, both, alarms, stratum = np.random.default_rng(regions), 0, 0, 0, 0
        for seed in range(studies):
            truth, (a, b), region = study(rng, regions, 2)
            one, other = (by_cluster(truth, each, region, CLASSES) for each in (a, b))
            found = cluster_bootstrap(one, skill.balanced_accuracy, seed=seed)
            inside += found.low <= mean <= found.high
            some = region < regions // 4
            part = by_cluster(truth[some], a[some], region[some], CLASSES)
            of_stratum = cluster_bootstrap(part, skill.balanced_accuracy, seed=seed, scale="logit")
            stratum += of_stratum.low <= mean <= of_stratum.high
            apart = paired_difference(one, other, skill.balanced_accuracy, seed=seed)
            both += apart.low <= 0 <= apart.high
            alarms += paired_permutation(one, other, skill.balanced_accuracy, samples=1000, seed=seed) <= 0.05
        told = {"regions": regions, "studies": studies, "score covered": inside / studies}
        told |= {"stratum of a quarter of the regions covered": stratum / studies}
        told |= {"difference covered": both / studies, "false alarms of compare at 0.05": alarms / studies}
        print(json.dumps(told), flush=True)


def probable(rng: np.random.Generator, regions: int, sure: float) -> tuple[NDArray, NDArray, NDArray]:
    """Truth, probabilities (n, K) and the region of every image."""
    region = np.repeat(np.arange(regions), 1 + rng.poisson(4, regions))
    truth = rng.choice(CLASSES, regions, p=SHARES)[region]
    shared, own = (
        sd * rng.normal(size=(count, CLASSES)) for sd, count in zip(NOISE, (regions, len(region)), strict=True)
    )
    seen = LEANING * np.eye(CLASSES)[truth] + shared[region] + own
    return truth, softmax(sure * (seen * LEANING / sum(sd**2 for sd in NOISE) + np.log(SHARES)), axis=1), region


def cover_probabilities(studies: int) -> None:
    for sure in SURE:
        truth, p, _ = probable(np.random.default_rng(1), 200_000, sure)
        endless = worths(truth, p, np.zeros(len(truth), np.int64), samples=1, seed=0)
        for regions in (40, 100, 400):
            rng, inside = np.random.default_rng(regions), dict.fromkeys(endless, 0)
            for seed in range(studies):
                for name, found in worths(*probable(rng, regions, sure), samples=1000, seed=seed).items():
                    inside[name] += found.low <= endless[name].estimate <= found.high
            told = {"regions": regions, "studies": studies, "logits": sure, "error": round(endless["ece"].estimate, 4)}
            print(json.dumps(told | {f"{name} covered": each / studies for name, each in inside.items()}), flush=True)


def worths(truth: NDArray, p: NDArray, region: NDArray, **draws: int) -> dict[str, Interval]:
    """What is judged of probabilities, with intervals."""
    found = calibration(truth, p, region, **draws)
    of_class, right, confidence = truth == 0, p.argmax(axis=1) == truth, p.max(axis=1)
    return {
        "ece": found.ece,
        "classwise ece": found.classwise_ece,
        "log loss": found.log_loss,
        "auroc": bootstrap_items(region, lambda weights: auroc(of_class, p[:, 0], weights), scale="logit", **draws),
        "aurc": bootstrap_items(region, lambda weights: aurc(right, confidence, weights), scale="logit", **draws),
    }


def timed() -> None:
    rng = np.random.default_rng(0)
    truth, (answer,), region = study(rng, REGIONS)
    repeat = np.resize(np.arange(len(truth)), 20_000)
    truth, answer, region = truth[repeat], answer[repeat], region[repeat]
    started = time.perf_counter()
    matrices = by_cluster(truth, answer, region, CLASSES)
    for score in SCORES:
        cluster_bootstrap(matrices, score, samples=RESAMPLES, seed=0)
    ours = time.perf_counter() - started
    weights = rng.multinomial(REGIONS, np.full(REGIONS, 1 / REGIONS), size=LOOPS)
    started = time.perf_counter()
    drawn = _by_scikit_learn(truth, answer, region, weights)
    loop = (time.perf_counter() - started) / LOOPS * RESAMPLES
    resampled = np.tensordot(weights.astype(float), matrices, axes=1)
    apart = [np.abs(score(resampled) - drawn[:, i]).max() for i, score in enumerate(SCORES[:4])]
    told = {"rows": len(truth), "regions": REGIONS, "scores": len(SCORES), "resamples": RESAMPLES}
    told |= {"seconds": round(ours, 2), f"loop, seconds ({LOOPS} resamples measured)": round(loop)}
    told |= {"times as fast": round(loop / ours), "largest difference of a score": float(max(apart))}
    print(json.dumps(told))


def _by_scikit_learn(truth: NDArray, answer: NDArray, region: NDArray, weights: NDArray) -> NDArray:
    """Ten numbers of each resample; the first four are those of the first four `SCORES`."""
    from sklearn import metrics

    rows = [np.flatnonzero(region == number) for number in range(REGIONS)]
    drawn = []
    for counts in weights:
        at = np.concatenate([np.tile(rows[number], n) for number, n in enumerate(counts) if n])
        t, p = truth[at], answer[at]
        single = metrics.accuracy_score(t, p), metrics.balanced_accuracy_score(t, p)
        single += metrics.f1_score(t, p, average="macro"), metrics.cohen_kappa_score(t, p)
        each = metrics.recall_score(t, p, average=None), metrics.precision_score(t, p, average=None)
        drawn.append(np.concatenate([single, *each]))
    return np.array(drawn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = {
        "cover": lambda: cover(given.studies),
        "probabilities": lambda: cover_probabilities(given.studies),
        "time": timed,
    }
    parser.add_argument("what", choices=list(verbs))
    parser.add_argument("--studies", type=int, default=2000)
    given = parser.parse_args()
    verbs[given.what]()
