"""A linear graph neural network with a ridge head, whose forgetting is algebra (GraphEditor)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve
from sklearn.base import BaseEstimator

from mlunlearn.graph.linear.linear_gnn import Change, Examples, LinearGNNMixin
from mlunlearn.graph.linear.propagation import Propagation
from mlunlearn.parameters import check_positive
from mlunlearn.receipts import Work

_MAX_RESIDUAL = 1e-6  # of the kept inverse, before it is computed anew
_MAX_DRIFT = 1e-10  # of the kept sums, relative to the penalty, before they are summed anew


class RidgeGNN(LinearGNNMixin, BaseEstimator):
    r"""Classify nodes by a ridge regression on propagated features, and forget exactly.

    With propagated features :math:`Z` of the labelled nodes and one-hot labels :math:`Y`, the weights are
    :math:`K Z^\top Y`, :math:`K = (Z^\top Z + \alpha I)^{-1}`. A deletion takes the changed rows out of both and
    puts them back as they are in the remaining graph, by Woodbury's identity.

    Parameters
    ----------
    propagation : SGC, SIGN, APPNP or None, default=None
        How features are propagated; None is ``SGC(k=2)``.
    alpha : float, default=0.01
        Ridge penalty, positive. There is no intercept.
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
    Guarantee: exact up to rounding. The propagated features equal those of ``fit(data, exclude=forgotten)`` to the
    bit; the weights differ from its weights by rounding alone, and two safeguards keep it so over any number of
    requests: every update ends with one step of iterative refinement, and the sums and the inverse are computed anew
    when their accumulated rounding error, or the residual, passes a limit far below what predictions notice.

    Cost: the rows within `k` hops of the request (one hop more for symmetric weights), and
    :math:`O(r d^2)` for `r` changed labelled rows of `d` propagated features, or :math:`O(d^3)` if `r` is larger. Where
    `alpha` is tiny beside the sums, rounding passes its limit at once: every request then sums all `n` labelled rows
    anew, :math:`O(n d^2)`, and the weights are those of a fresh fit to the bit.
    Probabilities are scores cut to 0 and above and normalised: least squares estimates the class posteriors.

    References
    ----------
    "GraphEditor: An Efficient Graph Representation Learning and Unlearning Approach" (Cong and Mahdavi).

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph import RidgeGNN, stochastic_block_model
    >>> data = stochastic_block_model([30, 30], random_state=0)
    >>> model = RidgeGNN().fit(data).unlearn([3, 17]).unlearn([0, 5], of="edges")
    >>> never = RidgeGNN().fit(data, exclude=[3, 17]).unlearn([0, 5], of="edges")
    >>> np.allclose(model.coef_, never.coef_, rtol=0, atol=1e-10)
    True
    """

    guarantee = "exact"
    exactness = "rounding"
    rounding = 1e-7

    def __init__(self, propagation: Propagation | None = None, *, alpha: float = 0.01, random_state: Any = None):
        self.propagation = propagation
        self.alpha = alpha
        self.random_state = random_state

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("alpha", self.alpha)

    def _learn(self, examples: Examples) -> None:
        self._gram, self._moments = examples.Z.T @ examples.Z, self._summed(examples)
        self._drift = 0.0
        self._inverse = self._inverted(self._gram)
        self._refine()

    def _relearn(self, change: Change) -> Work:
        old, new = change.old, change.new
        work = Work(samples=len(old) + len(new), full=int(change.graph.labelled.sum()))
        if not len(old):
            return work
        self._gram = self._gram - old.Z.T @ old.Z + new.Z.T @ new.Z
        self._moments = self._moments - self._summed(old) + self._summed(new)
        self._moments[:, ~self.present_] = 0
        self._drift += np.finfo(float).eps * (np.linalg.norm(self._gram) + 2 * np.vdot(old.Z, old.Z))
        if self._drift > _MAX_DRIFT * self.alpha:
            self._learn(change.examples())
        elif len(old) + len(new) < len(self._gram):
            self._inverse = self._woodbury(old.Z, new.Z)
            if self._refine() > _MAX_RESIDUAL:
                self._learn(change.examples())
        else:
            self._inverse = self._inverted(self._gram)
            self._refine()
        return work

    def _summed(self, examples: Examples) -> np.ndarray:
        """Sum the features of each class, Z'Y."""
        return examples.Z.T @ np.eye(len(self.classes_))[examples.y]

    def _inverted(self, gram: np.ndarray) -> np.ndarray:
        size = len(gram)
        return cho_solve(cho_factor(gram + self.alpha * np.eye(size), lower=True), np.eye(size))

    def _woodbury(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Take old rows out of the inverse and put new rows in, in one step."""
        rows, signs = np.concatenate([new, old]), np.repeat([1.0, -1.0], [len(new), len(old)])
        carried = self._inverse @ rows.T
        inner = np.diag(signs) + rows @ carried
        inverse = self._inverse - carried @ solve(inner, carried.T, assume_a="sym")
        return (inverse + inverse.T) / 2

    def _refine(self) -> float:
        """Set the weights, improve them by one step, and return the relative residual before it."""
        weights = self._inverse @ self._moments
        residual = self._moments - self._gram @ weights - self.alpha * weights
        self.coef_ = np.ascontiguousarray((weights + self._inverse @ residual).T)
        return float(np.linalg.norm(residual) / (np.linalg.norm(self._moments) or 1))

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        return np.maximum(scores, 0)
