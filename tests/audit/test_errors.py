"""Attacks on regressors: against brute force, scipy and answers known in advance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import kstest, mannwhitneyu, norm

from mlunlearn.audit import (
    calibrated_attack,
    error_attack,
    loss_gap,
    residual_features,
    row_differences,
    sample_errors,
    shadow_attack,
    target_kinds,
    tpr_at_fpr,
)

ERRORS = hnp.arrays(float, st.integers(4, 25), elements=st.sampled_from(np.linspace(0, 3, 13).tolist()))


def spread(n, m):
    """Standard deviation of an AUC of two samples of one distribution."""
    return np.sqrt((n + m + 1) / (12 * n * m))


@settings(max_examples=8)
@given(ERRORS, ERRORS)
def test_the_auc_of_errors_is_that_of_mann_and_whitney(forget, unseen):
    result = error_attack(forget, unseen)
    assert result.auc == pytest.approx(mannwhitneyu(-forget, -unseen).statistic / (forget.size * unseen.size))
    assert error_attack(forget**2, unseen**2).auc == pytest.approx(result.auc)


@settings(max_examples=8)
@given(ERRORS, ERRORS, st.randoms(use_true_random=False))
def test_with_kinds_only_pairs_of_one_kind_are_compared(forget, unseen, random):
    of_unseen = np.arange(unseen.size) % 2
    of_forget = np.array([random.randrange(2) for _ in forget])
    result = error_attack(forget, unseen, kinds_forget=of_forget, kinds_unseen=of_unseen)
    wins = [
        np.mean([float(a < b) + 0.5 * float(a == b) for b in unseen[of_unseen == kind]])
        for a, kind in zip(forget, of_forget, strict=True)
    ]
    np.testing.assert_allclose(result.of_members.scores, wins, atol=1e-12)


def test_kinds_take_away_what_a_row_s_kind_explains():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1], 500)
    hard = np.where(kinds, 10.0, 1.0)
    forget, unseen = (np.abs(rng.normal(size=1000)) * hard for _ in range(2))
    forget, of_forget = forget[400:], kinds[400:]  # mostly hard rows, as where a band was forgotten
    blind = error_attack(forget, unseen)
    matched = error_attack(forget, unseen, kinds_forget=of_forget, kinds_unseen=kinds)
    assert blind.auc < 0.5 - 4 * spread(600, 1000)
    assert abs(matched.auc - 0.5) < 4 * spread(600, 1000)  # wrong once in 16,000
    assert abs(matched.accuracy - 0.5) < 0.05


def test_rates_at_low_fpr_are_those_of_the_function():
    rng = np.random.default_rng(1)
    forget, unseen = rng.exponential(1.0, 300), rng.exponential(3.0, 400)
    result = error_attack(forget, unseen)
    assert result.tpr_at_fpr_0_01 == tpr_at_fpr(-forget, -unseen, 0.01)
    # exponentials: P(a < b) = 3 / 4
    assert result.auc == pytest.approx(0.75, abs=4 * spread(300, 400))


def test_a_threshold_reaches_what_the_best_one_reaches():
    """Residuals N(0, 1) and N(0, 4): the best threshold on |r|, by scipy, gives the best balanced accuracy."""
    rng = np.random.default_rng(2)
    forget, unseen = np.abs(rng.normal(0, 1, 4000)), np.abs(rng.normal(0, 2, 4000))
    grid = np.linspace(0.01, 6, 2000)
    best = np.max(0.5 + (norm.cdf(grid) - norm.cdf(grid / 2)))
    assert error_attack(forget, unseen).accuracy == pytest.approx(best, abs=0.02)


def test_kinds_of_targets():
    y = np.arange(1000.0)
    forget, unseen = target_kinds(y[200:400], y)
    assert set(forget) == set(range(5))
    assert np.flatnonzero(unseen >= 0).tolist() == list(range(200, 400))
    np.testing.assert_array_equal(unseen[200:400], forget)
    few = target_kinds(y[:8], np.repeat(3.0, 25))
    assert few[0].max() == few[1].max() == 0  # ten unseen rows are in one range alone
    assert target_kinds(np.ones((6, 2)), np.ones((30, 2)))[1].tolist() == [0] * 30


def test_kinds_that_cannot_be_compared_are_refused():
    errors = np.ones(6)
    with pytest.raises(ValueError, match="2 forgotten rows have no unseen row"):
        error_attack(errors, errors, kinds_forget=[0, 0, 0, 0, 7, 7], kinds_unseen=[0] * 6)
    with pytest.raises(ValueError, match="one side only"):
        error_attack(errors, errors, kinds_forget=[0] * 6)
    with pytest.raises(ValueError, match="NaN"):
        error_attack([np.nan, 1.0], errors)


@given(hnp.arrays(float, (3, 7), elements=st.floats(0, 9)), hnp.arrays(float, 7, elements=st.floats(0, 9)))
def test_the_gap_is_the_loss_less_the_references_mean(theirs, ours):
    by_hand = [o - sum(theirs[k][i] for k in range(3)) / 3 for i, o in enumerate(ours)]
    np.testing.assert_allclose(loss_gap(ours, theirs), by_hand, atol=1e-12)


def test_what_is_hard_about_a_row_cancels():
    """The model saw the forgotten rows: it fits them better by 0.3, beside a difficulty of the rows of spread 10."""
    rng = np.random.default_rng(3)
    hard = rng.gamma(1.0, 10.0, size=1200)
    model, *references = (hard + rng.normal(0, 0.2, 1200) for _ in range(4))
    model[:600] -= 0.3
    references = np.array(references)
    blind = error_attack(model[:600], model[600:])
    seeing = calibrated_attack(model[:600], model[600:], references[:, :600], references[:, 600:])
    assert abs(blind.auc - 0.5) < 0.1
    # the gap has standard deviation 0.2 sqrt(1 + 1/3) on both sides, so AUC = Phi(0.3 / (0.2 sqrt(4/3) sqrt 2))
    known = norm.cdf(0.3 / (0.2 * np.sqrt(4 / 3) * np.sqrt(2)))
    assert seeing.auc == pytest.approx(known, abs=4 * spread(600, 600))


def test_a_reference_is_not_found_by_the_others():
    rng = np.random.default_rng(4)
    hard = rng.gamma(1.0, 10.0, size=1000)
    models = hard + rng.normal(0, 1, (4, 1000))
    for i in range(4):
        others = np.delete(models, i, axis=0)
        auc = calibrated_attack(models[i, :500], models[i, 500:], others[:, :500], others[:, 500:]).auc
        assert abs(auc - 0.5) < 4 * spread(500, 500)  # wrong once in 16,000


def test_references_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="one row a model"):
        loss_gap([1.0, 2.0], [[1.0, 2.0, 3.0]])


def test_features_of_residuals():
    np.testing.assert_allclose(
        residual_features([[1.0, 2.0], [0.0, 0.0]], [[2.0, -1.0], [0.0, 1.0]]),
        [[2.0, -1.0, 3.0, 0.5], [0.5, 0.5, 1.0, 0.5]],
    )


def test_a_shadow_teaches_what_one_number_cannot_say():
    """Members have residuals of middling size, others small or large ones: no threshold on the size tells them."""
    rng = np.random.default_rng(5)

    def residuals(member, n):
        size = rng.uniform(1, 2, n) if member else np.where(rng.random(n) < 0.5, rng.uniform(0, 1, n), 3.0)
        return size * rng.choice([-1, 1], n)

    y = np.zeros(400)
    rows = [residual_features(y, residuals(member, 400)) for member in (True, False, True, False)]
    assert shadow_attack(*rows).auc > 0.99
    sizes = [sample_errors(y, part[:, 1]) for part in rows[2:]]
    assert 0.4 < error_attack(*sizes).auc < 0.6
    swapped = shadow_attack(rows[0], rows[1], rows[3], rows[2])
    assert swapped.auc < 0.01


def test_a_shadow_finds_nothing_where_nothing_is():
    """P values of sixteen attacks on one distribution are uniform (wrong once in 1,000)."""
    rng = np.random.default_rng(6)
    parts = rng.normal(size=(16, 4, 60, 3))
    aucs = [shadow_attack(*four, random_state=0).auc for four in parts]
    z = (np.array(aucs) - 0.5) / spread(60, 60)
    assert kstest(norm.cdf(z), "uniform").pvalue > 0.001


def test_the_same_seed_gives_the_same_attack_and_few_rows_give_no_error():
    rng = np.random.default_rng(7)
    parts = [rng.normal(size=(n, 2)) for n in (300, 300, 50, 50)]
    first, again = (shadow_attack(*parts, max_per_side=100) for _ in range(2))
    assert (first.auc, first.accuracy) == (again.auc, again.accuracy)
    tiny = [part[:4] for part in parts]
    assert shadow_attack(*tiny).auc == 0.5
    with pytest.raises(ValueError, match="the same features"):
        shadow_attack(parts[0][:, :1], *parts[1:])


def test_differences_refuse_to_broadcast():
    for a, b in itertools.permutations([np.zeros(3), np.zeros((3, 1))]):
        with pytest.raises(ValueError, match="sample by sample"):
            row_differences(a, b)
