"""What is chance where rows were chosen together: limits with known answers, and error rates by simulation."""

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from mlunlearn.audit import decide, membership_statistic
from mlunlearn.audit.intervals.overdispersion import FACTORS, INDEPENDENT, Overdispersion

IS_FORGET = np.arange(260) < 60


def two_sided(estimate):
    return lambda factors: 2.0 * norm.sf(estimate * factors)


def test_many_references_that_show_independent_rows_leave_the_normal_test():
    seen = Overdispersion.seen(1.0, df=100_000)
    assert seen.p_value(two_sided(2.5)) == pytest.approx(2.0 * norm.sf(2.5), rel=0.01)
    scale, df = seen.as_student()
    assert scale == pytest.approx(1.0, abs=0.01)
    assert df > 1000


def test_many_references_that_are_further_apart_show_by_how_much():
    scale, df = Overdispersion.seen(9.0, df=100_000).as_student()
    assert scale == pytest.approx(3.0, rel=0.03)  # the factors stand 6 % apart
    assert df > 100


@pytest.mark.parametrize("df", [4, 9])
def test_references_far_apart_give_students_test_with_one_more_degree_of_freedom(df):
    """With the prior 1 / x for the factor, ratio r and n degrees of freedom: Student's with n + 1, scaled."""
    ratio = 100.0
    expected = 2.0 * t.sf(4.0 / np.sqrt(ratio * df / (df + 1) / ratio), df + 1)
    assert Overdispersion.seen(ratio, df).p_value(two_sided(4.0 * np.sqrt(ratio))) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("df", [1, 2, 4, 9])
def test_students_distribution_stands_for_the_mixture_between_its_two_levels(ratio, df):
    seen = Overdispersion.seen(ratio, df)
    scale, student_df = seen.as_student()
    for level in (0.05, 0.0125):
        critical = scale * t.isf(level / 2.0, student_df)
        assert seen.p_value(two_sided(critical)) == pytest.approx(level, rel=0.06)


def alarms(rng, factors, df, level):
    """Share of exact models that are called distinguishable, one for each factor."""
    ratios = factors**2 * rng.chisquare(df, len(factors)) / df
    estimates = np.abs(factors * rng.normal(size=len(factors)))
    pairs = zip(ratios, estimates, strict=True)
    return np.mean([Overdispersion.seen(ratio, df).p_value(two_sided(estimate)) <= level for ratio, estimate in pairs])


@pytest.mark.parametrize("df", [1, 4, 9])
def test_on_average_over_the_factors_errors_are_as_stated(df):
    """10,000 draws of factor, references and model: the share at 5 % has a standard error of 0.22 %."""
    rng = np.random.default_rng(0)
    factors = np.where(rng.random(10_000) < INDEPENDENT, 1.0, np.minimum(1.0 / rng.random(10_000), FACTORS[-1]))
    assert alarms(rng, factors, df, 0.05) == pytest.approx(0.05, abs=0.008)


@pytest.mark.parametrize(("df", "worst"), [(2, 0.13), (4, 0.1), (9, 0.08)])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0, 10.0])
def test_no_factor_makes_many_more_errors(df, worst, factor):
    """3,000 draws: a share of 12 % has a standard error of 0.6 %."""
    rng = np.random.default_rng([df, int(10 * factor)])
    assert alarms(rng, np.full(3000, factor), df, 0.05) <= worst + 3.0 * np.sqrt(worst * (1.0 - worst) / 3000)


def test_models_that_err_on_all_forgotten_rows_at_once_are_not_called_distinguishable():
    """100 exact models at 5 %: 13 or more alarms happen with a chance below 0.1 %. Mere permutation calls most so."""
    rng, found = np.random.default_rng(3), {True: 0, None: 0}
    for number in range(100):
        said = rng.normal(size=(6, IS_FORGET.size)) + rng.normal(size=(6, 1)) * IS_FORGET
        for how in found:
            statistic = membership_statistic(said[0], said[1:], IS_FORGET, exchangeable=how, random_state=number)
            found[how] += decide([statistic]).decision == "distinguishable from one"
    assert found[None] <= binom.isf(0.001, 100, 0.05)
    assert found[True] >= 50


def test_what_is_known_to_be_exchangeable_needs_a_smaller_difference():
    rng = np.random.default_rng(1)
    said = rng.normal(size=(6, IS_FORGET.size))
    known, unknown = (membership_statistic(said[0], said[1:], IS_FORGET, exchangeable=how) for how in (True, None))
    assert known.difference.estimate == unknown.difference.estimate
    assert known.difference.detectable(0.0125) < unknown.difference.detectable(0.0125)
