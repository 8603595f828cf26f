"""Wrong labels for the rows to forget: one for good, or another at each reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlunlearn.networks.batches import Batch, Rows


class WrongLabels:
    """A label for each row to forget that is not its own, drawn uniformly by a seed.

    Parameters
    ----------
    forget : Rows
        Rows to forget.
    n_classes : int
        Labels there are, two or more.
    seed : int
        Seed of the labels; a row keeps its label however often it is read.
    never : sequence of int, default=()
        Classes that nobody is given, such as those that are forgotten as a whole. One at least is left.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.approximate.wrong_labels import WrongLabels
    >>> from mlunlearn.networks import Batch, Rows
    >>> rows, y = torch.tensor([4, 7, 9]), torch.tensor([0, 1, 1])
    >>> batch = Batch(torch.zeros(3, 2), y, rows, torch.tensor([True, True, False]))
    >>> WrongLabels(Rows(np.array([4, 7]), read=None), n_classes=2, seed=0)(batch).tolist()
    [1, 0, 1]
    """

    def __init__(self, forget: Rows, n_classes: int, seed: int, never: Sequence[int] = ()):
        generator = torch.Generator().manual_seed(seed)
        self._draws = torch.rand(len(forget), generator=generator, dtype=torch.float64)
        self._positions = forget.positions
        self._open = torch.ones(n_classes, dtype=torch.bool)
        self._open[list(never)] = False

    def __call__(self, batch: Batch) -> Tensor:
        """Label a batch.

        Parameters
        ----------
        batch : Batch
            Of rows of either kind, with labels.

        Returns
        -------
        torch.Tensor of int, shape (n,)
            Wrong labels of the rows to forget, and those that the others have.
        """
        labels, forget = batch.y.clone(), batch.forget
        true = labels[forget].cpu()
        places = np.searchsorted(self._positions, batch.rows[forget.cpu()].numpy())
        allowed = self._open.repeat(len(true), 1)
        allowed[torch.arange(len(true)), true] = False
        rank = (self._draws[places] * allowed.sum(dim=1)).floor()
        labels[forget] = (allowed.cumsum(dim=1) <= rank[:, None]).sum(dim=1).to(labels)
        return labels


def wrong_labels(y: Tensor, n_classes: int, generator: torch.Generator) -> Tensor:
    """Draw for each row one of the other classes, each with the same probability.

    Parameters
    ----------
    y : torch.Tensor of int, shape (n,)
        Numbers of the true classes.
    n_classes : int
        Classes there are.
    generator : torch.Generator
        Draws on the CPU, so that a seed gives the same labels wherever the network is.

    Returns
    -------
    torch.Tensor of int, shape (n,)
        Never the true class.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.wrong_labels import wrong_labels
    >>> wrong_labels(torch.tensor([0, 1, 1]), 2, torch.Generator().manual_seed(0)).tolist()
    [1, 0, 0]
    """
    shift = torch.randint(1, n_classes, y.shape, generator=generator).to(y.device)
    return (y + shift) % n_classes
