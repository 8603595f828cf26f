"""Batches for torch, cut out of whole arrays or read item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor
from torch.utils.data import DataLoader, Dataset, Subset

from mlunlearn.rows.items import Items

Take = Callable[[torch.Tensor], tuple[Any, torch.Tensor]]


class LabelledItems(Dataset[Any]):
    """Rows that are read when they are asked for, and their targets, as torch's loaders take them.

    Parameters
    ----------
    rows : Items
        Inputs.
    y : ndarray of shape (n, ...)
        Targets.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.rows.items import NamedArrays
    >>> from mlunlearn.nets.loaders import LabelledItems
    >>> items = LabelledItems(NamedArrays({"x": np.arange(3)}), np.array([1, 0, 1]))
    >>> len(items), int(items[2][0]["x"]), int(items[2][1])
    (3, 2, 1)
    """

    def __init__(self, rows: Items, y: np.ndarray):
        self.rows = rows
        self.y = y

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> tuple[Any, Any]:
        """Read one row."""
        return self.rows.item(place), self.y[place]


class BatchLoader:
    """Cut batches out of whole arrays, which is several times faster than collating rows.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset, LabelledItems, or torch.utils.data.Subset of one
        Arrays `X` and `y`; or items, which are read as their batch comes.
    batch_size : int, default=128
        Rows of a batch. A single row left over at the end joins the last batch, since batch normalisation cannot
        train on one.
    shuffle : bool, default=False
        Draw the order of the rows from torch's generator.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from mlunlearn.nets.loaders import BatchLoader
    >>> loader = BatchLoader(Dataset(np.zeros((9, 2)), np.zeros(9)), batch_size=4)
    >>> [len(X) for X, y in loader]
    [4, 5]
    """

    def __init__(self, dataset: Any, batch_size: int = 128, shuffle: bool = False):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def _starts(self) -> list[int]:
        n = len(self.dataset)
        batch_size = n if self.batch_size == -1 else self.batch_size
        starts = list(range(0, n, batch_size))
        return starts[:-1] if len(starts) > 1 and n - starts[-1] == 1 else starts

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        n = len(self.dataset)
        dataset, places = _whole(self.dataset)
        take = _items_of(dataset) if isinstance(dataset, LabelledItems) else _arrays_of(dataset)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            rows = order[start:stop]
            yield take(rows if places is None else places[rows])


def _whole(dataset: Any) -> tuple[Any, torch.Tensor | None]:
    """Return the dataset inside subsets of subsets, and the places of the rows in it; None for all of them."""
    places = None
    while isinstance(dataset, Subset):
        rows = torch.as_tensor(np.asarray(dataset.indices))
        dataset, places = dataset.dataset, rows if places is None else rows[places]
    return dataset, places


def _items_of(dataset: LabelledItems) -> Take:
    y = torch.as_tensor(dataset.y)
    return lambda places: (dataset.rows[places.numpy()].read(), y[places])


def _arrays_of(dataset: Any) -> Take:
    X = to_tensor(dataset.X, device="cpu")
    y = torch.zeros(len(dataset)) if dataset.y is None else to_tensor(dataset.y, device="cpu")
    return lambda places: (X[places], y[places])


class JoiningLoader(DataLoader):
    """torch's own loader, whose last batch is never a single row, since batch normalisation cannot train on one.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Rows.
    batch_size : int, default=1
        Rows of a batch. Where they would leave a single row over, batches are larger by as little as possible.
    **options : dict
        What else the loader takes.

    Examples
    --------
    >>> from mlunlearn.nets.loaders import JoiningLoader
    >>> [len(batch) for batch in JoiningLoader(range(9), batch_size=4)]
    [5, 4]
    """

    def __init__(self, dataset: Any, batch_size: int | None = 1, **options: Any):
        n = len(dataset)
        if batch_size is not None and batch_size > 1 and not options.get("drop_last"):
            while batch_size < n and n % batch_size == 1:
                batch_size += 1
        super().__init__(dataset, batch_size=batch_size, **options)
