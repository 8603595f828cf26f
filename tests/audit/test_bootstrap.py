"""Bootstrap intervals: coverage with known error rates, and draws that keep groups and strata whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlunlearn.audit.intervals.bootstrap import bootstrap_interval

N_EXPERIMENTS = 400


def coverage(make, truth, *, grouped=False):
    """Share of experiments whose interval for the mean contains the truth."""
    hits = 0
    for seed in range(N_EXPERIMENTS):
        values, groups = make(np.random.default_rng(seed))
        interval = bootstrap_interval(
            np.mean,
            values,
            groups=groups if grouped else None,
            n_resamples=200,
            random_state=seed,
            confidence=0.9,
        )
        hits += interval.low <= truth <= interval.high
    return hits / N_EXPERIMENTS


def independent(rng):
    return rng.normal(2.0, 1.0, size=50), None


def five_images_per_person(rng):
    return np.repeat(rng.normal(2.0, 1.0, size=50), 5), np.repeat(np.arange(50), 5)


def test_coverage_of_independent_samples():
    # Nominal 90 %; the percentile interval of 50 samples covers about 89 %. The standard error of 400
    # experiments is 1.6 %, so a correct interval falls outside 84..95 % about once in 500 choices of seeds.
    assert 0.84 <= coverage(independent, 2.0) <= 0.95


def test_coverage_with_groups():
    # The same 50 independent values, each seen five times: the same band.
    assert 0.84 <= coverage(five_images_per_person, 2.0, grouped=True) <= 0.95


def test_ignoring_groups_makes_intervals_too_narrow():
    # Copies make the interval sqrt(5) too narrow: it covers 2 Phi(1.645 / sqrt 5) - 1 = 54 %, with a standard
    # error of 2.5 %.
    assert 0.44 <= coverage(five_images_per_person, 2.0) <= 0.64


def test_width_agrees_with_the_normal_approximation():
    values = np.random.default_rng(0).normal(size=2000)
    interval = bootstrap_interval(np.mean, values, n_resamples=2000, random_state=0)
    expected = 2 * 1.96 * values.std() / np.sqrt(2000)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)
    assert interval.estimate == values.mean()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=6, max_size=25))
def test_groups_are_drawn_whole_within_their_stratum(labels):
    groups, strata = np.array(labels).T
    units = {(g, s): np.flatnonzero((groups == g) & (strata == s)).tolist() for g, s in labels}
    if len(units) < 2:
        with pytest.raises(ValueError, match="at least two groups"):
            bootstrap_interval(np.mean, groups, groups=groups, strata=strata, n_resamples=3)
        return
    seen = []
    bootstrap_interval(
        lambda rows: seen.append(rows) or 0.0,
        np.arange(len(labels)),
        groups=groups,
        strata=strata,
        n_resamples=5,
        random_state=0,
    )
    for rows in seen[1:]:
        times = np.bincount(rows, minlength=len(labels))
        assert all(len(set(times[members])) == 1 for members in units.values())
        for s in set(strata.tolist()):
            in_stratum = [members for (_, stratum), members in units.items() if stratum == s]
            assert sum(times[members[0]] for members in in_stratum) == len(in_stratum)


def test_arrays_are_resampled_together():
    x = np.arange(30)

    def paired(a, b):
        assert np.array_equal(2 * a, b)
        return a.mean()

    bootstrap_interval(paired, x, 2 * x, n_resamples=20, random_state=0)


def test_seeds_decide_the_interval():
    values = np.random.default_rng(1).normal(size=40)
    first, again, other = (bootstrap_interval(np.mean, values, random_state=s) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_constant_data_has_an_interval_of_zero_width():
    assert bootstrap_interval(np.mean, np.full(10, 3.0), random_state=0) == (3.0, 3.0, 3.0)


def test_an_undefined_resample_makes_the_interval_undefined():
    interval = bootstrap_interval(lambda x: np.nan if (x == 0).all() else 1.0, [0, 1], random_state=0)
    assert interval.estimate == 1.0
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval(np.mean), "at least one array"),
        (lambda: bootstrap_interval(np.mean, [1, 2], [1]), "same first dimension"),
        (lambda: bootstrap_interval(np.mean, [1]), "at least two samples"),
        (lambda: bootstrap_interval(np.mean, [1, 2], groups=["a", "a"]), "at least two groups"),
        (lambda: bootstrap_interval(np.mean, [1, 2], groups=["a"]), "groups must have shape"),
        (lambda: bootstrap_interval(np.mean, [1, 2], strata=[[0], [1]]), "strata must have shape"),
        (lambda: bootstrap_interval(lambda x: x, [1, 2]), "single number"),
        (lambda: bootstrap_interval(np.mean, [1, 2], confidence=95), "confidence must lie"),
        (lambda: bootstrap_interval(np.mean, [1, 2], n_resamples=0), "n_resamples must be"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
