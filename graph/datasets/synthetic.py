"""Stochastic block models: graphs with known classes, of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch_geometric.data import Data


def stochastic_block_model(
    sizes: Sequence[int],
    *,
    degree_in: float = 6.0,
    degree_out: float = 1.0,
    n_features: int = 16,
    signal: float = 1.0,
    train: float = 0.6,
    val: float = 0.2,
    random_state: Any = None,
) -> Data:
    """Generate a graph of blocks, more densely linked inside than between them.

    Parameters
    ----------
    sizes : sequence of int
        Nodes of each block; the block is the label.
    degree_in, degree_out : float, default=6.0 and 1.0
        Neighbours that a node has, on average, in its own block and in all others together (a little fewer, since
        an edge drawn twice counts once).
    n_features : int, default=16
        Normally distributed features.
    signal : float, default=1.0
        Length of the blocks' mean features, in standard deviations.
    train, val : float, default=0.6 and 0.2
        Shares of nodes in ``train_mask`` and ``val_mask``; the others are in ``test_mask``.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Returns
    -------
    torch_geometric.data.Data
        Undirected, without self-loops.

    Notes
    -----
    Time and memory grow with the number of edges, not with the square of the number of nodes.

    Examples
    --------
    >>> from mlunlearn.graph import stochastic_block_model
    >>> data = stochastic_block_model([30, 20], random_state=0)
    >>> data.num_nodes, data.is_undirected(), data.y.bincount().tolist()
    (50, True, [30, 20])
    """
    rng = check_random_state(random_state)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    n = len(labels)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    inside, across = round(n * degree_in / 2), round(n * degree_out / 2)
    first = rng.randint(n, size=inside)
    second = starts[labels[first]] + (rng.random_sample(inside) * np.asarray(sizes)[labels[first]]).astype(int)
    ends = np.concatenate([np.stack([first, second]), rng.randint(n, size=(2, across))], axis=1)
    crossing = labels[ends[0]] != labels[ends[1]]
    crossing[:inside] = ends[0, :inside] != ends[1, :inside]
    low, high = np.sort(ends[:, crossing], axis=0)
    ends = np.stack(np.divmod(np.unique(low * n + high), max(n, 1)))
    means = rng.standard_normal((len(sizes), n_features))
    means *= signal / np.linalg.norm(means, axis=1, keepdims=True)
    order = rng.permutation(n)
    bounds = [0, int(train * n), int((train + val) * n), n]
    masks = {}
    for name, start, stop in zip(("train", "val", "test"), bounds[:-1], bounds[1:], strict=True):
        masks[f"{name}_mask"] = torch.zeros(n, dtype=torch.bool)
        masks[f"{name}_mask"][torch.from_numpy(order[start:stop])] = True
    edges = torch.from_numpy(np.concatenate([ends, ends[::-1]], axis=1))
    x = torch.from_numpy(means[labels] + rng.standard_normal((n, n_features))).float()
    return Data(x=x, edge_index=edges, y=torch.from_numpy(labels), **masks)
