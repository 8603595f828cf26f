"""Accuracy gaps, benchmark scores and cost against published cells and hand-made answers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from mlunlearn.audit.metrics.accuracy import (
    accuracy,
    accuracy_gap,
    accuracy_retention,
    average_gap,
    group_accuracy,
    sape,
    tow,
)
from mlunlearn.audit.metrics.benchmark import efficiency, forgetting_score, nomus, scaled_score

fractions = st.floats(0.0, 1.0)
numbers = st.floats(-1e6, 1e6)
groups_of_three = st.fixed_dictionaries({"forget": fractions, "retain": fractions, "test": fractions})

# Test accuracy, forgetting score and NoMUS as printed by the authors of the face benchmarks, in the order
# Original, Retrained, Fine-tune, CF-3, NegGrad, UNSIR stage 1, UNSIR stage 2, SCRUB, Advanced NegGrad.
PUBLISHED = {
    "MUFAC": (
        [0.5951, 0.4880, 0.6055, 0.5900, 0.4048, 0.5893, 0.5925, 0.5984, 0.5633],
        [0.2136, 0.0445, 0.2129, 0.2126, 0.0485, 0.2089, 0.1990, 0.1415, 0.0953],
        [0.5839, 0.6995, 0.5898, 0.5824, 0.6539, 0.5857, 0.5972, 0.6577, 0.6863],
    ),
    "MUCAC multi-label": (
        [0.8852, 0.8135, 0.9147, 0.9197, 0.4193, 0.7087, 0.9220, 0.9073, 0.7607],
        [0.0568, 0.0436, 0.0708, 0.0685, 0.0356, 0.0324, 0.0705, 0.0478, 0.0152],
        [0.8858, 0.8631, 0.8865, 0.8913, 0.6740, 0.8219, 0.8905, 0.9058, 0.8651],
    ),
    "MUCAC male": (
        [0.9835, 0.9515, 0.9849, 0.9840, 0.1762, 0.9481, 0.9845, 0.1762, 0.9147],
        [0.0306, 0.0154, 0.0281, 0.0291, 0.1289, 0.0638, 0.0481, 0.1329, 0.0129],
        [0.9611, 0.9603, 0.9643, 0.9629, 0.4592, 0.9102, 0.9441, 0.4552, 0.9444],
    ),
    "MUCAC smiling": (
        [0.9467, 0.6518, 0.9476, 0.9472, 0.5549, 0.8619, 0.9506, 0.5549, 0.9423],
        [0.0346, 0.0182, 0.0279, 0.0294, 0.0366, 0.0416, 0.0271, 0.4680, 0.0354],
        [0.9387, 0.8077, 0.9459, 0.9442, 0.7408, 0.8893, 0.9482, 0.3094, 0.9357],
    ),
    "MUCAC young": (
        [0.9089, 0.8271, 0.9147, 0.9118, 0.1733, 0.8260, 0.9021, 0.8929, 0.5573],
        [0.0456, 0.0234, 0.0426, 0.0456, 0.0513, 0.0229, 0.0493, 0.0428, 0.0139],
        [0.9088, 0.8901, 0.9147, 0.9103, 0.5353, 0.8901, 0.9017, 0.9036, 0.7647],
    ),
}


@pytest.mark.parametrize("table", PUBLISHED)
def test_nomus_reproduces_published_cells(table):
    utilities, forgettings, published = PUBLISHED[table]
    computed = [nomus(u, f) for u, f in zip(utilities, forgettings, strict=True)]
    np.testing.assert_allclose(computed, published, rtol=0, atol=2e-4)


def test_all_published_cells_are_compared():
    assert sum(len(cells[2]) for cells in PUBLISHED.values()) == 45


def test_nomus_weight_moves_between_forgetting_and_utility():
    assert nomus(0.3, 0.1, weight=1.0) == pytest.approx(0.3)
    assert nomus(0.3, 0.1, weight=0.0) == pytest.approx(0.8)


@settings(deadline=None)
@given(utility=fractions, forgetting=st.floats(0.0, 0.5), weight=fractions)
def test_nomus_stays_in_unit_interval(utility, forgetting, weight):
    assert 0.0 <= nomus(utility, forgetting, weight=weight) <= 1.0 + 1e-12


@settings(deadline=None)
@given(attack_accuracy=fractions)
def test_forgetting_score_ignores_the_side_of_chance(attack_accuracy):
    assert forgetting_score(attack_accuracy) == pytest.approx(forgetting_score(1.0 - attack_accuracy))


@pytest.mark.parametrize(("attack_accuracy", "expected"), [(0.5, 0.0), (1.0, 0.5), (0.0, 0.5)])
def test_forgetting_score_at_its_ends(attack_accuracy, expected):
    assert forgetting_score(attack_accuracy) == expected


def test_accuracy_agrees_with_scikit_learn_for_one_label():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 3, size=(2, 50))
    assert accuracy(y_true, y_pred) == pytest.approx(accuracy_score(y_true, y_pred))


def test_accuracy_of_several_labels_is_the_mean_of_single_label_accuracies():
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.integers(0, 2, size=(2, 40, 3))
    single = [accuracy_score(y_true[:, j], y_pred[:, j]) for j in range(3)]
    assert accuracy(y_true, y_pred) == pytest.approx(np.mean(single))


def test_group_accuracy_agrees_with_scikit_learn_on_each_group():
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.integers(0, 3, size=(2, 60))
    groups = rng.choice(["forget", "retain", "test"], size=60)
    by_group = group_accuracy(y_true, y_pred, groups)
    assert list(by_group) == ["forget", "retain", "test"]
    for name, value in by_group.items():
        rows = groups == name
        assert value == pytest.approx(accuracy_score(y_true[rows], y_pred[rows]))


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=20), st.randoms())
def test_group_accuracy_ignores_the_order_of_samples(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert group_accuracy(*map(list, zip(*rows, strict=True))) == pytest.approx(
        group_accuracy(*map(list, zip(*shuffled, strict=True)))
    )


@settings(deadline=None)
@given(accuracies=groups_of_three)
def test_retrained_model_has_no_gap_to_itself(accuracies):
    assert average_gap(accuracies, accuracies) == 0.0
    assert tow(accuracies, accuracies) == 1.0
    assert all(accuracy_gap(a, a) == 0.0 for a in accuracies.values())
    assert all(accuracy_retention(a, a) == 1.0 for a in accuracies.values() if a > 0.0)


@settings(deadline=None)
@given(ours=groups_of_three, theirs=groups_of_three)
def test_gap_scores_are_symmetric_and_bounded(ours, theirs):
    assert 0.0 <= tow(ours, theirs) <= 1.0
    assert 0.0 <= average_gap(ours, theirs) <= 1.0
    assert tow(ours, theirs) == tow(theirs, ours)
    assert average_gap(ours, theirs) == average_gap(theirs, ours)


def test_tow_is_zero_when_one_accuracy_is_lost_completely():
    retrained = {"forget": 0.4, "retain": 1.0, "test": 0.4}
    assert tow({"forget": 0.4, "retain": 0.0, "test": 0.4}, retrained) == 0.0


def test_tow_multiplies_the_three_gaps():
    retrained = {"forget": 0.6, "retain": 0.9, "test": 0.5}
    unlearned = {"forget": 0.8, "retain": 0.8, "test": 0.0, "attack": 0.9}
    assert tow(unlearned, retrained) == pytest.approx(0.8 * 0.9 * 0.5)


def test_signed_gap_tells_over_from_under_forgetting():
    assert accuracy_gap(0.9, 0.6, signed=True) == pytest.approx(0.3)
    assert accuracy_gap(0.2, 0.6, signed=True) == pytest.approx(-0.4)


def test_retention_without_reference_accuracy_is_not_a_number():
    assert math.isnan(accuracy_retention(0.2, 0.0))


@settings(deadline=None)
@given(a=numbers, b=numbers)
def test_sape_is_symmetric_and_bounded(a, b):
    assert sape(a, b) == sape(b, a)
    assert 0.0 <= sape(a, b) <= 100.0 + 1e-9


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.0, 0.0, 0.0), (0.0, 3.0, 100.0), (-1.0, 1.0, 100.0), (3.0, 1.0, 50.0)]
)
def test_sape_known_values(a, b, expected):
    assert sape(a, b) == pytest.approx(expected)


def test_scaled_score_runs_from_the_original_to_the_null():
    assert scaled_score(unlearned=0.9, original=0.9, reference=0.5) == 0.0
    assert scaled_score(unlearned=0.5, original=0.9, reference=0.5) == pytest.approx(1.0)
    assert scaled_score(unlearned=0.1, original=0.9, reference=0.5) == pytest.approx(2.0)
    assert math.isnan(scaled_score(unlearned=0.5, original=0.5, reference=0.5))


def test_speedup_is_retraining_over_unlearning():
    assert efficiency(seconds_unlearn=4.0, seconds_retrain=2.0) == {"seconds": 4.0, "speedup": 0.5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy([0, 1], [0]), "same shape"),
        (lambda: accuracy([], []), "not empty"),
        (lambda: group_accuracy([0, 1], [0, 1], ["forget"]), "one per sample"),
        (lambda: accuracy_gap(90.0, 0.5), "unlearned must lie in"),
        (lambda: accuracy_gap(float("nan"), 0.5), "unlearned must lie in"),
        (lambda: average_gap({"forget": 0.1}, {"test": 0.1}), "same keys"),
        (lambda: average_gap({}, {}), "non-empty mapping"),
        (lambda: tow({"forget": 0.1, "retain": 0.2}, {"forget": 0.1, "retain": 0.2}), "lacks \\['test'\\]"),
        (lambda: nomus(0.5, 0.6), "forgetting must lie in"),
        (lambda: sape(float("inf"), 1.0), "a must be a finite number"),
        (lambda: efficiency(0.0, 1.0), "times must be positive"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
