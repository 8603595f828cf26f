"""Features of a torch module that is used as it is, and a checksum of what it is."""

from __future__ import annotations

import copy
import zlib
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

from mlunlearn.checksums import checksum
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
    caster = TorchRegressor(module)
    caster.net_ = SimpleNamespace(module_=module)  # all that casting asks for
    runner = copy.deepcopy(module).eval()
    device = next((p.device for p in runner.parameters()), torch.device("cpu"))
    found = []
    for part in torch.as_tensor(caster.cast(np.asarray(X))).split(_BATCH):
        with torch.no_grad(), recorded(runner, [layer] if layer else []) as maps:
            output = first_output(runner(part.to(device)))
        found.append((maps[-1] if layer else output).flatten(start_dim=1).cpu().numpy())
    return np.concatenate(found)


def features_checksum(estimator: Any) -> Any:
    """Checksum what turns inputs into features; catches accidental edits, not adversaries.

    Parameters
    ----------
    estimator : torch.nn.Module, FrozenEstimator or None
        Of a module, the weights, the buffers and what its representation shows; otherwise everything.

    Returns
    -------
    object
        Equal for equal estimators.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.regression.features import features_checksum
    >>> features_checksum(nn.Flatten()) == features_checksum(nn.Flatten(2))
    False
    """
    if not isinstance(estimator, nn.Module):
        return joblib.hash(estimator)
    found = zlib.crc32(repr(estimator).encode())
    for name, values in [*estimator.named_parameters(), *estimator.named_buffers()]:
        content = values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        found = checksum(content, zlib.crc32(name.encode(), found))
    return found
