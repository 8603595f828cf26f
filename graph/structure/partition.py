"""Balanced partitions of nodes that follow the graph: by label propagation, and by k-means of embeddings."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

_SLACK = 0.005  # how far above the mean a shard may grow, as a share of what is outside of it


def shard_cap(n: int, n_shards: int) -> int:
    """Return the largest size of a shard.

    Parameters
    ----------
    n : int
        Nodes.
    n_shards : int
        Shards.

    Returns
    -------
    int
        A little above ``n / n_shards``.
    """
    return math.ceil(n / n_shards + _SLACK * (n - n / n_shards))


def partition_by_labels(pairs: np.ndarray, n: int, n_shards: int, seed: int, *, max_rounds: int = 100) -> np.ndarray:
    """Cut a graph into shards of bounded size by label propagation (BLPA): nodes move to where their neighbours are.

    Parameters
    ----------
    pairs : ndarray of int, shape (2, n_edges)
        Ends of the edges.
    n, n_shards : int
        Nodes and shards.
    seed : int
        Draws the start, which is balanced, and breaks ties.
    max_rounds : int, default=100
        Bound on the rounds; it ends when no node moves.

    Returns
    -------
    ndarray of int, shape (n,)
        The shard of each node; none is larger than `shard_cap` says.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.structure.partition import partition_by_labels
    >>> cliques = np.array([[0, 0, 1, 3, 3, 4], [1, 2, 2, 4, 5, 5]])
    >>> shards = partition_by_labels(cliques, 6, 2, seed=0)
    >>> bool(shards[0] == shards[1] == shards[2] != shards[3] == shards[4] == shards[5])
    True
    """
    rng = np.random.default_rng(seed)
    shards = rng.permutation(np.arange(n) % n_shards)
    ends = np.concatenate([pairs, pairs[::-1]], axis=1)
    adjacency = csr_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(n, n))
    for _ in range(max_rounds):
        before = shards.copy()
        counts = adjacency @ np.eye(n_shards)[shards]
        wanted = np.argmax(counts + 0.5 * rng.random(counts.shape), axis=1)
        strength = counts[np.arange(n), wanted]
        order = np.lexsort((rng.random(n), -strength))
        _move(shards, wanted, order[strength[order] > 0], shard_cap(n, n_shards))
        if (shards == before).all():
            break
    return shards


def _move(shards: np.ndarray, wanted: np.ndarray, order: np.ndarray, cap: int) -> None:
    """Move nodes in order; who finds the shard full waits until somebody leaves it."""
    sizes = np.bincount(shards, minlength=shards.max() + 1).tolist()
    sizes += [0] * (int(wanted.max(initial=0)) + 1 - len(sizes))
    waiting: list[deque[int]] = [deque() for _ in sizes]
    for first in order.tolist():
        node: int | None = first
        while node is not None:
            source, target = int(shards[node]), int(wanted[node])
            if source == target:
                break
            if sizes[target] >= cap:
                waiting[target].append(node)
                break
            shards[node] = target
            sizes[source] -= 1
            sizes[target] += 1
            node = waiting[source].popleft() if waiting[source] else None


def partition_by_embedding(embedding: np.ndarray, n_shards: int, seed: int, *, max_rounds: int = 20) -> np.ndarray:
    """Cut nodes into shards of bounded size by k-means of their embeddings (BEKM): the nearest pairs join first.

    Parameters
    ----------
    embedding : ndarray of float, shape (n, d)
        One row a node.
    n_shards : int
        Shards.
    seed : int
        Draws the nodes that are the first centroids.
    max_rounds : int, default=20
        Bound on the rounds; it ends when no node moves.

    Returns
    -------
    ndarray of int, shape (n,)
        The shard of each node; none is larger than `shard_cap` says.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.structure.partition import partition_by_embedding
    >>> shards = partition_by_embedding(np.array([[0.0], [0.1], [9.0], [9.1]]), 2, seed=0)
    >>> bool(shards[0] == shards[1] != shards[2] == shards[3])
    True
    """
    n = len(embedding)
    rng = np.random.default_rng(seed)
    centroids = embedding[rng.choice(n, n_shards, replace=False)].astype(np.float64)
    shards = np.full(n, -1)
    for _ in range(max_rounds):
        before = shards
        shards = _assign_nearest(cdist(embedding, centroids), shard_cap(n, n_shards))
        if (shards == before).all():
            break
        for shard in np.unique(shards):
            centroids[shard] = embedding[shards == shard].mean(axis=0)
    return shards


def _assign_nearest(distances: np.ndarray, cap: int) -> np.ndarray:
    n, n_shards = distances.shape
    shards, free, left = np.full(n, -1), [cap] * n_shards, n
    for place in np.argsort(distances, axis=None, kind="stable").tolist():
        node, shard = divmod(place, n_shards)
        if shards[node] < 0 and free[shard]:
            shards[node] = shard
            free[shard] -= 1
            left -= 1
            if not left:
                break
    return shards
