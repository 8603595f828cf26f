"""Stress tests: does a model give away what it was told to forget, or depend on what it must not see?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch_geometric.data import Data

from mlunlearn.graph.base import GraphForgettingMixin
from mlunlearn.graph.reading import edge_list
from mlunlearn.graph.requests import Of


def replay(method: GraphForgettingMixin, data: Data, nodes: Any, *, n_features: int = 100) -> dict[str, float]:
    """Mark nodes with features and a label of their own, forget them, and look for the label.

    Parameters
    ----------
    method : unlearner
        Around a node classifier whose network takes `n_features` more features than `data` has, and has one class
        more; or a linear model, which takes what comes. Fitted here.
    data : torch_geometric.data.Data
        The graph, with labels.
    nodes : array-like of int
        Training nodes to mark.
    n_features : int, default=100
        Binary features to add; they are one for the marked nodes alone.

    Returns
    -------
    dict of str to float
        Share of the marked nodes, shown as they were, that get the new label ``before`` and ``after`` unlearning. An
        honest model says 0 after.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, Retrain, replay, stochastic_block_model
    >>> data = stochastic_block_model([40, 40], random_state=0)
    >>> network = GCN(data.num_features + 10, 8, 2, out_channels=3)
    >>> replay(Retrain(NodeClassifier(network), random_state=0), data, [2, 3, 5, 7, 11], n_features=10)
    {'before': 1.0, 'after': 0.0}
    """
    marked = data.clone()
    nodes = torch.as_tensor(nodes)
    label = int(data.y.max()) + 1
    marks = torch.zeros(data.num_nodes, n_features)
    marks[nodes] = 1
    marked.x = torch.cat([data.x, marks], dim=1)
    marked.y = data.y.clone()
    marked.y[nodes] = label
    if "train_mask" in marked:
        marked.train_mask = data.train_mask.clone()
        marked.train_mask[nodes] = True
    shares = {}
    method.fit(marked)
    shares["before"] = float((method.predict(nodes, data=marked) == label).mean())
    method.unlearn(classes=[label])
    shares["after"] = float((method.predict(nodes, data=marked) == label).mean())
    return shares


def poison_recovery(
    method: GraphForgettingMixin, data: Data, *, share: float = 0.3, random_state: Any = None
) -> dict[str, float]:
    """Add wrong edges between classes, train, forget them, and see whether the model recovers.

    Parameters
    ----------
    method : unlearner
        Around a node classifier. Fitted here, twice.
    data : torch_geometric.data.Data
        The graph, with labels and ``test_mask``.
    share : float, default=0.3
        Wrong edges, as a share of the true ones.
    random_state : int, RandomState instance or None, default=None
        Draws them.

    Returns
    -------
    dict of str to float
        Accuracy on the test nodes: ``clean`` (never poisoned), ``poisoned`` and ``recovered``.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, Retrain, poison_recovery, stochastic_block_model
    >>> data = stochastic_block_model([40, 40], random_state=0)
    >>> model = Retrain(NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20), random_state=0)
    >>> scores = poison_recovery(model, data, random_state=0)
    >>> scores["recovered"] == scores["clean"]
    True
    """
    rng = check_random_state(random_state)
    true = edge_list(data)
    keys = set((true[0] * data.num_nodes + true[1]).tolist())
    wrong: list[tuple[int, int]] = []
    while len(wrong) < round(share * true.shape[1]):
        u, v = sorted(rng.randint(data.num_nodes, size=2).tolist())
        if data.y[u] != data.y[v] and u * data.num_nodes + v not in keys:
            keys.add(u * data.num_nodes + v)
            wrong.append((u, v))
    added = torch.tensor(wrong).t()
    poisoned = data.clone()
    poisoned.edge_index = torch.cat([data.edge_index, added, added.flip(0)], dim=1)
    test, labels = data.test_mask, data.y[data.test_mask]
    scores = {"clean": method.fit(data).score(test, labels), "poisoned": method.fit(poisoned).score(test, labels)}
    return {**scores, "recovered": method.unlearn(added, of="edges").score(test, labels)}


def find_leaks(
    method: GraphForgettingMixin, data: Data, forget_idx: Any, *, of: Of = "nodes", random_state: Any = None
) -> list[str]:
    """Change what the outcome must not depend on, fit and unlearn again, and name what made a difference.

    Parameters
    ----------
    method : unlearner
        Fitted here, several times. Its seeds must be fixed.
    data : torch_geometric.data.Data
        The graph.
    forget_idx : array-like of int
        What to forget.
    of : {'nodes', 'edges', 'features'}, default='nodes'
        What `forget_idx` names.
    random_state : int, RandomState instance or None, default=None
        Draws the changes.

    Returns
    -------
    list of str
        Of ``'test labels'``, ``'test edges'`` and, for exact methods, ``'forgotten features'``, ``'forgotten labels'``
        and ``'forgotten edges'``: those that changed a weight, by more than rounding where a method says so. Empty for
        an honest method.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, Retrain, find_leaks, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = Retrain(NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=5), random_state=0)
    >>> find_leaks(model, data, [3, 5])
    []
    """
    rng = check_random_state(random_state)
    changes = {"test labels": _change_test_labels, "test edges": _change_test_edges}
    if method.guarantee == "exact" and of == "nodes":
        idx = np.asarray(forget_idx)
        changes["forgotten features"] = lambda twin, rng: _change_features(twin, idx)
        changes["forgotten labels"] = lambda twin, rng: _change_labels(twin, idx)
        changes["forgotten edges"] = lambda twin, rng: _change_edges(twin, idx, rng)
    expected = _outcome(method, data, forget_idx, of)
    tolerance = float(getattr(method, "rounding", 0.0))
    leaks = []
    for name, change in changes.items():
        twin = data.clone()
        if change(twin, rng) and not _same(expected, _outcome(method, twin, forget_idx, of), tolerance):
            leaks.append(name)
    return leaks


Change = Callable[[Data, np.random.RandomState], bool]


def _outcome(method: GraphForgettingMixin, data: Data, forget_idx: Any, of: Of) -> dict[str, torch.Tensor]:
    return {name: w.clone() for name, w in method.fit(data).unlearn(forget_idx, of=of)._weights().items()}


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float) -> bool:
    return all(torch.allclose(a[name], b[name], rtol=0, atol=tolerance) for name in a)


def _change_test_labels(twin: Data, rng: np.random.RandomState) -> bool:
    if "test_mask" not in twin or twin.y is None:
        return False
    return _change_labels(twin, twin.test_mask.nonzero().flatten().numpy())


def _change_test_edges(twin: Data, rng: np.random.RandomState) -> bool:
    if "test_pos_edge_index" not in twin:
        return False
    shape = tuple(twin.test_pos_edge_index.shape)
    twin.test_pos_edge_index = torch.from_numpy(rng.randint(twin.num_nodes, size=shape))
    return True


def _change_labels(twin: Data, rows: np.ndarray) -> bool:
    if twin.y is None:
        return False
    twin.y = twin.y.clone()
    twin.y[rows] = (twin.y[rows] + 1) % (twin.y.max() + 1)
    return True


def _change_features(twin: Data, rows: np.ndarray) -> bool:
    if twin.x is None:
        return False
    twin.x = twin.x.clone()
    twin.x[rows] += 3
    return True


def _change_edges(twin: Data, nodes: np.ndarray, rng: np.random.RandomState) -> bool:
    """Wire the forgotten nodes otherwise."""
    chosen = torch.as_tensor(nodes)
    stays = ~torch.isin(twin.edge_index, chosen).any(dim=0)
    others = np.setdiff1d(np.arange(twin.num_nodes), nodes)
    new = torch.stack([chosen, torch.from_numpy(rng.choice(others, len(nodes)))])
    twin.edge_index = torch.cat([twin.edge_index[:, stays], new, new.flip(0)], dim=1)
    return True
