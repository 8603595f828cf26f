"""A membership attack on graph models: a network trained on a shadow model, which never sees what was forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import device_of, evaluate, pair_scores, redraw
from mlunlearn.graph.requests import Deletion
from mlunlearn.training.seeds import derive_seeds

_LEAST = 1e-3


class ShadowAttack:
    """Tells members from non-members by a model's answers, as learned from a shadow of that model.

    Parameters
    ----------
    original : NodeClassifier or LinkPredictor
        The attacked model: its network, weights drawn anew, and its way of training make the shadow.
    data : torch_geometric.data.Data
        The graph. A link predictor's shadow is trained on the test edges; its members are these, its non-members as
        many validation edges. A node classifier's shadow is trained on a third of the test nodes, its non-members
        are another third; the last, `unseen`, is kept to compare with.
    deletion : Deletion
        The request; nothing in it trains the shadow or the attacker, and its nodes and edges are not in the
        shadow's graph.
    seed : int
        Seeds shadow, attacker and thirds.

    Attributes
    ----------
    unseen : Tensor of int
        Rows of test nodes that neither the shadow nor the attacker knows; empty for link predictors.

    Raises
    ------
    ValueError
        If the data has too few test nodes, or no test or validation edges.

    Notes
    -----
    The features are of one type throughout: the probabilities of no edge and of an edge, or the class posteriors with
    the true label's first and the others in descending order; nodes are shown without edges, as forgotten ones are.
    The attacker is scikit-learn's ``MLPClassifier``.

    Examples
    --------
    >>> import numpy as np
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, stochastic_block_model
    >>> from mlunlearn.graph.audit import ShadowAttack
    >>> from mlunlearn.graph.reading import read_graph
    >>> from mlunlearn.graph.requests import delete
    >>> data = stochastic_block_model([30, 30], random_state=0)
    >>> model = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=10).fit(data)
    >>> attack = ShadowAttack(model, data, delete(read_graph(data), "nodes", np.array([1, 2])), seed=0)
    >>> bool(data.test_mask[attack.unseen].all()), attack.membership(np.array([[0.9, 0.1]])).shape
    (True, torch.Size([1]))
    """

    def __init__(self, original: GraphEstimator, data: Data, deletion: Deletion, seed: int):
        seeds = derive_seeds(seed, n=3)
        self.unseen = torch.empty(0, dtype=torch.long)
        shadow = clone(original).set_params(module=redraw(original.module_, seeds[0]), random_state=seeds[0])
        remaining = deletion.after
        if is_classifier(original):
            members, others = self._thirds(data, deletion, seeds[1])
            y = torch.full_like(remaining.y, -1)
            y[members] = data.y[members]
            shadow.fit_graph(replace(remaining, y=y))
            groups = [node_features(shadow.module_, remaining, data, rows) for rows in (members, others)]
        else:
            groups = self._edges(shadow, data, remaining)
        labels = np.repeat([1, 0], [len(group) for group in groups])
        attacker = MLPClassifier((32,), alpha=0.1, tol=1e-3, max_iter=2000, random_state=seeds[2] % 2**32)
        self.attacker = make_pipeline(StandardScaler(), attacker).fit(np.concatenate(groups), labels)

    def _thirds(self, data: Data, deletion: Deletion, seed: int) -> tuple[Tensor, Tensor]:
        test = data.test_mask.clone()
        test[torch.cat([deletion.nodes, deletion.endpoints])] = False
        rows = test.nonzero().flatten()
        if len(rows) < 6:
            raise ValueError(f"the attack needs some test nodes away from the request, found {len(rows)}.")
        rows = rows[torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))]
        members, others, self.unseen = rows.tensor_split(3)
        return members, others

    def _edges(self, shadow: GraphEstimator, data: Data, graph: Graph) -> list[np.ndarray]:
        pairs, types = data.test_pos_edge_index, getattr(data, "test_pos_edge_type", None)
        if not pairs.shape[1] or not graph.held_out_pairs.shape[1]:
            raise ValueError("the attack needs test edges to train a shadow model on, and validation edges.")
        own = replace(graph, pairs=pairs, pair_ids=torch.arange(pairs.shape[1]), pair_types=types)
        shadow.fit_graph(own)
        n = min(pairs.shape[1], graph.held_out_pairs.shape[1])
        held_out_types = None if graph.held_out_types is None else graph.held_out_types[:n]
        z = evaluate(shadow.module_, own.to(shadow.device)).cpu()
        module = shadow.module_.cpu()
        with torch.no_grad():
            members = pair_scores(module, z, pairs[:, :n], None if types is None else types[:n])
            others = pair_scores(module, z, graph.held_out_pairs[:, :n], held_out_types)
        return [edge_features(members.sigmoid()), edge_features(others.sigmoid())]

    def membership(self, features: np.ndarray) -> Tensor:
        """Return the attacker's probabilities of membership.

        Parameters
        ----------
        features : ndarray, shape (n, n_features)
            Answers of a model, by `edge_features` or `node_features`.

        Returns
        -------
        Tensor, shape (n,)
            Not below 0.001, so that ratios stay finite.
        """
        return torch.from_numpy(self.attacker.predict_proba(features)[:, 1]).clamp(min=_LEAST)


def edge_features(p: Tensor) -> np.ndarray:
    """Arrange answers about pairs.

    Parameters
    ----------
    p : Tensor, shape (n,)
        Probabilities of an edge.

    Returns
    -------
    ndarray, shape (n, 2)
        Probabilities of no edge and of an edge.
    """
    return torch.stack([1 - p, p], dim=1).numpy()


def node_features(module: nn.Module, graph: Graph, data: Data, rows: Tensor) -> np.ndarray:
    """Arrange answers about nodes, shown without edges.

    Parameters
    ----------
    module : torch.nn.Module
        A node classifier's network.
    graph : Graph
        The graph after the request, forgotten nodes included.
    data : torch_geometric.data.Data
        Knows the true labels.
    rows : Tensor of int, shape (n,)
        The nodes.

    Returns
    -------
    ndarray, shape (n, n_classes)
        As `posterior_features` arranges them.
    """
    edgeless = graph.without_pairs(torch.ones(graph.n_edges, dtype=torch.bool))
    p = evaluate(module, edgeless.to(device_of(module))).softmax(dim=1).cpu()[rows]
    return posterior_features(p.double().numpy(), data.y[rows].numpy())


def posterior_features(proba: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Arrange class posteriors so that classes do not matter.

    Parameters
    ----------
    proba : ndarray, shape (n, n_classes)
        Class posteriors.
    target : ndarray of int, shape (n,)
        True classes.

    Returns
    -------
    ndarray, shape (n, n_classes)
        Posterior of the true label, then the others in descending order.
    """
    rows = np.arange(len(proba))
    others = proba.astype(float)
    others[rows, target] = -1.0
    return np.column_stack([proba[rows, target], -np.sort(-others, axis=1)[:, :-1]])
