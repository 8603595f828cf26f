"""Features propagated over a graph hop by hop, kept so that a deletion computes again only the rows it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy import sparse

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.requests import Deletion

Normalisation = Literal["symmetric", "row"]


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Neighbours of every node, itself among them, in ascending order: the pattern of A + I in compressed rows.

    Parameters
    ----------
    indptr : ndarray of int, shape (n_nodes + 1,)
        Where the entries of each row start.
    indices : ndarray of int, shape (n_entries,)
        Neighbours.
    """

    indptr: np.ndarray
    indices: np.ndarray

    @classmethod
    def of(cls, graph: Graph) -> Adjacency:
        """Read the neighbours of a graph.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        Adjacency
            Its neighbours, with a self-loop at every node.
        """
        n, (source, target) = graph.n_nodes, graph.pairs.numpy()
        loops = np.arange(n)
        ends = np.concatenate([source, target, loops]), np.concatenate([target, source, loops])
        matrix = sparse.coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(n, n)).tocsr()
        matrix.sort_indices()
        return cls(matrix.indptr, matrix.indices)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.indptr) - 1

    @cached_property
    def degrees(self) -> np.ndarray:
        """Number of neighbours, the node itself counted."""
        return np.diff(self.indptr)

    def entries(self, rows: np.ndarray) -> np.ndarray:
        """Find where the neighbours of some nodes stand in ``indices``.

        Parameters
        ----------
        rows : ndarray of int
            The nodes.

        Returns
        -------
        ndarray of int
            Places, node after node.
        """
        counts = self.degrees[rows]
        starts = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(self.indptr[rows] - starts, counts)

    def neighbours(self, reached: np.ndarray) -> np.ndarray:
        """Mark nodes and their neighbours.

        Parameters
        ----------
        reached : ndarray of bool, shape (n_nodes,)
            The nodes.

        Returns
        -------
        ndarray of bool, shape (n_nodes,)
            Those within one hop.
        """
        further = reached.copy()
        further[self.indices[self.entries(np.flatnonzero(reached))]] = True
        return further

    def without(self, pairs: np.ndarray) -> Adjacency:
        """Take edges out, in both directions.

        Parameters
        ----------
        pairs : ndarray of int, shape (2, n)
            The two ends of each.

        Returns
        -------
        Adjacency
            The same nodes with fewer neighbours.
        """
        if not pairs.shape[1]:
            return self
        rows = np.unique(pairs)
        places = self.entries(rows)
        keys = np.repeat(rows, self.degrees[rows]) * self.n_nodes + self.indices[places]
        gone = np.isin(keys, np.concatenate([pairs[0] * self.n_nodes + pairs[1], pairs[1] * self.n_nodes + pairs[0]]))
        kept = np.ones(len(self.indices), dtype=bool)
        kept[places[gone]] = False
        degrees = self.degrees.copy()
        np.subtract.at(degrees, pairs.ravel(), 1)
        return Adjacency(_starts(degrees, self.indptr.dtype), self.indices[kept])

    def only(self, kept: np.ndarray) -> Adjacency:
        """Take nodes out that have no neighbours left, and count the others anew.

        Parameters
        ----------
        kept : ndarray of int
            Ascending nodes to keep.

        Returns
        -------
        Adjacency
            A smaller one.
        """
        if len(kept) == self.n_nodes:
            return self
        new = np.full(self.n_nodes, -1, dtype=self.indices.dtype)
        new[kept] = np.arange(len(kept))
        indices = new[self.indices]
        return Adjacency(_starts(self.degrees[kept], self.indptr.dtype), indices[indices >= 0])

    def operator(self, normalisation: Normalisation, rows: np.ndarray | None = None) -> sparse.csr_array:
        """Build the propagation matrix P, or some of its rows.

        Parameters
        ----------
        normalisation : {'symmetric', 'row'}
            D^-1/2 (A + I) D^-1/2, or D^-1 (A + I).
        rows : ndarray of int or None, default=None
            Which rows; None builds all.

        Returns
        -------
        csr_array of shape (n_rows, n_nodes)
            P. A row holds the same numbers in the same order whatever else is asked for.
        """
        if rows is None:
            counts, indices, indptr = self.degrees, self.indices, self.indptr
        else:
            counts, indices = self.degrees[rows], self.indices[self.entries(rows)]
            indptr = _starts(counts, self.indptr.dtype)
        if normalisation == "symmetric":
            scale = 1 / np.sqrt(self.degrees)
            values = np.repeat(scale if rows is None else scale[rows], counts)
            values *= scale[indices]
        else:
            values = np.repeat(1 / counts, counts)
        return sparse.csr_array((values, indices, indptr), shape=(len(counts), self.n_nodes))


def _starts(counts: np.ndarray, dtype: Any) -> np.ndarray:
    starts = np.zeros(len(counts) + 1, dtype=dtype)
    np.cumsum(counts, out=starts[1:])
    return starts


@dataclass(frozen=True, eq=False)
class Hops:
    """The features X, PX, ..., P^k X of a graph. Never changed in place, never saved.

    Parameters
    ----------
    adjacency : Adjacency
        The neighbours.
    normalisation : {'symmetric', 'row'}
        How they are weighted.
    arrays : tuple of ndarray, shape (n_nodes, n_features)
        The features after 0, 1, ..., k hops.
    """

    adjacency: Adjacency
    normalisation: Normalisation
    arrays: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, graph: Graph, k: int, normalisation: Normalisation) -> Hops:
        """Propagate the features of a graph from scratch.

        Parameters
        ----------
        graph : Graph
            The graph.
        k : int
            Hops.
        normalisation : {'symmetric', 'row'}
            How neighbours are weighted.

        Returns
        -------
        Hops
            All of them.
        """
        adjacency = Adjacency.of(graph)
        operator = adjacency.operator(normalisation)
        arrays = [graph.x.numpy().astype(np.float64)]
        for _ in range(k):
            arrays.append(operator @ arrays[-1])
        return cls(adjacency, normalisation, tuple(arrays))

    def after(self, deletion: Deletion) -> tuple[Hops, np.ndarray]:
        """Propagate over the graph after a deletion, computing again no row that it does not reach.

        Parameters
        ----------
        deletion : Deletion
            The request; its graph before is the one that was propagated over.

        Returns
        -------
        hops : Hops
            Those of ``deletion.remaining``, equal to the bit to propagating from scratch.
        reached : ndarray of bool, shape (n_nodes_before,)
            The rows, in the graph before, that are gone or were computed again.
        """
        kept, pairs = deletion.kept.numpy(), deletion.pairs.numpy()
        unlinked = self.adjacency.without(pairs)
        reweighted = np.zeros(unlinked.n_nodes, dtype=bool)  # nodes whose row of P is another
        reweighted[pairs.ravel()] = True
        if self.normalisation == "symmetric":
            reweighted = unlinked.neighbours(reweighted)
        reached = np.zeros(unlinked.n_nodes, dtype=bool)
        reached[deletion.features.numpy()] = True
        adjacency = unlinked.only(kept)
        arrays = [_carried(self.arrays[0], kept, reached, 0.0)]
        for old in self.arrays[1:]:
            reached = unlinked.neighbours(reached) | reweighted
            operator = adjacency.operator(self.normalisation, np.flatnonzero(reached[kept]))
            arrays.append(_carried(old, kept, reached, operator @ arrays[-1]))
        reached[deletion.nodes.numpy()] = True
        return Hops(adjacency, self.normalisation, tuple(arrays)), reached

    def __deepcopy__(self, memo: dict[int, Any]) -> Hops:
        return self


def _carried(old: np.ndarray, kept: np.ndarray, reached: np.ndarray, values: Any) -> np.ndarray:
    """Copy the rows that are kept, and set those that were reached."""
    if len(kept) == len(old) and not reached.any():
        return old
    new = old.copy() if len(kept) == len(old) else old[kept]
    new[reached[kept]] = values
    return new
