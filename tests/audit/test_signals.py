"""Per-sample losses, entropies and margins against closed forms, scipy and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import log_loss

from mlunlearn.audit.metrics.signals import (
    binary_cross_entropy,
    cross_entropy,
    entropy,
    logit_scaled_confidence,
    margin,
    membership_features,
    modified_entropy,
)

RNG = np.random.default_rng(0)
PROBA = RNG.dirichlet(np.ones(4), size=200)
Y = RNG.integers(0, 4, size=200)


def test_cross_entropy_averages_to_log_loss():
    assert cross_entropy(PROBA, Y).mean() == pytest.approx(log_loss(Y, PROBA, labels=range(4)))


def test_binary_cross_entropy_averages_to_the_mean_log_loss_of_the_labels():
    proba = RNG.uniform(0.01, 0.99, size=(100, 3))
    bits = RNG.integers(0, 2, size=(100, 3))
    expected = np.mean([log_loss(bits[:, j], proba[:, j], labels=[0, 1]) for j in range(3)])
    assert binary_cross_entropy(proba, bits).mean() == pytest.approx(expected)


def test_entropy_agrees_with_scipy():
    np.testing.assert_allclose(entropy(PROBA), scipy_entropy(PROBA, axis=1))


def test_modified_entropy_of_two_classes_has_a_closed_form():
    p = np.linspace(0.01, 0.99, 50)
    computed = modified_entropy(np.column_stack([p, 1.0 - p]), np.zeros(50, dtype=int))
    np.testing.assert_allclose(computed, -2.0 * (1.0 - p) * np.log(p))


def test_modified_entropy_tells_confident_right_from_confident_wrong():
    confident = np.array([[0.999, 0.001]] * 2)
    right, wrong = modified_entropy(confident, [0, 1])
    assert right < 0.01
    assert wrong > 10.0
    assert entropy(confident)[0] == entropy(confident)[1]


def test_margin_of_two_classes_is_the_difference_of_logits():
    z = np.linspace(-600.0, 600.0, 41)
    logits = np.column_stack([z, np.zeros(41)])
    np.testing.assert_allclose(margin(logits, np.zeros(41, dtype=int)), z)


@settings(deadline=None)
@given(
    arrays(np.float64, (6, 3), elements=st.floats(-200.0, 200.0)),
    arrays(np.int64, 6, elements=st.integers(0, 2)),
)
def test_logit_scaled_confidence_is_the_margin(logits, y):
    np.testing.assert_allclose(
        logit_scaled_confidence(softmax(logits, axis=1), y), margin(logits, y), rtol=1e-7, atol=1e-7
    )


@settings(deadline=None)
@given(arrays(np.float64, (6, 3), elements=st.floats(-50.0, 50.0)), st.floats(-50.0, 50.0))
def test_margin_ignores_a_constant_added_to_all_logits(logits, constant):
    y = np.array([0, 1, 2, 0, 1, 2])
    np.testing.assert_allclose(margin(logits + constant, y), margin(logits, y), atol=1e-9)


def test_logit_scaled_confidence_is_the_logit_of_the_true_class():
    p = np.linspace(0.01, 0.99, 50)
    proba = np.column_stack([p, (1.0 - p) / 2, (1.0 - p) / 2])
    np.testing.assert_allclose(expit(logit_scaled_confidence(proba, np.zeros(50, dtype=int))), p)


def test_zero_probabilities_give_finite_scores_in_the_right_order():
    proba = np.array([[1.0, 0.0], [1.0 - 1e-15, 1e-15], [1.0, 1e-200], [0.0, 1.0]])
    y = np.zeros(4, dtype=int)
    phi = logit_scaled_confidence(proba, y)
    assert np.isfinite(phi).all()
    assert phi[0] > phi[2] > phi[1] > phi[3]
    for values in (cross_entropy(proba, y), modified_entropy(proba, y), entropy(proba)):
        assert np.isfinite(values).all()
        assert (values >= 0.0).all()
        assert not np.signbit(values).any()
    assert np.isfinite(binary_cross_entropy([[0.0, 1.0]], [[1, 0]])).all()


def test_single_precision_rows_are_accepted():
    logits = RNG.normal(size=(50, 10)).astype(np.float32)
    single = softmax(logits, axis=1)
    assert single.dtype == np.float32
    np.testing.assert_allclose(
        logit_scaled_confidence(single, np.zeros(50, dtype=int)),
        margin(logits, np.zeros(50, dtype=int)),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("correctness", [[1.0], [0.0]]),
        ("confidence", [[0.75], [0.25]]),
        ("entropy", [[0.5623351446188083], [0.5623351446188083]]),
        ("modified_entropy", [[-0.5 * math.log(0.75)], [-1.5 * math.log(0.25)]]),
        ("probabilities", [[0.75, 0.25], [0.75, 0.25]]),
    ],
)
def test_membership_features(feature, expected):
    np.testing.assert_allclose(membership_features([[0.75, 0.25], [0.75, 0.25]], [0, 1], feature), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cross_entropy([[0.5, 0.5]], [0, 1]), "must have shape \\(1,\\)"),
        (lambda: cross_entropy([[0.5, 0.5]], [2]), "must lie in 0..1"),
        (lambda: cross_entropy([[0.5, 0.5]], [-1]), "must lie in 0..1"),
        (lambda: cross_entropy([[0.5, 0.5]], ["cat"]), "searchsorted"),
        (lambda: cross_entropy([["a", "b"]], [0]), "must be numeric"),
        (lambda: cross_entropy(np.empty((0, 2)), []), "is empty"),
        (lambda: binary_cross_entropy([[0.5, 0.5]], [[0, 2]]), "0 and 1"),
        (lambda: binary_cross_entropy([[1.5]], [[1]]), "apply softmax or sigmoid"),
        (lambda: margin([[1.0]], [0]), "one column per class"),
        (lambda: margin([[np.inf, 0.0]], [0]), "NaN or infinity"),
        (lambda: membership_features([[0.5, 0.5]], [0], "loss"), "feature must be"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
