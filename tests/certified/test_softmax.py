"""The softmax objective: its derivatives against torch's own, and bounds above what they bound."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlunlearn.certified.softmax import CURVATURE_CHANGE, SoftmaxObjective


def random_problem(seed, n=40, d=4, k=3, penalty=0.03):
    """A problem and some weights."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=rng, dtype=torch.float64) * 2
    y = torch.randint(k, (n,), generator=rng)
    tilt, w = 0.1 * torch.randn(2, k, d, generator=rng, dtype=torch.float64)
    return SoftmaxObjective(z, y, penalty, tilt), 20 * w


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_gradient_and_hessian_are_those_of_the_objective(seed):
    problem, w = random_problem(seed)

    def value(w):
        loss = torch.nn.functional.cross_entropy(problem.z @ w.T, problem.y)
        return loss + problem.penalty / 2 * w.square().sum() + (problem.tilt * w).sum()

    assert problem.value(w) == pytest.approx(float(value(w)))
    assert torch.allclose(problem.gradient(w), torch.func.grad(value)(w))
    dense = torch.func.hessian(value)(w).reshape(12, 12)
    v = torch.randn(12, dtype=torch.float64)
    assert torch.allclose(problem.hessian(w)(v), dense @ v)
    eigenvalues = torch.linalg.eigvalsh(dense)
    assert problem.penalty - 1e-12 <= eigenvalues[0]
    assert eigenvalues[-1] <= problem.smoothness + 1e-12


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(-3, 1))
def test_the_remainder_is_bounded_and_the_worst_case_bounds_that(seed, size):
    problem, w = random_problem(seed)
    step = 10**size * torch.randn(w.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))
    left = problem.gradient(w + step) - problem.gradient(w) - problem.hessian(w)(step.flatten()).view_as(w)
    assert left.norm() <= problem.remainder(step) * (1 + 1e-9) + 1e-13
    assert problem.remainder(step) <= problem.worst_remainder(float(step.norm())) * (1 + 1e-9)


def test_the_constant_is_attained():
    """Two classes, the steepest change of curvature: the bound is no larger than it must be."""
    p = torch.linspace(1e-3, 1 - 1e-3, 9999, dtype=torch.float64)
    third = (p * (1 - p) * (1 - 2 * p)).abs().max()  # of the margin; a unit of logits moves the margin by sqrt(2)
    assert float(2**1.5 * third) == pytest.approx(CURVATURE_CHANGE, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_minimise_and_descend_end_at_the_same_minimum(seed):
    problem, w = random_problem(seed)
    minimum = problem.minimise(1e-11)
    assert problem.gradient(minimum).norm() <= 1e-11
    for steps in (1, 10, 100):
        near = (problem.descend(w, steps) - minimum).norm()
        assert near <= problem.contraction**steps * (w - minimum).norm() * (1 + 1e-9)
