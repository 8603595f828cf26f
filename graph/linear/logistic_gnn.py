"""A linear graph neural network with a logistic head, solved so closely that unlearned and retrained are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator

from mlunlearn.certified import LogisticObjective, one_hot
from mlunlearn.graph.linear.linear_gnn import Change, Examples, LinearGNNMixin
from mlunlearn.graph.linear.propagation import Propagation
from mlunlearn.parameters import check_positive
from mlunlearn.receipts import Work


class LogisticGNN(LinearGNNMixin, BaseEstimator):
    r"""Classify nodes by logistic regression on propagated features, and forget exactly by a warm restart.

    Each class against the rest minimises :math:`\frac1n \sum_i \ell(z_i^\top w) + \frac{\alpha}{2} |w|^2` over the
    labelled nodes. Its optimum is unique and does not depend on where the search began, so after a deletion Newton's
    method goes on from the weights at hand.

    Parameters
    ----------
    propagation : SGC, SIGN, APPNP or None, default=None
        How features are propagated; None is ``SGC(k=2)``.
    alpha : float, default=0.001
        L2 penalty, positive. There is no intercept.
    tol : float, default=1e-10
        Norm of the gradient, all classes stacked, at which the search ends.
    random_state : int, RandomState instance or None, default=None
        Recorded in receipts; nothing is drawn.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_propagated)
        Weights.
    classes_ : ndarray of shape (n_classes,)
        Label i is output i.
    present_ : ndarray of bool, shape (n_classes,)
        Classes that have labelled nodes; the others are never predicted.
    n_fit_, forgotten_, receipts_, seed_
        As for every graph unlearner.

    Notes
    -----
    Guarantee: exact up to the tolerance of the solver. The objective is strongly convex, so any weights with a
    gradient of norm `tol` are within ``tol / alpha`` of the optimum, and the unlearned weights are within
    ``2 * tol / alpha`` of those of ``fit(data, exclude=forgotten)``; in practice Newton's last step overshoots the
    tolerance by far.

    Cost: the rows within `k` hops of the request (one hop more for symmetric weights), and two or three Newton steps
    instead of six to ten, each :math:`O(C n d \min(n, d))` for `n` labelled nodes, `d` features and `C` classes.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph import LogisticGNN, stochastic_block_model
    >>> data = stochastic_block_model([30, 30], random_state=0)
    >>> model, never = LogisticGNN().fit(data).unlearn([3, 17]), LogisticGNN().fit(data, exclude=[3, 17])
    >>> np.allclose(model.coef_, never.coef_, rtol=0, atol=1e-7)
    True
    """

    guarantee = "exact"
    exactness = "rounding"
    rounding = 1e-7

    def __init__(
        self,
        propagation: Propagation | None = None,
        *,
        alpha: float = 0.001,
        tol: float = 1e-10,
        random_state: Any = None,
    ):
        self.propagation = propagation
        self.alpha = alpha
        self.tol = tol
        self.random_state = random_state

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("alpha", self.alpha)
        check_positive("tol", self.tol)

    def _learn(self, examples: Examples) -> None:
        self._fit_steps = self._search(examples, np.zeros((len(self.classes_), examples.Z.shape[1])))

    def _relearn(self, change: Change) -> Work:
        n = int(change.graph.labelled.sum())
        if not len(change.old):
            return Work(samples=0, full=n)
        steps = self._search(change.examples(), self.coef_)
        return Work(samples=n * steps, full=n * self._fit_steps, details={"newton_steps": steps})

    def _search(self, examples: Examples, start: np.ndarray) -> int:
        classes = np.flatnonzero(self.present_)
        none = np.zeros_like(start[classes])
        objective = LogisticObjective(examples.Z, one_hot(examples.y, classes), self.alpha, none)
        found, steps = objective.minimise(start[classes], self.tol)
        self.coef_ = np.zeros_like(start)
        self.coef_[classes] = found
        return steps

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        return expit(scores)
