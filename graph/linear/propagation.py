"""Linear feature maps of a graph: what a linear graph neural network computes before its one layer of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.linear.hops import Hops, Normalisation
from mlunlearn.graph.requests import Deletion


@dataclass(frozen=True, eq=False)
class Propagated:
    """The propagated features of the nodes of a graph. Never changed in place, never saved.

    Parameters
    ----------
    propagation : Propagation
        How the hops make one matrix.
    hops : Hops
        The features after each hop.
    """

    propagation: Propagation
    hops: Hops

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the propagated features of some nodes.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which.

        Returns
        -------
        ndarray of shape (n_rows, n_propagated)
            Rows of Z.
        """
        return self.propagation.combine([hop[rows] for hop in self.hops.arrays])

    @property
    def error(self) -> float:
        """Bound on what is missing from the features: nothing."""
        return 0.0

    def after(self, deletion: Deletion) -> tuple[Propagated, np.ndarray]:
        """Propagate over the graph after a deletion, as `Hops.after` does.

        Parameters
        ----------
        deletion : Deletion
            The request.

        Returns
        -------
        propagated : Propagated
            The features on the remaining graph.
        reached : ndarray of bool, shape (n_nodes_before,)
            The rows, in the graph before, that are gone or may have changed.
        """
        hops, reached = self.hops.after(deletion)
        return Propagated(self.propagation, hops), reached

    def __deepcopy__(self, memo: dict[int, Any]) -> Propagated:
        return self


class Propagation(BaseEstimator, ABC):
    """A linear feature map made of the hops X, PX, ..., P^k X, where P weighs the neighbours of A + I.

    Parameters
    ----------
    k : int, default=2
        Hops.
    normalisation : {'symmetric', 'row'}, default='symmetric'
        D^-1/2 (A + I) D^-1/2, or D^-1 (A + I).
    """

    exact = True

    def __init__(self, k: int = 2, *, normalisation: Normalisation = "symmetric"):
        self.k = k
        self.normalisation = normalisation

    def propagate(self, graph: Graph) -> Any:
        """Propagate the features of a graph from scratch.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        Propagated
            What `combine` makes of the hops, kept for deletions.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._check()
        return Propagated(self, Hops.of(graph, self.k, self.normalisation))

    def _check(self) -> None:
        if not isinstance(self.k, (int, np.integer)) or self.k < 0:
            raise ValueError(f"k must be a number of hops from 0, got {self.k!r}.")
        if self.normalisation not in ("symmetric", "row"):
            raise ValueError(f"normalisation must be 'symmetric' or 'row', got {self.normalisation!r}.")

    @abstractmethod
    def combine(self, hops: Sequence[np.ndarray]) -> np.ndarray:
        """Make one matrix of the features after each hop.

        Parameters
        ----------
        hops : sequence of ndarray, shape (n_rows, n_features)
            After 0, 1, ..., k hops.

        Returns
        -------
        ndarray of shape (n_rows, n_propagated)
            Rows of Z.
        """


class SGC(Propagation):
    """Simple graph convolution: Z = P^k X.

    Parameters
    ----------
    k : int, default=2
        Hops.
    normalisation : {'symmetric', 'row'}, default='symmetric'
        D^-1/2 (A + I) D^-1/2, or D^-1 (A + I). With 'row', a deletion reaches one hop less.

    References
    ----------
    "Simplifying Graph Convolutional Networks", arXiv:1902.07153.

    Examples
    --------
    >>> from mlunlearn.graph import SGC, RidgeGNN, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> RidgeGNN(SGC(k=3)).fit(data).coef_.shape
    (2, 16)
    """

    def combine(self, hops: Sequence[np.ndarray]) -> np.ndarray:
        """Take the last hop.

        Parameters
        ----------
        hops : sequence of ndarray, shape (n_rows, n_features)
            After 0, 1, ..., k hops.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Rows of P^k X.
        """
        return hops[-1]


class SIGN(Propagation):
    """The hops side by side: Z = [X, PX, ..., P^k X].

    Parameters
    ----------
    k : int, default=2
        Hops.
    normalisation : {'symmetric', 'row'}, default='symmetric'
        D^-1/2 (A + I) D^-1/2, or D^-1 (A + I).

    References
    ----------
    "SIGN: Scalable Inception Graph Neural Networks", arXiv:2004.11198.

    Examples
    --------
    >>> from mlunlearn.graph import SIGN, RidgeGNN, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> RidgeGNN(SIGN(k=2)).fit(data).coef_.shape
    (2, 48)
    """

    def combine(self, hops: Sequence[np.ndarray]) -> np.ndarray:
        """Put the hops side by side.

        Parameters
        ----------
        hops : sequence of ndarray, shape (n_rows, n_features)
            After 0, 1, ..., k hops.

        Returns
        -------
        ndarray of shape (n_rows, (k + 1) * n_features)
            Rows of Z.
        """
        return np.concatenate(list(hops), axis=1)


class APPNP(Propagation):
    r"""Personalised PageRank, cut off: :math:`Z = \sum_{l<k} a (1-a)^l P^l X + (1-a)^k P^k X`.

    Parameters
    ----------
    k : int, default=10
        Hops.
    teleport : float, default=0.1
        The probability a of staying, between 0 and 1.
    normalisation : {'symmetric', 'row'}, default='symmetric'
        D^-1/2 (A + I) D^-1/2, or D^-1 (A + I).

    Notes
    -----
    All k + 1 hops are kept, and within many hops a deletion reaches most of a graph: it then costs as much as
    propagating from scratch.

    References
    ----------
    "Predict then Propagate: Graph Neural Networks meet Personalized PageRank", arXiv:1810.05997.

    Examples
    --------
    >>> from mlunlearn.graph import APPNP, RidgeGNN, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> RidgeGNN(APPNP(k=5, teleport=0.2)).fit(data).coef_.shape
    (2, 16)
    """

    def __init__(self, k: int = 10, *, teleport: float = 0.1, normalisation: Normalisation = "symmetric"):
        super().__init__(k, normalisation=normalisation)
        self.teleport = teleport

    def _check(self) -> None:
        super()._check()
        if not 0 <= self.teleport <= 1:
            raise ValueError(f"teleport must lie between 0 and 1, got {self.teleport!r}.")

    @property
    def weights(self) -> np.ndarray:
        """Weights of the hops; they sum to one."""
        weights = self.teleport * (1 - self.teleport) ** np.arange(self.k + 1)
        weights[-1] = (1 - self.teleport) ** self.k
        return weights

    def combine(self, hops: Sequence[np.ndarray]) -> np.ndarray:
        """Sum the hops with their weights.

        Parameters
        ----------
        hops : sequence of ndarray, shape (n_rows, n_features)
            After 0, 1, ..., k hops.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Rows of Z.
        """
        total = np.zeros_like(hops[0])
        for weight, hop in zip(self.weights, hops, strict=True):
            total += weight * hop
        return total
