"""Checksums of rows, by which data is noticed that was edited since `fit`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from mlunlearn.data import Block, TrainingData, checksum, take_rows
from mlunlearn.exceptions import DataChangedError
from mlunlearn.networks.datasets import DatasetRows
from mlunlearn.torch_seeds import seeded

N_SAMPLED, CHUNK = 64, 4096


class Fingerprints:
    """One checksum for each row of arrays and frames, and for a seeded sample of the rows of a dataset.

    Never changed: forgetting returns others, without the checksums of forgotten rows.

    Parameters
    ----------
    positions : ndarray of int
        Ascending positions of rows, in the data given to `fit`.
    values : ndarray of uint32, shape (n,)
        Their checksums.

    Notes
    -----
    They catch accidents, not adversaries. Of a dataset with items in files, 64 rows are read, with seeded random
    generators: an edit of one file among many mostly goes unnoticed, another folder or another order does not.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.data import TrainingData
    >>> from mlunlearn.networks import Fingerprints
    >>> X = np.zeros((3, 2))
    >>> taken = Fingerprints.of(TrainingData(X, np.arange(3)), np.arange(3), seed=0)
    >>> X[2] = 1.0
    >>> taken.changed(TrainingData(X, np.arange(3)), np.arange(3)).tolist()
    [2]
    """

    def __init__(self, positions: np.ndarray, values: np.ndarray):
        self.positions = positions
        self.values = values

    @classmethod
    def of(cls, data: TrainingData, positions: np.ndarray, seed: int) -> Fingerprints:
        """Take the fingerprints of rows.

        Parameters
        ----------
        data : TrainingData
            The rows.
        positions : ndarray of int
            Which.
        seed : int
            Chooses the sample of a dataset.

        Returns
        -------
        Fingerprints
            New ones.
        """
        if len(positions) > N_SAMPLED and isinstance(data.block(positions[:1]).X, DatasetRows):
            chosen = np.random.default_rng(seed).choice(len(positions), N_SAMPLED, replace=False)
            positions = positions[np.sort(chosen)]
        return cls(positions, _checksums(data, positions))

    def without(self, rows: np.ndarray) -> Fingerprints:
        """Drop the checksums of rows.

        Parameters
        ----------
        rows : ndarray of int
            Their positions.

        Returns
        -------
        Fingerprints
            Those of the others.
        """
        keep = ~np.isin(self.positions, rows)
        return Fingerprints(self.positions[keep], self.values[keep])

    def changed(self, data: TrainingData, positions: np.ndarray) -> np.ndarray:
        """Find rows that differ from what they were.

        Parameters
        ----------
        data : TrainingData
            The rows as they are now.
        positions : ndarray of int
            Rows to look at; others may hold anything.

        Returns
        -------
        ndarray of int
            Positions of those that differ, as far as there are checksums.
        """
        asked = np.isin(self.positions, positions)
        known = self.positions[asked]
        return known[_checksums(data, known) != self.values[asked]]

    def refuse_changed(self, data: TrainingData, positions: np.ndarray) -> None:
        """Raise an error if rows differ from what they were.

        Parameters
        ----------
        data : TrainingData
            The rows as they are now.
        positions : ndarray of int
            Rows that must be what they were.

        Raises
        ------
        DataChangedError
            If one is not.
        """
        changed = self.changed(data, positions)
        if len(changed):
            raise DataChangedError(
                f"The training data was edited after fit, {len(changed)} row(s) that were looked at differ, the first "
                f"is row {changed[0]}. Restore the data and call attach_data(X, y), or fit again."
            )


def _checksums(data: TrainingData, positions: np.ndarray) -> np.ndarray:
    values = [
        value for start in range(0, len(positions), CHUNK) for value in _of_rows(data, positions[start : start + CHUNK])
    ]
    return np.array(values, dtype=np.uint32)


def _of_rows(data: TrainingData, positions: np.ndarray) -> Iterator[int]:
    block = data.block(positions)
    targets = _bytes(block.y) if block.y is not None else [b""] * len(positions)
    for inputs, target in zip(_parts(block), targets, strict=True):
        yield zlib.crc32(target, inputs)


def _parts(block: Block) -> Iterator[int]:
    """Yield the checksum of the inputs of each row."""
    X = block.X
    if isinstance(X, DatasetRows):
        with seeded(0):  # datasets that draw crops and flips draw the same ones again
            yield from [_of_item(item) for item in X.items()]
    elif isinstance(X, (np.ndarray, pd.DataFrame)):
        yield from (zlib.crc32(row) for row in _bytes(X))
    else:
        yield from (checksum(take_rows(X, np.array([place]))) for place in range(len(block)))


def _bytes(values: Any) -> Any:
    """Return the bytes of each row."""
    if isinstance(values, (pd.DataFrame, pd.Series)):
        values = pd.util.hash_pandas_object(values, index=False).to_numpy()
    values = np.asarray(values)
    if values.dtype.hasobject:
        values = pd.util.hash_array(values.ravel(), categorize=False).reshape(values.shape)
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


def _of_item(item: Any, start: int = 0) -> int:
    if isinstance(item, Mapping):
        for name in sorted(item):
            start = _of_item(item[name], zlib.crc32(str(name).encode(), start))
        return start
    values = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, start)
