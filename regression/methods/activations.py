"""The layers of any torch module whose activations are compared, and the attention maps made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

MapKind = Literal["unit", "official"]

_NONLINEAR = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Tanh,
    nn.Sigmoid,
    nn.Hardswish,
)
_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN, nn.MultiheadAttention)


def find_layers(module: nn.Module, given: Sequence[str] | None = None) -> list[str]:
    """Name the layers whose activations are compared.

    Parameters
    ----------
    module : torch.nn.Module
        Any network.
    given : sequence of str or None, default=None
        Names as in ``module.named_modules()``. None takes the module's own ``attention_layers`` if it has that
        attribute, else all non-linearities, recurrent and attention layers, else all parametrised layers.

    Returns
    -------
    list of str
        Names of submodules, in the order of their definition.

    Raises
    ------
    ValueError
        If a given name is no submodule.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.regression.methods.activations import find_layers
    >>> find_layers(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)))
    ['1']
    """
    known = dict(module.named_modules())
    given = getattr(module, "attention_layers", None) if given is None else given
    if given is not None:
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"layers names {unknown[0]!r}, which is no submodule of {type(module).__name__}.")
        return list(given)
    found = [name for name, part in known.items() if isinstance(part, (*_NONLINEAR, *_RECURRENT))]
    leaves = [name for name, part in known.items() if name and not list(part.children()) and list(part.parameters())]
    return found or leaves


def attention_map(activation: torch.Tensor, kind: MapKind = "unit") -> torch.Tensor:
    """Summarise an activation by one unit vector a sample: where in the layer the energy is.

    Parameters
    ----------
    activation : torch.Tensor of shape (n, C, H, W), (n, T, F) or (n, F)
        Of images the map lies over the positions (mean over channels), of sequences over the features (mean over
        time).
    kind : {'unit', 'official'}, default='unit'
        Only for two-dimensional activations. The authors' code averages them over the features and normalises the
        one number left, which gives 1 for every sample and a gradient of zero; 'unit' keeps the features.

    Returns
    -------
    torch.Tensor of shape (n, H * W), (n, F), or (n, 1) for 'official' on two dimensions
        Rows of length 1 (0 where the activation is 0).

    References
    ----------
    Zagoruyko and Komodakis, "Paying More Attention to Attention", arXiv 1612.03928.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression.methods.activations import attention_map
    >>> attention_map(torch.tensor([[3.0, 0.0, 4.0]]), "official")
    tensor([[1.]])
    """
    energy = activation.square()
    if energy.ndim == 2:
        energy = energy if kind == "unit" else energy.mean(dim=1, keepdim=True)
    elif energy.ndim > 2:
        energy = energy.mean(dim=1)
    return functional.normalize(energy.flatten(start_dim=1), dim=1)


def attention_distance(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], kind: MapKind = "unit"
) -> torch.Tensor:
    """Mean squared difference of attention maps, summed over layers.

    Parameters
    ----------
    student, teacher : sequences of torch.Tensor
        Activations of two networks of one architecture on the same samples.
    kind : {'unit', 'official'}, default='unit'
        As in `attention_map`.

    Returns
    -------
    torch.Tensor of shape ()
        At most ``2 / n_positions`` a layer.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression.methods.activations import attention_distance
    >>> attention_distance([torch.eye(2)], [torch.eye(2)]).item()
    0.0
    """
    terms = [
        functional.mse_loss(attention_map(s, kind), attention_map(t, kind))
        for s, t in zip(student, teacher, strict=True)
    ]
    return torch.stack(terms).sum()
