from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sdovis.statistics.tests import ASYMPTOTIC, EXACT, holm, kruskal, rank_sum, wilcoxon_signed_rank

# Hollander and Wolfe (1973), 29f and 69f: the examples of R's wilcox.test.
DEPRESSION_FIRST = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
DEPRESSION_SECOND = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
PERMEABILITY_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
PERMEABILITY_EARLY = [1.15, 0.88, 0.90, 0.74, 1.21]

# Ozone in May and in August, from R's airquality.
MAY = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37]
AUGUST = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85]

numbers = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=25)


def test_the_depression_data_give_what_r_gives() -> None:
    found = wilcoxon_signed_rank(DEPRESSION_FIRST, DEPRESSION_SECOND, alternative="greater")
    assert (found.n, found.zeros, found.ties, found.method) == (9, 0, 0, EXACT)
    assert found.statistic == 40
    assert found.p_value == pytest.approx(0.01953, abs=5e-6)
    # Hollander and Wolfe, Examples 3.3 and 3.4: the shift -0.46 (second minus first) and the interval (-0.786, -0.010).
    assert (found.shift, found.low, found.high) == pytest.approx((0.46, 0.010, 0.786))
    assert found.rank_biserial == pytest.approx((40 - 5) / 45)
    assert wilcoxon_signed_rank(DEPRESSION_FIRST, DEPRESSION_SECOND).p_value == pytest.approx(2 * 0.01953125)


def test_the_permeability_data_give_what_r_gives() -> None:
    found = rank_sum(PERMEABILITY_TERM, PERMEABILITY_EARLY, alternative="greater")
    assert (found.n_a, found.n_b, found.ties, found.method) == (10, 5, 0, EXACT)
    assert found.statistic == 35
    assert found.p_value == pytest.approx(0.1272, abs=5e-5)
    # Hollander and Wolfe, Examples 4.3 and 4.4: the shift 0.305 and the interval (-0.15, 0.76).
    assert (found.shift, found.low, found.high) == pytest.approx((0.305, -0.15, 0.76))
    assert found.cliffs_delta == pytest.approx(2 * 35 / 50 - 1)


def test_ozone_in_may_and_august_gives_what_r_gives() -> None:
    found = rank_sum(MAY, AUGUST)
    assert found.method == ASYMPTOTIC and found.ties > 0
    assert found.statistic == 127.5
    assert found.p_value == pytest.approx(0.0001208, abs=5e-8)
    assert found.low <= found.shift <= found.high < 0


def test_mucociliary_efficiency_gives_what_r_gives() -> None:
    # Hollander and Wolfe (1973), 116: the example of R's kruskal.test.
    found = kruskal([2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0])
    assert found.statistic == pytest.approx(0.77143, abs=5e-6)
    assert (found.degrees_of_freedom, found.sizes) == (2, (5, 4, 5))
    assert found.p_value == pytest.approx(0.68, abs=5e-4)
    assert found.epsilon_squared == pytest.approx(0.77143 / 13, abs=1e-6)


def test_holm_gives_the_published_example_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_zeros_and_ties_are_counted() -> None:
    found = wilcoxon_signed_rank([1, 2, 3, 4, 9], [1, 1, 4, 2, 3])
    # Differences 0, 1, -1, 2, 6: one zero, and 1 and -1 share their size. Ranks 1.5, 1.5, 3, 4.
    assert (found.n, found.zeros, found.ties, found.method) == (5, 1, 2, ASYMPTOTIC)
    assert found.statistic == 1.5 + 3 + 4
    assert found.rank_biserial == pytest.approx((8.5 - 1.5) / 10)
    # By hand: mean 5, variance 4*5*9/24 - (2^3 - 2)/48 = 7.375, continuity correction 1/2.
    assert found.p_value == pytest.approx(2 * stats.norm.sf((8.5 - 5 - 0.5) / 7.375**0.5))
    assert wilcoxon_signed_rank([1, 2, 3], [0, 1, 5]).method == ASYMPTOTIC


def test_no_difference_at_all_has_no_p_value() -> None:
    found = wilcoxon_signed_rank([1, 2, 3], [1, 2, 3])
    assert np.isnan(found.p_value) and np.isnan(found.rank_biserial) and found.shift == 0
    assert np.isnan(rank_sum([1, 1], [1, 1]).p_value) and rank_sum([1, 1], [1, 1]).cliffs_delta == 0
    assert np.isnan(kruskal([1, 1], [1]).p_value)


def test_too_few_pairs_have_no_interval_of_this_confidence() -> None:
    found = wilcoxon_signed_rank([1, 2.5, 4, 7], [0, 0, 0, 0])
    # Four pairs reach at most 1 - 2/16 = 87.5 %.
    assert np.isnan(found.low) and np.isnan(found.high) and found.shift == pytest.approx(3.625)
    assert wilcoxon_signed_rank([1, 2.5, 4, 7], [0, 0, 0, 0], confidence=0.87).low == 1


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=25))
def test_the_paired_shift_is_the_median_of_the_walsh_averages(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=float).T
    d = a - b
    averages = np.sort([(d[i] + d[j]) / 2 for i in range(len(d)) for j in range(i, len(d))])
    found = wilcoxon_signed_rank(a, b)
    assert found.shift == pytest.approx(np.median(averages), abs=1e-9)
    if not np.isnan(found.low):
        assert np.abs(averages - found.low).min() < 1e-9 and np.abs(averages - found.high).min() < 1e-9
    swapped = wilcoxon_signed_rank(b, a)
    assert swapped.shift == pytest.approx(-found.shift, abs=1e-9)
    assert (-swapped.high, -swapped.low) == pytest.approx((found.low, found.high), abs=1e-9, nan_ok=True)
    assert swapped.p_value == pytest.approx(found.p_value, nan_ok=True)


@settings(max_examples=60)
@given(numbers, numbers)
def test_the_shift_of_two_samples_is_the_median_of_all_differences(a: list[float], b: list[float]) -> None:
    differences = np.subtract.outer(a, b).ravel()
    found = rank_sum(a, b)
    assert found.shift == pytest.approx(np.median(differences), abs=1e-9)
    assert found.cliffs_delta == pytest.approx((np.sign(differences)).mean())
    assert found.statistic == (differences > 0).sum() + (differences == 0).sum() / 2
    assert rank_sum(b, a).cliffs_delta == pytest.approx(-found.cliffs_delta)


def test_exact_p_values_and_intervals_agree_with_each_other() -> None:
    # The 95 % interval holds exactly the shifts that the exact two-sided test does not reject at 5 %.
    rng = np.random.default_rng(3)
    for m, n in [(8, 6), (12, 30), (20, 20)]:
        a, b = rng.normal(0.5, 1, m), rng.normal(0, 1, n)
        found = rank_sum(a, b)
        for bound, inside in [(found.low, 1e-9), (found.high, -1e-9)]:
            assert stats.mannwhitneyu(a - (bound + inside), b, method="exact").pvalue > 0.05
            assert stats.mannwhitneyu(a - (bound - inside), b, method="exact").pvalue <= 0.05
    for n in (6, 15, 40):
        d = rng.normal(0.4, 1, n)
        paired = wilcoxon_signed_rank(d, np.zeros(n))
        for bound, inside in [(paired.low, 1e-9), (paired.high, -1e-9)]:
            assert stats.wilcoxon(d - (bound + inside), method="exact").pvalue > 0.05
            assert stats.wilcoxon(d - (bound - inside), method="exact").pvalue <= 0.05


def test_the_asymptotic_interval_is_close_to_the_exact_one() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(1, 1, 49), rng.normal(0, 1, 49)
    exact = rank_sum(a, b)
    asymptotic = rank_sum(np.append(a, a[0]), b)
    assert (exact.method, asymptotic.method) == (EXACT, ASYMPTOTIC)
    assert (asymptotic.low, asymptotic.high) == pytest.approx((exact.low, exact.high), abs=0.1)


def test_ten_thousand_pairs_take_little_time() -> None:
    rng = np.random.default_rng(0)
    b = rng.lognormal(0, 0.3, 10_000)
    start = time.perf_counter()
    found = wilcoxon_signed_rank(b * 1.1, b)
    other = rank_sum(b * 1.1, b)
    assert time.perf_counter() - start < 10
    assert found.shift > 0 and found.low < found.shift < found.high and other.low < other.shift < other.high


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_nor_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_an_undefined_p_value_stays_undefined_and_counts_in_the_family() -> None:
    assert holm([0.01, np.nan]) == pytest.approx([0.02, np.nan], nan_ok=True)


@pytest.mark.parametrize("bad", [[], [np.nan, 1], [np.inf], [[1, 2]]])
def test_a_sample_without_finite_numbers_is_refused(bad: list) -> None:
    for test in (lambda: wilcoxon_signed_rank(bad, bad), lambda: rank_sum([1], bad), lambda: kruskal([1], bad)):
        with pytest.raises(ValueError, match="a sample must be"):
            test()


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        wilcoxon_signed_rank([1, 2], [1])
    with pytest.raises(ValueError, match="two groups"):
        kruskal([1, 2])
    with pytest.raises(ValueError, match="p-values"):
        holm([0.5, 1.5])
