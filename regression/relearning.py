"""Relearn time and the anamnesis index: how fast a model learns again what it was to forget."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlunlearn.networks.batches import step_batches
from mlunlearn.regression.frozen import adopt
from mlunlearn.regression.losses import agreeing, first_output
from mlunlearn.regression.standardized import StandardizedRegressor, aligned
from mlunlearn.torch_seeds import seeded


@dataclass(frozen=True)
class Relearning:
    """Steps that a model needed to learn the forgotten rows again.

    Parameters
    ----------
    steps : tuple of int
        One number a seed; a censored one is the largest number allowed.
    censored : tuple of bool
        Whether that number was reached before the error.

    Examples
    --------
    >>> from mlunlearn.regression import Relearning
    >>> Relearning((4, 8), (False, False)).mean
    6.0
    """

    steps: tuple[int, ...]
    censored: tuple[bool, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds; a lower bound if any was censored."""
        return float(np.mean(self.steps))


def relearn_steps(
    model: Any,
    X: Any,
    y: Any,
    X_forget: Any,
    y_forget: Any,
    *,
    target_error: float,
    max_steps: int = 200,
    lr: float = 1e-3,
    batch_size: int = 256,
    seeds: Sequence[int] = range(5),
) -> Relearning:
    """Train a copy of a model on all data until its error on held-out forget data is as small as asked.

    Parameters
    ----------
    model : unlearner of this wing, StandardizedRegressor or fitted TorchRegressor
        Not changed.
    X, y : array-like
        What it relearns from: all training rows, the forgotten ones included.
    X_forget, y_forget : array-like
        Held-out rows of the forgotten kind.
    target_error : float
        Mean absolute error to reach.
    max_steps : int, default=200
        Steps after which relearning is censored.
    lr : float, default=0.001
        Learning rate of Adam. Larger ones destroy any model first, and then measure nothing.
    batch_size : int, default=256
        Rows of a step.
    seeds : sequence of int, default=range(5)
        Of the order of the batches; the same seeds give every model the same batches.

    Returns
    -------
    Relearning
        0 where the error was small enough before the first step.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import StandardizedRegressor, relearn_steps
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = StandardizedRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    >>> relearn_steps(model, X, y, X[:9], y[:9], target_error=1e9).steps
    (0, 0, 0, 0, 0)
    """
    found = [
        _steps_to(_network(model, y), X, y, X_forget, y_forget, target_error, max_steps, lr, batch_size, seed)
        for seed in seeds
    ]
    return Relearning(tuple(steps for steps, _ in found), tuple(censored for _, censored in found))


def anamnesis_index(unlearned: Relearning, retrained: Relearning) -> float:
    """Ratio of relearn times; 1 is ideal.

    Parameters
    ----------
    unlearned, retrained : Relearning
        Of the two models, with the same settings and seeds.

    Returns
    -------
    float
        Far below 1, what was to be forgotten is still there; far above, the model was over-corrected. NaN where the
        retrained model needs no step, as in random deletions, and where its relearning was censored; infinite where
        only that of the unlearned model was.

    References
    ----------
    "Zero-Shot Machine Unlearning", arXiv 2201.05629.

    Examples
    --------
    >>> from mlunlearn.regression import Relearning, anamnesis_index
    >>> anamnesis_index(Relearning((3,), (False,)), Relearning((6,), (False,)))
    0.5
    """
    if any(retrained.censored) or retrained.mean == 0:
        return float("nan")
    return float("inf") if any(unlearned.censored) else unlearned.mean / retrained.mean


def relearn_target(original: Any, X_forget: Any, y_forget: Any, *, alpha: float = 0.05) -> float:
    """Error that a relearning model has to reach: that of the original, and a little more.

    Parameters
    ----------
    original : fitted regressor
        The model before forgetting.
    X_forget, y_forget : array-like
        Held-out rows of the forgotten kind.
    alpha : float, default=0.05
        How much more.

    Returns
    -------
    float
        Mean absolute error.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from mlunlearn.regression import relearn_target
    >>> relearn_target(DummyRegressor().fit([[0.0]], [2.0]), [[0.0]], [1.0], alpha=0.5)
    1.5
    """
    return (1 + alpha) * float(np.abs(np.asarray(original.predict(X_forget)) - np.asarray(y_forget)).mean())


def _network(model: Any, y: Any) -> StandardizedRegressor:
    inner = getattr(model, "estimator_", model)
    return adopt(inner, np.asarray(y))


def _steps_to(
    model: StandardizedRegressor,
    X: Any,
    y: Any,
    X_forget: Any,
    y_forget: Any,
    target_error: float,
    max_steps: int,
    lr: float,
    batch_size: int,
    seed: int,
) -> tuple[int, bool]:
    model = copy.deepcopy(model)
    net = model.regressor_.net_
    inputs = torch.as_tensor(model.regressor_.cast(np.asarray(model.prepare(X))))
    scaled = (np.asarray(y, dtype=np.float64) - model.mean_) / aligned(model.scale_, np.asarray(y))
    targets = torch.as_tensor(scaled.reshape(len(scaled), -1), dtype=torch.float32)
    y_forget = np.asarray(y_forget)

    def learned() -> bool:
        return float(np.abs(model.predict(X_forget) - y_forget).mean()) <= target_error

    with seeded(seed, net.device):
        optimizer = torch.optim.Adam([p for p in net.module_.parameters() if p.requires_grad], lr=lr)
        for step, rows in enumerate(step_batches(len(inputs), batch_size, max_steps, seed)):
            if learned():
                return step, False
            net.module_.train()
            output = first_output(net.module_(inputs[rows].to(net.device)))
            optimizer.zero_grad()
            net.criterion_(*agreeing(output, targets[rows].to(net.device))).backward()
            optimizer.step()
        return (max_steps, not learned())
