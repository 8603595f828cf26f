"""Equations of one flat vector of weights: conjugate gradients and a fixed-point iteration, with an account of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mlunlearn.networks.curvature import Vector, conjugate_gradients

_DIVERGED = 10.0  # a residual; without any step it is 1

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """A step, and how well it solves its equation.

    Parameters
    ----------
    step : Tensor, shape (n_parameters,)
        The step.
    residual : float
        Length of what is left of the right-hand side, as a share of its length.
    iterations : int
        Products with the matrix that it took.
    """

    step: Tensor
    residual: float
    iterations: int


def output_curvature(outputs: Tensor, tangents: Tensor) -> Tensor:
    """Multiply with the Hessian of the cross-entropy with respect to the outputs.

    Parameters
    ----------
    outputs : Tensor, shape (n, n_classes) or (n,)
        Logits of classes, or of two classes in one number; the label does not matter.
    tangents : Tensor, of the same shape
        What to multiply.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.solvers import output_curvature
    >>> output_curvature(torch.zeros(1), torch.ones(1))
    tensor([0.2500])
    """
    if outputs.ndim == 1:
        p = outputs.sigmoid()
        return p * (1 - p) * tangents
    p = outputs.softmax(dim=1)
    return p * (tangents - (p * tangents).sum(dim=1, keepdim=True))


def conjugate_gradient(product: Product, right: Tensor, *, tol: float = 1e-8, max_iter: int = 100) -> Solution:
    """Solve a symmetric, positive equation by conjugate gradients.

    Parameters
    ----------
    product : callable
        Multiplies with the matrix.
    right : Tensor, shape (n,)
        The right-hand side.
    tol : float, default=1e-8
        Stops when the residual is this share of the right-hand side.
    max_iter : int, default=100
        Bound on the iterations.

    Returns
    -------
    Solution
        The solution; its residual is computed anew at the end.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.solvers import conjugate_gradient
    >>> conjugate_gradient(lambda x: 4 * x, torch.ones(2).double()).step
    tensor([0.2500, 0.2500], dtype=torch.float64)
    """
    calls = 0

    def multiply(vector: Vector) -> Vector:
        nonlocal calls
        calls += 1
        return {"": product(vector[""])}

    step = conjugate_gradients(multiply, {"": right}, tol=tol, max_iter=max_iter)[""]
    return Solution(step, _share_left(right - product(step), right), calls)


def lissa(product: Product, right: Tensor, *, steps: int, scale: float, damping: float = 0.0) -> Solution:
    """Iterate ``x <- right + (1 - damping) x - matrix x / scale`` from `right`, and divide by the scale.

    Parameters
    ----------
    product : callable
        Multiplies with the matrix.
    right : Tensor, shape (n,)
        The right-hand side.
    steps : int
        Iterations.
    scale : float
        Divides the matrix; it must exceed half its largest eigenvalue.
    damping : float, default=0.0
        Share of the iterate that is dropped in every step.

    Returns
    -------
    Solution
        Near to the solution for ``matrix + damping * scale * I`` after many steps, except where the matrix has
        eigenvalues well below ``scale / steps``; the residual says how near.

    Raises
    ------
    FloatingPointError
        If the iteration diverges.
    """
    x = right
    for _ in range(steps):
        x = right + (1 - damping) * x - product(x) / scale
    step = x / scale
    residual = _share_left(right - product(step) - damping * scale * step, right)
    if not residual < _DIVERGED:
        raise FloatingPointError(
            f"the iteration diverges: its residual is {residual:.3g} times the right-hand side, where no step at all "
            f"leaves 1. The matrix has an eigenvalue above twice scale={scale:g}; raise the scale."
        )
    return Solution(step, residual, steps + 1)


def _share_left(left: Tensor, right: Tensor) -> float:
    return float(left.norm() / right.norm()) if right.any() else 0.0
