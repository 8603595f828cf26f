"""Map-style datasets where an array is expected: items are read when a batch needs them.

Nothing here needs torch to be there: who brings a dataset has loaded it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy import sparse

from mlunlearn.rows.checksums import checksums_of_rows
from mlunlearn.rows.items import Items, NamedArrays, as_array
from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators

_LEADING = 6  # binary digits of the positions of items that are compared
_TARGETS = ("targets", "labels")  # attributes in which datasets keep them


class DatasetRows(Items):
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

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from mlunlearn.networks import DatasetRows
    >>> rows = DatasetRows(TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 0])))
    >>> rows[[2, 0]].read().tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """

    compared_as_a_whole = False

    def __init__(self, dataset: Any, places: np.ndarray | None = None, positions: np.ndarray | None = None):
        self.dataset = dataset
        self.places = np.arange(len(dataset)) if places is None else places
        self._positions = self.places if positions is None else positions

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> Self:
        """Select rows; nothing is read."""
        rows = np.asarray(rows) if isinstance(rows, list) else rows
        return type(self)(self.dataset, self.places[rows], self._positions[rows])

    def at(self, positions: np.ndarray) -> Self:
        """Return the same items as rows that stood elsewhere in the data given to `fit`.

        Parameters
        ----------
        positions : ndarray of int
            One for each row.

        Returns
        -------
        DatasetRows
            Known by these positions.
        """
        return type(self)(self.dataset, self.places, positions)

    def without_reading(self, rows: np.ndarray) -> Self:
        """Let another row stand where these are, so that their items are never read.

        Parameters
        ----------
        rows : ndarray of int
            Places among these rows; all of them leaves everything as it is, since there is no other.

        Returns
        -------
        DatasetRows
            As many rows.
        """
        others = np.delete(self.places, rows)
        places = self.places.copy()
        if len(others):
            places[rows] = others[0]
        return type(self)(self.dataset, places, self._positions)

    def item(self, place: int) -> Any:
        """Read the inputs of one row, without the target.

        Parameters
        ----------
        place : int
            Which of these rows.

        Returns
        -------
        object
            A tensor, an array, a number, or a dictionary of them.
        """
        item = self.dataset[int(self.places[place])]
        return item[0] if isinstance(item, (tuple, list)) else item

    def target(self, place: int) -> np.ndarray:
        """Read the target of one row.

        Parameters
        ----------
        place : int
            Which of these rows.

        Returns
        -------
        ndarray
            A label, or values.

        Raises
        ------
        ValueError
            If items come without a target.
        """
        item = self.dataset[int(self.places[place])]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise ValueError("the dataset's items come without a target; pass the targets as y.")
        return np.asarray(item[1])

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
        from torch.utils.data import default_collate

        items = [self.item(place) for place in range(len(self))]
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
                    sums[row] = _checksum(self.item(int(row)), key)
        return sums

    def as_dataset(self) -> Any:
        """Return the rows as models take them that know nothing of `Items`.

        Returns
        -------
        torch.utils.data.Dataset
            That of the user where the rows are all of it, and a subset of it otherwise.
        """
        if np.array_equal(self.places, np.arange(len(self.dataset))):
            return self.dataset
        from torch.utils.data import Subset

        return Subset(self.dataset, self.places.tolist())


def _are_compared(positions: np.ndarray) -> np.ndarray:
    digits = np.frexp(positions)[1]
    return positions % 2 ** np.maximum(digits - _LEADING, 0) == 0


def _checksum(item: Any, key: int) -> np.uint64:
    if isinstance(item, Mapping):
        parts = [(name, int(_checksum(item[name], key))) for name in sorted(item)]
        return checksums_of_rows(np.array([str(parts)], dtype=object), key)[0]
    return checksums_of_rows(as_array(item).reshape(1, -1), key)[0]


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
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(X, torch.utils.data.IterableDataset):
        raise TypeError(
            "an IterableDataset has no positions, so no row of it can be forgotten; pass a map-style Dataset."
        )
    return isinstance(X, torch.utils.data.Dataset)


def rows_of(X: Any) -> Any:
    """Read a dataset, or arrays by name, as rows.

    Parameters
    ----------
    X : object
        What a caller passed for inputs.

    Returns
    -------
    Items or same as X
        Anything else is returned as it is.

    Raises
    ------
    TypeError
        If it is a dataset that can only be run through.
    """
    if isinstance(X, Items):
        return X
    if is_dataset(X):
        return DatasetRows(X)
    by_name = isinstance(X, Mapping) and not sparse.issparse(X)  # a matrix of keys is a dictionary
    return NamedArrays(X) if by_name else X


def labels_of(dataset: Any) -> np.ndarray:
    """Return the targets of a dataset.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset or DatasetRows
        Its attribute ``targets`` or ``labels`` is taken where one has the right length, as torchvision's datasets have
        (those inside a ``Subset`` too). Otherwise every item is read once, which decodes every image.

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
    rows = dataset if isinstance(dataset, DatasetRows) else DatasetRows(dataset)
    known = _known_targets(rows.dataset)
    if known is not None:
        return known[rows.places]
    with TURNS, KeptGenerators(), SeededGenerators(0):
        return np.stack([rows.target(place) for place in range(len(rows))])


def _known_targets(dataset: Any) -> np.ndarray | None:
    """Targets of all items, as far as the dataset tells them without being read."""
    for name in _TARGETS:
        known = getattr(dataset, name, None)
        if isinstance(known, (Sequence, np.ndarray)) or hasattr(known, "detach"):
            targets = as_array(known)
            if targets.ndim and len(targets) == len(dataset):
                return targets
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
        inside = _known_targets(dataset.dataset)
        return None if inside is None else inside[np.asarray(dataset.indices)]
    return None
