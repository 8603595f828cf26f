"""Lazy forward push: propagated features that are kept up to date only as closely as asked (ScaleGUN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.linear.hops import Adjacency
from mlunlearn.graph.linear.propagation import SGC
from mlunlearn.graph.requests import Deletion

_EPS = np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Pushed:
    r"""Reserves q and residues r of every hop and feature. Never changed in place, never saved.

    They satisfy :math:`q^0 + r^0 = D^{1/2} X` and
    :math:`q^l(u) + r^l(u) = \sum_{t \in N(u)} q^{l-1}(t) / d(t)`, so that :math:`D^{-1/2} q^l` is
    :math:`(D^{-1/2} (A + I) D^{-1/2})^l X` but for what the residues hold back.

    Parameters
    ----------
    adjacency : Adjacency
        The neighbours.
    r_max : float
        Largest residue that is not pushed on.
    reserves, residues : tuple of ndarray, shape (n_nodes, n_features)
        Of hops 0, 1, ..., k.
    slack : float, default=0.0
        Bound on what rounding added to the norm of the reserves over all deletions.
    """

    adjacency: Adjacency
    r_max: float
    reserves: tuple[np.ndarray, ...]
    residues: tuple[np.ndarray, ...]
    slack: float = 0.0

    @classmethod
    def of(cls, graph: Graph, k: int, r_max: float) -> Pushed:
        """Propagate from scratch: everything is pushed, nothing is held back.

        Parameters
        ----------
        graph : Graph
            The graph.
        k : int
            Hops.
        r_max : float
            Largest residue that later deletions may hold back.

        Returns
        -------
        Pushed
            Reserves without residues.
        """
        adjacency = Adjacency.of(graph)
        operator, degrees = adjacency.operator("row").T.tocsr(), adjacency.degrees[:, None]  # (A + I) D^-1
        reserves = [graph.x.numpy().astype(np.float64) * np.sqrt(degrees)]
        for _ in range(k):
            reserves.append(operator @ reserves[-1])
        return cls(adjacency, r_max, tuple(reserves), tuple(np.zeros_like(reserve) for reserve in reserves))

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the propagated features of some nodes.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Rows of D^-1/2 q^k.
        """
        return self.reserves[-1][rows] / np.sqrt(self.adjacency.degrees[rows, None])

    @cached_property
    def error(self) -> float:
        """Bound on the Frobenius norm of what is missing from the features of all nodes."""
        scale = 1 / self.adjacency.degrees
        squares = [np.einsum("uf,uf,u->", residue, residue, scale) for residue in self.residues]
        return float(np.sqrt(squares).sum()) + self.slack

    def after(self, deletion: Deletion) -> tuple[Pushed, np.ndarray]:
        """Bring the residues up to date with the graph after a deletion, and push those above ``r_max``.

        Parameters
        ----------
        deletion : Deletion
            The request.

        Returns
        -------
        pushed : Pushed
            The features on the remaining graph.
        reached : ndarray of bool, shape (n_nodes_before,)
            The rows, in the graph before, that are gone or whose features changed.
        """
        kept, pairs = deletion.kept.numpy(), deletion.pairs.numpy()
        new = np.full(self.adjacency.n_nodes, -1)
        new[kept] = np.arange(len(kept))
        adjacency = self.adjacency.without(pairs).only(kept)
        reserves, residues = ([array[kept] for array in arrays] for arrays in (self.reserves, self.residues))
        rewired = new[np.unique(pairs)]
        rewired = rewired[rewired >= 0]
        blanked = new[deletion.features.numpy()]
        rescaled = np.union1d(rewired, blanked)
        x = deletion.remaining.x.numpy()[rescaled].astype(np.float64)
        residues[0][rescaled] = x * np.sqrt(adjacency.degrees[rescaled, None]) - reserves[0][rescaled]
        changes = _operator_change(self.adjacency, adjacency, pairs, new, rewired, kept)
        for residue, reserve in zip(residues[1:], self.reserves, strict=False):
            residue[changes.rows] += changes.matrix @ reserve[changes.sources]
        reached = np.zeros(len(kept), dtype=bool)
        reached[rewired] = True
        touched = [rescaled, *[changes.rows] * (len(residues) - 1)]
        moved = self._push(adjacency, reserves, residues, touched, reached, blanked)
        before = np.ones(self.adjacency.n_nodes, dtype=bool)
        before[kept] = reached
        return Pushed(adjacency, self.r_max, tuple(reserves), tuple(residues), self.slack + moved), before

    def _push(
        self,
        adjacency: Adjacency,
        reserves: list[np.ndarray],
        residues: list[np.ndarray],
        touched: Sequence[np.ndarray],
        reached: np.ndarray,
        blanked: np.ndarray,
    ) -> float:
        """Push hop after hop, in place; mark the rows whose last reserve moved, and bound the rounding error."""
        slack, arriving = 0.0, np.zeros(adjacency.n_nodes, dtype=bool)
        for hop, (reserve, residue) in enumerate(zip(reserves, residues, strict=True)):
            arriving[touched[hop]] = True
            rows = np.flatnonzero(arriving)
            held = residue[rows]
            above = np.abs(held) > self.r_max
            if not hop:  # nothing of a forgotten feature stays where it was
                above[np.isin(rows, blanked)] = True
            above &= held != 0
            moving = above.any(axis=1)
            rows, amounts = rows[moving], np.where(above, held, 0.0)[moving]
            reserve[rows] += amounts
            residue[rows] -= amounts
            slack += 16 * _EPS * (np.linalg.norm(held) + np.linalg.norm(reserve[rows]))
            if hop + 1 == len(reserves):
                reached[rows] = True
            else:
                spread = adjacency.operator("row", rows).T.tocsr()
                arriving = np.diff(spread.indptr) > 0
                residues[hop + 1][arriving] += spread[arriving] @ amounts
        return slack

    def __deepcopy__(self, memo: dict[int, Any]) -> Pushed:
        return self


@dataclass(frozen=True, eq=False)
class _OperatorChange:
    """Rows and columns in which (A + I) D^-1 is another, and the difference; columns are nodes of the graph before."""

    rows: np.ndarray
    sources: np.ndarray
    matrix: sparse.csr_array


def _operator_change(
    before: Adjacency, after: Adjacency, pairs: np.ndarray, new: np.ndarray, rewired: np.ndarray, kept: np.ndarray
) -> _OperatorChange:
    """Take the removed edges out of the operator, and weigh the other edges of their ends anew."""
    lost_to, lost_from = new[np.concatenate([pairs[0], pairs[1]])], np.concatenate([pairs[1], pairs[0]])
    still = lost_to >= 0
    lost_to, lost_from = lost_to[still], lost_from[still]
    counts = after.degrees[rewired]
    origin = kept[rewired]
    targets = np.concatenate([lost_to, after.indices[after.entries(rewired)]])
    sources = np.concatenate([lost_from, np.repeat(origin, counts)])
    values = np.concatenate(
        [-1 / before.degrees[lost_from], np.repeat(1 / counts - 1 / before.degrees[origin], counts)]
    )
    rows, row_of = np.unique(targets, return_inverse=True)
    columns, column_of = np.unique(sources, return_inverse=True)
    matrix = sparse.coo_array((values, (row_of, column_of)), shape=(len(rows), len(columns))).tocsr()
    return _OperatorChange(rows, columns, matrix)


class LazySGC(SGC):
    r"""Simple graph convolution that follows deletions only as closely as asked, for `CertifiedGNN`.

    A deletion changes the residues of the ends of its edges and of their neighbours; only residues above `r_max`
    are pushed on to the next hop. What stays behind is bounded by
    :math:`\sum_l \|D^{-1/2} r^l\|_F \le (k + 1) \sqrt{n f}\, r_{max}` for `n` nodes and `f` features, and charged
    against the certificate's budget.

    Parameters
    ----------
    k : int, default=2
        Hops, with symmetric weights.
    r_max : float, default=1e-7
        Largest residue that is held back. Zero follows exactly.

    Notes
    -----
    The published method holds residues back from the first propagation on; here the first one is complete, which costs
    the same and starts without error. A reloaded model propagates anew, and pays once for what was held back.

    References
    ----------
    "Scalable and Certifiable Graph Unlearning" (ScaleGUN), arXiv:2408.09212.

    Examples
    --------
    >>> from mlunlearn.graph import CertifiedGNN, LazySGC, stochastic_block_model
    >>> data = stochastic_block_model([100, 100], random_state=0)
    >>> model = CertifiedGNN(LazySGC(k=2, r_max=1e-4), noise=3.0, random_state=0).fit(data).unlearn([3, 17])
    >>> model.spent_ < model.allowed_
    True
    """

    exact = False

    def __init__(self, k: int = 2, *, r_max: float = 1e-7):
        super().__init__(k)
        self.r_max = r_max

    def propagate(self, graph: Graph) -> Pushed:
        """Propagate the features of a graph from scratch.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        Pushed
            Features that follow deletions lazily.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._check()
        if not self.r_max >= 0:
            raise ValueError(f"r_max must not be negative, got {self.r_max!r}.")
        return Pushed.of(graph, self.k, self.r_max)
