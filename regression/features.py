"""Features of a torch module that is used as it is."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.regression.activations import recorded
from mlunlearn.regression.losses import first_output

_BATCH = 256


def module_features(module: nn.Module, X: Any, layer: str | None = None) -> np.ndarray:
    """Run a copy of a module in evaluation mode, and return its output or that of a layer.

    Parameters
    ----------
    module : torch.nn.Module
        Not changed.
    X : ndarray of shape (n, ...)
        Inputs; they are cast as for training.
    layer : str or None, default=None
        Submodule whose output is wanted.

    Returns
    -------
    ndarray of shape (n, n_features)
        Everything after the first axis laid out flat.
    """
    net = TorchRegressor(module)
    net.net_ = net.untrained_net(0)
    runner = copy.deepcopy(module).eval()
    device = next((p.device for p in runner.parameters()), torch.device("cpu"))
    found = []
    for part in torch.as_tensor(net.cast(np.asarray(X))).split(_BATCH):
        with torch.no_grad(), recorded(runner, [layer] if layer else []) as maps:
            output = first_output(runner(part.to(device)))
        found.append((maps[-1] if layer else output).flatten(start_dim=1).cpu().numpy())
    return np.concatenate(found)
