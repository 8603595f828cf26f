"""Gradients of many rows together, and the weights on which they weigh most."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.averages import averaged
from mlunlearn.networks.batches import Batch
from mlunlearn.networks.curvature import Loss, Vector, trainable, zeros
from mlunlearn.networks.layers import forward

Batches = Iterable[tuple[Inputs, Tensor | None]]


def mean_gradient(module: nn.Module, loss_of: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Vector:
    """Gradient of the mean loss over all rows of some batches.

    Parameters
    ----------
    module : torch.nn.Module
        In the mode it is in. In evaluation mode the result does not depend on how rows are put into batches.
    loss_of : callable
        From a batch to the mean loss of its rows.
    batches : iterable of Batch
        Each is read once.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient; zero where the loss does not depend on it.

    Raises
    ------
    ValueError
        If there are no rows.
    FloatingPointError
        If the gradient is not finite.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import Batch, mean_gradient
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> def rows(*values):
    ...     X = torch.tensor(values)[:, None]
    ...     return Batch(X, None, torch.arange(len(X)), torch.zeros(len(X), dtype=torch.bool))
    >>> mean_gradient(net, lambda batch: net(batch.X).mean(), [rows(1.0, 2.0), rows(6.0)])["weight"].item()
    3.0
    """
    total = {name: torch.zeros_like(value) for name, value in trainable(module).items()}
    named = dict(module.named_parameters())
    asked = [named[name] for name in total]
    n = 0
    for batch in batches:
        gradients = torch.autograd.grad(loss_of(batch), asked, allow_unused=True)
        for value, gradient in zip(total.values(), gradients, strict=True):
            if gradient is not None:
                value.add_(gradient, alpha=len(batch))
        n += len(batch)
    if not n:
        raise ValueError("there are no rows to average over.")
    return averaged(total, n)


def top_share(values: Vector, share: float) -> Vector:
    """Mark the weights of the largest magnitude, over all tensors together.

    Parameters
    ----------
    values : dict of str to torch.Tensor
        By name of a parameter, such as a gradient.
    share : float
        Share of all weights to mark, between 0 and 1.

    Returns
    -------
    dict of str to torch.Tensor of bool
        In the shapes of `values`; as many weights are marked as the share rounds to, also among equals.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import top_share
    >>> top_share({"weight": torch.tensor([[1.0, -5.0]]), "bias": torch.tensor([3.0, 0.0])}, 0.5)
    {'weight': tensor([[False,  True]]), 'bias': tensor([ True, False])}
    """
    magnitudes = torch.cat([value.detach().abs().flatten() for value in values.values()])
    order = magnitudes.argsort(descending=True, stable=True)
    marked = torch.zeros_like(magnitudes, dtype=torch.bool)
    marked[order[: round(share * len(order))]] = True
    parts = marked.split([value.numel() for value in values.values()])
    return {name: part.view_as(value) for (name, value), part in zip(values.items(), parts, strict=True)}


def _batch_gradient(module: nn.Module, loss: Loss, X: Inputs, y: Tensor | None) -> Vector:
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    value = loss(forward(module, X), y)
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))


def mean_over_batches(of: Callable[[Tensor], Tensor], module: nn.Module, loss: Loss, batches: Batches) -> Vector:
    """Average something that is computed of the gradient of each batch, such as its square.

    Parameters
    ----------
    of : callable
        From gradients to numbers of the same shape.
    module : torch.nn.Module
        In the mode it is in.
    loss : callable
        From the output for a batch, and its targets, to the mean loss.
    batches : iterable of (X, y)
        Every one counts alike, so that the result depends on how rows are put into them; targets may be None.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, at least in float32.

    Raises
    ------
    ValueError
        If there are no batches.
    FloatingPointError
        If a mean is not finite.

    See Also
    --------
    mlunlearn.networks.curvature.mean_over_samples : The same for each sample, which depends on no batches.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.gradients import mean_over_batches
    >>> net, X = torch.nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [-1.0]])
    >>> mean_over_batches(torch.square, net, lambda output, y: output.mean(), [(X, None)])["weight"].item()
    0.0
    """
    total, n = zeros(module), 0
    for X, y in batches:
        for name, g in _batch_gradient(module, loss, X, y).items():
            total[name] += of(g.to(total[name].dtype))
        n += 1
    if not n:
        raise ValueError("there are no batches to average over.")
    return averaged(total, n)
