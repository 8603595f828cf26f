"""Pairs of nodes without an edge, drawn from the graph that is left and from nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from mlunlearn.graph.graphs import Graph
from mlunlearn.training.seeds import derive_seeds

_MAX_ROUNDS = 100


def generator(seed: int, *key: int) -> torch.Generator:
    """Make a generator for one purpose, independent of all others.

    Parameters
    ----------
    seed : int
        The root seed.
    *key : int
        What it is for, such as the epoch.

    Returns
    -------
    torch.Generator
        On the CPU.
    """
    return torch.Generator().manual_seed(derive_seeds(seed, *key)[0])


def sample_non_edges(graph: Graph, n: int, rng: torch.Generator) -> Tensor:
    """Draw pairs of distinct nodes that have no edge, uniformly and with replacement.

    Parameters
    ----------
    graph : Graph
        Where there must be no edge, of whatever relation, in either direction.
    n : int
        How many.
    rng : torch.Generator
        Source of randomness.

    Returns
    -------
    Tensor of int, shape (2, n)
        Rows of the two nodes.

    Raises
    ------
    ValueError
        If hardly any pair is without an edge.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph.reading import read_graph
    >>> from mlunlearn.graph.structure.sampling import generator, sample_non_edges
    >>> path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> pairs = sample_non_edges(read_graph(Data(edge_index=path, num_nodes=3)), 8, generator(0))
    >>> sorted(set(pairs.flatten().tolist()))
    [0, 2]
    """
    size = graph.n_nodes
    taken = graph.taken
    found = torch.empty(2, 0, dtype=torch.long)
    for _ in range(_MAX_ROUNDS):
        if found.shape[1] >= n or size < 2:
            break
        drawn = torch.randint(size, (2, n - found.shape[1]), generator=rng)
        free = (drawn[0] != drawn[1]) & ~_contains(taken, drawn[0] * size + drawn[1])
        found = torch.cat([found, drawn[:, free]], dim=1)
    if found.shape[1] < n:
        raise ValueError("hardly any two nodes are without an edge, so none can be drawn to learn from.")
    return found


def _contains(ascending: Tensor, values: Tensor) -> Tensor:
    if not len(ascending):
        return torch.zeros_like(values, dtype=torch.bool)
    places = torch.searchsorted(ascending, values).clamp(max=len(ascending) - 1)
    return ascending[places] == values


def permute_heads(pairs: Tensor, types: Tensor, rng: torch.Generator) -> Tensor:
    """Make false triples of true ones: the heads are dealt out anew among the triples of each relation.

    Parameters
    ----------
    pairs : Tensor of int, shape (2, n)
        Heads and tails.
    types : Tensor of int, shape (n,)
        Relations.
    rng : torch.Generator
        Source of randomness.

    Returns
    -------
    Tensor of int, shape (2, n)
        Other heads with the same tails; relation i is still ``types[i]``. Some may be true by chance.
    """
    shuffled = torch.randperm(pairs.shape[1], generator=rng)
    by_type = types.argsort(stable=True)
    dealt = shuffled[types[shuffled].argsort(stable=True)]
    heads = torch.empty_like(pairs[0])
    heads[by_type] = pairs[0][dealt]
    return torch.stack([heads, pairs[1]])


def negatives_for(graph: Graph, rng: torch.Generator, chosen: Tensor | None = None) -> Tensor:
    """Draw as many negatives as a graph has edges, of the same relations.

    Parameters
    ----------
    graph : Graph
        The graph to learn from.
    rng : torch.Generator
        Source of randomness.
    chosen : Tensor of int, shape (n,), or None, default=None
        Edges to draw them for; None means all.

    Returns
    -------
    Tensor of int, shape (2, n)
        Non-edges; in a knowledge graph the i-th has the relation of the i-th edge.
    """
    if graph.pair_types is None:
        return sample_non_edges(graph, graph.n_edges if chosen is None else len(chosen), rng)
    if chosen is None:
        return permute_heads(graph.pairs, graph.pair_types, rng)
    return permute_heads(graph.pairs[:, chosen], graph.pair_types[chosen], rng)
