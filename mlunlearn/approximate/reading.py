"""How a method reads rows: as it declared, in the types of its network, with an account of what it read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from mlunlearn.nets.casting import takes_integers, tensors
from mlunlearn.networks.batches import Batch, Rows, UndeclaredNeedError
from mlunlearn.networks.layers import device_of
from mlunlearn.rows.data import Block
from mlunlearn.rows.items import Items

NEEDS = frozenset({"retain", "retain_labels", "forget", "forget_labels", "initial", "held_out"})
"""What a method may declare that it needs; see `mlunlearn.approximate.EditedClassifier`."""


class Reader:
    """Reads batches for a method, and counts the samples.

    Parameters
    ----------
    read : callable
        From positions to a `Block` of rows.
    module : torch.nn.Module
        The network; inputs are moved to it and cast for it.
    encode : callable
        From targets to what the loss takes.
    forget : ndarray of bool, shape (n_samples_fit_,)
        Which rows are to be forgotten.
    needs : iterable of str
        What the method declares.
    steps : list of transformer, default=()
        What inputs go through before the network.

    Attributes
    ----------
    samples : int
        Rows read so far, each as often as it was read.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], Block],
        module: nn.Module,
        encode: Callable[[np.ndarray], Tensor],
        forget: np.ndarray,
        needs: Iterable[str],
        steps: Iterable[BaseEstimator] = (),
    ):
        self._read = read
        self._device, self._integers = device_of(module), takes_integers(module)
        self._encode = encode
        self._forget = forget
        self._needs = frozenset(needs)
        self._steps = list(steps)
        self.samples = 0

    def __call__(self, positions: np.ndarray) -> Batch:
        """Read rows as one batch.

        Parameters
        ----------
        positions : ndarray of int
            Which, in this order.

        Returns
        -------
        Batch
            Where the network is.

        Raises
        ------
        UndeclaredNeedError
            If the method did not declare that it needs rows of that side.
        """
        forget = self._forget[positions]
        self._refuse_undeclared(forget)
        block = self._read(positions)
        self.samples += len(positions)
        hidden = self._hidden(forget)
        return Batch(
            X=tensors(self._prepared(block.X), self._device, self._integers),
            targets=None if hidden.all() else self._targets(block.y, hidden),
            rows=torch.as_tensor(positions),
            forget=torch.as_tensor(forget).to(self._device),
            hidden=torch.as_tensor(hidden).to(self._device) if hidden.any() else None,
        )

    def _refuse_undeclared(self, forget: np.ndarray) -> None:
        for side, asked in (("forget", forget.any()), ("retain", not forget.all())):
            if asked and side not in self._needs:
                declared = ", ".join(sorted(self._needs))
                raise UndeclaredNeedError(
                    f"rows to {side} are not among the needs that the method declares ({declared})."
                )

    def labels(self, positions: np.ndarray) -> Tensor:
        """Read the targets of rows without their inputs, which counts for no sample.

        Parameters
        ----------
        positions : ndarray of int
            Which, in this order.

        Returns
        -------
        torch.Tensor of shape (n,) or (n, n_outputs)
            As in a batch.

        Raises
        ------
        UndeclaredNeedError
            If the method did not declare that it needs them.
        """
        forget = self._forget[positions]
        self._refuse_undeclared(forget)
        if self._hidden(forget).any():
            raise UndeclaredNeedError("these targets are not among the needs that the method declares.")
        return self._encode(self._read(positions).y).to(self._device)

    def _hidden(self, forget: np.ndarray) -> np.ndarray:
        """Tell of which rows the targets may not be read."""
        shown = [side for side in ("forget", "retain") if f"{side}_labels" in self._needs]
        return ~(forget & ("forget" in shown) | ~forget & ("retain" in shown))

    def _targets(self, y: np.ndarray, hidden: np.ndarray) -> Tensor:
        shown = copy.copy(y)
        shown[hidden] = y[~hidden][0]  # what may not be read is not there
        return self._encode(shown).to(self._device)

    def _prepared(self, X: Any) -> Any:
        if isinstance(X, Items):
            return X.read()
        for step in self._steps:
            X = step.transform(X)
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        return np.require(X, requirements=["C", "W"])

    @property
    def everything(self) -> Rows:
        """All rows, to be read in batches."""
        return Rows(np.arange(len(self._forget)), self)
