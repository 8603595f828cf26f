"""The space of inputs, for methods that move inputs about: only numbers can be moved, and each by its own measure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlunlearn.networks.batches import Batch, Rows


def numbers(batch: Batch, method: str) -> Tensor:
    """Read the inputs of a batch as numbers that can be moved.

    Parameters
    ----------
    batch : Batch
        Only its inputs are read.
    method : str
        Name of the method, for the error.

    Returns
    -------
    torch.Tensor of float, shape (n, ...)
        The inputs themselves.

    Raises
    ------
    ValueError
        If inputs have several parts, or are ids.
    """
    if isinstance(batch.X, dict) or not batch.X.is_floating_point():
        found = "a dictionary" if isinstance(batch.X, dict) else "integers that are looked up"
        raise ValueError(
            f"{method} moves inputs about, and this network takes {found}; it needs one tensor of numbers. Take a "
            "method that leaves inputs as they are."
        )
    return batch.X


@dataclass(frozen=True)
class Spread:
    """Range, mean and standard deviation of inputs: of each column of a table, of all numbers of anything else.

    Parameters
    ----------
    low, high, mean, deviation : torch.Tensor of shape (n_features,) for tables, () for images and series
        In the units of the inputs.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate._inputs import Spread
    >>> box = Spread(*torch.tensor([[0.0, -1.0], [1.0, 1.0], [0.5, 0.0], [0.5, 1.0]]))
    >>> box.inside(torch.tensor([[2.0, 0.5]])).tolist()
    [[1.0, 0.5]]
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    deviation: Tensor

    def inside(self, X: Tensor) -> Tensor:
        """Move inputs to the nearest ones within the range.

        Parameters
        ----------
        X : torch.Tensor of shape (n, ...)
            Inputs.

        Returns
        -------
        torch.Tensor of shape (n, ...)
            None below `low` or above `high`.
        """
        return X.clamp(self.low, self.high)


def spread_of(rows: Rows, batch_size: int, method: str) -> Spread:
    """Measure the inputs of some rows, in one pass.

    Parameters
    ----------
    rows : Rows
        Read once, a batch at a time.
    batch_size : int
        Rows of a batch.
    method : str
        Name of the method, for the error.

    Returns
    -------
    Spread
        Where the network is.

    Raises
    ------
    ValueError
        If inputs have several parts, or are ids.
    """
    parts = [_sums(numbers(batch, method).double()) for batch in rows.in_order(batch_size)]
    count, low, high, total, squares = zip(*parts, strict=True)
    n = sum(count)
    mean = torch.stack(total).sum(dim=0) / n
    deviation = (torch.stack(squares).sum(dim=0) / n - mean.square()).clamp(min=0).sqrt()
    ends = torch.stack(low).amin(dim=0), torch.stack(high).amax(dim=0)
    return Spread(*(value.float() for value in (*ends, mean, deviation)))


def _sums(X: Tensor) -> tuple[int, Tensor, Tensor, Tensor, Tensor]:
    values = X if X.ndim == 2 else X.flatten()
    return len(values), values.amin(dim=0), values.amax(dim=0), values.sum(dim=0), values.square().sum(dim=0)
