"""Multinomial logistic regression with an L2 penalty and a linear term, and bounds on what its Newton steps leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from mlunlearn.networks.solvers import Product, Solution, conjugate_gradient, output_curvature

# The third derivative of the log-sum-exp along u is the third central moment of u under the posterior: at most
# r**3 / (6 sqrt(3)), where the range r of u is at most sqrt(2) times its length.
CURVATURE_CHANGE = 2**1.5 / (6 * 3**0.5)
STEEPEST = 2**0.5  # the longest gradient of a cross-entropy with respect to its logits
_SHORTEST_STEP, _ROUNDING = 2.0**-40, 1e-12  # the latter of the objective


@dataclass(frozen=True, eq=False)
class SoftmaxObjective:
    """Multinomial logistic regression with an L2 penalty and a linear term.

    The objective is ``mean cross-entropy(z @ w.T, y) + penalty / 2 * |w|^2 + sum(tilt * w)``.

    Parameters
    ----------
    z : Tensor, shape (n, d)
        Features in double precision; a column of ones for the bias.
    y : Tensor of int, shape (n,)
        Labels.
    penalty : float
        L2 penalty, positive.
    tilt : Tensor, shape (n_classes, d)
        The random linear term of objective perturbation; zeros without.
    """

    z: Tensor
    y: Tensor
    penalty: float
    tilt: Tensor

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def norm(self) -> float:
        """Largest singular value of `z`, by a full decomposition: iterations would come from below."""
        gram = self.z @ self.z.T if self.n < self.z.shape[1] else self.z.T @ self.z
        return float(torch.linalg.eigvalsh(gram)[-1].clamp(min=0).sqrt())

    @cached_property
    def longest(self) -> float:
        """Length of the longest row of `z`."""
        return float(self.z.norm(dim=1).max())

    @property
    def smoothness(self) -> float:
        """Bound on the largest eigenvalue of the Hessian; `penalty` is one on the smallest."""
        return self.norm**2 / (2 * self.n) + self.penalty

    def value(self, w: Tensor) -> float:
        """Return the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        float
            Its value.
        """
        loss = nn.functional.cross_entropy(self.z @ w.T, self.y)
        return float(loss + self.penalty / 2 * w.square().sum() + (self.tilt * w).sum())

    def gradient(self, w: Tensor) -> Tensor:
        """Return the gradient of the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        Tensor, shape (n_classes, d)
            The gradient.
        """
        error = (self.z @ w.T).softmax(dim=1)
        error[torch.arange(self.n, device=error.device), self.y] -= 1
        return error.T @ self.z / self.n + self.penalty * w + self.tilt

    def hessian(self, w: Tensor) -> Product:
        """Return products with the Hessian of the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        callable
            Takes a vector of length ``n_classes * d`` and returns the product.
        """
        logits = self.z @ w.T

        def product(vector: Tensor) -> Tensor:
            v = vector.view_as(w)
            bent = output_curvature(logits, self.z @ v.T)
            return (bent.T @ self.z / self.n + self.penalty * v).flatten()

        return product

    def newton_step(self, w: Tensor, *, tol: float = 1e-8, max_iter: int = 500) -> tuple[Tensor, Solution]:
        """Take one full Newton step.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Where to start.
        tol : float, default=1e-8
            Residual of the conjugate gradients, as a share of the gradient.
        max_iter : int, default=500
            Bound on their iterations.

        Returns
        -------
        w : Tensor, shape (n_classes, d)
            Where it ends.
        solution : Solution
            The step, and how well it was solved for.
        """
        solution = conjugate_gradient(self.hessian(w), -self.gradient(w).flatten(), tol=tol, max_iter=max_iter)
        return w + solution.step.view_as(w), solution

    def minimise(self, tol: float, *, max_iter: int = 100) -> Tensor:
        """Minimise the objective from zero by Newton's method with halved steps.

        Parameters
        ----------
        tol : float
            Length of the gradient to reach.
        max_iter : int, default=100
            Bound on the steps.

        Returns
        -------
        Tensor, shape (n_classes, d)
            The weights.

        Raises
        ------
        FloatingPointError
            If the gradient stays longer than `tol`.
        """
        w = torch.zeros_like(self.tilt)
        for _ in range(max_iter):
            gradient = self.gradient(w)
            if gradient.norm() <= tol:
                return w
            _, solution = self.newton_step(w, tol=1e-4)
            step, share, value = solution.step.view_as(w), 1.0, self.value(w)
            slope, slack = float((gradient * step).sum()), _ROUNDING * (abs(value) + 1)
            while share > _SHORTEST_STEP and self.value(w + share * step) > value + 1e-4 * share * slope + slack:
                share /= 2
            w = w + share * step
        raise FloatingPointError(
            f"the gradient is still {float(self.gradient(w).norm()):.3g} long after {max_iter} Newton steps, wanted "
            f"{tol:.3g}; raise weight_decay."
        )

    def descend(self, w: Tensor, steps: int) -> Tensor:
        """Take gradient steps, each of which brings the minimum nearer by the factor `contraction`.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Where to start.
        steps : int
            How many.

        Returns
        -------
        Tensor, shape (n_classes, d)
            Where they end.
        """
        rate = 2 / (self.smoothness + self.penalty)
        for _ in range(steps):
            w = w - rate * self.gradient(w)
        return w

    @property
    def contraction(self) -> float:
        """Factor by which a step of `descend` shortens the distance to the minimum, at least."""
        return (self.smoothness - self.penalty) / (self.smoothness + self.penalty)

    def remainder(self, step: Tensor) -> float:
        """Bound what a Newton step leaves of the gradient, by what it does to the logits.

        Parameters
        ----------
        step : Tensor, shape (n_classes, d)
            The step.

        Returns
        -------
        float
            Bound on the length of ``gradient(w + step) - gradient(w) - hessian(w) @ step``, for whatever `w`.
        """
        moved = (self.z @ step.T).square().sum(dim=1)
        return CURVATURE_CHANGE / 2 * self.norm * float(moved.norm()) / self.n

    def worst_remainder(self, length: float) -> float:
        """Bound the same by the length of the step alone.

        Parameters
        ----------
        length : float
            Length of the step, or a bound on it.

        Returns
        -------
        float
            Never below what `remainder` says of a step of that length.
        """
        return CURVATURE_CHANGE / 2 * self.longest**3 * length**2
