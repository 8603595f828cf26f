"""The layers of a network in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.layers import forward

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Layer:
    """One layer of a network: a part that holds weights, with the normalisations that follow it.

    Parameters
    ----------
    parts : tuple of str
        Names of the submodules, as in ``module.named_modules()``; the first names the layer.
    tensors : tuple of str
        Names of their parameters and buffers, as in ``module.named_parameters()`` and ``module.named_buffers()``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks.depth import ordered_layers
    >>> net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)).eval()
    >>> ordered_layers(net, torch.zeros(1, 3))[0].parts
    ('0', '1')
    """

    parts: tuple[str, ...]
    tensors: tuple[str, ...]


def ordered_layers(module: nn.Module, X: Inputs) -> list[Layer]:
    """List the layers of a network in the order in which they run.

    A layer is the smallest part that runs and holds parameters: a convolution, a linear map, an embedding, a whole
    attention or recurrent network. Normalisations, and what holds buffers alone, belong to the layer that ran before
    them, or to the first. Of a layer that runs several times the last run counts.

    Parameters
    ----------
    module : torch.nn.Module
        Any network; run once, in the mode it is in.
    X : torch.Tensor of shape (n, ...) or dict of them
        A few inputs.

    Returns
    -------
    list of Layer
        First to last.

    Raises
    ------
    ValueError
        If no part that runs holds parameters, normalisations aside.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks.depth import ordered_layers
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()
    >>> [layer.parts for layer in ordered_layers(net, torch.zeros(1, 3))]
    [('0', '1'), ('3',)]
    """
    parts = dict(module.named_modules())
    tensors = _tensors_by_part(module, _order_of_running(module, X))
    groups: list[list[str]] = [[]]
    begun = False  # what runs before the first layer belongs to it
    for name, own in tensors.items():
        weighted = not isinstance(parts[name], _NORMS) and any(
            isinstance(tensor, nn.Parameter) for tensor in own.values()
        )
        if weighted and begun:
            groups.append([])
        begun = begun or weighted
        groups[-1].append(name)
    if not begun:
        raise ValueError(f"{type(module).__name__} has no layer with weights that runs.")
    return [Layer(tuple(group), tuple(name for part in group for name in tensors[part])) for group in groups]


def _order_of_running(module: nn.Module, X: Inputs) -> list[str]:
    """Name the parts that run, in the order in which they last begin."""
    begun: dict[str, None] = {}

    def note(name: str) -> None:
        begun.pop(name, None)
        begun[name] = None

    handles = [
        part.register_forward_pre_hook(lambda part, given, name=name: note(name))
        for name, part in module.named_modules()
    ]
    try:
        with torch.no_grad():
            forward(module, X)
    finally:
        for handle in handles:
            handle.remove()
    return list(begun)


def _tensors_by_part(module: nn.Module, ran: list[str]) -> dict[str, dict[str, torch.Tensor]]:
    """Give each parameter and buffer to the smallest part around it that runs."""
    tensors: dict[str, dict[str, torch.Tensor]] = {name: {} for name in ran}
    for full, tensor in [*module.named_parameters(), *module.named_buffers()]:
        part = full
        while part not in tensors or part == full:
            part = part.rpartition(".")[0]
        tensors[part][full] = tensor
    return {name: own for name, own in tensors.items() if own}
