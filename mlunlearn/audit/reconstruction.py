"""What two versions of a model tell about the row deleted between them, however exact the deletion was.

The attack needs the model before a request and the model after it, and nothing of the unlearning method: retraining
from scratch is as exposed as any other exact method.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["reconstruct_row"]


def reconstruct_row(
    before: ArrayLike,
    after: ArrayLike,
    X: ArrayLike,
    *,
    alpha: float = 1.0,
    n_samples: int | None = None,
    fit_intercept: bool = True,
) -> NDArray[np.float64]:
    r"""Reconstruct the row that was deleted from a ridge regression, from its weights before and after.

    With the Hessian :math:`H = X^\top X + \alpha I` of the first model, the two optimality conditions
    :math:`H w = X^\top y` and :math:`(H - x x^\top)\, w' = X^\top y - x y` give

    .. math:: H (w - w') = x \, (y - x^\top w').

    The difference of the weights is thus the deleted row, turned by :math:`H^{-1}` and scaled by its residual. Rows of
    the same population stand in for the training rows in :math:`H`. The intercept belongs to a column of ones, whose
    share is the residual itself, so that scale and sign are known as well.

    Parameters
    ----------
    before, after : array-like of shape (n_features + 1,), or (n_features,) without an intercept
        Weights of the two models; the intercept comes last: ``numpy.append(model.coef_, model.intercept_)``.
    X : array-like of shape (n_rows, n_features)
        Rows that :math:`H` is estimated from: those of the first fit, or public rows of the same population.
    alpha : float, default=1.0
        Ridge penalty; the intercept is not penalised.
    n_samples : int or None, default=None
        Rows of the first fit; None takes `X` for all of them.
    fit_intercept : bool, default=True
        Whether the models have an intercept.

    Returns
    -------
    ndarray of shape (n_features,)
        The deleted row; without an intercept its direction alone, of length one and with unknown sign. After a request
        for several rows it is a mixture of them, weighted by their residuals.

    Raises
    ------
    ValueError
        If the shapes do not agree, or the two models are the same.

    Notes
    -----
    It fails where the row was predicted perfectly, and where `X` says little of the training rows. What weakens it is
    many rows in one request, and never showing two models that differ by a single row.

    References
    ----------
    "Reconstruction Attacks on Machine Unlearning: Simple Models are Vulnerable" (Bertran, Tang, Kearns, Morgenstern,
    Roth, Wu, 2024), arXiv 2405.20272.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.audit.reconstruction import reconstruct_row
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Retrain(Ridge()).fit(X, y)
    >>> before = np.append(model.estimator_.coef_, model.estimator_.intercept_)
    >>> ridge = model.unlearn([7]).estimator_
    >>> found = reconstruct_row(before, np.append(ridge.coef_, ridge.intercept_), X)
    >>> np.allclose(found, X[7])
    True
    """
    before, after, X = (np.asarray(values, dtype=np.float64) for values in (before, after, X))
    width = X.shape[1] + fit_intercept if X.ndim == 2 else 0
    if before.shape != (width,) or after.shape != (width,):
        raise ValueError(
            f"weights of shapes {before.shape} and {after.shape} do not belong to rows of shape {X.shape[1:]}: "
            f"expected one weight for each feature{', and the intercept last' if fit_intercept else ''}."
        )
    turned = _hessian(X, alpha, n_samples, fit_intercept) @ (before - after)
    row, scale = (turned[:-1], turned[-1]) if fit_intercept else (turned, np.linalg.norm(turned))
    if scale == 0:
        raise ValueError("the two models are the same, or the deleted row was predicted perfectly: nothing is told.")
    return row / scale


def _hessian(X: NDArray[np.float64], alpha: float, n_samples: int | None, fit_intercept: bool) -> NDArray[np.float64]:
    penalty = np.full(X.shape[1], float(alpha))
    if fit_intercept:
        X, penalty = np.column_stack([X, np.ones(len(X))]), np.append(penalty, 0.0)
    share = 1.0 if n_samples is None else n_samples / len(X)
    return share * (X.T @ X) + np.diag(penalty)
