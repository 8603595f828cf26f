"""Networks trained elsewhere: taking them over, and drawing or approaching untrained ones of the same architecture."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.regression.standardized import StandardizedRegressor, own_units, split_pipeline
from mlunlearn.torch_seeds import seeded


def adopt(trained: Any, y: np.ndarray) -> StandardizedRegressor:
    """Take over a copy of a model trained elsewhere, in the units it was trained in.

    Parameters
    ----------
    trained : torch module, skorch net, TorchRegressor, StandardizedRegressor or Pipeline, fitted
        What stood inside ``FrozenEstimator``.
    y : ndarray of shape (n,) or (n, n_outputs)
        Targets, for their shape.

    Returns
    -------
    StandardizedRegressor
        Predicts what `trained` predicts.

    Raises
    ------
    TypeError
        If it is no torch regressor.
    """
    if isinstance(trained, StandardizedRegressor):
        check_is_fitted(trained)
        return copy.deepcopy(trained)
    steps, final = split_pipeline(trained)
    model = StandardizedRegressor(clone(final))
    model.steps_ = copy.deepcopy(steps)
    model.regressor_ = _fitted_regressor(final)
    model.mean_, model.scale_ = own_units(y)
    model.adopted_ = True
    return model


def _fitted_regressor(final: TorchRegressor) -> TorchRegressor:
    if hasattr(final, "net_"):
        return copy.deepcopy(final)
    regressor = TorchRegressor(copy.deepcopy(final.net))
    if isinstance(final.net, NeuralNet):
        regressor.net_ = regressor.net if final.net.initialized_ else regressor.untrained_net(0)
    else:
        regressor.net_ = regressor.untrained_net(0)
    return regressor


class Reset:
    """Untrained networks made of a trained one, by drawing its trainable weights anew.

    Parameters
    ----------
    module : torch.nn.Module
        The trained one; none of its trainable weights is kept.
    """

    def __init__(self, module: nn.Module):
        self._module = reset_parameters(copy.deepcopy(module), 0)

    def __call__(self, seed: int) -> nn.Module:
        return reset_parameters(copy.deepcopy(self._module), seed)


def reset_parameters(module: nn.Module, seed: int) -> nn.Module:
    """Draw the trainable weights of a module anew, and reset its running statistics.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place. Layers without trainable parameters, such as fixed word vectors, stay as they are.
    seed : int
        Of the draw.

    Returns
    -------
    torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If a submodule has trainable parameters of its own and no ``reset_parameters`` method.
    """
    with seeded(seed):
        for name, part in module.named_modules():
            own = list(part.parameters(recurse=False))
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if reset is not None and (not own or any(p.requires_grad for p in own)):
                reset()
            elif any(p.requires_grad for p in own):
                raise TypeError(
                    f"{type(part).__name__} ({name or 'the module itself'}) has parameters and no reset_parameters(): "
                    "define that method, or pass the network unfitted, as a class or a skorch net."
                )
    return module
