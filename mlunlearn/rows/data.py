"""The rows a model may still use, and the one function that selects rows from them.

Positions everywhere are those of the data given to `fit`; they stay valid whatever was forgotten since.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from mlunlearn._compat import _safe_indexing
from mlunlearn.exceptions import DataChangedError
from mlunlearn.rows.checksums import checksums_of_rows, combined
from mlunlearn.rows.frame_types import in_types
from mlunlearn.rows.holding import bytes_of_a_row, is_on_disk
from mlunlearn.rows.items import Items
from mlunlearn.rows.row_labels import drop_unused_labels, labels_of, sum_of_labels, used_alone
from mlunlearn.rows.twins import Twins

CHUNK_BYTES = 2**21
"""Of a chunk: large enough that few are read for a shard, small enough that copying one takes a moment."""


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Select rows in one memory order, so that equal rows train to equal bits.

    Parameters
    ----------
    X : ndarray, sparse matrix, data frame, Items or None
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
    if isinstance(X, pd.Index):
        return used_alone(X.take(np.flatnonzero(rows) if rows.dtype == bool else rows))
    if isinstance(X, pd.DataFrame):
        return drop_unused_labels(_safe_indexing(X, rows))
    return X[rows] if isinstance(X, Items) else _safe_indexing(X, rows)


def join_rows(parts: list[Any]) -> Any:
    """Put rows of one kind, taken from one whole, after each other."""
    first = parts[0]
    if first is None or len(parts) == 1:
        return first
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, pd.Index):
        return first.append(parts[1:])
    return sparse.vstack(parts, format="csr") if sparse.issparse(first) else pd.concat(parts)


@dataclass(frozen=True)
class Block:
    """Rows taken out of the training data, ready to train on.

    Parameters
    ----------
    X : ndarray, sparse matrix or data frame of shape (n, ...), or Items
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

    def spread(self, positions: np.ndarray, n_samples: int) -> Block:
        """Put the rows at these positions among `n_samples`; where there is none, the first one stands in its place."""
        if len(positions) == n_samples:
            return self
        place = np.zeros(n_samples, dtype=np.intp)
        place[positions] = np.arange(len(positions))
        return self.take(place)

    def part(self, rows: slice) -> Block:
        """Return a stretch of rows, without a copy where that is possible."""
        if rows == slice(0, len(self)):
            return self
        if not isinstance(self.X, np.ndarray):
            return self.take(np.arange(rows.start, rows.stop))
        y, weight = (None if values is None else values[rows] for values in (self.y, self.weight))
        return Block(self.X[rows], y, weight)

    def checksums(self, positions: np.ndarray) -> np.ndarray:
        """Checksum each row: its position, its inputs, its target and its weight."""
        return _checksums(positions, checksums_of_rows(self.X), self.y, self.weight)


def _checksums(positions: np.ndarray, inputs: np.ndarray, y: Any, weight: Any) -> np.ndarray:
    others = (None if values is None else checksums_of_rows(values) for values in (y, weight))
    return combined(inputs, positions.astype(np.uint64), *others)


class Chunk(NamedTuple):
    """Held rows of a stretch of positions, and what is known of each.

    Parameters
    ----------
    positions : ndarray of int
        Ascending.
    X, y, weight : as given to `fit`
        Of an array on disk `X` is all of it.
    file_rows : ndarray of int or None
        Of an array on disk, the rows of `X` that are held.
    sums : ndarray of uint64
        Checksums of what the rows held at `fit`.
    codes : ndarray of int or None
        Labels of a classifier's rows, as places among all labels.
    twins : ndarray of int or None
        Groups of rows with identical inputs; -1 where there is no other.
    row_labels : pandas.Index or None
        Labels that the rows of a data frame had at `fit`; frames can be given others in place.
    """

    positions: np.ndarray
    X: Any
    y: Any
    weight: Any
    file_rows: np.ndarray | None
    sums: np.ndarray
    codes: np.ndarray | None
    twins: np.ndarray | None
    row_labels: pd.Index | None

    def places(self, positions: np.ndarray) -> np.ndarray:
        """Find rows by position; no search where every row is held."""
        n = len(self.positions)
        if n and self.positions[-1] - self.positions[0] == n - 1:
            return positions - self.positions[0]
        return np.searchsorted(self.positions, positions)

    def column(self, name: str, places: np.ndarray) -> Any:
        """Copy one of the columns at these places."""
        if name == "X" and self.file_rows is not None:
            return take_rows(self.X, self.file_rows[places])
        return take_rows(getattr(self, name), places)

    def refuse_other_length(self) -> None:
        """Refuse the caller's data if rows were deleted in it."""
        if self.file_rows is None and self.X.shape[0] != len(self.positions):
            raise DataChangedError(
                f"The data given to fit had {len(self.positions)} rows and has {self.X.shape[0]}: rows were deleted in "
                "place, so positions point elsewhere. Give back the rows that are left and name the deleted ones, "
                "attach_data(X, y, erased=rows), then unlearn them."
            )

    def take(self, places: np.ndarray) -> Chunk:
        """Copy the rows at these places; what is on disk stays there."""
        taken = Chunk(*(take_rows(values, places) for values in self._replace(X=None)))
        return taken._replace(X=self.X if self.file_rows is not None else take_rows(self.X, places))


class TrainingData:
    """References to the caller's arrays until something is forgotten, then a copy without the forgotten rows.

    Never changed: forgetting returns another holder, so a model swaps its data at one point or keeps it.

    Parameters
    ----------
    X, y, weight : array-likes with the same number of rows
        What `fit` was given, validated; `y` and `weight` may be None.
    positions : ndarray of int or None, default=None
        Ascending positions of the rows that are held; None where every row is.
    labelled : bool, default=False
        Whether `y` holds the labels of a classifier, to be counted; those of several outputs are not.

    Notes
    -----
    What `fit` saw of each row is noted at once: a checksum, its label, and which other rows have the same inputs. So
    a row can be forgotten when it, or its label, has been erased in the caller's arrays already.

    The first removal copies the retained rows once, and lets go of the caller's arrays, which still hold the forgotten
    ones. The copy is cut into chunks of some 2 MB by position, so that later removals copy the chunks they touch and
    no more, and a row is found without a search through all of them. Arrays on disk (``numpy.memmap``) and datasets are
    not copied: the files are the caller's, and forgotten rows are never read again.
    """

    def __init__(
        self, X: Any, y: Any, weight: Any = None, positions: np.ndarray | None = None, *, labelled: bool = False
    ):
        n = X.shape[0]
        positions = np.arange(n) if positions is None else positions
        inputs = checksums_of_rows(X)
        self._twins, groups = Twins.among(inputs, lambda rows: checksums_of_rows(take_rows(X, rows), key=1))
        self._labels: Any = None
        codes = None
        if labelled and np.size(y) == n:
            self._labels, codes = np.unique(y, return_inverse=True)
            codes = codes.reshape(-1).astype(np.min_scalar_type(len(self._labels)))
        self._label_counts: Any = None if codes is None else np.bincount(codes)
        file_rows = np.arange(n) if is_on_disk(X) else None
        sums = _checksums(positions, inputs, y, weight)
        self._chunks = [Chunk(positions, X, y, weight, file_rows, sums, codes, groups, labels_of(X))]
        self._chunk_size = 0  # positions of a chunk, once there are several
        self._dtypes = X.dtypes if isinstance(X, pd.DataFrame) else None
        self.erased: Any = None  # rows that are still to be forgotten, of which nothing is held

    @property
    def positions(self) -> np.ndarray:
        """Positions of the rows that are held."""
        return self._column("positions")

    @property
    def X(self) -> Any:
        """All inputs that are held; those of the caller as long as nothing was forgotten."""
        first = self._chunks[0]
        if first.file_rows is None:
            return in_types(self._column("X"), self._dtypes)
        rows = self._column("file_rows")
        return first.X if len(rows) == len(first.X) else take_rows(first.X, rows)

    @property
    def y(self) -> Any:
        """All targets that are held."""
        return self._column("y")

    @property
    def weight(self) -> Any:
        """All sample weights that are held, or None."""
        return self._column("weight")

    @property
    def sums(self) -> np.ndarray:
        """Checksums of what all held rows were at `fit`."""
        return self._column("sums")

    @property
    def classes(self) -> np.ndarray:
        """Labels of which a row is held."""
        return np.unique(self.y) if self._labels is None else self._labels[self._label_counts > 0]

    def _column(self, name: str) -> Any:
        return join_rows([getattr(chunk, name) for chunk in self._chunks])

    # ------------------------------------------------------------- look-up

    @property
    def row_labels(self) -> pd.Index | None:
        """Labels of the held rows of a data frame; None for other data."""
        return self._column("row_labels")

    @property
    def has_row_labels(self) -> bool:
        """Whether rows can be named by labels."""
        return self._chunks[0].row_labels is not None

    def label_sum(self, positions: np.ndarray | None = None) -> np.uint64:
        """Add up checksums of the labels and positions of some held rows, or of all; 0 where there are no labels."""
        if positions is None:
            return sum_of_labels(self.row_labels, self.positions)
        return sum_of_labels(self._rows(positions, "row_labels")[0], positions)

    def without_labels(self) -> TrainingData:
        """Return a holder of the same rows, which cannot be named by labels."""
        left = copy.copy(self)
        left._chunks = [chunk._replace(row_labels=None) for chunk in self._chunks]
        return left

    def block(self, positions: np.ndarray) -> Block:
        """Copy the rows at these positions, in this order."""
        return Block(*self._rows(positions, "X", "y", "weight"))

    def block_and_changes(self, positions: np.ndarray) -> tuple[Block, np.ndarray]:
        """Copy the rows at these positions, and tell which of them are not what they were at `fit`."""
        *columns, sums = self._rows(positions, "X", "y", "weight", "sums")
        block = Block(*columns)
        return block, positions[block.checksums(positions) != sums]

    def checksums(self, positions: np.ndarray) -> np.ndarray:
        """Checksums of what the rows at these positions were at `fit`; the rows are not read."""
        return self._rows(positions, "sums")[0]

    def labels(self, positions: np.ndarray) -> Any:
        """Copy the targets at these positions."""
        return self._rows(positions, "y")[0]

    def with_labels(self, labels: list[Any]) -> np.ndarray:
        """Positions of the rows that had one of these labels at `fit`."""
        wanted = np.isin(self._labels, labels)
        return np.concatenate([chunk.positions[wanted[chunk.codes]] for chunk in self._chunks])

    def labels_among(self, positions: np.ndarray) -> np.ndarray:
        """Labels that the rows at these positions had at `fit`."""
        return self._labels[np.flatnonzero(self._count_labels(positions))]

    def labels_lost(self, positions: np.ndarray) -> np.ndarray:
        """Labels that no row would have if those at these positions were gone."""
        if self._labels is None:
            return np.zeros(0)
        gone = self._count_labels(positions)
        return self._labels[(gone > 0) & (gone == self._label_counts)]

    def n_twins(self, positions: np.ndarray) -> int:
        """Count rows at these positions with identical inputs among those that would be left."""
        return self._twins.count(self._rows(positions, "twins")[0])

    def _count_labels(self, positions: np.ndarray) -> np.ndarray:
        return np.bincount(self._rows(positions, "codes")[0], minlength=len(self._labels))

    def _rows(self, positions: np.ndarray, *names: str) -> list[Any]:
        """Copy columns at these positions, in this order, from the chunks they are in."""
        if self.erased is not None and np.isin(positions, self.erased.rows).any():
            raise DataChangedError("Rows that were erased before attach_data(..., erased=rows) can only be forgotten.")
        if len(self._chunks) == 1:
            [chunk] = self._chunks
            chunk.refuse_other_length()
            places = chunk.places(positions)
            return [in_types(chunk.column(name, places), self._dtypes) for name in names]
        order = np.argsort(positions, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        found = [(chunk, chunk.places(some)) for chunk, some in self._by_chunk(positions[order])]
        found = found or [(self._chunks[0], np.arange(0))]
        columns = [join_rows([chunk.column(name, places) for chunk, places in found]) for name in names]
        return [in_types(take_rows(column, back), self._dtypes) for column in columns]

    def _by_chunk(self, positions: np.ndarray) -> Iterator[tuple[Chunk, np.ndarray]]:
        """Deal ascending positions out to the chunks they are in."""
        numbers = positions // self._chunk_size
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        for start, stop in pairwise([*starts.tolist(), len(positions)]):
            yield self._chunks[numbers[start]], positions[start:stop]

    # ------------------------------------------------------------- removal

    def without(self, positions: np.ndarray) -> TrainingData:
        """Return a holder of the other rows, from which nothing leads to those at these positions.

        Parameters
        ----------
        positions : ndarray of int
            Ascending positions that are held.

        Returns
        -------
        TrainingData
            Shares the chunks that hold none of the rows.
        """
        left = copy.copy(self)
        left.erased = None
        if not len(positions):
            return left
        if self._labels is not None:
            left._label_counts = self._label_counts - self._count_labels(positions)
        left._twins = self._twins.without(self._rows(positions, "twins")[0])
        if self._chunk_size:
            left._chunks = list(self._chunks)
            for chunk, gone in self._by_chunk(positions):
                left._chunks[gone[0] // self._chunk_size] = chunk.take(_others(chunk, gone))
        else:
            left._chunks, left._chunk_size = _cut(self._chunks[0], _others(self._chunks[0], positions))
        return left


def _others(chunk: Chunk, positions: np.ndarray) -> np.ndarray:
    keep = np.ones(len(chunk.positions), dtype=bool)
    keep[chunk.places(positions)] = False
    return np.flatnonzero(keep)


def _cut(whole: Chunk, places: np.ndarray) -> tuple[list[Chunk], int]:
    """Copy rows into chunks of one number of positions each; data of an unknown kind stays in one piece."""
    if not (isinstance(whole.X, (np.ndarray, pd.DataFrame)) or sparse.issparse(whole.X)):
        return [whole.take(places)], int(whole.positions[-1]) + 1
    size = max(CHUNK_BYTES // bytes_of_a_row(whole.X), 16)
    ends = np.arange(0, whole.positions[-1] + 1 + size, size)
    parts = np.searchsorted(whole.positions[places], ends).tolist()
    return [whole.take(places[start:stop]) for start, stop in pairwise(parts)], size
