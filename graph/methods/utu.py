"""UtU: unlink what is to be forgotten, and leave the weights alone."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, MetaEstimatorMixin

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.requests import Deletion
from mlunlearn.receipts import Work


class UtU(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Unlink to Unlearn: messages no longer pass over what was forgotten; the weights stay as trained.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The trained model on the remaining graph.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    Notes
    -----
    Guarantee: approximate. The outputs are those of the trained network on the remaining graph, and the order of
    requests does not matter. **The weights still know what was forgotten**: UtU removes the path of the messages and
    nothing else, and every other method starts from here, so a comparison without UtU says little. Needs: the
    remaining graph. Cost: no pass over the data.

    Weights that belong to what is forgotten alone (the embedding of a node, the weights of a relation) are drawn anew.

    References
    ----------
    "Unlink to Unlearn: Simplifying Edge Unlearning in GNNs", arXiv:2402.10695.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import LinkPredictor, UtU, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = UtU(LinkPredictor(GCN(data.num_features, 8, 2, out_channels=4), max_epochs=5), random_state=0)
    >>> str(model.fit(data).unlearn([0, 5], of="edges").receipts_[-1])[:21]
    'UtU: forgot 2 edges i'
    """

    guarantee = "approximate"

    def __init__(self, estimator: Any, *, random_state: Any = None):
        self.estimator = estimator
        self.random_state = random_state

    def _unlearn(self, deletion: Deletion) -> Work:
        self.estimator_ = self.estimator_.moved(deletion.remaining, self._starting_module(deletion))
        return self._work(0, deletion)
