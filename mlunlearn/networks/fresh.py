"""Networks that know nothing yet: built by seed, or made of a trained one by drawing its weights anew."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sklearn.base import clone
from skorch import NeuralNet
from torch import nn

from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.nets.seeds import seeded


class Rebuild:
    """Untrained networks as training would start from them.

    Parameters
    ----------
    trained : TorchClassifier or TorchRegressor
        Fitted. Of a module class the weights are drawn by the seed; those of a module instance are as it was passed.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from mlunlearn.nets import TorchClassifier
    >>> from mlunlearn.networks import Rebuild
    >>> net = nn.Linear(2, 2)
    >>> model = TorchClassifier(net, random_state=0).fit(np.eye(2), [0, 1])
    >>> bool((Rebuild(model)(0).weight == net.weight).all())
    True
    """

    def __init__(self, trained: TorchClassifier | TorchRegressor):
        self._template = clone(trained)
        net = trained.net_
        if isinstance(trained.net, NeuralNet) and isinstance(net.module, type):
            self._template.set_params(net=clone(net))  # with the widths that callbacks gave the module
        self._fold_units = getattr(trained, "fold_units", lambda module: module)

    def __call__(self, seed: int) -> nn.Module:
        """Build a network, where the trained one is.

        Parameters
        ----------
        seed : int
            Draws the weights.

        Returns
        -------
        torch.nn.Module
            Untrained.
        """
        return self._fold_units(self._template.untrained_net(seed).module_)


class Reset:
    """Untrained networks made of a trained one, by drawing its trainable weights anew.

    Parameters
    ----------
    module : torch.nn.Module
        The trained one; none of its trainable weights is kept.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.networks import Reset
    >>> net = nn.Linear(2, 2)
    >>> bool((Reset(net)(0).weight == net.weight).any())
    False
    """

    def __init__(self, module: nn.Module):
        self._module = reset_parameters(copy.deepcopy(module), 0)

    def __call__(self, seed: int) -> nn.Module:
        """Copy the network with new weights.

        Parameters
        ----------
        seed : int
            Draws the weights.

        Returns
        -------
        torch.nn.Module
            Untrained.
        """
        return reset_parameters(copy.deepcopy(self._module), seed)


def untrained(trained: TorchClassifier | TorchRegressor) -> Rebuild | Reset:
    """Make untrained networks of the architecture of a trained one.

    Parameters
    ----------
    trained : TorchClassifier or TorchRegressor
        Fitted, or adopted by `mlunlearn.networks.adopt`.

    Returns
    -------
    Rebuild or Reset
        The first where it is known how training would start, the second for a network that came trained.
    """
    return Reset(trained.net_.module_) if trained.net is trained.net_ else Rebuild(trained)


def reset_parameters(module: nn.Module, seed: int) -> nn.Module:
    """Draw the trainable weights of a module anew, and reset its running statistics.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place. Parts whose parameters are all frozen, such as fixed word vectors, stay as they are. A part
        that has ``reset_parameters()`` is trusted to reset everything inside it.
    seed : int
        The drawn weights depend on the seed and on their shapes, and on nothing that was learned.

    Returns
    -------
    torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If a part has trainable parameters of its own and no ``reset_parameters`` method; nothing is changed.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import reset_parameters
    >>> first, second = (reset_parameters(torch.nn.Linear(2, 2), seed=0) for _ in range(2))
    >>> torch.equal(first.weight, second.weight)
    True
    """
    resets = list(_resets(module, ""))
    device = next((str(p.device) for p in module.parameters()), "cpu")
    with seeded(seed, device):
        for reset in resets:
            reset()
    return module


def _resets(part: nn.Module, name: str) -> Any:
    """Yield the methods that reset a part, or else those inside it, in the order of their definition."""
    inside, own = list(part.parameters()), list(part.parameters(recurse=False))
    if inside and not any(p.requires_grad for p in inside):
        return
    public, private = (getattr(part, attribute, None) for attribute in ("reset_parameters", "_reset_parameters"))
    if callable(public):
        yield public
        return
    if callable(private):  # torch's attention: it leaves the layers inside it to themselves
        yield private
    elif any(p.requires_grad for p in own):
        raise TypeError(
            f"{type(part).__name__} ({name or 'the module itself'}) has parameters and no reset_parameters(): define "
            "that method, or pass the network unfitted, as a class or a skorch net."
        )
    for child, inner in part.named_children():
        yield from _resets(inner, f"{name}.{child}" if name else child)


@torch.no_grad()
def shrink(module: nn.Module, fresh: nn.Module, keep: float) -> None:
    """Move a trained network towards an untrained one.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place: every trainable parameter becomes ``keep`` of itself and the rest of its counterpart;
        running statistics are those of the untrained network.
    fresh : torch.nn.Module
        Of the same architecture.
    keep : float
        Between 0, which leaves nothing of the trained weights, and 1.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import shrink
    >>> trained, fresh = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    >>> expected = 0.6 * trained.weight + 0.4 * fresh.weight
    >>> shrink(trained, fresh, 0.6)
    >>> torch.allclose(trained.weight, expected)
    True
    """
    for mine, other in zip(module.parameters(), fresh.parameters(), strict=True):
        if mine.requires_grad:
            mine.lerp_(other, 1 - keep)
    for statistic, untrained in zip(module.buffers(), fresh.buffers(), strict=True):
        statistic.copy_(untrained)
