"""Inputs in the type that a network takes, cast where the network is, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Inputs = Tensor | dict[str, Tensor]


def takes_integers(module: nn.Module) -> bool:
    """Tell whether a network looks things up by number.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    bool
        True if it has an embedding.
    """
    return any(isinstance(part, (nn.Embedding, nn.EmbeddingBag)) for part in module.modules())


def tensors(X: Any, device: torch.device | str, integers: bool) -> Inputs:
    """Move inputs to a device in the type they have, and cast them there.

    Parameters
    ----------
    X : ndarray, torch.Tensor or dict of them, of shape (n, ...)
        Inputs; images may come as ``uint8``.
    device : torch.device or str
        Where the network is.
    integers : bool
        Leave integers integers, for a network with embeddings; everything else becomes float32.

    Returns
    -------
    torch.Tensor of shape (n, ...) or dict of them
        Parts of a dictionary keep integers and booleans as they are: they are ids and masks.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.nets.casting import tensors
    >>> tensors(np.zeros((2, 3), dtype=np.uint8), "cpu", integers=False).dtype
    torch.float32
    """
    if isinstance(X, Mapping):
        return {name: _tensor(value, device, True) for name, value in X.items()}
    return _tensor(X, device, integers)


def _tensor(X: Any, device: torch.device | str, integers: bool) -> Tensor:
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":  # numbers, kept as Python objects
        X = X.astype(np.float32)
    X = torch.as_tensor(X).to(device, non_blocking=True)
    if integers and not X.is_floating_point():
        return X if X.dtype == torch.bool else X.long()
    return X.float()


class CastingLoader:
    """A loader whose batches come in the type that the network takes.

    Parameters
    ----------
    loader : iterable of pairs
        Batches of inputs and targets.
    device : torch.device or str
        Where the network is.
    integers : bool
        As `tensors` takes it.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.nets.casting import CastingLoader
    >>> batches = [(torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(2))]
    >>> [X.dtype for X, y in CastingLoader(batches, "cpu", integers=False)]
    [torch.float32]
    """

    def __init__(self, loader: Any, device: torch.device | str, integers: bool):
        self._loader = loader
        self._device = device
        self._integers = integers

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[Inputs, Any]]:
        for X, y in self._loader:
            yield tensors(X, self._device, self._integers), y
