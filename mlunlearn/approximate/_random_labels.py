"""Wrong labels, drawn by chance."""

from __future__ import annotations

import torch
from torch import Tensor


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
    >>> from mlunlearn.approximate._random_labels import wrong_labels
    >>> wrong_labels(torch.tensor([0, 1, 1]), 2, torch.Generator().manual_seed(0)).tolist()
    [1, 0, 0]
    """
    shift = torch.randint(1, n_classes, y.shape, generator=generator).to(y.device)
    return (y + shift) % n_classes
