"""Batches for torch, cut out of whole arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor
from torch.utils.data import DataLoader, Subset


class BatchLoader:
    """Cut batches out of whole arrays, which is several times faster than collating rows.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or torch.utils.data.Subset of one
        Arrays `X` and `y`.
    batch_size : int, default=128
        Rows of a batch. A single row left over at the end joins the last batch, since batch normalisation cannot
        train on one.
    shuffle : bool, default=False
        Draw the order of the rows from torch's generator.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from mlunlearn.loaders import BatchLoader
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

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        n = len(self.dataset)
        X, y = _arrays(self.dataset)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            rows = order[start:stop]
            yield X[rows], y[rows]


def _arrays(dataset: Any) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(dataset, Subset):
        rows = torch.as_tensor(np.asarray(dataset.indices))
        X, y = _arrays(dataset.dataset)
        return X[rows], y[rows]
    y = torch.zeros(len(dataset)) if dataset.y is None else to_tensor(dataset.y, device="cpu")
    return to_tensor(dataset.X, device="cpu"), y


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
    >>> from mlunlearn.loaders import JoiningLoader
    >>> [len(batch) for batch in JoiningLoader(range(9), batch_size=4)]
    [5, 4]
    """

    def __init__(self, dataset: Any, batch_size: int | None = 1, **options: Any):
        n = len(dataset)
        if batch_size is not None and batch_size > 1 and not options.get("drop_last"):
            while batch_size < n and n % batch_size == 1:
                batch_size += 1
        super().__init__(dataset, batch_size=batch_size, **options)
