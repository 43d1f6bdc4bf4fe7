"""Do the intervals hold what they promise, and how fast are they?

    python benchmarks/intervals.py cover [--studies 2000]     share of 95 % intervals that cover the truth, and how often
                                                              `compare` sees a difference where there is none
    python benchmarks/intervals.py time                       10,000 resamples of ten scores, and a loop over scikit-learn

Studies are drawn from a known population: regions of three classes with one to many images each; in a region, a classifier
is right about all images or about few, as on the Sun (the share of right answers differs between regions with a standard
deviation of 0.3). The truth is what the scores would be with endless regions.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import by_cluster, cluster_bootstrap, paired_difference
from sdovis.statistics.permutation import paired_permutation

CLASSES = 3
SHARES = (0.3, 0.45, 0.25)
#: Beta distribution of a region's share of right answers: mean 0.7, standard deviation 0.3.
RIGHT = (0.93, 0.4)
SCORES = (
    skill.accuracy, skill.balanced_accuracy, skill.macro_f1, skill.heidke, skill.macro_tss, skill.macro_hss, skill.peirce,
    skill.recall, skill.precision, skill.tss,
)  # fmt: skip
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
        rng, inside, both, alarms = np.random.default_rng(regions), 0, 0, 0
        for seed in range(studies):
            truth, (a, b), region = study(rng, regions, 2)
            one, other = (by_cluster(truth, each, region, CLASSES) for each in (a, b))
            found = cluster_bootstrap(one, skill.balanced_accuracy, seed=seed)
            inside += found.low <= mean <= found.high
            apart = paired_difference(one, other, skill.balanced_accuracy, seed=seed)
            both += apart.low <= 0 <= apart.high
            alarms += paired_permutation(one, other, skill.balanced_accuracy, samples=1000, seed=seed) <= 0.05
        told = {"regions": regions, "studies": studies, "score covered": inside / studies}
        told |= {"difference covered": both / studies, "false alarms of compare at 0.05": alarms / studies}
        print(json.dumps(told), flush=True)


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
    parser.add_argument("what", choices=["cover", "time"])
    parser.add_argument("--studies", type=int, default=2000)
    given = parser.parse_args()
    cover(given.studies) if given.what == "cover" else timed()
