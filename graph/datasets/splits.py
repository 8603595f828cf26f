"""The splits of the published protocol, and what it forgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch_geometric.data import Data

from mlunlearn.graph.reading import edge_list, read_graph
from mlunlearn.graph.structure.sampling import sample_non_edges


def split_edges(data: Data, *, val: float = 0.05, test: float = 0.05, random_state: Any = None) -> Data:
    """Hold out edges for validation and test, and draw as many non-edges.

    Parameters
    ----------
    data : torch_geometric.data.Data
        An undirected graph.
    val, test : float, default=0.05
        Shares of the edges.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Returns
    -------
    torch_geometric.data.Data
        The same nodes; ``edge_index`` holds the training edges, ``val_pos_edge_index``, ``val_neg_edge_index``,
        ``test_pos_edge_index`` and ``test_neg_edge_index`` hold the others, one column a pair. No negative is an edge
        of any of the three parts.

    Examples
    --------
    >>> from mlunlearn.graph import edge_list, split_edges, stochastic_block_model
    >>> data = stochastic_block_model([50, 50], random_state=0)
    >>> split = split_edges(data, random_state=0)
    >>> edge_list(data).shape[1] == edge_list(split).shape[1] + 2 * split.test_pos_edge_index.shape[1]
    True
    """
    rng = check_random_state(random_state)
    edges = edge_list(data)
    n_edges = edges.shape[1]
    n_val, n_test = int(val * n_edges), int(test * n_edges)
    edges = edges[:, torch.from_numpy(rng.permutation(n_edges))]
    held_out, training = edges[:, : n_val + n_test], edges[:, n_val + n_test :]
    generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
    negatives = sample_non_edges(read_graph(data), n_val + n_test, generator)
    split = data.clone()
    split.edge_index = torch.cat([training, training.flip(0)], dim=1)
    split.val_pos_edge_index, split.test_pos_edge_index = held_out[:, :n_val], held_out[:, n_val:]
    split.val_neg_edge_index, split.test_neg_edge_index = negatives[:, :n_val], negatives[:, n_val:]
    return split


def split_nodes(data: Data, *, val: float = 0.1, test: float = 0.1, random_state: Any = None) -> Data:
    """Hold out nodes for validation and test; train on the labels of all others.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A graph with labels.
    val, test : float, default=0.1
        Shares of the nodes.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Returns
    -------
    torch_geometric.data.Data
        The same graph with new masks.

    Examples
    --------
    >>> from mlunlearn.graph import split_nodes, stochastic_block_model
    >>> data = split_nodes(stochastic_block_model([50, 50], random_state=0), random_state=0)
    >>> int(data.train_mask.sum()), int(data.val_mask.sum()), int(data.test_mask.sum())
    (80, 10, 10)
    """
    n_nodes = int(data.num_nodes)
    order = torch.from_numpy(check_random_state(random_state).permutation(n_nodes))
    n_val, n_test = int(val * n_nodes), int(test * n_nodes)
    parts = order.split([n_nodes - n_val - n_test, n_val, n_test])
    result = data.clone()
    for name, rows in zip(("train_mask", "val_mask", "test_mask"), parts, strict=True):
        mask = torch.zeros(n_nodes, dtype=torch.bool)
        mask[rows] = True
        result[name] = mask
    return result


def deletion_masks(data: Data, *, hops: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Tell training edges near the test edges from those far away, the `in` and `out` of the published protocol.

    Parameters
    ----------
    data : torch_geometric.data.Data
        What `split_edges` returned, or a knowledge graph with ``test_pos_edge_index``.
    hops : int, default=2
        How far from an end of a test edge is near.

    Returns
    -------
    inside : ndarray of bool, shape (n_edges,)
        Both ends are within `hops` of an end of a test edge, by position in ``edge_list(data)``.
    outside : ndarray of bool, shape (n_edges,)
        The others.

    Notes
    -----
    Hops follow edges in both directions. Published code follows them from the lower to the higher node only, and so
    counts most of the near edges as far.

    Examples
    --------
    >>> from mlunlearn.graph import deletion_masks, split_edges, stochastic_block_model
    >>> inside, outside = deletion_masks(split_edges(stochastic_block_model([200], random_state=0), random_state=0))
    >>> bool((inside ^ outside).all())
    True
    """
    graph = read_graph(data)
    near = graph.within(data.test_pos_edge_index.flatten(), hops)
    inside = near[graph.pairs].all(dim=0).numpy()
    return inside, ~inside


def choose_forgotten(mask: np.ndarray, ratio: float, random_state: Any = None) -> np.ndarray:
    """Draw a share of all edges from those that may be forgotten.

    Parameters
    ----------
    mask : ndarray of bool, shape (n,)
        Which may be drawn.
    ratio : float
        Share of all `n`.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Returns
    -------
    ndarray of int
        Ascending positions.

    Raises
    ------
    ValueError
        If too few may be drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph import choose_forgotten
    >>> choose_forgotten(np.array([True, False, False, True]), 0.5, random_state=0)
    array([0, 3])
    """
    candidates = np.flatnonzero(mask)
    n = max(round(ratio * len(mask)), 1)
    if n > len(candidates):
        raise ValueError(f"a share of {ratio:.1%} is {n} of {len(mask)}, but only {len(candidates)} may be drawn.")
    return np.sort(check_random_state(random_state).choice(candidates, n, replace=False))
