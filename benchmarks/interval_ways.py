"""Which way of making 95 % intervals by region holds the truth as often as it says?

    python benchmarks/interval_ways.py scores [--studies 300]     areas under curves and log loss, of 40 and of 100 regions
    python benchmarks/interval_ways.py strata [--studies 600]     balanced accuracy of 5 to 100 regions

Ways: percentiles; percentiles widened for few clusters, and BCa, likewise (Hesterberg 2015, arXiv:1411.5279, section 5.3;
Efron 1987, JASA 82, 171); and intervals that are symmetric on the score's scale (logit, or logarithm of log loss), Student's
t times the standard deviation of the resamples or the standard error of the jackknife by region there. Studies are those of
`intervals.py`. For each way: the share that holds the truth, and how often the truth lies below and above.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping

import intervals
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, t
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import by_cluster
from sdovis.statistics.decisions import aurc
from sdovis.statistics.ranking import auroc, average_precision

RESAMPLES = 1000
SURE = (1.0, 2.0)
#: A share as near to an end as this has a logit.
END = 1e-6

#: From how often each item counts (B, n) to its scores (B,), and whether these are shares.
Statistic = tuple[Callable[[NDArray], NDArray], bool]


def bounds(estimate: float, draws: NDArray, jackknife: NDArray, regions: int, share: bool) -> dict[str, NDArray]:
    """Way -> low and high."""
    draws, jackknife = (each[~np.isnan(each)] for each in (draws, jackknife))
    wide = float(norm.cdf(-np.sqrt(regions / (regions - 1)) * t.ppf(0.975, regions - 1)))
    found = {"percentiles": np.quantile(draws, [0.025, 0.975]), "widened": np.quantile(draws, [wide, 1 - wide])}
    found |= {"BCa": _bca(estimate, draws, jackknife, 0.025), "BCa widened": _bca(estimate, draws, jackknife, wide)}
    there = (lambda score: logit(np.clip(score, END, 1 - END))) if share else np.log
    back = expit if share else np.exp
    centre, left_out = there(estimate), there(jackknife)
    error = np.sqrt((regions - 1) / regions * ((left_out - left_out.mean()) ** 2).sum())
    spread = there(draws).std() * np.sqrt(regions / (regions - 1))
    for name, of in (("t, jackknife", error), ("t, resamples", spread)):
        found[name] = back(centre + t.ppf([0.025, 0.975], regions - 1) * of)
    return found


def _bca(estimate: float, draws: NDArray, jackknife: NDArray, tail: float) -> NDArray:
    below = (np.sum(draws < estimate) + np.sum(draws == estimate) / 2) / len(draws)
    bias = norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    apart = jackknife.mean() - jackknife
    skewness = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5 + 1e-300)
    z = bias + norm.ppf([tail, 1 - tail])
    return np.quantile(draws, norm.cdf(bias + z / (1 - skewness * z)))


def held(
    studies: Iterator[tuple[int, NDArray, Mapping[str, Statistic]]], truth: Mapping[str, float]
) -> dict[str, dict]:
    """Score -> way -> shares of studies (seed, region of each item, statistics): holds the truth, it is below, it is above."""
    counts: dict[str, dict[str, NDArray]] = {}
    made = 0
    for seed, region, statistics in studies:
        made, regions = made + 1, int(region.max()) + 1
        weights = np.random.default_rng(seed).multinomial(regions, np.full(regions, 1 / regions), RESAMPLES)
        for name, (statistic, share) in statistics.items():
            all_, drawn, left_out = (
                statistic(of[:, region].astype(float)) for of in (np.ones((1, regions)), weights, 1 - np.eye(regions))
            )
            for way, (low, high) in bounds(float(all_[0]), drawn, left_out, regions, share).items():
                one = np.array([low <= truth[name] <= high, truth[name] < low, truth[name] > high], float)
                of_score = counts.setdefault(name, {})
                of_score[way] = of_score.get(way, 0) + one
    return {name: {way: (of / made).round(3).tolist() for way, of in ways.items()} for name, ways in counts.items()}


def of_probabilities(truth: NDArray, p: NDArray) -> dict[str, Statistic]:
    right, sure = p.argmax(axis=1) == truth, p.max(axis=1)
    losses = -np.log(p[np.arange(len(truth)), truth])

    def each(weights: NDArray) -> NDArray:
        return np.stack([auroc(truth == k, p[:, k], weights) for k in range(intervals.CLASSES)], axis=-1)

    return {
        "auroc of a class": (lambda weights: each(weights)[..., 0], True),
        "auroc": (lambda weights: skill.mean_of_defined(each(weights)), True),
        "average precision": (lambda weights: average_precision(truth == 0, p[:, 0], weights), True),
        "aurc": (lambda weights: aurc(right, sure, weights), True),
        "log loss": (lambda weights: (weights * losses).sum(axis=-1) / weights.sum(axis=-1), False),
    }


def scores(studies: int) -> None:
    for sure in SURE:
        truth, p, _ = intervals.probable(np.random.default_rng(1), 200_000, sure)
        endless = {name: float(of(np.ones((1, len(truth))))[0]) for name, (of, _) in of_probabilities(truth, p).items()}
        for regions in (40, 100):
            rng = np.random.default_rng(regions)
            drawn = ((seed, *intervals.probable(rng, regions, sure)) for seed in range(studies))
            found = held(((seed, region, of_probabilities(t_, p_)) for seed, t_, p_, region in drawn), endless)
            for name, ways in found.items():
                print(json.dumps({"logits": sure, "regions": regions, "score": name, **ways}), flush=True)


def strata(studies: int) -> None:
    for regions in (5, 10, 25, 50, 100):
        rng = np.random.default_rng(regions)

        def drawn(regions: int = regions, rng: np.random.Generator = rng) -> Iterator:
            for seed in range(studies):
                truth, (answer,), region = intervals.study(rng, regions)
                if len(np.unique(truth)) < intervals.CLASSES:  # such a stratum is left out
                    continue
                matrices = by_cluster(truth, answer, region, intervals.CLASSES).astype(float)
                score = lambda weights, of=matrices: skill.balanced_accuracy(np.tensordot(weights, of, axes=1))  # noqa: E731
                yield seed, np.arange(regions), {"balanced accuracy": (score, True)}

        mean = intervals.RIGHT[0] / sum(intervals.RIGHT)
        found = held(drawn(), {"balanced accuracy": mean})
        print(json.dumps({"regions": regions, **found["balanced accuracy"]}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = {"scores": (scores, 300), "strata": (strata, 600)}
    parser.add_argument("what", choices=list(verbs))
    parser.add_argument("--studies", type=int)
    given = parser.parse_args()
    run, usual = verbs[given.what]
    run(given.studies or usual)
