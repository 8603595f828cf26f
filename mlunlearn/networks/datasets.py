"""Map-style datasets where an array is expected: items are read when a batch needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, default_collate

from mlunlearn.checksums import checksums_of_rows
from mlunlearn.generators import TURNS, KeptGenerators, SeededGenerators

_LEADING = 6  # binary digits of the positions of items that are compared


class DatasetRows:
    """The items of a dataset as rows: selected by position at no cost, read on request.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Map-style. Items are inputs, or pairs of inputs and target; inputs are tensors, arrays, numbers, or
        dictionaries of them that are passed to the network by name.
    places : ndarray of int or None, default=None
        Which items, in this order; None means all.
    positions : ndarray of int or None, default=None
        Positions of these rows in the data given to `fit`; None takes their places in the dataset.

    Attributes
    ----------
    shape : tuple of int
        The number of rows alone: what an item looks like is only known when it is read.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from mlunlearn.networks import DatasetRows
    >>> rows = DatasetRows(TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 0])))
    >>> rows[[2, 0]].read().tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """

    def __init__(self, dataset: Dataset[Any], places: np.ndarray | None = None, positions: np.ndarray | None = None):
        self.dataset = dataset
        self._places = np.arange(len(dataset)) if places is None else places  # type: ignore[arg-type]
        self._positions = self._places if positions is None else positions

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows."""
        return (len(self._places),)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Any) -> DatasetRows:
        """Select rows; nothing is read."""
        rows = rows[0] if isinstance(rows, tuple) else rows
        rows = np.asarray(rows) if isinstance(rows, list) else rows
        return DatasetRows(self.dataset, self._places[rows], self._positions[rows])

    def items(self) -> list[Any]:
        """Read the inputs of each row.

        Returns
        -------
        list
            One entry a row, without the targets.
        """
        return [self._item(place) for place in self._places]

    def _item(self, place: Any) -> Any:
        item = self.dataset[int(place)]
        return item[0] if isinstance(item, (tuple, list)) else item

    def read(self) -> Any:
        """Read the rows as one batch.

        Returns
        -------
        torch.Tensor of shape (n, ...) or dict of them
            Inputs, in the type that the dataset gives.

        Raises
        ------
        TypeError
            If the items are of a kind that cannot be put into a tensor.
        """
        items = self.items()
        try:
            return default_collate(items)
        except TypeError as error:
            raise TypeError(
                f"the dataset's inputs are {type(items[0]).__name__} objects, which make no batch; let it return "
                "tensors or arrays of one shape (torchvision's datasets do so with transform=)."
            ) from error

    def checksums(self, key: int = 0) -> np.ndarray:
        """Checksum the rows: the positions of all, and what a few of them hold.

        Parameters
        ----------
        key : int, default=0
            Another key gives other checksums.

        Returns
        -------
        ndarray of shape (n,), dtype uint64
            Items are read whose position has few binary digits before its zeros: all of the first 64, every second up
            to 128, every fourth up to 256, and so on. An edit of one file among many goes unnoticed, another folder or
            another order does not. Each is read with the same seed, so that datasets that draw crops and flips from
            the global generators draw the same ones again.
        """
        sums = checksums_of_rows(self._positions, key)
        with TURNS:
            for row in np.flatnonzero(_are_compared(self._positions)):
                with KeptGenerators(), SeededGenerators(0):
                    sums[row] = _checksum(self._item(self._places[row]), key)
        return sums


def _are_compared(positions: np.ndarray) -> np.ndarray:
    digits = np.frexp(positions)[1]
    return positions % 2 ** np.maximum(digits - _LEADING, 0) == 0


def _checksum(item: Any, key: int) -> np.uint64:
    if isinstance(item, Mapping):
        parts = [(name, int(_checksum(item[name], key))) for name in sorted(item)]
        return checksums_of_rows(np.array([str(parts)], dtype=object), key)[0]
    values = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)
    return checksums_of_rows(values.reshape(1, -1), key)[0]


def is_dataset(X: Any) -> bool:
    """Tell whether inputs come as a dataset.

    Parameters
    ----------
    X : object
        What a caller passed for inputs.

    Returns
    -------
    bool
        True for a map-style dataset.

    Raises
    ------
    TypeError
        If it is a dataset that can only be run through.
    """
    if isinstance(X, IterableDataset):
        raise TypeError(
            "an IterableDataset has no positions, so no row of it can be forgotten; pass a map-style Dataset."
        )
    return isinstance(X, Dataset)


def labels_of(dataset: Dataset[Any]) -> np.ndarray:
    """Return the targets of a dataset.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Its attribute ``targets`` is taken where there is one of the right length, as torchvision's datasets have;
        otherwise every item is read once.

    Returns
    -------
    ndarray of shape (n,) or (n, n_outputs)
        Targets.

    Raises
    ------
    ValueError
        If items come without a target.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from mlunlearn.networks import labels_of
    >>> labels_of(TensorDataset(torch.zeros(2, 3), torch.tensor([1, 0]))).tolist()
    [1, 0]
    """
    n = len(dataset)  # type: ignore[arg-type]
    known = getattr(dataset, "targets", None)
    if isinstance(known, (Sequence, np.ndarray)) or hasattr(known, "numpy"):
        targets = np.asarray(known)
        if len(targets) == n:
            return targets
    found = []
    for place in range(n):
        item = dataset[place]
        if isinstance(item, Mapping) or not isinstance(item, (tuple, list)) or len(item) < 2:
            raise ValueError("the dataset's items come without a target; pass the targets as y.")
        found.append(np.asarray(item[1]))
    return np.stack(found)
