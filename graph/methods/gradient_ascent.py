"""Gradient ascent: climb the training loss of what is to be forgotten."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from torch import Tensor, nn

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.elements import forgotten_elements
from mlunlearn.graph.models.training import pair_scores, run, train
from mlunlearn.graph.requests import Deletion
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_count, check_positive
from mlunlearn.receipts import Work


class GradientAscent(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Take a few steps up the training loss of what is forgotten, on the remaining graph.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere.
    max_epochs : int, default=10
        Steps.
    lr : float, default=1e-3
        Adam's learning rate.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    Notes
    -----
    Guarantee: approximate. A baseline with a known failure: nothing holds what is to stay, so more steps ruin the
    model, and the forgotten parts come to stand out by their high loss. Needs: what is forgotten, with its labels.
    Cost: `max_epochs` passes. Link predictors climb the loss of the forgotten edges (of a node or of features: those
    at it); node classifiers that of the labelled nodes among the forgotten ones, or at the ends of forgotten edges.

    References
    ----------
    The baseline of "GNNDelete: A General Strategy for Unlearning in Graph Neural Networks", arXiv:2302.13406.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import GradientAscent, LinkPredictor, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = GradientAscent(LinkPredictor(GCN(data.num_features, 8, 2, out_channels=4), max_epochs=5))
    >>> model.fit(data).unlearn([0, 5], of="edges").receipts_[-1].work.samples
    20
    """

    guarantee = "approximate"

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 10,
        lr: float = 1e-3,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.lr = lr
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        super()._check_settings()
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)

    def _unlearn(self, deletion: Deletion) -> Work:
        module = self._starting_module(deletion)
        loss, n = self._forget_loss(module, deletion)
        train(
            module.eval(),
            lambda epoch: -loss(),
            n_steps=self.max_epochs if n else 0,
            optimizer=adam(self.lr, fused=False),
            seed=self.seed_,
            label="gradient ascent" if self.verbose else None,
        )
        self.estimator_ = self.estimator_.moved(deletion.remaining, module)
        return self._work(self.max_epochs * n, deletion)

    def _forget_loss(self, module: nn.Module, deletion: Deletion) -> tuple[Any, int]:
        """Return the training loss of what is forgotten, and how much that is."""
        device = self.estimator_.device
        probe = deletion.probe.to(device)
        if is_classifier(self.estimator_):
            y = deletion.before.y
            rows = deletion.endpoints if deletion.of == "edges" else torch.cat([deletion.nodes, deletion.features])
            rows = rows[y[rows] >= 0]
            labels, there = y[rows].to(device), rows.to(device)
            return lambda: nn.functional.cross_entropy(run(module, probe)[there], labels), len(rows)
        elements = forgotten_elements(self.estimator_, deletion).to(device)

        def edges() -> Tensor:
            assert elements.pairs is not None
            scores = pair_scores(module, run(module, probe), elements.pairs, elements.types)
            return nn.functional.softplus(-scores).mean()

        return edges, len(elements)
