"""Which rows of a graph are asked about, by the positions of the data given to `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlunlearn.graph.graphs import Graph


def known_rows(graph: Graph, positions: Tensor) -> Tensor:
    """Find the rows of nodes, in the order asked.

    Parameters
    ----------
    graph : Graph
        Where to look.
    positions : Tensor of int
        Positions of nodes, in any shape.

    Returns
    -------
    Tensor of int
        Rows, in the same shape.

    Raises
    ------
    ValueError
        If a node is not there, or is forgotten.
    """
    rows = graph.rows_of(positions)
    if (rows < 0).any():
        raise ValueError(f"node {int(positions[rows < 0][0])} is not in the graph: it never was, or it is forgotten.")
    return rows


def asked_rows(graph: Graph, idx: Any) -> Tensor:
    """Find the rows of the nodes that somebody asks about.

    Parameters
    ----------
    graph : Graph
        Where to look.
    idx : array-like of int, boolean mask or slice
        Positions of nodes.

    Returns
    -------
    Tensor of int, shape (n,)
        Rows.

    Raises
    ------
    ValueError
        If `idx` names no nodes, or one that is not there.
    """
    if isinstance(idx, slice):
        return known_rows(graph, torch.arange(graph.n_nodes_fit)[idx])
    asked = np.atleast_1d(np.asarray(idx))
    if asked.dtype == bool and asked.shape == (graph.n_nodes_fit,):
        return known_rows(graph, torch.from_numpy(np.flatnonzero(asked)))
    if asked.ndim != 1 or not np.issubdtype(asked.dtype, np.integer):
        raise ValueError(
            f"idx has shape {asked.shape} and dtype {asked.dtype}; name nodes by their positions, by a boolean mask "
            f"of the {graph.n_nodes_fit} nodes, or by a slice."
        )
    return known_rows(graph, torch.as_tensor(asked, dtype=torch.long))
