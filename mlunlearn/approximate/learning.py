"""Learning from rows with their labels: what every method shares that trains on, or again, with the retained rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.loop import MakeOptimizer, adam, sgd

Optimizer = Literal["adam", "sgd"]
OPTIMIZERS: tuple[Optimizer, ...] = ("adam", "sgd")


def make_optimizer(name: Optimizer, lr: float, weight_decay: float = 0.0) -> MakeOptimizer:
    """Make one of the optimisers that a method can be asked for by name.

    Parameters
    ----------
    name : {'adam', 'sgd'}
        The latter with momentum 0.9.
    lr : float
        Learning rate.
    weight_decay : float, default=0
        L2 penalty.

    Returns
    -------
    callable
        From a list of parameters to an optimiser.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.learning import make_optimizer
    >>> make_optimizer("sgd", 0.1)([torch.nn.Parameter(torch.zeros(2))]).defaults["momentum"]
    0.9
    """
    make: Callable[..., MakeOptimizer] = adam if name == "adam" else partial(sgd, momentum=0.9)
    return make(lr, weight_decay=weight_decay)


def learn(
    module: nn.Module,
    rows: Rows,
    run: Run,
    *,
    batch_size: int,
    n_steps: int,
    penalty: Callable[[int], Tensor | None] | None = None,
    **options: Any,
) -> int:
    """Take gradient steps down the loss of the training on some rows, in passes that are shuffled anew for each.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    rows : Rows
        With labels that may be read.
    run : Run
        The request; its seed ``"batches"`` shuffles.
    batch_size, n_steps : int
        Rows of a step, and steps.
    penalty : callable or None, default=None
        From the number of a step, counted from 0, to what is added to its loss; None adds nothing.
    **options : dict
        Further ones of `Run.descend`: ``optimizer`` and, where wanted, ``schedule``, ``mode``, ``parameters``,
        ``masks``, ``autocast``, ``label``.

    Returns
    -------
    int
        Steps taken.
    """

    training_loss = run.training_loss(module)

    def loss_of(numbered: tuple[int, Batch]) -> Tensor:
        step, batch = numbered
        loss = training_loss(batch)
        added = None if penalty is None else penalty(step)
        return loss if added is None else loss + added

    batches = enumerate(rows.steps(batch_size, n_steps, run.seed("batches")))
    return run.descend(module, loss_of, batches, n_steps=n_steps, **options)
