"""Training for a number of gradient steps: batches, the loop, and shapes that must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from tqdm import tqdm


def descend(
    module: nn.Module,
    loss_of: Callable[[torch.Tensor], torch.Tensor | None],
    batches: Iterator[torch.Tensor],
    *,
    lr: float,
    n_steps: int,
    decay: bool = False,
    max_norm: float | None = None,
    label: str | None = None,
) -> int:
    """Take one Adam step a batch, in training mode.

    Parameters
    ----------
    module : torch.nn.Module
        Trained in place; parameters that need no gradient stay.
    loss_of : callable
        From the rows of a batch to the loss. None ends the loop.
    batches : iterator of torch.Tensor
        Rows, see `step_batches`.
    lr : float
        Learning rate of Adam.
    n_steps : int
        Steps that `batches` holds.
    decay : bool, default=False
        Let the learning rate fall to zero along half a cosine.
    max_norm : float or None, default=None
        Clip the gradient's norm.
    label : str or None, default=None
        Show a progress bar of this name.

    Returns
    -------
    int
        Samples read.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import step_batches
    >>> from mlunlearn.regression.budgets import descend
    >>> net, X = torch.nn.Linear(2, 1), torch.ones(6, 2)
    >>> descend(net, lambda rows: net(X[rows]).square().mean(), step_batches(6, 3, 4, 0), lr=0.1, n_steps=4)
    12
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps) if decay else None
    samples = 0
    module.train()
    for rows in tqdm(batches, total=n_steps, desc=label, disable=label is None):
        loss = loss_of(rows)
        if loss is None:
            break
        optimizer.zero_grad()
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.step()
        samples += len(rows)
        if schedule is not None:
            schedule.step()
    module.eval()
    return samples
