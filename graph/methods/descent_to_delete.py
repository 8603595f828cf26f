"""Descent-to-Delete: a few gradient steps on the graph that is left, then noise that hides where they started."""

from __future__ import annotations

import math
from typing import Any

import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from torch import Tensor, nn

from mlunlearn.certified import check_certificate, hidden_distance
from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.linear.linear_problem import (
    certified_if_linear,
    change_bound,
    linear_start,
    problem_of,
    with_weights,
)
from mlunlearn.graph.models.training import train
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_count, check_positive
from mlunlearn.receipts import Work

_NOISE, _NEGATIVES = range(2)  # names the draws among those of a fit's root seed


class DescentToDelete(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Perturbed gradient descent: go on training without what is forgotten, and publish the weights with noise.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. The certificate needs a linear network, such as torch-geometric's ``SGConv``,
        and a positive `weight_decay`.
    epsilon, delta : float, default=1.0 and 1e-4
        What is certified.
    noise : float, default=0.01
        Standard deviation of the noise on every weight.
    max_epochs : int, default=20
        Gradient steps; for a linear network, the certificate decides how many there are.
    lr : float, default=0.1
        Their length; for a linear network, its curvature decides.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator and the noise. The certificate holds against those who do not know this seed, who could
        subtract the noise: use None where it has to.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model, with noise.
    certified_ : bool
        Whether the network is linear, so that the certificate holds.
    weights_ : Tensor, shape (n_classes, n_features + 1)
        The weights without noise, from which the next request goes on: **to be kept secret**; certified models only.
    distance_ : float
        Bound on their distance to the minimum; certified models only.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work.details`` has the ``steps`` and, for certified models, the ``sensitivity`` (bound
        on how far the request moves the minimum), the bound ``distance``, the ``measured`` length of the gradient
        over the penalty (a bound, too), and how much distance the noise ``hides`` in all.

    See Also
    --------
    CEU : A certificate by noise in the objective, with a Newton step.

    Notes
    -----
    Guarantee: certified for linear networks, for **what is published** and not for the secret state: for any set of
    models, the probabilities that the unlearned one and one trained without what is forgotten, with noise of its own,
    are in it differ by a factor of at most ``exp(epsilon)``, but for ``delta``. The loss is strongly convex by
    ``m = weight_decay`` and smooth by ``L``, so a step of length ``2 / (L + m)`` brings the minimum nearer by
    ``g = (L - m) / (L + m)``. `fit` ends within half of the distance that the noise hides (by Newton's method in
    double precision; the estimator's epochs and learning rate are not used). A request moves the minimum by at most
    its sensitivity, ``sqrt(2) * max |z| * (nodes reached, before and after, and gone) / (n * m)``, and takes as many
    steps as bring the bound back to half of it. With one changed loss per request this is the paper's theorem, with
    the number of steps solved for instead of the noise; on a graph a request changes the losses of all training nodes
    that its messages reach, and all are counted. The paper's constant is larger by two, since it lets half of the
    data be forgotten and counts with the rest, where this counts with what is left. How many steps there are depends
    on bounds, and on the curvature of the data that is left.

    Other networks take `max_epochs` steps on their training loss and get noise of that size at every request, as an
    approximate method without any certificate: `guarantee` says so. (The benchmark of GNNDelete gave this baseline
    noise by the theorem with a convexity that the network does not have, of a standard deviation in the hundreds,
    and so destroyed it.)

    Needs: the graph before and after. Cost: the steps; for linear networks, one decomposition of the propagated
    features besides. Their number grows like ``L / m``: where `weight_decay` is small they cost more than a training
    by Newton's method, and `CEU` is the one to take.

    References
    ----------
    "Descent-to-Delete: Gradient-Based Methods for Machine Unlearning", arXiv:2007.02923.

    Examples
    --------
    >>> from torch_geometric.nn import SGConv
    >>> from mlunlearn.graph import DescentToDelete, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([200, 200], random_state=0)
    >>> classifier = NodeClassifier(SGConv(data.num_features, 2, K=2), weight_decay=0.1)
    >>> model = DescentToDelete(classifier, random_state=0).fit(data).unlearn([0, 5, 9])
    >>> details = model.receipts_[-1].work.details
    >>> model.guarantee, details["measured"] <= details["distance"] <= details["hides"] / 2
    ('certified', True)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-4,
        noise: float = 0.01,
        max_epochs: int = 20,
        lr: float = 0.1,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.epsilon = epsilon
        self.delta = delta
        self.noise = noise
        self.max_epochs = max_epochs
        self.lr = lr
        self.random_state = random_state
        self.verbose = verbose

    guarantee = certified_if_linear

    def _check_settings(self) -> None:
        super()._check_settings()
        check_certificate(self.epsilon, self.delta, self.noise)
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)

    def _fit(self) -> None:
        start = linear_start(self.estimator, self._data, self.seed_, type(self).__name__)
        self.certified_ = start is not None
        if start is None:
            super()._fit()
            return
        whole, module = start
        problem = problem_of(whole, module, self._data)
        allowed = hidden_distance(self.noise, self.epsilon, self.delta) / 2
        self.weights_ = problem.minimise(allowed * problem.penalty / 2)
        self.distance_ = float(problem.gradient(self.weights_).norm()) / problem.penalty
        self.estimator_ = whole.moved(self._data, self._published(module, self.weights_))

    def _unlearn(self, deletion: Deletion) -> Work:
        return self._descend_certified(deletion) if self.certified_ else self._descend(deletion)

    # ------------------------------------------------------------ certified

    def _descend_certified(self, deletion: Deletion) -> Work:
        module = self.estimator_.module_
        before, after = (problem_of(self.estimator_, module, g) for g in (deletion.before, deletion.remaining))
        hides = hidden_distance(self.noise, self.epsilon, self.delta)
        sensitivity = change_bound(module, before, after, deletion) / after.penalty
        far = self.distance_ + sensitivity
        steps = max(0, math.ceil(math.log(hides / 2 / far) / math.log(after.contraction)))
        self.weights_ = after.descend(self.weights_, steps)
        self.distance_ = far * after.contraction**steps
        details = {
            "steps": steps,
            "sensitivity": sensitivity,
            "distance": self.distance_,
            "measured": float(after.gradient(self.weights_).norm()) / after.penalty,
            "hides": hides,
        }
        self.estimator_ = self.estimator_.moved(deletion.remaining, self._published(module, self.weights_))
        return self._work(steps * after.n, deletion, **details)

    def _published(self, module: nn.Module, weights: Tensor) -> nn.Module:
        return with_weights(module, weights + self._noise(weights.cpu()).to(weights.device))

    def _noise(self, like: Tensor) -> Tensor:
        """Fresh noise for every model that is published."""
        n_published = len(self.receipts_) + hasattr(self, "estimator_")
        rng = generator(self.seed_, _NOISE, n_published)
        return self.noise * torch.randn(like.shape, generator=rng, dtype=like.dtype)

    # ---------------------------------------------------------- approximate

    def _descend(self, deletion: Deletion) -> Work:
        module, graph = self._starting_module(deletion), deletion.remaining.to(self.estimator_.device)
        n_receipts = len(self.receipts_)
        train(
            module.train(),
            lambda step: self.estimator_.loss(module, graph, generator(self.seed_, _NEGATIVES, n_receipts, step)),
            n_steps=self.max_epochs,
            optimizer=sgd(self.lr, weight_decay=self.estimator_.weight_decay),
            seed=self.seed_,
            label="gradient descent" if self.verbose else None,
        )
        with torch.no_grad():
            flat = nn.utils.parameters_to_vector(module.parameters())
            noisy = flat + self._noise(flat.cpu()).to(flat.device)
            nn.utils.vector_to_parameters(noisy, module.parameters())
        self.estimator_ = self.estimator_.moved(deletion.remaining, module)
        n = self.estimator_.n_trained(deletion.remaining)
        return self._work(self.max_epochs * n, deletion, steps=self.max_epochs)
