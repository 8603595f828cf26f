"""Membership attacks against closed forms, a perfect memoriser, the null and the published protocol."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

from mlunlearn.audit.attacks._splits import group_folds
from mlunlearn.audit.attacks.attack_result import AttackResult, tpr_at_fpr
from mlunlearn.audit.attacks.membership import entropy_attack, loss_attack, loss_spread_attack, svc_attack
from mlunlearn.audit.attacks.swap import swap_advantage, swap_quality
from mlunlearn.audit.attacks.threshold import threshold_attack
from mlunlearn.audit.metrics.benchmark import forgetting_score
from mlunlearn.audit.metrics.signals import cross_entropy, membership_features

# Distance of two unit Gaussians, and AUC, accuracy, TPR at FPR 1 % and 0.1 % of the best attack.
TWO_GAUSSIANS = [
    (0.0, 0.500, 0.500, 0.010, 0.001),
    (0.5, 0.638, 0.599, 0.034, 0.005),
    (1.0, 0.760, 0.691, 0.092, 0.018),
    (2.0, 0.921, 0.841, 0.372, 0.138),
    (3.0, 0.983, 0.933, 0.750, 0.464),
]
small_scores = arrays(np.float64, st.integers(1, 30), elements=st.integers(-5, 5))


def gaussian(n, mean=0.0):
    """A sample of size n whose empirical distribution is as close to the Gaussian as it can be."""
    return norm.ppf((np.arange(n) + 0.5) / n) + mean


def outputs(n, n_classes, confidence):
    """Probabilities that give the true class `confidence`, and the true classes."""
    y = np.arange(n) % n_classes
    proba = np.full((n, n_classes), (1.0 - confidence) / (n_classes - 1))
    proba[np.arange(n), y] = confidence
    return proba, y


def three_standard_errors(n, m):
    return 3.0 * math.sqrt((n + m + 1) / (12.0 * n * m))


class TestTprAtFpr:
    @pytest.mark.parametrize("row", TWO_GAUSSIANS, ids=lambda row: f"d={row[0]}")
    def test_closed_forms(self, row):
        d, _, _, at_1_percent, at_01_percent = row
        members, nonmembers = gaussian(200_000, d), gaussian(200_000)
        assert tpr_at_fpr(members, nonmembers, 0.01) == pytest.approx(at_1_percent, abs=0.005)
        assert tpr_at_fpr(members, nonmembers, 0.001) == pytest.approx(at_01_percent, abs=0.005)

    @settings(deadline=None)
    @given(small_scores, small_scores, st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0]))
    def test_equals_the_best_threshold_found_by_trying_all(self, members, nonmembers, fpr):
        computed = tpr_at_fpr(members, nonmembers, fpr)
        if len(nonmembers) * fpr < 1 - 1e-9:
            assert math.isnan(computed)
            return
        thresholds = [*members, *nonmembers, np.inf]
        allowed = [t for t in thresholds if (nonmembers >= t).mean() <= fpr + 1e-12]
        assert computed == pytest.approx(max((members >= t).mean() for t in allowed))

    @settings(deadline=None)
    @given(small_scores, small_scores)
    def test_grows_with_the_allowed_rate_and_ignores_monotone_transforms(self, members, nonmembers):
        rates = [tpr_at_fpr(members, nonmembers, f) for f in (0.1, 0.3, 1.0)]
        defined = [rate for rate in rates if not math.isnan(rate)]
        assert defined == sorted(defined)
        assert rates[-1] == 1.0
        np.testing.assert_equal(tpr_at_fpr(np.exp(members), np.exp(nonmembers), 0.3), rates[1])

    @pytest.mark.parametrize(("n", "fpr"), [(99, 0.01), (999, 0.001)])
    def test_a_rate_below_one_nonmember_is_not_reported(self, n, fpr):
        assert math.isnan(tpr_at_fpr(np.ones(10), np.zeros(n), fpr))
        assert tpr_at_fpr(np.ones(10), np.zeros(n + 1), fpr) == 1.0

    def test_tied_scores_count_as_false_positives(self):
        assert tpr_at_fpr(np.ones(50), np.ones(200), 0.01) == 0.0


class TestLossAttack:
    @pytest.mark.parametrize("row", TWO_GAUSSIANS, ids=lambda row: f"d={row[0]}")
    def test_closed_forms(self, row):
        d, auc, accuracy, at_1_percent, at_01_percent = row
        result = loss_attack(-gaussian(50_000, d), -gaussian(50_000))
        assert result.auc == pytest.approx(auc, abs=0.005)
        assert result.accuracy == pytest.approx(accuracy, abs=0.008)
        assert result.tpr_at_fpr_0_01 == pytest.approx(at_1_percent, abs=0.005)
        assert result.tpr_at_fpr_0_001 == pytest.approx(at_01_percent, abs=0.005)

    @pytest.mark.parametrize(("n_forget", "n_unseen"), [(150, 154), (400, 120)])
    def test_published_protocol(self, n_forget, n_unseen):
        rng = np.random.default_rng(0)
        forget, unseen = rng.exponential(1.0, n_forget), rng.exponential(1.5, n_unseen)
        shuffled = forget.copy()
        np.random.RandomState(42).shuffle(shuffled)
        kept = shuffled[:n_unseen]
        scores = cross_val_score(
            LogisticRegression(),
            np.concatenate([unseen, kept]).reshape(-1, 1),
            np.array([0] * n_unseen + [1] * len(kept)),
            cv=StratifiedShuffleSplit(n_splits=10, random_state=0),
            scoring="accuracy",
        )
        assert loss_attack(forget, unseen, trim="forget").accuracy == pytest.approx(scores.mean(), abs=1e-12)

    def test_both_ways_of_trimming_agree_for_enough_forget_samples(self):
        rng = np.random.default_rng(1)
        forget, unseen = rng.exponential(size=200), rng.exponential(size=100)
        both, published = loss_attack(forget, unseen), loss_attack(forget, unseen, trim="forget")
        assert (both.accuracy, both.tpr, both.fpr) == (published.accuracy, published.tpr, published.fpr)

    def test_few_forget_samples_do_not_look_detected(self):
        rng = np.random.default_rng(2)
        forget, unseen = rng.exponential(size=100), rng.exponential(size=2000)
        assert loss_attack(forget, unseen, trim="forget").accuracy > 0.9
        assert loss_attack(forget, unseen).accuracy == pytest.approx(0.5, abs=0.15)

    @pytest.mark.parametrize("n_classes", [2, 8, 100])
    def test_memoriser_is_found_completely(self, n_classes):
        forget = cross_entropy(*outputs(1500, n_classes, 1.0))
        unseen = cross_entropy(*outputs(1500, n_classes, 1.0 / n_classes))
        result = loss_attack(forget, unseen)
        assert (result.accuracy, result.auc) == (1.0, 1.0)
        assert (result.tpr_at_fpr_0_01, result.tpr_at_fpr_0_001) == (1.0, 1.0)
        assert (result.advantage, result.efficacy) == (1.0, 0.0)
        assert forgetting_score(result.accuracy) == 0.5

    def test_over_forgetting_scores_like_no_forgetting_but_its_auc_tells(self):
        result = loss_attack(np.full(200, 9.0), np.full(200, 1.0))
        assert result.accuracy == 1.0
        assert result.auc == 0.0

    def test_equal_losses_are_exactly_chance(self):
        result = loss_attack(np.ones(200), np.ones(200))
        assert (result.accuracy, result.auc, result.advantage) == (0.5, 0.5, 0.0)

    def test_null_distribution_of_the_forgetting_score(self):
        # 60 experiments with 1,500 identical losses a side. Expected: accuracy 0.500 with deviation 0.0145,
        # mean score 0.0125, 95 % below 0.023. Each band is about four standard errors of 60 experiments wide.
        rng = np.random.default_rng(3)
        accuracies = np.array(
            [loss_attack(rng.exponential(size=1500), rng.exponential(size=1500)).accuracy for _ in range(60)]
        )
        scores = [forgetting_score(a) for a in accuracies]
        assert accuracies.mean() == pytest.approx(0.5, abs=0.0075)
        assert accuracies.std() == pytest.approx(0.0145, abs=0.0055)
        assert np.mean(scores) == pytest.approx(0.0125, abs=0.0045)
        assert np.mean(np.array(scores) <= 0.023) >= 0.83

    @settings(deadline=None, max_examples=30)
    @given(arrays(np.float64, 20, elements=st.floats(0, 10)), arrays(np.float64, 20, elements=st.floats(0, 10)))
    def test_auc_is_mirrored_when_the_sides_are_exchanged(self, forget, unseen):
        assert loss_attack(forget, unseen).auc == pytest.approx(1.0 - loss_attack(unseen, forget).auc)

    def test_groups_replace_the_random_splits(self):
        people = np.repeat(np.arange(30), 10)
        separated = loss_attack(np.zeros(300), np.full(300, 2.0), forget_groups=people, unseen_groups=people + 100)
        assert separated.accuracy == 1.0
        rng = np.random.default_rng(4)
        null = loss_attack(
            np.repeat(rng.normal(size=30), 10),
            np.repeat(rng.normal(size=30), 10),
            forget_groups=people,
            unseen_groups=people + 100,
        )
        assert null.accuracy == pytest.approx(0.5, abs=0.2)  # 60 independent people


class TestLossSpreadAttack:
    def test_finds_a_spread_that_the_loss_attack_misses(self):
        forget, unseen = 3.0 * gaussian(2000), gaussian(2000)
        assert loss_attack(forget, unseen).auc == pytest.approx(0.5, abs=1e-6)
        # |3a| > |b| for independent unit Gaussians: 1 - (2 / pi) atan(1 / 3).
        expected = 1.0 - 2.0 / math.pi * math.atan(1.0 / 3.0)
        spread = loss_spread_attack(forget, unseen)
        assert spread.auc == pytest.approx(expected, abs=0.002)
        assert spread.accuracy > 0.65
        assert loss_spread_attack(unseen, forget).auc == pytest.approx(1.0 - expected, abs=0.002)

    def test_null(self):
        rng = np.random.default_rng(5)
        result = loss_spread_attack(rng.exponential(size=1000), rng.exponential(size=1000))
        assert result.auc == pytest.approx(0.5, abs=three_standard_errors(1000, 1000))


class TestSvcAttack:
    @pytest.mark.parametrize("feature", ["correctness", "confidence", "entropy", "modified_entropy", "probabilities"])
    def test_memoriser_and_retrained_model_are_told_apart(self, feature):
        known, unknown = outputs(200, 4, 0.999), outputs(200, 4, 0.2)
        retain, test = membership_features(*known, feature), membership_features(*unknown, feature)
        original = svc_attack(retain, test, forget=retain, unseen=test)
        assert (original.efficacy, original.accuracy, original.auc) == (0.0, 1.0, 1.0)
        retrained = svc_attack(retain, test, forget=test, unseen=test)
        assert (retrained.efficacy, retrained.accuracy, retrained.auc) == (1.0, 0.5, 0.5)

    @pytest.mark.parametrize("d", [1.0, 2.0])
    def test_closed_forms_for_the_linear_kernel(self, d):
        members, nonmembers = gaussian(1000, d), gaussian(1000)
        result = svc_attack(members, nonmembers, members, nonmembers, kernel="linear")
        assert result.accuracy == pytest.approx(norm.cdf(d / 2), abs=0.01)
        assert result.auc == pytest.approx(norm.cdf(d / math.sqrt(2)), abs=0.005)
        assert result.tpr_at_fpr_0_01 == pytest.approx(norm.cdf(d - norm.isf(0.01)), abs=0.01)

    def test_false_positives_are_measured_on_samples_kept_out_of_the_fit(self):
        # A kernel this wide-meshed can learn its own samples by heart; on fresh ones it must be at chance.
        rng = np.random.default_rng(6)
        retain, test, forget = rng.normal(size=(3, 400, 30))
        result = svc_attack(retain, test, forget)
        assert result.n_nonmembers == 200
        assert result.auc == pytest.approx(0.5, abs=three_standard_errors(400, 200))

    def test_balanced_fit_is_not_swayed_by_a_large_retain_set(self):
        rng = np.random.default_rng(7)
        retain, test, forget = rng.normal(size=3000), rng.normal(size=200), rng.normal(size=500)
        assert svc_attack(retain, test, forget, balanced=False).efficacy < 0.05
        assert 0.2 < svc_attack(retain, test, forget).efficacy < 0.8

    def test_number_of_fitted_samples_can_be_limited(self):
        # With one sample a side the boundary is the midpoint of the two.
        result = svc_attack([5.0, 5.0], [1.0, 1.0], [2.9, 3.1], [1.0], kernel="linear", max_per_side=1)
        assert result.tpr == 0.5


class TestEntropyAttack:
    def test_share_of_forget_samples_taken_for_members(self):
        confident, unsure = outputs(100, 3, 0.99)[0], outputs(100, 3, 0.4)[0]
        mixed = np.concatenate([confident[:25], unsure[:75]])
        result = entropy_attack(confident, unsure, mixed)
        assert result.tpr == 0.25
        assert result.name == "entropy"

    def test_the_label_does_not_matter(self):
        right, _ = outputs(100, 3, 0.99)
        unsure, _ = outputs(100, 3, 0.4)
        assert entropy_attack(right, unsure, right[:, [1, 2, 0]], unsure).tpr == 1.0


class TestThresholdAttack:
    @pytest.mark.parametrize("row", TWO_GAUSSIANS, ids=lambda row: f"d={row[0]}")
    def test_closed_forms(self, row):
        d, auc, accuracy, at_1_percent, at_01_percent = row
        y = np.zeros(100_000)
        result = threshold_attack(gaussian(100_000, d), y, gaussian(100_000), y, n_repeats=4)
        assert result.auc == pytest.approx(auc, abs=0.005)
        assert result.accuracy == pytest.approx(accuracy, abs=0.005)
        assert result.tpr_at_fpr_0_01 == pytest.approx(at_1_percent, abs=0.01)
        # 50 non-members lie above this threshold: at d = 3 their own error moves the rate by 0.012.
        assert result.tpr_at_fpr_0_001 == pytest.approx(at_01_percent, abs=0.04)

    def test_memoriser_is_found_completely(self):
        y = np.arange(3000) % 8
        result = threshold_attack(np.zeros(3000), y, np.full(3000, -math.log(8)), y, n_repeats=2)
        assert (result.accuracy, result.auc) == (1.0, 1.0)
        assert (result.tpr_at_fpr_0_01, result.tpr_at_fpr_0_001) == (1.0, 1.0)

    def test_one_threshold_per_class_beats_a_common_one(self):
        y = np.arange(2000) % 4
        members, nonmembers = gaussian(2000, 2.0) + 10 * y, gaussian(2000) + 10 * y
        per_class = threshold_attack(members, y, nonmembers, y, n_repeats=5)
        common = threshold_attack(members, 0 * y, nonmembers, 0 * y, n_repeats=5)
        assert per_class.accuracy == pytest.approx(norm.cdf(1.0), abs=0.03)
        assert common.accuracy < 0.65

    def test_thresholds_are_not_judged_on_the_samples_that_chose_them(self):
        # 40 classes of ten samples without any signal. Judged on the choosing samples the accuracy would
        # exceed 0.6.
        rng = np.random.default_rng(8)
        y = np.arange(400) % 40
        accuracies = [
            threshold_attack(rng.normal(size=400), y, rng.normal(size=400), y, n_repeats=5).accuracy for _ in range(10)
        ]
        assert np.mean(accuracies) == pytest.approx(0.5, abs=0.025)

    def test_a_person_in_both_halves_would_give_the_game_away(self):
        # One member and one non-member per class, 20 images each, all images of a person with the same score.
        rng = np.random.default_rng(9)
        people = np.repeat(np.arange(150), 20)
        members, nonmembers = rng.normal(size=150)[people], rng.normal(size=150)[people]
        by_image = threshold_attack(members, people, nonmembers, people, n_repeats=2)
        by_person = threshold_attack(
            members,
            people,
            nonmembers,
            people,
            groups_members=people,
            groups_nonmembers=people + 1000,
            n_repeats=2,
        )
        assert by_image.accuracy == pytest.approx(0.75, abs=0.08)
        assert by_person.accuracy == pytest.approx(0.5, abs=0.08)

    def test_a_class_without_nonmembers_uses_the_common_threshold(self):
        y_members, y_nonmembers = np.repeat([0, 1], 50), np.zeros(100)
        result = threshold_attack(np.full(100, 2.0), y_members, np.zeros(100), y_nonmembers)
        assert result.accuracy == 1.0

    def test_rates_that_half_the_nonmembers_cannot_resolve_are_absent(self):
        result = threshold_attack(np.ones(150), np.zeros(150), np.zeros(150), np.zeros(150))
        assert math.isnan(result.tpr_at_fpr_0_01)


class TestGroupFolds:
    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40),
        st.integers(2, 5),
        st.integers(0, 1000),
    )
    def test_groups_stay_whole_and_folds_have_both_sides(self, rows, n_folds, seed):
        groups, is_member = np.array([g for g, _ in rows]), np.array([m for _, m in rows])
        fold = group_folds(is_member, groups, n_folds, np.random.RandomState(seed))
        assert all(len(set(fold[groups == g])) == 1 for g in groups)
        for side in (is_member, ~is_member):
            if len(set(groups[side])) >= n_folds:
                assert set(fold[side]) == set(range(n_folds))


class TestSwap:
    @given(arrays(np.float64, (2, 4), elements=st.floats(-1, 1)))
    def test_bounds_symmetry_and_worst_case(self, advantages):
        first, second = advantages
        combined = swap_advantage(first, second)
        assert ((combined >= 0) & (combined <= 1)).all()
        assert np.array_equal(combined, swap_advantage(second, first))
        assert np.array_equal(swap_advantage(first, -first), np.zeros(4))
        assert swap_quality(first, second) == pytest.approx(1.0 - combined.max())
        assert swap_quality(first, second) <= swap_quality(first[:2], second[:2])

    def test_extremes(self):
        assert swap_quality(1.0, 1.0) == 0.0
        assert swap_quality(0.7, -0.7) == 1.0

    def test_a_model_that_saw_neither_set_has_no_advantage_although_they_differ(self):
        rng = np.random.default_rng(10)
        retain, other = rng.normal(2.0, 1.0, 300), rng.normal(0.0, 1.0, 300)
        forget, test = rng.normal(1.5, 1.0, 200), rng.normal(0.0, 1.0, 200)
        one = svc_attack(retain, other, forget=forget, unseen=test)
        two = svc_attack(retain, other, forget=test, unseen=forget)
        assert one.advantage > 0.3
        assert swap_advantage(one.advantage, two.advantage) == 0.0


def test_results_cannot_be_changed():
    result = loss_attack(np.zeros(20), np.ones(20))
    assert isinstance(result, AttackResult)
    with pytest.raises(AttributeError):
        result.accuracy = 0.5


TEN = np.arange(10.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tpr_at_fpr([1.0], [0.0], 0.0), "fpr must lie in"),
        (lambda: tpr_at_fpr([np.inf], [0.0], 0.1), "NaN or infinity"),
        (lambda: tpr_at_fpr([[1.0]], [0.0], 0.1), "must be 1-D"),
        (lambda: loss_attack([], TEN), "loss_forget is empty"),
        (lambda: loss_attack(TEN[:9], TEN), "smaller side has 9 samples"),
        (lambda: loss_attack(TEN, TEN, trim="unseen"), "trim must be"),
        (lambda: loss_attack(TEN, TEN, forget_groups=TEN), "one side only"),
        (lambda: loss_attack(TEN, TEN, forget_groups=TEN, unseen_groups=[0]), "must have shape \\(10,\\)"),
        (lambda: loss_attack(TEN, TEN, forget_groups=TEN, unseen_groups=0 * TEN), "at least two independent"),
        (lambda: svc_attack(TEN, TEN, np.ones((3, 2))), "same features"),
        (lambda: svc_attack(TEN, [1.0], TEN), "test has one sample"),
        (lambda: svc_attack(TEN, TEN, TEN, max_per_side=0), "max_per_side"),
        (lambda: threshold_attack(TEN, TEN[:3], TEN, TEN), "y_members must have shape"),
        (lambda: threshold_attack(TEN, TEN, TEN, TEN, n_repeats=0), "n_repeats"),
        (lambda: threshold_attack([1.0], [0], TEN, TEN), "at least two independent"),
        (lambda: swap_advantage([0.1, 0.2], [0.1]), "same attacks"),
        (lambda: swap_advantage(50.0, 0.0), "not percentages"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
