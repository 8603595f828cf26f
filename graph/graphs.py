"""The graph a model may still use, never changed in place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlunlearn.rows.checksums import checksum


@dataclass(frozen=True, eq=False)
class Graph:
    """What is left of the fitted data. Rows count the nodes that are left; positions are those of the fitted data.

    Parameters
    ----------
    positions : Tensor of int, shape (n_nodes,)
        Ascending positions of the nodes.
    x : Tensor of float, shape (n_nodes, n_features), or of int, shape (n_nodes,)
        Features; where the data has none, the positions, for modules that look up an embedding of their own.
    y : Tensor of int, shape (n_nodes,)
        Labels to train on; -1 for every node that is not trained on, whatever its label.
    held_out_y : Tensor of int, shape (n_nodes,)
        Labels of validation nodes; -1 for all others.
    pairs : Tensor of int, shape (2, n_edges)
        Rows of the two ends of every edge, each undirected edge once; (head, tail) in a knowledge graph.
    pair_ids : Tensor of int, shape (n_edges,)
        Ascending positions of the edges in the edge list of the fitted data.
    pair_types : Tensor of int, shape (n_edges,), or None
        Relations; None for a graph with one kind of edge.
    held_out_pairs : Tensor of int, shape (2, n_held_out)
        True edges never trained on: the validation edges.
    held_out_types : Tensor of int, shape (n_held_out,), or None
        Their relations.
    n_nodes_fit : int
        Nodes of the fitted data.
    n_relations : int, default=0
        Relations of the fitted data; 0 for a graph with one kind of edge.

    Notes
    -----
    Labels of test nodes are dropped on the way in, so nothing that is learned can depend on them.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph.reading import read_graph
    >>> path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> graph = read_graph(Data(x=torch.eye(3), edge_index=path))
    >>> graph.pairs.tolist(), graph.without_nodes(torch.tensor([0])).pairs.tolist()
    ([[0, 1], [1, 2]], [[0], [1]])
    """

    positions: Tensor
    x: Tensor
    y: Tensor
    held_out_y: Tensor
    pairs: Tensor
    pair_ids: Tensor
    pair_types: Tensor | None
    held_out_pairs: Tensor
    held_out_types: Tensor | None
    n_nodes_fit: int
    n_relations: int = 0

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.positions)

    @property
    def n_edges(self) -> int:
        """Number of edges, each counted once."""
        return self.pairs.shape[1]

    @property
    def has_features(self) -> bool:
        """Whether nodes bring features along."""
        return self.x.is_floating_point()

    @property
    def labelled(self) -> Tensor:
        """Mask of the nodes to train on."""
        return self.y >= 0

    @cached_property
    def labelled_rows(self) -> Tensor:
        """Rows of the nodes to train on."""
        return self.labelled.nonzero().flatten()

    @property
    def edge_index(self) -> Tensor:
        """Messages: every edge in both directions, shape (2, 2 * n_edges)."""
        return torch.cat([self.pairs, self.pairs.flip(0)], dim=1)

    @property
    def edge_type(self) -> Tensor | None:
        """Relation of every message; that of an inverse is ``n_relations`` higher."""
        if self.pair_types is None:
            return None
        return torch.cat([self.pair_types, self.pair_types + self.n_relations])

    def chosen_pairs(self, chosen: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Look up edges.

        Parameters
        ----------
        chosen : Tensor of int, shape (n,), or None
            Which; None means all.

        Returns
        -------
        pairs : Tensor of int, shape (2, n)
            Their ends.
        types : Tensor of int, shape (n,), or None
            Their relations.
        """
        if chosen is None:
            return self.pairs, self.pair_types
        return self.pairs[:, chosen], None if self.pair_types is None else self.pair_types[chosen]

    def messages(self, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Look up some messages without making the list of all.

        Parameters
        ----------
        chosen : Tensor of int, shape (n,)
            Columns of ``edge_index``.

        Returns
        -------
        edge_index : Tensor of int, shape (2, n)
            These columns.
        edge_type : Tensor of int, shape (n,), or None
            Their relations.
        """
        n, ends = self.n_edges, self.pairs.flatten()
        edge_index = torch.stack([ends[chosen], ends[(chosen + n) % max(2 * n, 1)]])
        if self.pair_types is None:
            return edge_index, None
        return edge_index, self.pair_types[chosen % max(n, 1)] + self.n_relations * (chosen >= n)

    @cached_property
    def arrivals(self) -> tuple[Tensor, Tensor]:
        """Messages sorted by who receives them: where those of each node start, shape (n_nodes + 1,), and which."""
        return sorted_by(self.edge_index[1], self.n_nodes)

    @cached_property
    def taken(self) -> Tensor:
        """Ascending numbers ``source * n_nodes + target`` of all pairs with a message."""
        source, target = self.edge_index
        return torch.unique(source * self.n_nodes + target)

    @property
    def checksum(self) -> int:
        """Checksum of all that can be learned from."""
        total = 0
        for part in (self.positions, self.x, self.y, self.held_out_y, self.pairs, self.pair_types, self.held_out_pairs):
            total = checksum(None if part is None else part.numpy(), total)
        return total

    def rows_of(self, positions: Tensor) -> Tensor:
        """Find the rows of nodes by their positions.

        Parameters
        ----------
        positions : Tensor of int
            Positions, in any shape.

        Returns
        -------
        Tensor of int
            Rows in the same shape; -1 for nodes that are not there.
        """
        if not self.n_nodes:
            return torch.full_like(positions, -1)
        rows = torch.searchsorted(self.positions, positions.contiguous()).clamp(max=self.n_nodes - 1)
        return torch.where(self.positions[rows] == positions, rows, -1)

    def local(self, rows: Tensor) -> Tensor:
        """Return rows as they are: a whole graph has them where they are.

        Parameters
        ----------
        rows : Tensor of int
            Rows.

        Returns
        -------
        Tensor of int
            The same.
        """
        return rows

    def within(self, rows: Tensor, hops: int) -> Tensor:
        """Mark the nodes within some hops of others, whichever way the edges point.

        Parameters
        ----------
        rows : Tensor of int
            Where to start.
        hops : int
            How far to go.

        Returns
        -------
        Tensor of bool, shape (n_nodes,)
            The nodes reached, those started from included.
        """
        reached = torch.zeros(self.n_nodes, dtype=torch.bool)
        reached[rows] = True
        source, target = self.edge_index
        for _ in range(hops):
            reached[target[reached[source]]] = True
        return reached

    def pairs_at(self, nodes: Tensor) -> Tensor:
        """Mark the edges with an end in a set of nodes.

        Parameters
        ----------
        nodes : Tensor of bool, shape (n_nodes,)
            The set.

        Returns
        -------
        Tensor of bool, shape (n_edges,)
            The edges.
        """
        inside, (first, second) = nodes.numpy(), self.pairs.numpy()
        return torch.from_numpy(inside.take(first) | inside.take(second))

    def without_pairs(self, dropped: Tensor) -> Graph:
        """Return the graph without some edges.

        Parameters
        ----------
        dropped : Tensor of bool, shape (n_edges,)
            Which edges to leave out.

        Returns
        -------
        Graph
            The same nodes with fewer edges.
        """
        if not dropped.any():
            return self
        kept = ~dropped
        types = None if self.pair_types is None else self.pair_types[kept]
        return replace(
            self, pairs=_select(self.pairs, kept, 1), pair_ids=_select(self.pair_ids, kept), pair_types=types
        )

    def without_nodes(self, rows: Tensor) -> Graph:
        """Return the graph without some nodes: neither their rows nor their edges are in it.

        Parameters
        ----------
        rows : Tensor of int
            Which nodes to leave out.

        Returns
        -------
        Graph
            A smaller graph; its rows are counted anew, its positions stay.
        """
        kept = torch.ones(self.n_nodes, dtype=torch.bool)
        kept[rows] = False
        left = self.without_pairs(self.pairs_at(~kept))
        new_rows = (torch.cumsum(kept, 0) - 1).numpy()
        inside_held_out = kept[self.held_out_pairs].all(dim=0)
        return Graph(
            positions=self.positions[kept],
            x=_select(self.x, kept),
            y=self.y[kept],
            held_out_y=self.held_out_y[kept],
            pairs=torch.from_numpy(new_rows.take(left.pairs.numpy())),
            pair_ids=left.pair_ids,
            pair_types=left.pair_types,
            held_out_pairs=torch.from_numpy(new_rows.take(self.held_out_pairs[:, inside_held_out].numpy())),
            held_out_types=None if self.held_out_types is None else self.held_out_types[inside_held_out],
            n_nodes_fit=self.n_nodes_fit,
            n_relations=self.n_relations,
        )

    def without_labels(self, rows: Tensor) -> Graph:
        """Return the graph with some nodes no longer trained on or validated with.

        Parameters
        ----------
        rows : Tensor of int
            Which nodes.

        Returns
        -------
        Graph
            The same nodes and edges.
        """
        y, held_out_y = self.y.clone(), self.held_out_y.clone()
        y[rows], held_out_y[rows] = -1, -1
        return replace(self, y=y, held_out_y=held_out_y)

    def without_features(self, rows: Tensor) -> Graph:
        """Return the graph with the features of some nodes set to zero.

        Parameters
        ----------
        rows : Tensor of int
            Which nodes.

        Returns
        -------
        Graph
            The same nodes and edges.
        """
        x = self.x.clone()
        x[rows] = 0
        return replace(self, x=x)

    def to(self, device: str) -> Graph:
        """Return the graph with all tensors on a device.

        Parameters
        ----------
        device : str
            Where to.

        Returns
        -------
        Graph
            This one, if it is there already.
        """
        if self.x.device == torch.device(device):
            return self
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        return self


def _select(values: Tensor, kept: Tensor, axis: int = 0) -> Tensor:
    """Index by a mask; numpy does so several times faster than torch."""
    return torch.from_numpy(np.compress(kept.numpy(), values.numpy(), axis=axis))


def sorted_by(keys: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Sort messages by one of their ends.

    Parameters
    ----------
    keys : Tensor of int, shape (m,)
        Rows of that end.
    n : int
        Number of rows.

    Returns
    -------
    starts : Tensor of int, shape (n + 1,)
        Those of row i are at the places ``starts[i]`` to ``starts[i + 1]`` of `order`.
    order : Tensor of int, shape (m,)
        Which message is at each place; those of one row keep their order.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.graphs import sorted_by
    >>> [part.tolist() for part in sorted_by(torch.tensor([2, 0, 2]), 3)]
    [[0, 1, 1, 3], [1, 0, 2]]
    """
    starts = torch.zeros(n + 1, dtype=torch.long, device=keys.device)
    starts[1:] = torch.bincount(keys, minlength=n).cumsum(0)
    return starts, keys.int().argsort(stable=True)
