"""Learning from rows with their labels: what every method shares that trains on, or again, with the retained rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.fresh import shrink
from mlunlearn.networks.loop import MakeOptimizer, adam, cosine, sgd

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


def train_on(
    module: nn.Module,
    retain: Rows,
    run: Run,
    *,
    optimizer: MakeOptimizer,
    budget: float | None,
    n_steps: int | None,
    decay: bool,
    batch_size: int | None,
    autocast: bool = False,
) -> None:
    """Go on training a network on the retained rows.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    retain : Rows
        What it learns from.
    run : Run
        The loss and the loop.
    optimizer : callable
        See `make_optimizer`.
    budget, n_steps, decay, batch_size, autocast
        As for `FineTuneClassifier`.
    """
    batch_size = batch_size or run.batch_size
    if budget is None:
        steps = default_steps(len(retain), batch_size, epochs=5, at_least=50)
    else:
        steps = run.steps_within(budget, batch_size)
    run.learn(
        module,
        retain,
        n_steps=n_steps or steps,
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=cosine if decay else None,
        autocast=autocast,
        label="fine-tuning",
    )


def learn_again(
    module: nn.Module,
    retain: Rows,
    run: Run,
    *,
    keep: float,
    n_steps: int,
    lr: float,
    batch_size: int | None,
    autocast: bool = False,
) -> None:
    """Shrink a network's weights, and have it learn the retained rows again while its learning rate falls to zero.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    retain : Rows
        What it learns from.
    run : Run
        Untrained weights, the loss and the loop.
    keep : float
        Share of the trained weights that it starts with; 0 trains anew.
    n_steps, lr, batch_size, autocast
        As for `ShrinkPerturbClassifier`.
    """
    shrink(module, run.fresh("weights"), keep)
    run.learn(
        module,
        retain,
        n_steps=n_steps,
        batch_size=batch_size,
        optimizer=adam(lr),
        schedule=cosine,
        autocast=autocast,
        label="learning again" if keep else "training anew",
    )
