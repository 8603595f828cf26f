"""Networks that do something on the way out: the linear layer before it, and units in which that layer learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.layers import forward
from mlunlearn.networks.outputs import has_own_weights, replaced, rescale, watched
from mlunlearn.networks.units import aligned

_GRID = np.array([0.0, *10.0 ** np.arange(-3, 7)])
_SHARES = (1.0, -1.0, 0.25, -0.25, 1 / 16, -1 / 16)
_DOUBLINGS, _HALVINGS = 40, 50


def last_layer(module: nn.Module, X: Inputs) -> nn.Linear | None:
    """Find the linear layer that the output is a function of, element by element.

    The layer's output is replaced by constants. The network's output has to follow, each element of it its own, and to
    be the same for all rows; no weight may stand between the two.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; not changed.
    X : torch.Tensor of shape (n, ...) or dict of them
        A few inputs that differ, where the module is.

    Returns
    -------
    torch.nn.Linear or None
        Has an output for each of the network's, weights of its own, and is called once; it may have no bias. None where
        there is no such layer.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks.links import last_layer
    >>> X, last = torch.eye(3, 2), nn.Linear(2, 1)
    >>> last_layer(nn.Sequential(last, nn.Softplus()), X) is last
    True
    """
    with torch.no_grad(), watched(module) as calls:
        output = forward(module, X)
    if not isinstance(output, torch.Tensor):
        return None
    parts = [part for part, _ in calls]
    once = [part for part in reversed(parts) if sum(part is other for other in parts) == 1]
    layers = (part for part in once if part.out_features == output[0].numel() and has_own_weights(module, part))
    return next((layer for layer in layers if _is_all_that_counts(module, layer, X)), None)


def _is_all_that_counts(module: nn.Module, layer: nn.Linear, X: Inputs) -> bool:
    one, other = np.full(layer.out_features, 0.3), np.full(layer.out_features, -0.7)
    mixed = np.where(np.arange(layer.out_features) % 2, one, other)
    answers = [_respond(module, layer, X, values) for values in (one, other, mixed, 100.0 * one, 100.0 * other)]
    if any(answer is None for answer in answers):
        return False
    first, second, third = answers[:3]
    return bool(np.array_equal(np.where(mixed == one, first, second), third))


def _respond(module: nn.Module, layer: nn.Linear, X: Inputs, values: np.ndarray) -> Any:
    """Return what the network puts out where the layer puts out `values`; None where that depends on anything else."""
    with torch.enable_grad(), replaced(layer, torch.as_tensor(values)):
        output = forward(module, X)
    rows = output.detach().double().cpu().numpy().reshape(len(output), -1)
    return None if output.requires_grad or not np.array_equal(rows, rows[:1].repeat(len(rows), axis=0)) else rows[0]


@dataclass
class Affine:
    """A forward hook that has a module put out ``gain * output + shift``.

    Parameters
    ----------
    gain, shift : ndarray of shape () or (n_outputs,)
        One number an output.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.networks.links import Affine
    >>> net = torch.nn.Identity()
    >>> handle = net.register_forward_hook(Affine(np.array(2.0), np.array(1.0)))
    >>> net(torch.ones(1, 1))
    tensor([[3.]])
    """

    gain: np.ndarray
    shift: np.ndarray

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Change the output, or the first of several things that a module returns."""
        if isinstance(output, tuple):
            return (self(module, inputs, output[0]), *output[1:])
        gain, shift = (torch.as_tensor(aligned(value, output)).to(output) for value in (self.gain, self.shift))
        return output * gain + shift


@dataclass
class Link:
    r"""Units in which a network that does something on the way out learns as one that does nothing.

    While a network wears them, its last linear layer, which feeds the function :math:`f`, puts out :math:`z` for
    :math:`gz + c`, and the network puts out :math:`(f(gz + c) - \mu) / \sigma`. The numbers are chosen such that this
    is :math:`z` near zero: weights and steps then mean what they mean in a network that ends in the layer and learns
    standardised targets.

    Parameters
    ----------
    mean, scale : ndarray of shape () or (n_outputs,)
        Of the targets.
    gain, shift : ndarray of shape (out_features,)
        Of the layer's output. A layer without a bias takes up no shift.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks.links import Link
    >>> X, net = torch.eye(3, 2), nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    >>> link = Link.of(net, net[0], X, np.array(100.0), np.array(10.0))
    >>> link.gain.round(3).item(), link.shift.round(3).item()
    (10.0, 100.0)
    """

    mean: np.ndarray
    scale: np.ndarray
    gain: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, module: nn.Module, layer: nn.Linear, X: Inputs, mean: np.ndarray, scale: np.ndarray) -> Link | None:
        """Choose the units for given targets.

        Parameters
        ----------
        module : torch.nn.Module
            In evaluation mode; not changed.
        layer : torch.nn.Linear
            As `last_layer` finds it.
        X : torch.Tensor of shape (n, ...) or dict of them
            A few inputs, where the module is.
        mean, scale : ndarray of shape () or (n_outputs,)
            Of the targets.

        Returns
        -------
        Link or None
            None where the network cannot put out the mean, or rises and falls.
        """

        def respond(values: np.ndarray) -> np.ndarray:
            answer = _respond(module, layer, X, values)
            return np.full(len(values), np.nan) if answer is None else answer

        middle, spread = (np.repeat(value, layer.out_features // value.size) for value in (mean, scale))
        inverse = _inverse_of(respond, layer.out_features)
        shift = inverse(middle)
        gain = np.full_like(shift, np.nan)
        for share in _SHARES:
            reach = np.abs(inverse(middle + share * spread) - shift) / abs(share)
            gain = np.where(np.isnan(gain), reach, gain)
        if not bool(np.all(np.isfinite(gain) & (gain > 0))):
            return None
        if layer.bias is None:
            gain, shift = np.hypot(gain, shift), np.zeros_like(shift)
        return cls(mean, scale, gain, shift)

    def fold_in(self, layer: nn.Linear) -> None:
        """Change a layer such that a network wearing the units puts out what it did.

        Parameters
        ----------
        layer : torch.nn.Linear
            Changed in place.
        """
        rescale(layer, 1 / self.gain, -self.shift / self.gain)

    def fold_out(self, layer: nn.Linear) -> None:
        """Undo `fold_in`.

        Parameters
        ----------
        layer : torch.nn.Linear
            Changed in place.
        """
        rescale(layer, self.gain, self.shift)

    def put_on(self, module: nn.Module, layer: nn.Linear) -> list[RemovableHandle]:
        """Have a network wear the units.

        Parameters
        ----------
        module : torch.nn.Module
            The network; copies of it wear them as well.
        layer : torch.nn.Linear
            Inside it.

        Returns
        -------
        list of handle
            To take them off.
        """
        inner, outer = Affine(self.gain, self.shift), Affine(1 / self.scale, -self.mean / self.scale)
        return [layer.register_forward_hook(inner), module.register_forward_hook(outer)]


def _inverse_of(respond: Callable[[np.ndarray], np.ndarray], n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Invert a function of n numbers, each for itself, by bisection: NaN where it does not get there."""
    sides = np.concatenate([-_GRID[:0:-1], _GRID])
    values = np.array([respond(np.full(n, at)) for at in sides])
    rises, falls = _goes_up(values), _goes_up(-values)
    some = values[len(_GRID) - 1 :]
    half_rises, half_falls = _goes_up(some), _goes_up(-some)
    whole = rises | falls
    sign = np.where(rises | (~whole & half_rises), 1.0, -1.0)
    known = whole | half_rises | half_falls

    def rising(z: np.ndarray) -> np.ndarray:
        return sign * respond(z)

    def inverse(targets: np.ndarray) -> np.ndarray:
        aims, low, high = sign * targets, np.where(whole, -1.0, 0.0), np.ones(n)
        for _ in range(_DOUBLINGS):
            above, below = rising(low) > aims, rising(high) < aims
            if not (above | below).any():
                break
            low, high = np.where(above, 2 * low, low), np.where(below, 2 * high, high)
        found = known & (rising(low) <= aims) & (rising(high) >= aims)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            under = rising(middle) < aims
            low, high = np.where(under, middle, low), np.where(under, high, middle)
            if np.all(high - low <= 1e-6 * np.maximum(np.abs(high), 1.0)):
                break
        return np.where(found, high, np.nan)

    return inverse


def _goes_up(values: np.ndarray) -> np.ndarray:
    """By column: whether it never falls, and does rise."""
    return np.all(values[1:] >= values[:-1], axis=0) & (values[-1] > values[0])
