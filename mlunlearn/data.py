"""The rows a model may still use, and the one function that selects rows from them.

Positions everywhere are those of the data given to `fit`; they stay valid whatever was forgotten since.
"""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mlunlearn._compat import _safe_indexing
from mlunlearn.labels import drop_unused_labels, labels_of

CHUNK_BYTES, MOST_CHUNKS = 2**19, 256


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
    if isinstance(X, pd.DataFrame):
        return drop_unused_labels(_safe_indexing(X, rows))
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


def _is_on_disk(X: Any) -> bool:
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return isinstance(X, mmap)


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

    Never changed: forgetting returns another holder, so a model swaps its data at one point or keeps it.

    Parameters
    ----------
    X, y, weight : array-likes with the same number of rows
        What `fit` was given, validated; `y` and `weight` may be None.
    positions : ndarray of int or None, default=None
        Ascending positions of the rows that are held; None where every row is.

    Notes
    -----
    The first removal copies the retained rows once, and lets go of the caller's arrays, which still hold the forgotten
    ones. The copy of a dense array is cut into chunks, so that later removals copy the chunks they touch and no more.
    Arrays on disk (``numpy.memmap``) are not copied: the file is the caller's, and forgotten rows are never read again.
    """

    def __init__(self, X: Any, y: Any, weight: Any = None, positions: np.ndarray | None = None):
        self.y, self.weight = y, weight
        self._chunks = [X]
        self._positions = np.arange(X.shape[0]) if positions is None else positions
        self._on_file = np.arange(X.shape[0]) if _is_on_disk(X) else None  # rows of the file that are held

    @property
    def X(self) -> Any:
        """All inputs that are held; those of the caller as long as nothing was forgotten."""
        if self._on_file is not None and len(self._on_file) < len(self._chunks[0]):
            return take_rows(self._chunks[0], self._on_file)
        return self._chunks[0] if len(self._chunks) == 1 else np.concatenate(self._chunks)

    @property
    def row_labels(self) -> pd.Index | None:
        """Labels of the held rows of a data frame; None for other data."""
        return labels_of(self._chunks[0])

    def block(self, positions: np.ndarray) -> Block:
        """Copy the rows at these positions, in this order."""
        rows = self._rows(positions)
        return Block(self._take(rows), take_rows(self.y, rows), take_rows(self.weight, rows))

    def labels(self, positions: np.ndarray) -> Any:
        """Copy the targets at these positions."""
        return take_rows(self.y, self._rows(positions))

    def without(self, positions: np.ndarray) -> TrainingData:
        """Return a holder of the other rows, from which nothing leads to those at these positions.

        Parameters
        ----------
        positions : ndarray of int
            Positions that are held.

        Returns
        -------
        TrainingData
            Shares the chunks that hold none of the rows.
        """
        if not len(positions):
            return self
        keep = np.ones(len(self._positions), dtype=bool)
        keep[self._rows(positions)] = False
        left = copy.copy(self)
        if self._on_file is None:
            left._chunks = self._kept(keep)
        else:
            left._on_file = self._on_file[keep]
        left._positions, left.y, left.weight = (
            take_rows(values, keep) for values in (self._positions, self.y, self.weight)
        )
        return left

    def _rows(self, positions: np.ndarray) -> np.ndarray:
        """Find the held rows at these positions; no search while every row is held."""
        n_held = len(self._positions)
        complete = not n_held or self._positions[-1] == n_held - 1
        return positions if complete else np.searchsorted(self._positions, positions)

    def _take(self, rows: np.ndarray) -> Any:
        if self._on_file is not None:
            return take_rows(self._chunks[0], self._on_file[rows])
        if len(self._chunks) == 1:
            return take_rows(self._chunks[0], rows)
        ends = self._ends()
        chunk = np.searchsorted(ends, rows, side="right")
        found = np.empty((len(rows), *self._chunks[0].shape[1:]), self._chunks[0].dtype)
        for number in np.unique(chunk):
            here = chunk == number
            found[here] = self._chunks[number].take(rows[here] - ends[number] + len(self._chunks[number]), axis=0)
        return found

    def _kept(self, keep: np.ndarray) -> list[Any]:
        first = self._chunks[0]
        if len(self._chunks) == 1 and not isinstance(first, np.ndarray):
            return [take_rows(first, keep)]
        if len(self._chunks) == 1:
            parts = np.array_split(np.flatnonzero(keep), max(1, min(MOST_CHUNKS, first.nbytes // CHUNK_BYTES)))
            return [take_rows(first, rows) for rows in parts]
        masks = np.split(keep, self._ends()[:-1])
        kept = [
            chunk if mask.all() else take_rows(chunk, mask) for chunk, mask in zip(self._chunks, masks, strict=True)
        ]
        return [chunk for chunk in kept if len(chunk)]

    def _ends(self) -> np.ndarray:
        return np.cumsum([len(chunk) for chunk in self._chunks])
