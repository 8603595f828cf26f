"""Relearn time and the anamnesis index: how fast a model learns again what it was to forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor

from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.adoption import adopt, final_of, through_steps
from mlunlearn.networks.batches import step_batches
from mlunlearn.networks.layers import forward
from mlunlearn.networks.loop import adam, descend
from mlunlearn.networks.outputs import agreeing


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
    n_steps: int = 200,
    lr: float = 1e-3,
    batch_size: int = 256,
    seeds: Sequence[int] = range(5),
) -> Relearning:
    """Train a copy of a model on all data until its error on held-out forget data is as small as asked.

    Parameters
    ----------
    model : unlearner of this wing, fitted TorchRegressor, or Pipeline that ends in one
        Not changed.
    X, y : array-like
        What it relearns from: all training rows, the forgotten ones included.
    X_forget, y_forget : array-like
        Held-out rows of the forgotten kind.
    target_error : float
        Mean absolute error to reach.
    n_steps : int, default=200
        Gradient steps after which relearning is censored.
    lr : float, default=0.001
        Learning rate of Adam. Larger ones destroy any model first, and then measure nothing.
    batch_size : int, default=256
        Rows of a step.
    seeds : sequence of int, default=range(5)
        Seeds of the order of the batches; the same ones give every model the same batches.

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
    inner, y = getattr(model, "estimator_", model), np.asarray(y)
    found = []
    for seed in seeds:
        learner = adopt(inner, "regressor", X[:2], y)
        final = final_of(learner)
        inputs = torch.as_tensor(final.cast(np.asarray(through_steps(learner, X))))
        targets = torch.as_tensor(final._encode(y)).reshape(len(y), -1)

        def learned(learner: Any = learner) -> bool:
            return float(np.abs(learner.predict(X_forget) - np.asarray(y_forget)).mean()) <= target_error

        batches = step_batches(len(y), batch_size, n_steps, seed)
        with seeded(seed, final.net_.device):
            steps = _steps_until(learned, final.net_, inputs, targets, batches, lr)
            found.append((steps, steps == n_steps and not learned()))
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
    r"""Error that a relearning model has to reach: that of the original, and a little more.

    .. math:: (1 + \alpha) \, \mathrm{MAE}(f_{\theta^*}, D_f)

    Parameters
    ----------
    original : fitted regressor
        The model before forgetting.
    X_forget, y_forget : array-like
        Held-out rows of the forgotten kind.
    alpha : float, default=0.05
        How much more, :math:`\alpha` of the paper.

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


def _steps_until(
    learned: Callable[[], bool], net: NeuralNet, inputs: Tensor, targets: Tensor, batches: Iterator[Tensor], lr: float
) -> int:
    """Train until the model has learned, or the batches end; return the steps taken."""
    module = net.module_

    def loss_of(rows: Tensor) -> Tensor | None:
        if learned():
            return None
        output = forward(module.train(), inputs[rows].to(net.device))
        return net.criterion_(*agreeing(output, targets[rows].to(net.device)))

    return descend(module, loss_of, batches, optimizer=adam(lr))
