"""What a network puts out: whether it fits the targets, and whether it can be moved to other units."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from mlunlearn.regression.losses import QuantileLoss, agreeing, first_output

_PROBES = (1e-2, 1.0, 30.0, 1e3, 1e5)  # in units of the layer's own output, on both sides of zero


def check_network(module: nn.Module, X: torch.Tensor, y: np.ndarray, criterion: Any) -> None:
    """Refuse networks and losses that do not predict a value, or quantiles, for each target.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; not changed.
    X : torch.Tensor of shape (n, ...)
        A few inputs, where the module is.
    y : ndarray of shape (n,) or (n, n_outputs)
        Their targets.
    criterion : callable
        The loss.

    Raises
    ------
    ValueError
        If the network predicts a mean and a variance, several values for a target with another loss than
        `QuantileLoss`, or something of another shape; or if the loss needs more than a prediction and a target.
    """
    if isinstance(criterion, nn.GaussianNLLLoss):
        raise ValueError(
            "GaussianNLLLoss compares a mean and a variance with each target. Networks that predict a variance cannot "
            "be unlearned here: train one that predicts the value alone, or quantiles with QuantileLoss."
        )
    with torch.no_grad():
        output = first_output(module(X))
        if not isinstance(output, torch.Tensor):
            raise ValueError(f"the network returns a {type(output).__name__}; it should return a tensor.")
        targets = torch.as_tensor(np.asarray(y, dtype=np.float32).reshape(len(y), -1), device=output.device)
        _check_heads(output, targets, criterion)
        try:
            criterion(*agreeing(output, targets))
        except TypeError as error:
            raise ValueError(
                f"{type(criterion).__name__} cannot be called with a prediction and a target: {error}. Networks are "
                "trained and unlearned with such losses alone."
            ) from error


def _check_heads(output: torch.Tensor, targets: torch.Tensor, criterion: Any) -> None:
    """Several outputs for a target are quantiles, laid out along the last axis."""
    n_targets = targets.shape[1]
    quantiles = isinstance(criterion, QuantileLoss)
    several = output.ndim > 2 or (output.ndim == 2 and output.shape[1] != n_targets)
    if quantiles and output.ndim == 3 and output.shape[2] != len(criterion.levels):
        raise ValueError(
            f"the network returns {output.shape[2]} quantiles for each target, and QuantileLoss has "
            f"{len(criterion.levels)} levels; give both the same number."
        )
    laid_out = output.ndim == 3 and output.shape[1] == n_targets and output.shape[2] % 2 == 1
    if several and not (quantiles and laid_out):
        raise ValueError(
            f"the network returns shape {tuple(output.shape)} for targets of shape {tuple(targets.shape)} and "
            f"{type(criterion).__name__}; it should return (n_samples, n_outputs). Quantiles, an odd number of them "
            "for each target, are returned as (n_samples, n_outputs, n_quantiles) and trained with QuantileLoss; other "
            "networks with several outputs for a target, such as a mean and a variance, are not supported."
        )


def unit_layer(module: nn.Module, X: torch.Tensor) -> nn.Linear | None:
    """Find the linear layer whose output is the network's, so that units can be folded into it.

    The layer's output is replaced by constants from -1e5 to 1e5 times its own size, and the network has to put out
    just these. So a ReLU, a Softplus, a clamp, a sigmoid, an exponential and everything else that happens on the way
    out is seen whether or not the rows reach its bounds, as a module at the end or inside ``forward``.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; not changed.
    X : torch.Tensor of shape (n, ...)
        A few inputs, where the module is.

    Returns
    -------
    torch.nn.Linear or None
        Has a bias, an output for each of the network's, weights of its own, and is called once. None where there is
        no such layer.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.regression.outputs import unit_layer
    >>> X, last = torch.ones(3, 2), nn.Linear(2, 1)
    >>> unit_layer(nn.Sequential(last, nn.Flatten()), X) is last
    True
    >>> unit_layer(nn.Sequential(last, nn.Softplus()), X) is None
    True
    """
    with torch.no_grad(), _watched(module) as calls:
        output = first_output(module(X))
    if not isinstance(output, torch.Tensor):
        return None
    layer = next((part for part, value in reversed(calls) if _same_values(value, output)), None)
    if layer is None or sum(part is layer for part, _ in calls) > 1 or not _can_be_scaled(module, layer, output):
        return None
    size = max(float(output.abs().max()), 1.0)
    with torch.no_grad():
        for probe in (sign * size * part for part in _PROBES for sign in (1.0, -1.0)):
            with _replaced(layer, probe):
                if not bool((first_output(module(X)) == probe).all()):
                    return None
    return layer


def _same_values(value: torch.Tensor, output: torch.Tensor) -> bool:
    return torch.equal(value.flatten(), output.flatten())


def _can_be_scaled(module: nn.Module, layer: nn.Linear, output: torch.Tensor) -> bool:
    """Whether the weights are stored as such, one row an output, and serve nothing else."""
    own = layer._parameters
    if own.get("weight") is None or own.get("bias") is None or layer.out_features != output[0].numel():
        return False
    everyone = [p for part in module.modules() for p in part._parameters.values()]
    return all(sum(p is mine for p in everyone) == 1 for mine in (layer.weight, layer.bias))


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[tuple[nn.Linear, torch.Tensor]]]:
    """Note which linear layer was called when, and what it put out."""
    calls: list[tuple[nn.Linear, torch.Tensor]] = []
    handles = [
        part.register_forward_hook(lambda layer, _, out: calls.append((layer, out)))
        for part in module.modules()
        if isinstance(part, nn.Linear)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _replaced(layer: nn.Linear, probe: float) -> Iterator[None]:
    """Have a layer put out a constant."""

    def hook(part: nn.Module, inputs: Any, out: torch.Tensor) -> torch.Tensor:
        return torch.full_like(out, probe)

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
