"""Restart: train anew on the graph that is left, for a fraction of the time."""

from __future__ import annotations

import math
from typing import Any

from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.models.estimators import passes_within
from mlunlearn.graph.models.training import make_module, redraw
from mlunlearn.graph.requests import Deletion
from mlunlearn.parameters import check_flag, check_positive
from mlunlearn.receipts import Work
from mlunlearn.state import Exactness, Guarantee


class RestartGNN(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Forget by training from scratch on the graph that is left, for a fraction of the time that training took.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. Of a ``FrozenEstimator``, which brings one that was trained elsewhere, the
        architecture is taken.
    budget : float, default=0.15
        Samples that a request may read, as a share of what training on the graph that is left from scratch reads;
        rounded to whole passes, and at least one.
    lr : float or None, default=None
        Adam's learning rate; None divides that of the estimator by the root of the share of its passes that are made.
        At the estimator's own rate so few steps may leave a network untrained. Choose it on held-out data.
    decay : bool, default=False
        Let it fall to zero along half a cosine.
    random_state : int, RandomState instance or None, default=None
        Seeds training and the untrained weights.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The model trained on the remaining graph.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    See Also
    --------
    Retrain : The same without saving any time.
    FineTuneGNN : The same from the trained weights, the other control.

    Notes
    -----
    Guarantee: exact in the sense that no weight is a function of what was forgotten (``exactness`` is
    ``"influence"``). The model is not the one that `fit` would train, because it trains for a shorter time. For a
    frozen network the guarantee is approximate: its trainable weights are drawn anew, and what its other weights know
    cannot be known here. Needs the graph that is left, with its labels; reads nothing of what was forgotten. Cost:
    `budget`, whatever is asked. It is weakest where so few passes cannot fit what is retained; see the figures in
    ``docs/results.md``.

    References
    ----------
    Training from scratch is the reference of all work on unlearning, for instance "Machine Unlearning",
    arXiv:1912.03817; the shortened training is the control of ``benchmarks/graph.py``.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, RestartGNN, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> classifier = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20)
    >>> model = RestartGNN(classifier, random_state=0).fit(data).unlearn([0, 1, 2])
    >>> model.guarantee, model.exactness
    ('exact', 'influence')
    """

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.15,
        lr: float | None = None,
        decay: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.lr = lr
        self.decay = decay
        self.random_state = random_state
        self.verbose = verbose

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """Exact, but approximate for a frozen network."""
        return "approximate" if isinstance(self.estimator, FrozenEstimator) else "exact"

    @property
    def exactness(self) -> Exactness | None:  # type: ignore[override]
        """No weight is a function of what was forgotten, where it is exact."""
        return None if isinstance(self.estimator, FrozenEstimator) else "influence"

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("budget", self.budget)
        check_positive("lr", self.lr, optional=True)
        check_flag("decay", self.decay)

    def _unlearn(self, deletion: Deletion) -> Work:
        frozen, remaining = isinstance(self.estimator, FrozenEstimator), deletion.remaining
        seed = self._request_seed() if frozen else self.seed_
        module = self._untrained(seed).train()
        max_epochs = passes_within(self.budget, self.estimator_.max_epochs)
        self.estimator_.train_module(
            module,
            remaining,
            seed,
            max_epochs=max_epochs,
            lr=self._rate(max_epochs),
            decay=self.decay,
            label="training anew" if self.verbose else None,
        )
        self.estimator_ = self.estimator_.moved(remaining, module)
        return self._work(max_epochs * self.estimator_.n_trained(remaining), deletion)

    def _rate(self, max_epochs: int) -> float:
        if self.lr is not None:
            return self.lr
        share = min(max_epochs / self.estimator_.max_epochs, 1.0)
        return self.estimator_.lr / math.sqrt(share)

    def _untrained(self, seed: int) -> nn.Module:
        """Make the network as training would start from it; of a frozen one, draw the weights anew."""
        if isinstance(self.estimator, FrozenEstimator):
            return redraw(self.estimator_.module_, seed)
        return make_module(self.estimator_.module, seed, self.estimator_.device)
