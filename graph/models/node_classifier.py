"""Classifying nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import evaluate, run
from mlunlearn.graph.positions import asked_rows
from mlunlearn.graph.structure.sampling import generator


class NodeClassifier(ClassifierMixin, GraphEstimator):
    """Classify the nodes of a graph.

    Parameters
    ----------
    module : torch.nn.Module or callable
        A network called as ``module(x, edge_index)`` that returns one logit a class, such as torch-geometric's
        ``GCN``, ``GAT``, ``GIN`` and ``GraphSAGE``. The weights of an instance, as passed, are the initial weights; a
        function without arguments makes a network with weights drawn from `random_state`. Never changed.
    max_epochs : int, default=200
        Passes over the data, each one step by default.
    lr : float, default=0.01
        Adam's learning rate.
    weight_decay : float, default=5e-4
        L2 penalty.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights (where `module` is a function) and dropout.
    device : str, default='cpu'
        Where to compute.
    batch_size : int or None, default=None
        How many labelled nodes to learn from in one step, for graphs too large to learn from at once; None takes
        all.
    n_neighbors : int, sequence of int, or None, default=10
        With `batch_size`: how many neighbours a node hears at most in one step, drawn anew each time; one number for
        every hop, or one for each, from the nodes of the batch outwards. None takes all.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network.
    classes_ : ndarray of shape (n_outputs,)
        Label i is output i: labels are integers from 0.

    Notes
    -----
    Trained by cross-entropy on the labelled nodes (those in ``train_mask``). Where the data has no features, the
    network is called with the nodes' positions instead.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20).fit(data)
    >>> model.predict_proba([0, 1, 2]).shape
    (3, 2)
    """

    def check_trainable(self, graph: Graph) -> None:
        """Refuse a graph without a label to learn from.

        Parameters
        ----------
        graph : Graph
            The graph.

        Raises
        ------
        ValueError
            If no node is labelled.
        """
        if not graph.labelled.any():
            raise ValueError("no labelled node is left to learn from; data needs y, and train_mask where it has one.")

    def n_trained(self, graph: Graph) -> int:
        """Count the labelled nodes.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        int
            Nodes to train on.
        """
        return int(graph.labelled.sum())

    def loss(self, module: nn.Module, graph: Graph, rng: torch.Generator, chosen: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy over the labelled nodes.

        Parameters
        ----------
        module : torch.nn.Module
            The network.
        graph : Graph
            What to learn from, on the module's device.
        rng : torch.Generator
            Draws neighbours.
        chosen : Tensor of int or None, default=None
            Which of them; None means all.

        Returns
        -------
        Tensor
            One number.
        """
        rows = graph.labelled_rows if chosen is None else graph.labelled_rows[chosen]
        near = self.around(module, graph, rows, rng)
        return nn.functional.cross_entropy(run(module, near)[near.local(rows)], graph.y[rows].to(near.x.device))

    def _learn_classes(self, module: nn.Module, graph: Graph) -> None:
        one = self.around(module, graph, torch.zeros(1, dtype=torch.long), generator(0))
        n_outputs = evaluate(module, one.to(self.device)).shape[1]
        if graph.y.max() >= n_outputs:
            raise ValueError(f"data has the label {int(graph.y.max())}, but the module has {n_outputs} outputs only.")
        self.classes_ = np.arange(n_outputs)

    def decision_function(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Return the logits of nodes.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about; positions are then those of this graph.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Logits.

        Raises
        ------
        ValueError
            If a node is not there, or is forgotten.
        """
        z, graph = self._outputs(data)
        return z[asked_rows(graph, idx)].cpu().numpy().astype(np.float64)

    def predict_proba(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Predict class probabilities of nodes.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Probabilities.
        """
        logits = torch.from_numpy(self.decision_function(idx, data=data))
        return logits.softmax(dim=1).numpy()

    def predict(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Predict the labels of nodes.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        return self.decision_function(idx, data=data).argmax(axis=1)
