"""Verdicts against known answers: exact permutation counts, Student's test, and error rates by simulation."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, ttest_ind
from sklearn.metrics import roc_auc_score

from mlunlearn.audit import agreement_statistic, decide, distance_statistic, level_statistic, membership_statistic
from mlunlearn.audit.exchangeability import comparability
from mlunlearn.audit.intervals.contrast import over_models, over_rows
from mlunlearn.audit.verdict import favourable_only_if_found, holm

N_FORGET, N_UNSEEN = 60, 200
IS_FORGET = np.arange(N_FORGET + N_UNSEEN) < N_FORGET


def scores(rng, n_models, held=0.0, shared=0.7):
    """Scores of models on the same rows: hard and easy rows are so for every model; members score higher."""
    difficulty = rng.normal(size=IS_FORGET.size)
    noise = rng.normal(size=(n_models, IS_FORGET.size))
    return shared * difficulty + (1 - shared) * noise + 2.0 * (rng.random(IS_FORGET.size) < held) * IS_FORGET


def test_the_membership_statistic_is_a_difference_of_aucs():
    ours, *theirs = scores(np.random.default_rng(0), 4)
    statistic = membership_statistic(ours, np.array(theirs), IS_FORGET)
    aucs = [roc_auc_score(IS_FORGET, one) for one in (ours, *theirs)]
    assert statistic.value == pytest.approx(aucs[0])
    assert statistic.difference.estimate == pytest.approx(aucs[0] - np.mean(aucs[1:]))


def test_within_labels_it_is_the_mean_of_the_aucs_of_the_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=IS_FORGET.size)
    ours, *theirs = scores(rng, 3)
    statistic = membership_statistic(ours, np.array(theirs), IS_FORGET, strata=labels)
    aucs = [roc_auc_score(IS_FORGET[labels == k], ours[labels == k]) for k in range(3)]
    weights = [IS_FORGET[labels == k].sum() / N_FORGET for k in range(3)]
    assert statistic.value == pytest.approx(np.dot(aucs, weights))


def test_the_permutation_test_counts_what_enumeration_counts():
    rng = np.random.default_rng(1)
    values = rng.normal(size=9)
    values[:3] += 1.0
    mask = np.arange(9) < 3
    tested = over_rows(values, mask, np.zeros(9, dtype=int), None, 0)
    every = [values[list(c)].mean() - np.delete(values, c).mean() for c in combinations(range(9), 3)]
    expected = np.mean(np.abs(every) >= abs(every[0]) - 1e-12)
    assert tested.p_value == pytest.approx(expected, abs=4 * np.sqrt(expected / 1999))


def test_the_test_over_models_is_students():
    theirs = np.random.default_rng(2).normal(size=6)
    ours = theirs.mean() + 2.5 * theirs.std(ddof=1)
    tested = over_models(ours, theirs, floor=0.0)
    expected = ttest_ind([ours], theirs, equal_var=True)  # one against six: the pooled variance is that of the six
    assert tested.p_value == pytest.approx(expected.pvalue)
    assert tested.df == 5


def test_equal_references_prove_nothing_beyond_the_noise_of_rows():
    assert over_models(0.71, np.array([0.7, 0.7]), floor=0.02**2).p_value > 0.5
    assert over_models(0.71, np.array([0.7, 0.7]), floor=0.0).p_value == 0.0
    assert over_models(0.7 + 1e-12, np.array([0.7, 0.7]), floor=0.0).p_value == 1.0


@pytest.mark.parametrize("n_references", [2, 3, 5])
@pytest.mark.parametrize("by", ["rows", "labels", "models", "persons"])
def test_an_exact_model_is_called_distinguishable_at_most_as_often_as_stated(by, n_references):
    """300 draws at 5 %: more than 26 alarms happen with a chance of 0.3 %."""
    rng = np.random.default_rng([n_references, len(by)])
    alarms, groups = 0, np.arange(IS_FORGET.size) // 4
    for _ in range(300):
        labels = rng.integers(3, size=IS_FORGET.size)
        said = scores(rng, n_references + 1)
        how = {"strata": labels} if by == "labels" else {}
        if by == "persons":
            said += rng.normal(size=(n_references + 1, groups.max() + 1))[:, groups]
            how = {"groups": groups}
        if by == "models":  # forgotten rows unlike unseen ones, and every seed treats them in its own way
            said += (1.0 + rng.normal(size=(n_references + 1, 1))) * IS_FORGET
            how = {"exchangeable": False}
        statistics = [
            membership_statistic(said[0], said[1:], IS_FORGET, **how),
            level_statistic(said[0, N_FORGET:], said[1:, N_FORGET:]),
        ]
        if n_references > 2:
            distance = np.abs(said[:, None] - said[None, :])
            statistics.append(agreement_statistic(distance[0, 1:], distance[1:, 1:], IS_FORGET, **how))
        alarms += decide(statistics).decision == "distinguishable from one"
    assert alarms <= binom.isf(0.003, 300, 0.05)


def test_what_a_verdict_says_it_would_find_it_finds():
    """80 % of 200 draws with that share left in; fewer than 140 happen with a chance below 0.1 %."""
    rng = np.random.default_rng(3)
    named, found = [], 0
    for _ in range(40):
        said, original = scores(rng, 4), None
        original = said[3] + 2.0 * IS_FORGET
        named.append(decide([membership_statistic(said[0], said[1:3], IS_FORGET, original=original)]).residue)
    share = float(np.median(named))
    assert 0.05 < share < 0.9
    for _ in range(200):
        said = scores(rng, 3)
        ours = said[0] + 2.0 * (rng.random(IS_FORGET.size) < share) * IS_FORGET
        found += decide([membership_statistic(ours, said[1:], IS_FORGET)]).decision == "distinguishable from one"
    assert 140 <= found <= 190


def test_verdicts_say_what_was_found_and_what_could_not_be():
    rng = np.random.default_rng(4)
    said = scores(rng, 4)
    member = said[3] + 4.0 * IS_FORGET
    favourable = decide([membership_statistic(said[0], said[1:3], IS_FORGET, original=member)])
    assert favourable.decision == "as a retrained model"
    assert "would mostly have been found" in str(favourable)
    assert decide([membership_statistic(said[0], said[1:3], IS_FORGET)]).residue is None
    little = decide([membership_statistic(said[0], said[1:3], IS_FORGET, original=said[3] + 0.01 * IS_FORGET)])
    assert little.decision == "cannot tell at this size"
    assert little.residue == np.inf
    assert favourable_only_if_found(favourable, little).decision == "cannot tell at this size"
    suppressed = decide([membership_statistic(said[0] - 4.0 * IS_FORGET, said[1:3], IS_FORGET)])
    assert "suppressed" in str(suppressed)
    assert decide([]).decision == "cannot tell at this size"


def test_a_constant_predictor_is_told_by_its_performance():
    rng = np.random.default_rng(5)
    theirs = rng.beta(5, 1, size=(5, 200))
    statistic = level_statistic(np.full(200, 1 / 3), theirs)
    assert statistic.difference.p_value < 1e-4
    assert "worse" in statistic.direction or "lower" in statistic.direction


def test_holm_agrees_with_its_definition():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


class TestComparability:
    def test_rows_drawn_alike_are_exchangeable_at_the_stated_rate(self):
        """200 draws at 5 % and 20 %: more than 20, or than 57, refusals happen with a chance of 0.2 %."""
        rng = np.random.default_rng(6)
        refused = dispersed = 0
        for _ in range(200):
            labels = rng.integers(3, size=IS_FORGET.size)
            found = comparability(scores(rng, 3), IS_FORGET, labels)
            refused += found.by_label or not found.alike
            dispersed += found.p_dispersion <= 0.2
        assert refused <= binom.isf(0.002, 200, 0.05)
        assert binom.ppf(0.002, 200, 0.2) <= dispersed <= binom.isf(0.002, 200, 0.2)

    @pytest.mark.parametrize("by", ["rows", "persons"])
    def test_references_that_shift_whole_regions_are_compared_over_models(self, by):
        """The shift of every model is as large as the scores' own deviation; most of 100 draws are seen."""
        rng = np.random.default_rng(10)
        groups = np.arange(IS_FORGET.size) // 4 if by == "persons" else None
        seen = 0
        for _ in range(100):
            said = scores(rng, 5) + rng.normal(size=(5, 1)) * IS_FORGET
            found = comparability(said - said[:, IS_FORGET].mean() * IS_FORGET, IS_FORGET, groups=groups)
            seen += not found.exchangeable
        assert seen >= 90

    def test_what_the_caller_knows_is_taken(self):
        said = scores(np.random.default_rng(11), 5)
        assert comparability(said - 2.0 * IS_FORGET, IS_FORGET, exchangeable=True).exchangeable
        told = comparability(said, IS_FORGET, exchangeable=False)
        assert not told.exchangeable
        assert "It was said" in str(told)
        shifted = said + np.array([[-3.0], [3.0], [0.0], [1.0], [-1.0]]) * IS_FORGET
        assert "more than chance between rows explains" in str(comparability(shifted, IS_FORGET))


def test_a_model_far_from_all_references_is_found_at_the_stated_rate():
    """300 exact models at 5 %: more than 26 alarms happen with a chance of 0.3 %."""
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(300):  # every model has a deviation of its own on all rows
        said = rng.normal(size=(6, 1)) + rng.normal(size=(6, 50))
        said = np.concatenate([said, rng.uniform(1.0, 2.0, size=(6, 1)) * rng.normal(size=(6, 400))], axis=1)
        distance = np.abs(said[:, None] - said[None, :])
        alarms += distance_statistic(distance[0, 1:], distance[1:, 1:]).difference.p_value <= 0.05
    assert alarms <= binom.isf(0.003, 300, 0.05)
    far = distance_statistic(distance[0, 1:] + 3.0, distance[1:, 1:])
    assert far.difference.p_value < 0.01
    assert "further" in far.direction

    def test_other_labels_are_matched(self):
        rng = np.random.default_rng(7)
        labels = np.where(
            IS_FORGET, rng.choice(3, IS_FORGET.size, p=[0.6, 0.3, 0.1]), rng.integers(3, size=IS_FORGET.size)
        )
        found = comparability(scores(rng, 3) + 3.0 * labels, IS_FORGET, labels)
        assert found.exchangeable
        assert found.by_label
        assert found.n_unmatched == 0
        assert "within labels" in str(found)

    def test_a_class_that_nobody_unseen_has_is_refused(self):
        labels = IS_FORGET.astype(int)
        found = comparability(scores(np.random.default_rng(8), 3), IS_FORGET, labels)
        assert not found.exchangeable
        assert found.n_unmatched == N_FORGET
        assert "non_members" in str(found)

    def test_mislabelled_rows_are_refused_and_matched_ones_are_not(self):
        said = scores(np.random.default_rng(9), 3)
        found = comparability(said - 2.0 * IS_FORGET, IS_FORGET, np.zeros(IS_FORGET.size))
        assert not found.exchangeable
        assert found.auc < 0.2
        assert comparability(said - 2.0, IS_FORGET, np.zeros(IS_FORGET.size)).exchangeable
