"""CEU: one Newton step on the graph that is left, hidden by noise in the objective, with a certificate."""

from __future__ import annotations

import math
from typing import Any

import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from torch import Tensor

from mlunlearn.certified import check_certificate, hidden_gradient
from mlunlearn.certified.softmax import SoftmaxObjective
from mlunlearn.graph.base import GraphUnlearnerMixin, unfrozen
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.linear.linear_problem import (
    certified_if_linear,
    change_bound,
    linear_start,
    problem_of,
    with_weights,
)
from mlunlearn.graph.methods.influence import Influence, influence_step
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator
from mlunlearn.networks.solvers import Solution, conjugate_gradient
from mlunlearn.parameters import check_count, check_positive
from mlunlearn.receipts import Work

_TILT = 0xCE0  # names the draw among those of a fit's root seed
_DAMPING = 1e-2  # the paper's penalty, by which it damps where the Hessian is not positive


class CEU(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Certified edge unlearning: the tilted objective hides how far a Newton step ends from the new minimum.

    Parameters
    ----------
    estimator : NodeClassifier
        What to train; never changed. The certificate needs a linear network, such as torch-geometric's ``SGConv``,
        and a positive `weight_decay`.
    epsilon, delta : float, default=1.0 and 1e-4
        What is certified.
    noise : float, default=1e-5
        Standard deviation of the random linear term ``b``. It moves weights that the data leaves free by ``b`` over
        `weight_decay`, so it should be well below that.
    max_newton_steps : int, default=3
        Newton steps at most; another one is taken while the bound is above what the noise hides. The paper takes one.
    max_iter : int, default=200
        Iterations of the conjugate gradients.
    tol : float, default=1e-8
        They stop when the residual is this share of the gradient.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator and the random linear term. The certificate holds against those who do not know this seed:
        use None where it has to.

    Attributes
    ----------
    estimator_ : NodeClassifier
        The unlearned model.
    certified_ : bool
        Whether the network is linear, so that the certificate holds.
    allowed_ : float
        Longest gradient that the noise hides; certified models only.
    spent_ : float
        Bound on that of the model at hand; certified models only.
    weights_ : Tensor, shape (n_classes, n_features + 1)
        The weights in double precision, with the bias; certified models only.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work.details`` has the ``residual`` (length of the gradient on the graph that is
        left, as measured), its ``bound``, the ``worst_case`` bound of the first step, what is ``allowed``, the
        ``steps`` and whether it was ``retrained``.

    See Also
    --------
    GIF : The step without noise, for all networks.

    Notes
    -----
    Guarantee: certified for linear networks: for any set of models, the probability that the unlearned one is in it
    and the probability that a model is, trained without what is forgotten and with noise of its own, differ by a factor
    of at most ``exp(epsilon)``, but for ``delta``. Training minimises the mean cross-entropy plus
    ``weight_decay / 2 * |w|^2 + b @ w``, with a Gaussian ``b``, to its minimum by Newton's method in double precision
    (the estimator's epochs and learning rate are not used; the network's weights are these, rounded). Noise of
    standard deviation ``noise`` hides gradients up to ``noise * epsilon / sqrt(2 log(1.5 / delta))``. Requests
    for nodes and features are served and certified likewise.

    The step is Newton's for the whole objective on the graph that is left, so errors do not add up over requests.
    What it leaves of the gradient is bounded by the residual of the conjugate gradients and Taylor's remainder, by
    what the step does to the logits: ``0.136 / n * |Z| * sqrt(sum |step z_i|^4)``, with the true largest singular
    value of the propagated features; this is what is charged. The worst case, before anything is computed, replaces
    it by ``0.136 * max |z|^3 * ((spent + change) / weight_decay)^2`` and is told in the receipt. Both are derived
    for the multinomial loss; the paper's have the same form, but constants whose definitions we could not check.
    Where the charge passes what is allowed, another step follows, which charges anew; after `max_newton_steps`, the
    model is trained again, with the same linear term. As everywhere in this kind of certificate, the charge is
    computed from weights that depend on the noise.

    Other networks get the step of `GIF`, damped by 0.01 as the paper damps where its Hessian is not positive, without
    noise and without a certificate: `guarantee` says ``"approximate"`` then.

    Cost: one solve by conjugate gradients, one decomposition of the propagated features for the bound.

    References
    ----------
    Wu et al., "Certified Edge Unlearning for Graph Neural Networks", KDD 2023. The certificate: "Certified Data
    Removal from Machine Learning Models", arXiv:1911.03030.

    Examples
    --------
    >>> from torch_geometric.nn import SGConv
    >>> from mlunlearn.graph import CEU, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([200, 200], random_state=0)
    >>> classifier = NodeClassifier(SGConv(data.num_features, 2, K=2), weight_decay=0.1)
    >>> model = CEU(classifier, random_state=0).fit(data).unlearn([0, 5, 9], of="edges")
    >>> details = model.receipts_[-1].work.details
    >>> model.guarantee, details["residual"] <= details["bound"] <= details["allowed"]
    ('certified', True)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-4,
        noise: float = 1e-5,
        max_newton_steps: int = 3,
        max_iter: int = 200,
        tol: float = 1e-8,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.epsilon = epsilon
        self.delta = delta
        self.noise = noise
        self.max_newton_steps = max_newton_steps
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    guarantee = certified_if_linear

    def _check_settings(self) -> None:
        super()._check_settings()
        check_certificate(self.epsilon, self.delta, self.noise)
        check_count("max_newton_steps", self.max_newton_steps)
        check_count("max_iter", self.max_iter)
        check_positive("tol", self.tol)

    def _accept(self, graph: Graph) -> None:
        super()._accept(graph)
        if not is_classifier(unfrozen(self.estimator)):
            raise TypeError("CEU needs a node classifier; for links, take GIF.")

    def _fit(self) -> None:
        start = linear_start(self.estimator, self._data, self.seed_, type(self).__name__)
        self.certified_ = start is not None
        if start is None:
            super()._fit()
            return
        whole, module = start
        self.allowed_ = hidden_gradient(self.noise, self.epsilon, self.delta)
        problem = problem_of(whole, module, self._data)
        self._tilt = self.noise * torch.randn(
            problem.tilt.shape, generator=generator(self.seed_, _TILT), dtype=torch.float64
        )
        self.estimator_ = whole.moved(self._data, module)
        self._settle(self._data, *self._retrained(self._problem(self._data)))

    def _unlearn(self, deletion: Deletion) -> Work:
        if not self.certified_:
            return self._step_without_proof(deletion)
        before, after = self._problem(deletion.before), self._problem(deletion.remaining)
        change = change_bound(self.estimator_.module_, before, after, deletion)
        weights, bound, worst, iterations = self.weights_, math.inf, math.inf, 0
        for n_steps in range(self.max_newton_steps):
            gradient, hessian = after.gradient(weights), after.hessian(weights)
            weights, solution = after.newton_step(weights, tol=self.tol, max_iter=self.max_iter)
            step = solution.step.view_as(weights)
            unsolved = float((hessian(solution.step).view_as(step) + gradient).norm())
            if not n_steps:
                worst = unsolved + after.worst_remainder((self.spent_ + change + unsolved) / after.penalty)
            bound, iterations = unsolved + after.remainder(step), iterations + solution.iterations
            if bound <= self.allowed_:
                break
        if retrain := bound > self.allowed_:
            weights, bound = self._retrained(after)
        self._settle(deletion.remaining, weights, bound)
        return self._work(
            self.estimator_.max_epochs * after.n if retrain else iterations * after.n,
            deletion,
            residual=float(after.gradient(weights).norm()),
            bound=bound,
            worst_case=worst,
            allowed=self.allowed_,
            steps=n_steps + 1,
            retrained=retrain,
        )

    # ------------------------------------------------------------ certified

    def _problem(self, graph: Graph) -> SoftmaxObjective:
        return problem_of(self.estimator_, self.estimator_.module_, graph, self._tilt.to(self.estimator_.device))

    def _retrained(self, problem: SoftmaxObjective) -> tuple[Tensor, float]:
        weights = problem.minimise(min(1e-10, self.allowed_ / 100))
        return weights, float(problem.gradient(weights).norm())

    def _settle(self, graph: Graph, weights: Tensor, bound: float) -> None:
        self.weights_, self.spent_ = weights, bound
        self.estimator_ = self.estimator_.moved(graph, with_weights(self.estimator_.module_, weights))

    # ---------------------------------------------------------- approximate

    def _step_without_proof(self, deletion: Deletion) -> Work:
        def solve(influence: Influence) -> Solution:
            product = influence.gauss_newton(_DAMPING)
            return conjugate_gradient(product, influence.gradient, tol=self.tol, max_iter=self.max_iter)

        start = self._starting_module(deletion)
        module, influence, solution = influence_step(self.estimator_, start, deletion, self._request_seed(), solve)
        self.estimator_ = self.estimator_.moved(deletion.remaining, module)
        return self._work(
            solution.iterations * influence.n_after,
            deletion,
            residual=solution.residual,
            iterations=solution.iterations,
        )
