"""Training for a number of gradient steps: batches, the loop, and shapes that must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from tqdm import tqdm

_AT_LEAST = 60


def default_steps(n_samples: int, batch_size: int, epochs: int, at_least: int) -> int:
    """Turn a published budget in epochs into steps that do not vanish on small data.

    Parameters
    ----------
    n_samples : int
        Rows of a pass.
    batch_size : int
        Rows of a step.
    epochs : int
        The published number of passes.
    at_least : int
        Steps below which a budget is no training at all.

    Returns
    -------
    int
        The larger of the two.

    Examples
    --------
    >>> from mlunlearn.regression.budgets import default_steps
    >>> default_steps(12_200, 256, epochs=2, at_least=50), default_steps(309, 256, epochs=2, at_least=100)
    (96, 100)
    """
    return max(epochs * -(-n_samples // batch_size), at_least)


def steps_within(budget: float, n_samples: int, batch_size: int, epochs: int) -> int:
    """Turn a share of a training into steps.

    Parameters
    ----------
    budget : float
        The share.
    n_samples : int
        Rows of a pass.
    batch_size : int
        Rows of a step.
    epochs : int
        Passes of the training.

    Returns
    -------
    int
        At least 60: fewer do not bring an untrained network anywhere.

    Examples
    --------
    >>> from mlunlearn.regression.budgets import steps_within
    >>> steps_within(0.2, 10_000, 50, epochs=10), steps_within(0.2, 300, 50, epochs=10)
    (400, 60)
    """
    return max(round(budget * epochs * n_samples / batch_size), _AT_LEAST)


def step_batches(n_samples: int, batch_size: int, n_steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Draw the rows of each step: passes over all rows, shuffled anew for each.

    Parameters
    ----------
    n_samples : int
        Rows there are.
    batch_size : int
        Rows of a step. A single row left over at the end of a pass joins the last batch, since batch normalisation
        cannot train on one.
    n_steps : int
        Number of batches.
    seed : int
        Draws the order of the rows.

    Yields
    ------
    torch.Tensor of int, shape (at most batch_size + 1,)
        Row numbers.

    Examples
    --------
    >>> from mlunlearn.regression.budgets import step_batches
    >>> [len(rows) for rows in step_batches(9, 4, n_steps=3, seed=0)]
    [4, 5, 4]
    """
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while done < n_steps:
        parts = list(torch.randperm(n_samples, generator=generator).split(batch_size))
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        yield from parts[: n_steps - done]
        done += len(parts)


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
    >>> from mlunlearn.regression.budgets import descend, step_batches
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
