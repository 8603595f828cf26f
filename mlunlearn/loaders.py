"""Batches for torch, cut out of whole arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from skorch.utils import to_tensor


class BatchLoader:
    """Cut batches out of whole arrays, which is several times faster than collating rows.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
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
        X = to_tensor(self.dataset.X, device="cpu")
        y = torch.zeros(n) if self.dataset.y is None else to_tensor(self.dataset.y, device="cpu")
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            rows = order[start:stop]
            yield X[rows], y[rows]
