"""Features of a torch module that is used as it is, and a checksum of what it is."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

from mlunlearn.nets.casting import takes_integers, tensors
from mlunlearn.networks.layers import device_of, forward, recorded
from mlunlearn.rows.checksums import checksum

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
    runner = copy.deepcopy(module).eval()
    device, integers, found = device_of(runner), takes_integers(runner), []
    for start in range(0, len(X), _BATCH):
        part = np.require(X[start : start + _BATCH], requirements=["C", "W"])
        with torch.no_grad(), recorded(runner, [layer] if layer else []) as maps:
            output = forward(runner, tensors(part, device, integers))
        found.append((maps[-1] if layer else output).flatten(start_dim=1).cpu().numpy())
    return np.concatenate(found)


def features_checksum(estimator: Any) -> Any:
    """Checksum what turns inputs into features; catches accidental edits, not adversaries.

    Parameters
    ----------
    estimator : torch.nn.Module, FrozenEstimator or None
        Of a module, weights, buffers, attributes, hooks and methods that were replaced, but not its mode; otherwise
        everything.

    Returns
    -------
    object
        Equal for equal estimators.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.regression.methods.features import features_checksum
    >>> features_checksum(nn.Flatten()) == features_checksum(nn.Flatten(2))
    False
    """
    if not isinstance(estimator, nn.Module):
        return joblib.hash(estimator)
    found = zlib.crc32(repr(estimator).encode())
    for name, values in [*estimator.named_parameters(), *estimator.named_buffers()]:
        found = checksum(_content(values), zlib.crc32(name.encode(), found))
    for name, part in estimator.named_modules():
        others = {key: value for key, value in vars(part).items() if key not in _ELSEWHERE}
        found = zlib.crc32(f"{name}{_described(others)}".encode(), found)
    return found


_ELSEWHERE = ("_parameters", "_buffers", "_modules", "training")


def _content(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


def _described(value: Any) -> str:
    """Say what a value holds, in a text that is the same in every process; keys of hooks are counted anew in each."""
    if isinstance(value, torch.Tensor):
        return str(checksum(_content(value)))
    if isinstance(value, np.ndarray):
        return str(checksum(value))
    if isinstance(value, Mapping):
        return str([(key if isinstance(key, str) else "", _described(part)) for key, part in value.items()])
    if isinstance(value, (list, tuple)):
        return str([_described(part) for part in value])
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return repr(value)
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    return f"{type(value).__qualname__}{'' if code is None else (code.co_code, repr(code.co_consts))}"
