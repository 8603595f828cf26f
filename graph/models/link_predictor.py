"""Predicting edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import pair_scores, run
from mlunlearn.graph.positions import known_rows
from mlunlearn.graph.structure.sampling import negatives_for


class LinkPredictor(GraphEstimator):
    """Predict the edges of a graph.

    Parameters
    ----------
    module : torch.nn.Module or callable
        An encoder called as ``module(x, edge_index)`` (knowledge graph: ``module(x, edge_index, edge_type)``) that
        returns one embedding a node. A pair's score is the inner product, or what ``module.decode`` says if there
        is one. As in `NodeClassifier`, an instance brings its initial weights and a function makes them.
    max_epochs : int, default=200
        Passes over the data, each one step by default.
    lr : float, default=0.01
        Adam's learning rate.
    weight_decay : float, default=0.0
        L2 penalty.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights (where `module` is a function), dropout and negatives.
    device : str, default='cpu'
        Where to compute.
    batch_size : int or None, default=None
        How many edges to learn from in one step, for graphs too large to learn from at once; None takes
        all.
    n_neighbors : int, sequence of int, or None, default=10
        With `batch_size`: how many neighbours a node hears at most in one step, drawn anew each time; one number for
        every hop, or one for each, from the nodes of the batch outwards. None takes all.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained encoder.
    classes_ : ndarray of shape (2,)
        0 for no edge, 1 for an edge.

    Notes
    -----
    Every edge of the data passes messages and is learned, against as many non-edges, drawn anew in every epoch (in a
    knowledge graph: the heads of each relation's triples, permuted). Labels ``y`` are not used.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import LinkPredictor, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = LinkPredictor(GCN(data.num_features, 8, 2, out_channels=4), max_epochs=20).fit(data)
    >>> model.predict_proba([[0, 1], [2, 30]]).shape
    (2, 2)
    """

    def __init__(
        self,
        module: Any,
        *,
        max_epochs: int = 200,
        lr: float = 0.01,
        weight_decay: float = 0.0,
        random_state: Any = None,
        device: str = "cpu",
        batch_size: int | None = None,
        n_neighbors: int | Sequence[int] | None = 10,
        verbose: int = 0,
    ):
        super().__init__(
            module,
            max_epochs=max_epochs,
            lr=lr,
            weight_decay=weight_decay,
            random_state=random_state,
            device=device,
            batch_size=batch_size,
            n_neighbors=n_neighbors,
            verbose=verbose,
        )

    def check_trainable(self, graph: Graph) -> None:
        """Refuse a graph without edges.

        Parameters
        ----------
        graph : Graph
            The graph.

        Raises
        ------
        ValueError
            If no edge is there.
        """
        if not graph.n_edges:
            raise ValueError("no edge is left to learn from.")

    def n_trained(self, graph: Graph) -> int:
        """Count the edges.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        int
            Edges to train on.
        """
        return graph.n_edges

    def loss(self, module: nn.Module, graph: Graph, rng: torch.Generator, chosen: Tensor | None = None) -> Tensor:
        """Return the mean binary cross-entropy over all edges and as many negatives.

        Parameters
        ----------
        module : torch.nn.Module
            The encoder.
        graph : Graph
            What to learn from, on the module's device.
        rng : torch.Generator
            Draws negatives and neighbours.
        chosen : Tensor of int or None, default=None
            Which of them; None means all.

        Returns
        -------
        Tensor
            One number.
        """
        pairs, types = graph.chosen_pairs(chosen)
        negatives = negatives_for(graph.to("cpu"), rng, chosen)
        near = self.around(module, graph, torch.cat([pairs, negatives.to(pairs.device)]).flatten(), rng)
        z = run(module, near)
        types = None if types is None else types.to(z.device)
        true = pair_scores(module, z, near.local(pairs), types)
        false = pair_scores(module, z, near.local(negatives.to(z.device)), types)
        return (nn.functional.softplus(-true).mean() + nn.functional.softplus(false).mean()) / 2

    def decision_function(self, pairs: Any, edge_type: Any = None, *, data: Data | None = None) -> np.ndarray:
        """Return the scores of pairs of nodes.

        Parameters
        ----------
        pairs : array-like of int, shape (2, n)
            Positions of the two nodes, none of them forgotten, one pair a column.
        edge_type : array-like of int, shape (n,), or None
            Relations; for knowledge graphs.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about; positions are then those of this graph.

        Returns
        -------
        ndarray of shape (n,)
            Scores.

        Raises
        ------
        ValueError
            If a node is not there or is forgotten, or if relations are missing.
        """
        z, graph = self._outputs(data)
        asked = torch.as_tensor(np.asarray(pairs), dtype=torch.long)
        if asked.ndim != 2 or len(asked) != 2:
            raise ValueError(f"pairs has shape {tuple(asked.shape)}, expected (2, n): one pair a column.")
        if (edge_type is None) == bool(graph.n_relations):
            raise ValueError("edge_type must be given for the pairs of a knowledge graph, and only for those.")
        types = None if edge_type is None else torch.as_tensor(np.asarray(edge_type), dtype=torch.long).to(z.device)
        with torch.no_grad():
            scores = pair_scores(self.module_, z, known_rows(graph, asked).to(z.device), types)
        return scores.cpu().numpy().astype(np.float64)

    def predict_proba(self, pairs: Any, edge_type: Any = None, *, data: Data | None = None) -> np.ndarray:
        """Predict whether pairs of nodes have an edge.

        Parameters
        ----------
        pairs : array-like of int, shape (2, n)
            Positions of the two nodes, none of them forgotten.
        edge_type : array-like of int, shape (n,), or None
            Relations; for knowledge graphs.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n, 2)
            Probabilities of no edge and of an edge.
        """
        proba = torch.from_numpy(self.decision_function(pairs, edge_type, data=data)).sigmoid().numpy()
        return np.stack([1 - proba, proba], axis=1)

    def predict(self, pairs: Any, edge_type: Any = None, *, data: Data | None = None) -> np.ndarray:
        """Predict 1 for pairs more likely than not to have an edge.

        Parameters
        ----------
        pairs : array-like of int, shape (2, n)
            Positions of the two nodes, none of them forgotten.
        edge_type : array-like of int, shape (n,), or None
            Relations; for knowledge graphs.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n,)
            0 or 1.
        """
        return (self.decision_function(pairs, edge_type, data=data) > 0).astype(int)

    def score(self, pairs: Any, y: Any, edge_type: Any = None) -> float:
        """Return the area under the ROC curve.

        Parameters
        ----------
        pairs : array-like of int, shape (2, n)
            Positions of the two nodes, none of them forgotten.
        y : array-like of shape (n,)
            1 for edges, 0 for pairs without one.
        edge_type : array-like of int, shape (n,), or None
            Relations; for knowledge graphs.

        Returns
        -------
        float
            Between 0 and 1.
        """
        return float(roc_auc_score(y, self.decision_function(pairs, edge_type)))
