"""Solvers of one flat vector, against dense solves."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import hessian

from mlunlearn.networks.solvers import conjugate_gradient, output_curvature


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(0, 100))
def test_curvature_of_outputs_is_the_second_derivative(n_classes, seed):
    rng = torch.Generator().manual_seed(seed)
    shape = (4, n_classes) if n_classes > 1 else (4,)
    outputs, tangents = torch.randn(2, *shape, generator=rng, dtype=torch.float64)

    def loss(z):
        logs = z.logsumexp(dim=1) if n_classes > 1 else torch.nn.functional.softplus(z)
        return logs.sum()

    dense_hessian = hessian(loss)(outputs).reshape(outputs.numel(), -1)
    assert torch.allclose(output_curvature(outputs, tangents).flatten(), dense_hessian @ tangents.flatten())


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(0, 100))
def test_conjugate_gradients_solve_and_tell_how_well(n, seed):
    rng = torch.Generator().manual_seed(seed)
    factor, right = torch.randn(n, n, generator=rng).double(), torch.randn(n, generator=rng).double()
    matrix = factor @ factor.T + torch.eye(n)
    found = conjugate_gradient(lambda x: matrix @ x, right, tol=1e-10, max_iter=200)
    assert torch.allclose(found.step, torch.linalg.solve(matrix, right), atol=1e-7)
    short = conjugate_gradient(lambda x: matrix @ x, right, max_iter=1)
    left = (right - matrix @ short.step).norm() / right.norm()
    assert abs(short.residual - float(left)) < 1e-12
    assert (short.iterations, found.residual < 1e-8) == (1, True)
