"""The logistic objective: against finite differences, and its minimum from anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from mlunlearn.certified import LogisticObjective, spectral_norm


def problem(seed, n=30, d=4, n_classes=3):
    rng = np.random.default_rng(seed)
    targets = np.eye(n_classes)[rng.integers(n_classes, size=n)]
    return LogisticObjective(rng.standard_normal((n, d)), targets, 0.05, rng.standard_normal((n_classes, d)))


def test_derivatives_are_those_of_finite_differences():
    objective = problem(0)
    w = np.random.default_rng(1).standard_normal((3, 4))

    def values(flat):
        return objective._values(flat.reshape(3, 4)).sum()

    def gradient(flat):
        return objective.gradient(flat.reshape(3, 4)).ravel()

    np.testing.assert_allclose(gradient(w.ravel()), approx_fprime(w.ravel(), values, 1e-6), atol=1e-4)
    step = np.random.default_rng(2).standard_normal((3, 4))
    expected = (gradient((w + 1e-6 * step).ravel()) - gradient((w - 1e-6 * step).ravel())) / 2e-6
    product = objective.hessian_times(objective.curvature(w), step)
    np.testing.assert_allclose(product.ravel(), expected, atol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(30, 4), (5, 12)])
def test_solving_undoes_multiplying_whichever_side_is_shorter(n, d):
    objective = problem(3, n, d)
    curvature = objective.curvature(np.full((3, d), 0.3))
    step = np.random.default_rng(4).standard_normal((3, d))
    product = objective.hessian_times(curvature, step)
    np.testing.assert_allclose(objective.hessian_solve(curvature, product), step, atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(-3, 3))
def test_the_minimum_is_found_from_anywhere(seed, far):
    objective = problem(seed)
    a, _ = objective.minimise(np.zeros((3, 4)), 1e-12)
    b, _ = objective.minimise(np.full((3, 4), 10.0**far), 1e-12)
    assert np.linalg.norm(objective.gradient(a)) <= 1e-12 * 30
    # A gradient of 30e-12 and strong convexity of 30 * 0.05 leave 2e-11 for each.
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_a_tolerance_below_rounding_is_an_error():
    with pytest.raises(ValueError, match="rounding is in the way"):
        problem(0).minimise(np.zeros((3, 4)), 1e-30)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12))
def test_the_spectral_norm_is_bounded_from_above_and_closely(seed, n, d):
    z = np.random.default_rng(seed).standard_normal((n, d))
    assert np.linalg.norm(z, 2) <= spectral_norm(z) <= np.linalg.norm(z, 2) * (1 + 1e-9)
