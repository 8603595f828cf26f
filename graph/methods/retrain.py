"""Retraining from scratch on the graph that is left: the gold standard for every other method."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, MetaEstimatorMixin

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.requests import Deletion
from mlunlearn.receipts import Work
from mlunlearn.training.estimators import refuse_frozen


class Retrain(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Forget by training again on the graph that is left.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator, the same at every retraining.

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

    Notes
    -----
    Guarantee: exact to the bit; after `unlearn` the state is that of ``fit(data, exclude=forgotten)``, and for nodes
    that of a fit on the subgraph without them. Cost: one training on the remaining graph per request.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, Retrain, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = Retrain(NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=5), random_state=0)
    >>> model.fit(data).unlearn([3, 17]).receipts_[-1].n_retained
    38
    """

    guarantee = "exact"
    exactness = "bits"

    def __init__(self, estimator: Any, *, random_state: Any = None):
        self.estimator = estimator
        self.random_state = random_state

    def _accept(self, graph: Graph) -> None:
        super()._accept(graph)
        refuse_frozen(self.estimator, type(self).__name__)

    def _unlearn(self, deletion: Deletion) -> Work:
        self.estimator_ = self._trained(deletion.remaining)
        return self._work(self.estimator_.max_epochs * self.estimator_.n_trained(deletion.remaining), deletion)
