"""Gradients of whole batches, summed and averaged over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from mlunlearn.networks.batches import Inputs
from mlunlearn.networks.curvature import Loss, Vector, zeros
from mlunlearn.networks.layers import forward

Batches = Iterable[tuple[Inputs, Tensor | None]]


def _batch_gradient(module: nn.Module, loss: Loss, X: Inputs, y: Tensor | None) -> Vector:
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    value = loss(forward(module, X), y)
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(named, found, strict=True))


def mean_gradient(module: nn.Module, loss: Loss, batches: Batches) -> Vector:
    r"""Gradient of the mean loss over all rows, :math:`\nabla L(\theta)`.

    Parameters
    ----------
    module : torch.nn.Module
        In the mode it is in; in evaluation mode the result does not depend on how rows are put into batches.
    loss : callable
        From the output for a batch, and its targets, to the mean loss.
    batches : iterable of (X, y)
        Inputs and targets; targets may be None.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, at least in float32.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import mean_gradient
    >>> net, X = torch.nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [2.0], [6.0]])
    >>> mean_gradient(net, lambda output, y: output.mean(), [(X[:2], None), (X[2:], None)])["weight"].item()
    3.0
    """
    total, n = zeros(module), 0
    for X, y in batches:
        size = len(next(iter(X.values())) if isinstance(X, dict) else X)
        for name, g in _batch_gradient(module, loss, X, y).items():
            total[name] += size * g
        n += size
    if not n:
        raise ValueError("there are no rows to average over.")
    return {name: value / n for name, value in total.items()}


def mean_over_batches(of: Callable[[Tensor], Tensor], module: nn.Module, loss: Loss, batches: Batches) -> Vector:
    """Average something that is computed of the gradient of each batch, such as its square.

    Parameters
    ----------
    of : callable
        From gradients to numbers of the same shape.
    module, loss, batches : as in `mean_gradient`
        The same; every batch counts alike, and the result depends on how rows are put into them.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, at least in float32.

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
    return {name: value / n for name, value in total.items()}
