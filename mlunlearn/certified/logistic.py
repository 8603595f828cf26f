"""One-vs-rest logistic regression with an L2 penalty and a linear term, solved by Newton's method in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigvalsh
from scipy.special import expit

_MAX_STEPS = 100


@dataclass(frozen=True, eq=False)
class LogisticObjective:
    r"""The objective :math:`\sum_i \ell(t_{ic} z_i^\top w_c) + \frac{n\alpha}{2}|w_c|^2 + b_c^\top w_c` of each class.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        Features.
    targets : ndarray of shape (n, n_classes)
        One for the class of each row, zero for the others.
    alpha : float
        L2 penalty for each row.
    linear : ndarray of shape (n_classes, n_features)
        The linear terms b.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.certified.logistic import LogisticObjective
    >>> objective = LogisticObjective(np.eye(2), np.eye(2), 0.1, np.zeros((2, 2)))
    >>> weights, steps = objective.minimise(np.zeros((2, 2)), 1e-10)
    >>> bool(np.linalg.norm(objective.gradient(weights)) < 1e-9)
    True
    """

    Z: np.ndarray
    targets: np.ndarray
    alpha: float
    linear: np.ndarray

    @property
    def penalty(self) -> float:
        """L2 penalty of the sum."""
        return self.alpha * len(self.Z)

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the gradient.

        Parameters
        ----------
        weights : ndarray of shape (n_classes, n_features)
            Where.

        Returns
        -------
        ndarray of shape (n_classes, n_features)
            One row a class.
        """
        return (expit(self.Z @ weights.T) - self.targets).T @ self.Z + self.penalty * weights + self.linear

    def curvature(self, weights: np.ndarray) -> np.ndarray:
        """Return the second derivative of every term.

        Parameters
        ----------
        weights : ndarray of shape (n_classes, n_features)
            Where.

        Returns
        -------
        ndarray of shape (n, n_classes)
            At most 1/4.
        """
        p = expit(self.Z @ weights.T)
        return p * (1 - p)

    def hessian_times(self, curvature: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Multiply the Hessian of each class with a vector.

        Parameters
        ----------
        curvature : ndarray of shape (n, n_classes)
            What `curvature` returned.
        steps : ndarray of shape (n_classes, n_features)
            The vectors.

        Returns
        -------
        ndarray of shape (n_classes, n_features)
            The products.
        """
        return (curvature * (self.Z @ steps.T)).T @ self.Z + self.penalty * steps

    def hessian_solve(self, curvature: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Solve with the Hessian of each class, in features or in rows, whichever are fewer.

        Parameters
        ----------
        curvature : ndarray of shape (n, n_classes)
            What `curvature` returned.
        sides : ndarray of shape (n_classes, n_features)
            The right-hand sides.

        Returns
        -------
        ndarray of shape (n_classes, n_features)
            The solutions.
        """
        n, d = self.Z.shape
        solved = np.empty_like(sides)
        for c, side in enumerate(sides):
            scaled = np.sqrt(curvature[:, c, None]) * self.Z
            inner = scaled.T @ scaled if d <= n else scaled @ scaled.T
            inner[np.diag_indices_from(inner)] += self.penalty
            factor = cho_factor(inner, lower=True, overwrite_a=True)
            if d <= n:
                solved[c] = cho_solve(factor, side)
            else:
                solved[c] = (side - scaled.T @ cho_solve(factor, scaled @ side)) / self.penalty
        return solved

    def minimise(self, start: np.ndarray, tol: float) -> tuple[np.ndarray, int]:
        """Minimise by Newton's method, halving steps that do not descend.

        Parameters
        ----------
        start : ndarray of shape (n_classes, n_features)
            Where to begin.
        tol : float
            Largest norm of the gradient, all classes stacked, divided by the number of rows.

        Returns
        -------
        weights : ndarray of shape (n_classes, n_features)
            The minimiser.
        steps : int
            Newton steps made.

        Raises
        ------
        ValueError
            If rounding keeps the gradient above `tol`.
        """
        weights = start
        for step in range(_MAX_STEPS):
            gradient = self.gradient(weights)
            if np.linalg.norm(gradient) <= tol * len(self.Z):
                return weights, step
            direction = -self.hessian_solve(self.curvature(weights), gradient)
            weights = weights + self._lengths(weights, direction, gradient)[:, None] * direction
        raise ValueError(
            f"the gradient is {np.linalg.norm(gradient) / len(self.Z):.2g} a row after {_MAX_STEPS} steps, above "
            f"tol={tol:g}: rounding is in the way. Scale the features to about one, or raise alpha or tol."
        )

    def _lengths(self, weights: np.ndarray, direction: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Choose the length of each class's step."""
        lengths = np.ones(len(weights))
        before, slope = self._values(weights), (gradient * direction).sum(axis=1)
        slack = 1e-12 * (np.abs(before) + 1)  # close to the optimum, values differ by rounding alone
        while True:
            after = self._values(weights + lengths[:, None] * direction)
            short = (after > before + 1e-4 * lengths * slope + slack) & (lengths > 1e-9)
            if not short.any():
                return lengths
            lengths[short] /= 2

    def _values(self, weights: np.ndarray) -> np.ndarray:
        scores = self.Z @ weights.T
        losses = (np.logaddexp(0, scores) - self.targets * scores).sum(axis=0)
        return losses + self.penalty / 2 * (weights**2).sum(axis=1) + (self.linear * weights).sum(axis=1)


def spectral_norm(Z: np.ndarray) -> float:
    """Bound the largest singular value of a matrix from above, closely.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        The matrix.

    Returns
    -------
    float
        Its norm, and a little more for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.certified.logistic import spectral_norm
    >>> round(spectral_norm(np.diag([3.0, 4.0])), 6)
    4.0
    """
    gram = Z.T @ Z if Z.shape[1] <= Z.shape[0] else Z @ Z.T
    largest = max(float(eigvalsh(gram, subset_by_index=[len(gram) - 1, len(gram) - 1])[0]), 0.0)
    return float(np.sqrt(largest + 1e-12 * np.trace(gram)))


def one_hot(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Write labels as one column for each class.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Labels.
    classes : ndarray of int, shape (n_classes,)
        The classes.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Ones and zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.certified import one_hot
    >>> one_hot(np.array([1, 0, 1]), np.array([0, 1]))
    array([[0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    return (y[:, None] == classes).astype(np.float64)
