"""Reading a `Data`: what it must be, and how its edges are counted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from mlunlearn.graph.graphs import Graph


def read_graph(data: Data, n_relations: int | None = None) -> Graph:
    """Check a graph and take it in; tensors that need no change are referred to, not copied.

    Parameters
    ----------
    data : torch_geometric.data.Data
        Nodes, and edges in both directions. With ``edge_type`` it is a knowledge graph: every triple once,
        without inverses, which are added here. ``train_mask`` and ``val_mask`` are masks of nodes; validation
        edges are ``val_pos_edge_index`` (and ``val_pos_edge_type``). Edge weights and attributes are not used.
    n_relations : int or None, default=None
        Number of relations; None counts those in `data`.

    Returns
    -------
    Graph
        The graph.

    Raises
    ------
    ValueError
        If an edge has no opposite, joins a node to itself or to none, or if a mask does not fit.
    """
    n_nodes = _count_nodes(data)
    relations = getattr(data, "edge_type", None)
    pairs = edge_list(data)
    val_pairs = getattr(data, "val_pos_edge_index", None)
    val_types = getattr(data, "val_pos_edge_type", None)
    if relations is not None and n_relations is None:
        n_relations = int(max(part.max() for part in (relations, val_types) if part is not None and len(part))) + 1
    return Graph(
        positions=torch.arange(n_nodes),
        x=_features(data, n_nodes),
        y=_labels(data, n_nodes, getattr(data, "train_mask", None)),
        held_out_y=_labels(data, n_nodes, getattr(data, "val_mask", torch.zeros(n_nodes, dtype=torch.bool))),
        pairs=pairs,
        pair_ids=torch.arange(pairs.shape[1]),
        pair_types=relations,
        held_out_pairs=torch.empty(2, 0, dtype=torch.long) if val_pairs is None else val_pairs,
        held_out_types=val_types,
        n_nodes_fit=n_nodes,
        n_relations=n_relations or 0,
    )


def edge_list(data: Data) -> Tensor:
    """List the edges of a graph, in the order in which requests and receipts count them.

    Parameters
    ----------
    data : torch_geometric.data.Data
        An undirected graph that stores every edge in both directions, or a knowledge graph with ``edge_type``.

    Returns
    -------
    Tensor of int, shape (2, n_edges)
        The columns of ``edge_index`` whose first end is the smaller one, in their order, parallel copies once.
        For a knowledge graph ``edge_index`` itself: every triple is an edge.

    Raises
    ------
    ValueError
        If an edge has no opposite, joins a node to itself or names a node that is not there, or if a triple repeats.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph import edge_list
    >>> edge_list(Data(num_nodes=3, edge_index=torch.tensor([[0, 2, 1, 1], [1, 1, 0, 2]])))
    tensor([[0, 1],
            [1, 2]])
    """
    n_nodes = _count_nodes(data)
    edges = data.edge_index
    if edges is None or edges.ndim != 2 or edges.shape[0] != 2:
        raise ValueError("data.edge_index must have shape (2, n_edges).")
    if edges.numel() and (edges.min() < 0 or edges.max() >= n_nodes):
        raise ValueError(f"data.edge_index names a node outside of 0 to {n_nodes - 1}.")
    if getattr(data, "edge_type", None) is not None:
        return _checked_triples(edges, data.edge_type, n_nodes)
    if (edges[0] == edges[1]).any():
        raise ValueError("data has self-loops; drop them first (torch_geometric.transforms.RemoveSelfLoops).")
    upward, downward = edges[:, edges[0] < edges[1]], edges[:, edges[0] > edges[1]]
    known, inverse = torch.unique(upward[0] * n_nodes + upward[1], return_inverse=True)
    if not torch.equal(known, torch.unique(downward[1] * n_nodes + downward[0])):
        raise ValueError(
            "data is directed: some edge is stored in one direction only; make it undirected first "
            "(torch_geometric.transforms.ToUndirected)."
        )
    if len(known) == upward.shape[1]:
        return upward
    first = torch.full((len(known),), upward.shape[1])
    first.scatter_reduce_(0, inverse, torch.arange(upward.shape[1]), "amin")
    return upward[:, first.sort().values]


def _checked_triples(edges: Tensor, relations: Tensor, n_nodes: int) -> Tensor:
    if relations.shape != (edges.shape[1],):
        raise ValueError(f"data.edge_type has shape {tuple(relations.shape)}, expected one relation for each edge.")
    triples = torch.stack([edges[0], relations, edges[1]])
    if torch.unique(triples, dim=1).shape[1] != triples.shape[1]:
        raise ValueError("data repeats a triple; name every (head, relation, tail) once.")
    return edges


def _count_nodes(data: Any) -> int:
    if not isinstance(data, Data):
        raise TypeError(f"expected a torch_geometric.data.Data, got {type(data).__name__}.")
    if data.x is None and "num_nodes" not in data:
        raise ValueError("data has neither features x nor num_nodes, so its nodes cannot be counted.")
    return int(data.num_nodes)


def _features(data: Data, n_nodes: int) -> Tensor:
    if data.x is None:
        return torch.arange(n_nodes)
    if data.x.layout != torch.strided:
        raise ValueError("data.x must be dense; call data.x.to_dense() first.")
    return data.x.to(torch.float32)


def _labels(data: Data, n_nodes: int, mask: Tensor | None) -> Tensor:
    """Labels of the nodes in a mask, -1 for all others; of all nodes where there is no mask."""
    if data.y is None:
        return torch.full((n_nodes,), -1)
    y = data.y.squeeze(-1) if data.y.ndim == 2 and data.y.shape[1] == 1 else data.y
    if y.shape != (n_nodes,) or y.is_floating_point():
        raise ValueError(f"data.y must hold one integer label for each of {n_nodes} nodes, has {tuple(data.y.shape)}.")
    return y.to(torch.long) if mask is None else torch.where(_node_mask(mask, n_nodes), y.to(torch.long), -1)


def _node_mask(mask: Tensor, n_nodes: int) -> Tensor:
    if mask.shape != (n_nodes,) or mask.dtype != torch.bool:
        raise ValueError(
            f"a mask of data has shape {tuple(mask.shape)} and dtype {mask.dtype}, expected one boolean for each of "
            f"{n_nodes} nodes. Where masks choose edges, keep the training edges in edge_index and the others apart."
        )
    return mask
