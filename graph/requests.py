"""What was asked of a graph: nodes, edges, features or classes become what is forgotten and the graph that is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data

from mlunlearn.exceptions import ForgetRequestError
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.reading import edge_list
from mlunlearn.requests import resolve_positions

Of = Literal["nodes", "edges", "features"]
KINDS: tuple[Of, ...] = get_args(Of)


@dataclass(frozen=True, eq=False)
class Deletion:
    """A request in the form every method takes: what is forgotten, the graph before and the graph after.

    All rows are those of `before`. Forgotten nodes keep their rows in `after`, as isolated nodes without a label,
    so that a method can say what the model shall answer about them; in `remaining` they are gone.

    Parameters
    ----------
    of : {'nodes', 'edges', 'features'}
        What the request names.
    before : Graph
        The graph G, with what is to be forgotten.
    after : Graph
        The graph G_r that messages pass over from now on.
    nodes : Tensor of int, shape (n,)
        Rows of the forgotten nodes V_f.
    edges : Tensor of bool, shape (n_edges,)
        The forgotten edges E_f among those of `before`: the ones named, or all that touch a forgotten node.
    features : Tensor of int, shape (n,)
        Rows of the nodes whose features are forgotten; they are zero in `after`.
    classes : tuple, default=()
        The classes (of nodes) or relations (of edges) the request named.
    """

    of: Of
    before: Graph
    after: Graph
    nodes: Tensor
    edges: Tensor
    features: Tensor
    classes: tuple[Any, ...] = ()

    @cached_property
    def pairs(self) -> Tensor:
        """Ends of the forgotten edges, shape (2, n)."""
        return self.before.pairs[:, self.edges]

    @cached_property
    def pair_types(self) -> Tensor | None:
        """Relations of the forgotten edges."""
        return None if self.before.pair_types is None else self.before.pair_types[self.edges]

    @cached_property
    def touched(self) -> Tensor:
        """Mask of the edges before that are forgotten, or that are at a node whose features are."""
        return self.edges | torch.isin(self.before.pairs, self.features).any(dim=0)

    @cached_property
    def endpoints(self) -> Tensor:
        """Rows U_f where the request touches the graph: forgotten nodes and features, and ends of forgotten edges."""
        return torch.unique(torch.cat([self.nodes, self.features, self.pairs.flatten()]))

    def affected(self, hops: int) -> Tensor:
        """Mark the nodes whose outputs can change: those within `hops` of the endpoints in the graph before.

        Parameters
        ----------
        hops : int
            Number of message-passing layers.

        Returns
        -------
        Tensor of bool, shape (n_nodes,)
            The affected nodes S, endpoints included.
        """
        return self.before.within(self.endpoints, hops)

    @cached_property
    def probe(self) -> Graph:
        """The graph after, on which what was forgotten can still be shown to a model: features are as before."""
        return self.before.without_pairs(self.edges) if len(self.features) else self.after

    @cached_property
    def kept(self) -> Tensor:
        """Rows, in `before`, of the nodes that remain, in the order of `remaining`."""
        kept = torch.ones(self.before.n_nodes, dtype=torch.bool)
        kept[self.nodes] = False
        return kept.nonzero().flatten()

    @cached_property
    def remaining(self) -> Graph:
        """The graph as the model keeps it: nothing of what was forgotten is in it."""
        return self.after.without_nodes(self.nodes)

    @property
    def relations(self) -> tuple[int, ...]:
        """Relations of a knowledge graph that are forgotten as a whole."""
        return self.classes if self.of == "edges" else ()


def delete(graph: Graph, of: Of, ids: np.ndarray, classes: tuple[Any, ...] = ()) -> Deletion:
    """Take nodes, edges or features out of a graph.

    Parameters
    ----------
    graph : Graph
        The graph before.
    of : {'nodes', 'edges', 'features'}
        What to take out.
    ids : ndarray of int
        Positions, in the fitted data, of nodes or edges that are in `graph`.
    classes : tuple, default=()
        The classes that were asked for, if so.

    Returns
    -------
    Deletion
        What is forgotten and what is left. Neighbours may be left without any edge; they stay.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph.reading import read_graph
    >>> from mlunlearn.graph.requests import delete
    >>> path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> deletion = delete(read_graph(Data(x=torch.eye(3), edge_index=path)), "nodes", np.array([2]))
    >>> deletion.pairs.tolist(), deletion.endpoints.tolist(), deletion.remaining.n_nodes
    ([[1], [2]], [1, 2], 2)
    """
    nothing = torch.empty(0, dtype=torch.long)
    chosen = torch.as_tensor(np.array(ids), dtype=torch.long)  # of a receipt they are write-protected
    edges = torch.zeros(graph.n_edges, dtype=torch.bool)
    if of == "edges":
        edges[torch.searchsorted(graph.pair_ids, chosen)] = True
        return Deletion(of, graph, graph.without_pairs(edges), nothing, edges, nothing, classes)
    rows = graph.rows_of(chosen)
    if of == "features":
        return Deletion(of, graph, graph.without_features(rows), nothing, edges, rows, classes)
    gone = torch.zeros(graph.n_nodes, dtype=torch.bool)
    gone[rows] = True
    edges = graph.pairs_at(gone)
    after = graph.without_pairs(edges).without_labels(rows)
    return Deletion(of, graph, after, rows, edges, nothing, classes)


def resolve_edges(forget_idx: Any, n_edges: int, graph: Graph, name: str = "forget_idx") -> np.ndarray:
    """Turn positions in the edge list, pairs of nodes or triples into ascending positions in the edge list.

    Parameters
    ----------
    forget_idx : array-like of int, boolean mask or slice; or array-like of int, shape (2, n) or (3, n)
        One dimension names edges by their position in ``edge_list(data)``. Two rows are pairs of node positions, as
        in ``edge_index``; the two directions of an edge are one edge. Three rows are (head, relation, tail) triples
        of a knowledge graph. Two pairs, or three triples, are taken as a tensor alone: of a square list nobody knows
        whether its rows or its columns are meant.
    n_edges : int
        Edges given to `fit`.
    graph : Graph
        The graph that is left, where pairs and triples are looked up.
    name : str, default='forget_idx'
        Name of the argument, for the error.

    Returns
    -------
    ndarray of int
        Ascending positions.

    Raises
    ------
    ForgetRequestError
        If a position is out of range, or if a pair or triple is repeated, no edge, or forgotten already (what was
        forgotten is unknown to the model, so it cannot tell the two apart).
    """
    ends = _pairs(forget_idx)
    if ends is None:
        return resolve_positions(forget_idx, n_edges, name)
    height = 2 if graph.pair_types is None else 3
    if len(ends) != height or not np.issubdtype(ends.dtype, np.integer):
        what = "pairs of nodes" if height == 2 else "(head, relation, tail) triples"
        raise ForgetRequestError(
            f"{name} has shape {ends.shape} and dtype {ends.dtype}; name edges by one dimension of positions in "
            f"edge_list(data), or as {height} rows of integers that hold {what}, one in each column."
        )
    if not ends.shape[1]:
        raise ForgetRequestError(f"{name} is empty: nothing was asked to be forgotten.")
    asked = torch.as_tensor(ends, dtype=torch.long)
    if asked.shape[0] == asked.shape[1] > 1:
        _refuse_rows_of_pairs(asked, graph, name, known_layout=isinstance(forget_idx, Tensor))
    return _find_edges(asked, graph, name)


def _pairs(forget_idx: Any) -> np.ndarray | None:
    """Read pairs or triples, if these are any."""
    if isinstance(forget_idx, (slice, pd.DataFrame)):
        return None
    if isinstance(forget_idx, Tensor):
        forget_idx = forget_idx.detach().cpu().numpy()
    elif isinstance(forget_idx, (list, tuple)):
        lengths = {len(part) for part in forget_idx if hasattr(part, "__len__")}
        if len(lengths) > 1:
            return None  # refused as what it is
    ends = np.asarray(forget_idx)
    return ends if ends.ndim == 2 else None


def _refuse_rows_of_pairs(asked: Tensor, graph: Graph, name: str, *, known_layout: bool) -> None:
    """Refuse as many pairs as a pair has ends, if they may be meant by row as well as by column.

    A tensor has the layout of ``edge_index``, and is refused where its rows name other edges. Of lists and arrays
    nobody knows, even where one of the two readings names no edge: it may be the one that is meant, and outdated.
    """
    found: list[list[int] | None] = []
    for reading in (asked, asked.T):
        try:
            found.append(_find_edges(reading, graph, name).tolist())
        except ForgetRequestError:
            found.append(None)
    if found[0] == found[1] or (known_layout and None in found):
        return
    n, ends = len(asked), ", ".join("uvw"[: len(asked)])
    raise ForgetRequestError(
        f"{name} is ambiguous: {asked.tolist()} may name its edges by column, as in edge_index, or by row. Ask "
        f"for the {n} edges one after the other, each as [[{ends.replace(', ', '], [')}]], or by their positions in "
        "edge_list(data)" + ("." if known_layout else "; a torch tensor in the layout of edge_index is read by column.")
    )


def _find_edges(asked: Tensor, graph: Graph, name: str) -> np.ndarray:
    columns, counts = torch.unique(asked, dim=1, return_counts=True)
    if counts.max() > 1:
        raise ForgetRequestError(f"{name} names the edge {columns[:, counts > 1][:, 0].tolist()} more than once.")
    ends = asked[[0, -1]]
    if len(asked) == 2:
        if (ends[0] == ends[1]).any():
            node = int(ends[0][ends[0] == ends[1]][0])
            raise ForgetRequestError(f"{name} names the pair ({node}, {node}), but no node has an edge to itself.")
        ends = ends.sort(dim=0).values
    known = graph.positions[graph.pairs]
    known = known.sort(dim=0).values if len(asked) == 2 else known
    size = max(graph.n_nodes_fit, int(ends.max()) + 1)
    keys, wanted = known[0] * size + known[1], ends[0] * size + ends[1]
    if graph.pair_types is not None:
        n = max(graph.n_relations, int(asked[1].max()) + 1)
        keys, wanted = keys * n + graph.pair_types, wanted * n + asked[1]
    missing = ~torch.isin(wanted, keys) | (ends < 0).any(dim=0)
    if missing.any():
        raise ForgetRequestError(
            f"{name} names {tuple(asked[:, missing][:, 0].tolist())}, which is no edge of the graph that is left: it "
            "never was one, or is forgotten already."
        )
    return graph.pair_ids[torch.isin(keys, wanted)].numpy()


def edges_where(data: Data, predicate: Callable[[Tensor, Tensor], Tensor]) -> np.ndarray:
    """Find the edges whose ends satisfy a predicate, to forget a class of edges.

    Parameters
    ----------
    data : torch_geometric.data.Data
        The data that is given to `fit`.
    predicate : callable
        Takes the positions of the two ends of all edges, two tensors of shape (n_edges,), and returns a mask. An
        undirected edge is found if it holds in either direction.

    Returns
    -------
    ndarray of int
        Positions in ``edge_list(data)``, for ``unlearn(..., of="edges")``.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph import edges_where
    >>> edges = torch.tensor([[0, 1, 1, 2, 0, 2], [1, 0, 2, 1, 2, 0]])
    >>> data = Data(edge_index=edges, y=torch.tensor([0, 1, 1]), num_nodes=3)
    >>> edges_where(data, lambda u, v: (data.y[u] == 1) & (data.y[v] == 1))
    array([1])
    """
    ends = edge_list(data)
    found = predicate(ends[0], ends[1])
    if getattr(data, "edge_type", None) is None:
        found = found | predicate(ends[1], ends[0])
    return found.nonzero().flatten().numpy()


def edges_between(data: Data, first: int, second: int) -> np.ndarray:
    """Find the edges between nodes of two classes, in either direction.

    Parameters
    ----------
    data : torch_geometric.data.Data
        The data that is given to `fit`, with labels ``y``.
    first, second : int
        The two labels; they may be the same.

    Returns
    -------
    ndarray of int
        Positions in ``edge_list(data)``, for ``unlearn(..., of="edges")``.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph import edges_between
    >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> edges_between(Data(edge_index=edges, y=torch.tensor([0, 1, 1]), num_nodes=3), 1, 0)
    array([0])
    """
    return edges_where(data, lambda u, v: (data.y[u] == first) & (data.y[v] == second))
