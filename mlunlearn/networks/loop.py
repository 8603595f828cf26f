"""The one loop in which a network takes gradient steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR
from tqdm import tqdm

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
MakeSchedule = Callable[[Optimizer, int], LRScheduler]
Mode = Literal["train", "eval"]


def adam(lr: float, weight_decay: float = 0.0, *, fused: bool = True) -> MakeOptimizer:
    """Make Adam for a loop.

    Parameters
    ----------
    lr : float
        Learning rate.
    weight_decay : float, default=0
        L2 penalty.
    fused : bool, default=True
        Whether torch computes a step in one pass over the weights, which is faster and rounds otherwise.

    Returns
    -------
    callable
        From a list of parameters to an optimiser.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import adam
    >>> adam(0.1)([torch.nn.Parameter(torch.zeros(2))]).defaults["lr"]
    0.1
    """
    return partial(torch.optim.Adam, lr=lr, weight_decay=weight_decay, fused=fused)


def adamw(lr: float, weight_decay: float = 0.01) -> MakeOptimizer:
    """Make Adam with decoupled weight decay for a loop.

    Parameters
    ----------
    lr : float
        Learning rate.
    weight_decay : float, default=0.01
        As in torch.

    Returns
    -------
    callable
        From a list of parameters to an optimiser.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import adamw
    >>> adamw(0.1)([torch.nn.Parameter(torch.zeros(2))]).defaults["weight_decay"]
    0.01
    """
    return partial(torch.optim.AdamW, lr=lr, weight_decay=weight_decay, fused=True)


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> MakeOptimizer:
    """Make stochastic gradient descent for a loop.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum, weight_decay : float, default=0
        As in torch.

    Returns
    -------
    callable
        From a list of parameters to an optimiser.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import sgd
    >>> sgd(0.1, momentum=0.9)([torch.nn.Parameter(torch.zeros(2))]).defaults["momentum"]
    0.9
    """
    return partial(torch.optim.SGD, lr=lr, momentum=momentum, weight_decay=weight_decay)


def cosine(optimizer: Optimizer, n_steps: int) -> LRScheduler:
    """Let the learning rate fall to zero along half a cosine.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of the loop.
    n_steps : int
        Steps of the loop.

    Returns
    -------
    torch.optim.lr_scheduler.LRScheduler
        To be stepped after each step.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import cosine, sgd
    >>> cosine(sgd(1.0)([torch.nn.Parameter(torch.zeros(2))]), 10).T_max
    10
    """
    return CosineAnnealingLR(optimizer, n_steps)


def drops(*shares: float, factor: float = 0.1) -> MakeSchedule:
    """Let the learning rate drop at given moments of a loop.

    Parameters
    ----------
    *shares : float
        Shares of the steps after which it drops, between 0 and 1.
    factor : float, default=0.1
        What it is multiplied by each time.

    Returns
    -------
    callable
        A schedule for `descend`.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import drops, sgd
    >>> optimizer = sgd(1.0)([torch.nn.Parameter(torch.zeros(2))])
    >>> dict(drops(0.5, 0.8)(optimizer, 10).milestones)
    {5: 1, 8: 1}
    """

    def schedule(optimizer: Optimizer, n_steps: int) -> LRScheduler:
        return MultiStepLR(optimizer, [round(share * n_steps) for share in shares], factor)

    return schedule


class Descent:
    """One optimiser on one network, to be used in a ``with`` statement that restores modes and gradient flags.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place. Where a step fails, it is left as that step found it.
    optimizer : callable
        From a list of parameters to an optimiser, see `adam` and `sgd`.
    n_steps : int or None, default=None
        Steps there will be, for the schedule and for messages.
    schedule : callable or None, default=None
        From optimiser and number of steps to a scheduler, see `cosine` and `drops`.
    mode : {'train', 'eval'} or None, default='train'
        Mode of the network while it learns. In ``'eval'`` the statistics of batch normalisation stay and dropout is
        off; None leaves every part in the mode it is in.
    parameters : iterable of torch.nn.Parameter or None, default=None
        What to change, such as those of the head; the others get no gradient. None takes all that require one.
    masks : mapping of str to torch.Tensor or None, default=None
        By name of a parameter, what its gradient is multiplied by. A weight whose mask is 0 stays as it is, whatever
        momentum and weight decay would do.
    max_norm : float or None, default=None
        Clip the gradient's norm.
    autocast : bool, default=False
        Compute the loss in ``bfloat16`` where torch thinks it safe.

    Attributes
    ----------
    steps : int
        Steps taken so far.

    Raises
    ------
    FloatingPointError
        If a loss or a weight stops being finite; the message names the step.

    See Also
    --------
    descend : The loop over batches.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import Descent, sgd
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> net.weight.data.fill_(1.0)
    tensor([[1.]])
    >>> with Descent(net, sgd(0.25)) as descent:
    ...     descent.step(net(torch.ones(1, 1)).square().sum())
    >>> net.weight.item()
    0.5
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: MakeOptimizer,
        *,
        n_steps: int | None = None,
        schedule: MakeSchedule | None = None,
        mode: Mode | None = "train",
        parameters: Iterable[nn.Parameter] | None = None,
        masks: Mapping[str, Tensor] | None = None,
        max_norm: float | None = None,
        autocast: bool = False,
    ):
        if schedule is not None and n_steps is None:
            raise ValueError("a schedule needs n_steps, the number of steps over which the rate changes.")
        self.module = module
        self.mode = mode
        self.n_steps = n_steps
        self.max_norm = max_norm
        self.autocast = autocast
        wanted = [p for p in module.parameters() if p.requires_grad] if parameters is None else list(parameters)
        self._changed = wanted
        self._optimizer = optimizer(wanted)
        self._schedule = None if schedule is None else schedule(self._optimizer, n_steps or 0)
        self._masks = [] if masks is None else _masked(module, masks)
        self.steps = 0

    def __enter__(self) -> Self:
        """Set the mode, and leave gradients to the parameters that change."""
        self._modes = {part: part.training for part in self.module.modules()}
        self._flags = {p: p.requires_grad for p in self.module.parameters()}
        if self.mode is not None:
            self.module.train(self.mode == "train")
        changed = set(self._changed)
        for parameter in self._flags:
            parameter.requires_grad_(parameter in changed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore modes and flags, drop the gradients, and look whether the last step was finite."""
        for part, training in self._modes.items():
            part.training = training
        for parameter, flag in self._flags.items():
            parameter.requires_grad_(flag)
            parameter.grad = None
        if kind is None and not all(bool(torch.isfinite(p).all()) for p in self._changed):
            raise self._failure("a weight is not finite after", self.steps)

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context in which losses are computed.

        Returns
        -------
        context manager
            Of ``bfloat16`` if that was asked for, and of no effect otherwise.
        """
        device = next((p.device.type for p in self._changed), "cpu")
        return torch.autocast(device, torch.bfloat16, enabled=self.autocast)

    def step(self, loss: Tensor) -> None:
        """Take one step down a loss.

        Parameters
        ----------
        loss : torch.Tensor of shape ()
            Computed from the network as it is.

        Raises
        ------
        FloatingPointError
            If it is not finite; the weights are left as they are.
        """
        if not torch.isfinite(loss):
            raise self._failure(f"the loss is {loss.item()} at", self.steps + 1)
        self._optimizer.zero_grad()
        loss.backward()
        for parameter, mask, _, _ in self._masks:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self._changed, self.max_norm)
        self._optimizer.step()
        for parameter, _, still, start in self._masks:
            parameter.data[still] = start
        self.steps += 1
        if self._schedule is not None:
            self._schedule.step()

    def _failure(self, what: str, step: int) -> FloatingPointError:
        of = "" if self.n_steps is None else f" of {self.n_steps}"
        return FloatingPointError(f"{what} step {step}{of}; try a lower learning rate.")


def _masked(module: nn.Module, masks: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor, Tensor, Tensor]]:
    """Pair each masked parameter with its mask, the places that stay, and what stands there."""
    named = dict(module.named_parameters())
    unknown = [name for name in masks if name not in named]
    if unknown:
        raise ValueError(f"masks names {unknown[0]!r}, which is no parameter of {type(module).__name__}.")
    found = []
    for name, mask in masks.items():
        parameter = named[name]
        still = mask.to(parameter.device) == 0
        found.append((parameter, mask.to(parameter), still, parameter.data[still].clone()))
    return found


def descend(
    module: nn.Module,
    loss_of: Callable[[Any], Tensor | None],
    batches: Iterable[Any],
    *,
    optimizer: MakeOptimizer,
    n_steps: int | None = None,
    label: str | None = None,
    **options: Any,
) -> int:
    """Take one gradient step a batch.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place. Modes and gradient flags are as before at the end.
    loss_of : callable
        From a batch to the loss. None ends the loop.
    batches : iterable
        Whatever `loss_of` takes: batches, pairs of them, or numbers of steps.
    optimizer : callable
        From a list of parameters to an optimiser, see `adam` and `sgd`.
    n_steps : int or None, default=None
        Steps that `batches` holds, where that is known.
    label : str or None, default=None
        Show a progress bar of this name.
    **options : dict
        Further ones of `Descent`: ``schedule``, ``mode``, ``parameters``, ``masks``, ``max_norm``, ``autocast``.

    Returns
    -------
    int
        Steps taken.

    Raises
    ------
    FloatingPointError
        If a loss or a weight stops being finite; the message names the step.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.loop import adam, descend
    >>> net, X = torch.nn.Linear(2, 1), torch.ones(6, 2)
    >>> descend(net, lambda rows: net(X[rows]).square().mean(), torch.arange(6).split(3), optimizer=adam(0.1))
    2
    """
    with Descent(module, optimizer, n_steps=n_steps, **options) as descent:
        for batch in tqdm(batches, total=n_steps, desc=label, disable=label is None):
            with descent.precision():
                loss = loss_of(batch)
            if loss is None:
                break
            descent.step(loss)
    return descent.steps
