"""The rows a model may still use, and the one function that selects rows from them.

Positions everywhere are those of the data given to `fit`; they stay valid whatever was forgotten since.
"""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mlunlearn._compat import _safe_indexing


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Select rows in one memory order, so that equal rows train to equal bits.

    Parameters
    ----------
    X : ndarray, sparse matrix, data frame or None
        The rows; None stays None.
    rows : ndarray of int or bool
        Which ones, in this order.

    Returns
    -------
    same type as X
        A copy, in C order where that means something.
    """
    if X is None:
        return None
    if isinstance(X, np.ndarray):
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return np.ascontiguousarray(X.take(rows, axis=0))
    return _safe_indexing(X, rows)


def checksum(values: Any, start: int = 0) -> int:
    """Checksum the content of rows; catches accidental edits, not adversaries.

    Parameters
    ----------
    values : ndarray, sparse matrix, data frame or None
        What to read; about 4 GB/s for numeric arrays.
    start : int, default=0
        Checksum to continue from.

    Returns
    -------
    int
        32 bits.
    """
    if values is None:
        return start
    if sparse.issparse(values):
        for part in (values.indptr, values.indices, values.data):
            start = checksum(part, start)
        return start
    if isinstance(values, (pd.DataFrame, pd.Series)):
        return checksum(pd.util.hash_pandas_object(values, index=False).to_numpy(), start)
    values = np.asarray(values)
    if values.dtype.hasobject:
        values = pd.util.hash_array(values.ravel(), categorize=False)
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, start)


@dataclass(frozen=True)
class Block:
    """Rows taken out of the training data, ready to train on.

    Parameters
    ----------
    X : ndarray, sparse matrix or data frame of shape (n, ...)
        Inputs.
    y : ndarray of shape (n,) or (n, n_outputs), or None
        Targets.
    weight : ndarray of shape (n,) or None
        Sample weights.
    """

    X: Any
    y: Any
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return self.X.shape[0]

    def take(self, rows: np.ndarray) -> Block:
        """Select rows of the block by their place in it, or by a mask."""
        return Block(take_rows(self.X, rows), take_rows(self.y, rows), take_rows(self.weight, rows))

    def part(self, rows: slice) -> Block:
        """Return a stretch of rows, without a copy where that is possible."""
        if rows == slice(0, len(self)):
            return self
        if not isinstance(self.X, np.ndarray):
            return self.take(np.arange(rows.start, rows.stop))
        y, weight = (None if values is None else values[rows] for values in (self.y, self.weight))
        return Block(self.X[rows], y, weight)

    @property
    def checksum(self) -> int:
        """Checksum of inputs, targets and weights."""
        return checksum(self.weight, checksum(self.y, checksum(self.X)))


class TrainingData:
    """References to the caller's arrays until something is forgotten, then a copy without the forgotten rows.

    Parameters
    ----------
    X, y, weight : array-likes with the same number of rows
        What `fit` was given, validated; `y` and `weight` may be None.
    positions : ndarray of int or None, default=None
        Ascending positions of the rows that are held; None where every row is.

    Notes
    -----
    The first removal copies the retained rows once and lets go of the caller's arrays, which still hold the
    forgotten ones. From then on dense arrays belong to the model, and removal blanks rows in place.
    """

    def __init__(self, X: Any, y: Any, weight: Any = None, positions: np.ndarray | None = None):
        self.X, self.y, self.weight = X, y, weight
        self._positions = positions
        self._owned = False

    def _rows(self, positions: np.ndarray) -> np.ndarray:
        return positions if self._positions is None else np.searchsorted(self._positions, positions)

    def block(self, positions: np.ndarray) -> Block:
        """Copy the rows at these positions, in this order."""
        rows = self._rows(positions)
        return Block(take_rows(self.X, rows), take_rows(self.y, rows), take_rows(self.weight, rows))

    def shared(self) -> TrainingData:
        """Return a second holder of the same rows; neither of the two blanks rows in place afterwards."""
        self._owned = False
        return copy.copy(self)

    def labels(self, positions: np.ndarray) -> Any:
        """Copy the targets at these positions."""
        return take_rows(self.y, self._rows(positions))

    def forget(self, positions: np.ndarray) -> None:
        """Let go of the rows at these positions: afterwards no array held here contains them.

        Parameters
        ----------
        positions : ndarray of int
            Positions that are held.
        """
        if not len(positions):
            return
        rows = self._rows(positions)
        if self._owned:
            for values in (self.X, self.y, self.weight):
                if values is not None:
                    values[rows] = np.zeros((), values.dtype)
            return
        keep = np.ones(self.X.shape[0], dtype=bool)
        keep[rows] = False
        held = np.arange(len(keep)) if self._positions is None else self._positions
        self.X, self.y, self.weight = (take_rows(values, keep) for values in (self.X, self.y, self.weight))
        self._positions = held[keep]
        self._owned = isinstance(self.X, np.ndarray) and (self.y is None or isinstance(self.y, np.ndarray))
