"""What a regressor's network puts out: whether it fits the targets, and whether it can be moved to other units."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from mlunlearn.networks.batches import Inputs
from mlunlearn.networks.layers import forward
from mlunlearn.networks.quantiles import QuantileLoss

_PROBES = (1e-2, 1.0, 30.0, 1e3, 1e5)  # in units of the layer's own output, on both sides of zero


def check_network(module: nn.Module, X: Inputs, y: np.ndarray, criterion: Any) -> None:
    """Refuse networks and losses that do not predict a value, or quantiles, for each target.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; not changed.
    X : torch.Tensor of shape (n, ...) or dict of them
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
        output = forward(module, X)
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


def unit_layer(module: nn.Module, X: Inputs) -> nn.Linear | None:
    """Find the linear layer whose output is the network's, so that units can be folded into it.

    The layer's output is replaced by constants from -1e5 to 1e5 times its own size, and the network has to put out
    just these. So a ReLU, a Softplus, a clamp, a sigmoid, an exponential and everything else that happens on the way
    out is seen whether or not the rows reach its bounds, as a module at the end or inside ``forward``.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; not changed.
    X : torch.Tensor of shape (n, ...) or dict of them
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
    >>> from mlunlearn.networks.outputs import unit_layer
    >>> X, last = torch.ones(3, 2), nn.Linear(2, 1)
    >>> unit_layer(nn.Sequential(last, nn.Flatten()), X) is last
    True
    >>> unit_layer(nn.Sequential(last, nn.Softplus()), X) is None
    True
    """
    with torch.no_grad(), watched(module) as calls:
        output = forward(module, X)
    if not isinstance(output, torch.Tensor):
        return None
    layer = next((part for part, value in reversed(calls) if _same_values(value, output)), None)
    if layer is None or sum(part is layer for part, _ in calls) > 1 or not _can_be_scaled(module, layer, output):
        return None
    size = max(float(output.abs().max()), 1.0)
    with torch.no_grad():
        for probe in (sign * size * part for part in _PROBES for sign in (1.0, -1.0)):
            with replaced(layer, torch.tensor(probe)):
                if not bool((forward(module, X) == probe).all()):
                    return None
    return layer


def rescale(layer: nn.Linear, gain: np.ndarray, shift: np.ndarray) -> None:
    """Fold ``gain * output + shift`` into a linear layer.

    Parameters
    ----------
    layer : torch.nn.Linear
        Changed in place; one without a bias takes up the gain alone.
    gain, shift : ndarray of shape () or (n_outputs,)
        The new units in terms of the old; where the layer has several outputs for each of these, they stand together.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.networks.outputs import rescale
    >>> layer, X = torch.nn.Linear(2, 1), torch.ones(3, 2)
    >>> before = layer(X)
    >>> rescale(layer, np.array(2.0), np.array(1.0))
    >>> torch.allclose(layer(X), 2 * before + 1)
    True
    """
    gains, shifts = (
        torch.as_tensor(np.repeat(value, layer.out_features // value.size)).to(layer.weight) for value in (gain, shift)
    )
    with torch.no_grad():
        layer.weight.mul_(gains[:, None])
        if layer.bias is not None:
            layer.bias.mul_(gains).add_(shifts)


def agreeing(prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Refuse shapes that torch would broadcast to a table of all pairs.

    Parameters
    ----------
    prediction : torch.Tensor of shape (n, n_outputs) or (n, n_outputs, n_quantiles), or (n,) for one output
        What a network returns.
    target : torch.Tensor of shape (n, n_outputs), or that of `prediction`
        What it is to return.

    Returns
    -------
    prediction, target : torch.Tensor
        As given, one output with its axis.

    Raises
    ------
    ValueError
        If they do not agree.
    """
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    if target.ndim == 1:
        target = target[:, None]
    if prediction.shape[: target.ndim] != target.shape:
        raise ValueError(
            f"the network returns shape {tuple(prediction.shape)} for targets of shape {tuple(target.shape)}; "
            "it should return (n_samples, n_outputs)."
        )
    return prediction, target


def _same_values(value: torch.Tensor, output: torch.Tensor) -> bool:
    return torch.equal(value.flatten(), output.flatten())


def _can_be_scaled(module: nn.Module, layer: nn.Linear, output: torch.Tensor) -> bool:
    """Whether there is a bias, and one row of weights an output."""
    return layer.bias is not None and layer.out_features == output[0].numel() and has_own_weights(module, layer)


def has_own_weights(module: nn.Module, layer: nn.Linear) -> bool:
    """Tell whether a layer's weights are stored as such, and serve nothing else.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layer : torch.nn.Linear
        Inside it.

    Returns
    -------
    bool
        False for weights that are tied or computed from others.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.networks.outputs import has_own_weights
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> net[1].weight = net[0].weight
    >>> has_own_weights(net, net[1])
    False
    """
    own = [layer._parameters.get("weight")] + ([] if layer.bias is None else [layer._parameters.get("bias")])
    everyone = [p for part in module.modules() for p in part._parameters.values()]
    return all(mine is not None and sum(p is mine for p in everyone) == 1 for mine in own)


@contextmanager
def watched(module: nn.Module) -> Iterator[list[tuple[nn.Linear, torch.Tensor]]]:
    """Note which linear layer is called when, and what it puts out.

    Parameters
    ----------
    module : torch.nn.Module
        Any network.

    Yields
    ------
    list of tuple (layer, output)
        In the order of the calls.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.outputs import watched
    >>> net = torch.nn.Linear(2, 1)
    >>> with watched(net) as calls:
    ...     output = net(torch.ones(3, 2))
    >>> calls[0][0] is net
    True
    """
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
def replaced(layer: nn.Linear, values: torch.Tensor) -> Iterator[None]:
    """Have a layer put out constants.

    Parameters
    ----------
    layer : torch.nn.Linear
        Any.
    values : torch.Tensor of shape () or (out_features,)
        For every row the same.

    Yields
    ------
    None
        While it does.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.outputs import replaced
    >>> layer = torch.nn.Linear(2, 1)
    >>> with replaced(layer, torch.tensor(3.0)):
    ...     layer(torch.ones(1, 2))
    tensor([[3.]])
    """

    def hook(part: nn.Module, inputs: Any, out: torch.Tensor) -> torch.Tensor:
        return values.to(out).expand_as(out).clone()

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
