"""Certified removal from a linear graph neural network: one Newton step, and an account of what it leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator

from mlunlearn.certified import LogisticObjective, check_certificate, hidden_gradient, one_hot, spectral_norm
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.linear.linear_gnn import Change, Examples, LinearGNNMixin, all_examples
from mlunlearn.graph.linear.propagation import Propagation
from mlunlearn.parameters import check_positive
from mlunlearn.receipts import Work
from mlunlearn.training.seeds import derive_seeds

_THIRD = 1 / (6 * np.sqrt(3))  # largest third derivative of the logistic loss
_EPS = np.finfo(float).eps


class CertifiedGNN(LinearGNNMixin, BaseEstimator):
    r"""Classify nodes by a randomised logistic regression on propagated features, and forget with a certificate.

    Each class against the rest minimises
    :math:`\sum_i \ell(z_i^\top w) + \frac{n\alpha}{2} |w|^2 + b^\top w` with secret noise
    :math:`b \sim N(0, \sigma^2 I)`. A deletion changes the gradient by :math:`\Delta`; one step
    :math:`H^{-1}\Delta` undoes that up to a residual that is bounded and added up in ``spent_``. Before the sum passes
    the ``allowed_`` that `epsilon` and `delta` allow, the model is trained anew with fresh noise.

    Parameters
    ----------
    propagation : SGC, SIGN, APPNP, LazySGC or None, default=None
        How features are propagated; None is ``SGC(k=2)``.
    epsilon : float, default=1.0
        How far the probability of any outcome may be, as a logarithm, from that of training without the data.
    delta : float, default=1e-4
        Probability with which it may be farther. Take at most one over the number of nodes or edges.
    noise : float, default=1.0
        Standard deviation sigma of b. More noise pays for more requests; on `n` labelled nodes it weighs as
        ``noise / n``.
    alpha : float, default=0.01
        L2 penalty for each labelled node, positive. There is no intercept.
    tol : float, default=1e-10
        Norm of the gradient, all classes stacked, for each labelled node, at which training ends.
    random_state : int, RandomState instance or None, default=None
        Seeds the noise. None draws it from the operating system and keeps nothing of it; with a number, results can
        be repeated, and whoever knows the number can subtract the noise.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_propagated)
        Weights.
    allowed_ : float
        Largest norm of the gradient, all classes stacked, that the certificate allows: ``noise * epsilon / c`` with
        c = sqrt(2 ln(1.5 / delta)).
    spent_ : float
        An upper bound on that norm now. It grows with every request and falls with fresh noise alone.
    n_trainings_ : int
        Trainings so far, each with noise of its own.
    classes_, present_ : ndarray of shape (n_classes,)
        Label i is output i; classes that have no labelled node are never predicted.
    n_fit_, forgotten_, receipts_, seed_
        As for every graph unlearner. A receipt's ``work.details`` hold ``spent``, ``allowed``, ``epsilon``, ``delta``
        and whether the model was ``retrained``.

    Notes
    -----
    Guarantee: certified. If the gradient of the randomised objective on the remaining graph has norm at most
    ``allowed_``, the weights are (epsilon, delta)-indistinguishable from weights trained, with the same kind of noise,
    on the remaining graph. The account is kept so:

    - the classes' residuals are one vector: the root of the sum of squares of their bounds is charged against one
      budget. (Published code multiplies the budget by the number of classes, which lets the joint residual exceed it.)
    - the norm of the gradient where the solver stopped is charged, and so is the residual of the linear system;
    - a request is charged :math:`\frac{\gamma}{2} \|Z\|_2 (\sum_i (z_i^\top s)^4)^{1/2}` for a step s, where
      :math:`\gamma = 1/(6\sqrt3)` bounds the third derivative of the loss: Taylor's remainder, which needs no bound
      on the features, and is smaller than the published one;
    - what lazy propagation leaves out is charged once, as it stands, and does not accumulate.

    The certificate is for the weights and what is computed from them, not for the object in memory, which holds the
    graph; for requests that do not depend on the noise; and for each release on its own. The charge of a step depends
    on the weights, hence on the noise; that the theorem allows this is common practice and not proved here.

    Cost: the rows that the request reaches, and one Hessian of the remaining labelled nodes for each class.

    References
    ----------
    "Certified Data Removal from Machine Learning Models", arXiv:1911.03030. "Certified Graph Unlearning",
    arXiv:2206.09140. "Scalable and Certifiable Graph Unlearning" (ScaleGUN), arXiv:2408.09212.

    Examples
    --------
    >>> from mlunlearn.graph import CertifiedGNN, stochastic_block_model
    >>> data = stochastic_block_model([100, 100], random_state=0)
    >>> model = CertifiedGNN(noise=3.0, random_state=0).fit(data).unlearn([3, 17])
    >>> model.spent_ < model.allowed_, model.receipts_[-1].guarantee
    (True, 'certified')
    """

    guarantee = "certified"

    def __init__(
        self,
        propagation: Propagation | None = None,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-4,
        noise: float = 1.0,
        alpha: float = 0.01,
        tol: float = 1e-10,
        random_state: Any = None,
    ):
        self.propagation = propagation
        self.epsilon = epsilon
        self.delta = delta
        self.noise = noise
        self.alpha = alpha
        self.tol = tol
        self.random_state = random_state

    def _check_settings(self) -> None:
        super()._check_settings()
        check_certificate(self.epsilon, self.delta, self.noise)
        check_positive("alpha", self.alpha)
        check_positive("tol", self.tol)

    def _learn(self, examples: Examples) -> None:
        self.allowed_ = hidden_gradient(self.noise, self.epsilon, self.delta)
        self.n_trainings_ = 0
        self._train(examples)

    def _draw(self, training: int, shape: tuple[int, int]) -> np.ndarray:
        """Draw the noise of one training."""
        seed = None if self.random_state is None else derive_seeds(self.seed_, training)[0]
        return np.random.default_rng(seed).normal(scale=self.noise, size=shape)

    def _train(self, examples: Examples) -> None:
        """Train with fresh noise, and open a new account."""
        shape = len(self.classes_), examples.Z.shape[1]
        noise = self._draw(self.n_trainings_, shape)[self.present_]
        objective = self._objective(examples, noise)
        found, self._fit_steps = objective.minimise(np.zeros_like(noise), self.tol)
        self.coef_ = np.zeros(shape)
        self.coef_[self.present_] = found
        self.n_trainings_ += 1
        self._accumulated = float(np.linalg.norm(objective.gradient(found))) + _rounding(objective, found)
        self.spent_ = self._accumulated + self._left_out(examples, found)
        if self.spent_ > self.allowed_:
            raise ValueError(
                f"training alone leaves {self.spent_:.2g} of a gradient, above the {self.allowed_:.2g} that the "
                "noise hides; raise noise or epsilon, or lower tol."
            )

    def _objective(self, examples: Examples, noise: np.ndarray) -> LogisticObjective:
        targets = one_hot(examples.y, np.flatnonzero(self.present_))
        return LogisticObjective(examples.Z, targets, self.alpha, noise)

    def _relearn(self, change: Change) -> Work:
        examples, retrained = change.examples(), False
        n = len(examples)
        if len(change.old) or examples.error:  # held back features may matter where none changed
            step, charge = self._step(change, examples)
            coef = self.coef_.copy()
            coef[~self.present_] = 0
            coef[self.present_] += step
            accumulated = self._accumulated + charge
            spent = accumulated + self._left_out(examples, coef[self.present_])
            retrained = not spent <= self.allowed_
            if retrained:
                self._train(self._caught_up(change) if examples.error else examples)
            else:
                self.coef_, self._accumulated, self.spent_ = coef, accumulated, spent
        account = {"spent": self.spent_, "allowed": self.allowed_, "epsilon": self.epsilon, "delta": self.delta}
        passes = bool(len(change.old)) + (self._fit_steps if retrained else 0)
        return Work(samples=n * passes, full=n * self._fit_steps, details={**account, "retrained": retrained})

    def _caught_up(self, change: Change) -> Examples:
        """Propagate anew, so that nothing is held back."""
        self._propagated = self._own_propagation().propagate(change.graph)
        return all_examples(change.graph, self._propagated)

    def _step(self, change: Change, examples: Examples) -> tuple[np.ndarray, float]:
        """Solve for the Newton step, and bound the gradient that it leaves."""
        weights = self.coef_[self.present_]
        if not len(change.old):
            return np.zeros_like(weights), 0.0
        none = np.zeros_like(weights)
        old, new = (self._objective(part, none).gradient(weights) for part in (change.old, change.new))
        objective = self._objective(examples, none)
        curvature = objective.curvature(weights)
        step = objective.hessian_solve(curvature, old - new)
        unsolved = np.linalg.norm(objective.hessian_times(curvature, step) - (old - new), axis=1)
        quartic = np.sqrt(((examples.Z @ step.T) ** 4).sum(axis=0))
        bounds = _THIRD / 2 * spectral_norm(examples.Z) * quartic + unsolved
        return step, float(np.linalg.norm(bounds)) + _rounding(objective, weights)

    def _left_out(self, examples: Examples, weights: np.ndarray) -> float:
        """Bound how far the gradient on lazily propagated features is from that on exact ones."""
        if not examples.error:
            return 0.0
        objective = self._objective(examples, np.zeros_like(weights))
        slopes = np.abs(expit(examples.Z @ weights.T) - objective.targets)
        reach = np.linalg.norm(examples.Z, axis=1) + examples.error
        by_row = slopes + np.outer(reach, np.linalg.norm(weights, axis=1)) / 4
        return float(examples.error * np.linalg.norm(by_row))

    def _answer_for(self, graph: Graph) -> None:
        """Propagate anew; what lazy propagation had held back is paid for, once and for all."""
        super()._answer_for(graph)
        self._accumulated = self.spent_

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        return expit(scores)


def _rounding(objective: LogisticObjective, weights: np.ndarray) -> float:
    """Bound what rounding adds to a gradient."""
    rows, size = np.linalg.norm(objective.Z, axis=1), np.linalg.norm(weights)
    summed = (rows * (np.sqrt(len(weights)) + rows * size / 4)).sum()
    return float(8 * _EPS * (summed + 2 * objective.penalty * size))
