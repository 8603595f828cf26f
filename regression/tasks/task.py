"""Regression tasks: data split into training, validation and test, with the network and the recipe of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import LRScheduler
from torch import nn

from mlunlearn.nets.loaders import BatchLoader


@dataclass(frozen=True)
class RegressionTask:
    """Arrays of one task, and a network for it.

    Parameters
    ----------
    name : str
        Name of the data.
    X, y : ndarray
        Training inputs and targets.
    X_val, y_val : ndarray
        Validation inputs and targets.
    X_test, y_test : ndarray
        Test inputs and targets.
    net : skorch.NeuralNetRegressor
        Untrained, with the recipe of the original training.
    unit : str
        Their unit.
    groups : ndarray or None, default=None
        The person or customer of each training row.

    Examples
    --------
    >>> from mlunlearn.regression import diabetes_progression
    >>> task = diabetes_progression()
    >>> task.X.shape, task.unit
    ((309, 10), 'points')
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    net: NeuralNetRegressor
    unit: str
    groups: np.ndarray | None = None


def recipe(
    module: type[nn.Module] | nn.Module,
    *,
    criterion: type[nn.Module] = nn.L1Loss,
    lr: float = 1e-2,
    batch_size: int = 256,
    max_epochs: int = 100,
    **settings: Any,
) -> NeuralNetRegressor:
    """Build a net that trains as in the paper: Adam, and a rate that falls tenfold when the loss stands still.

    Parameters
    ----------
    module : torch module, class or instance
        The network; a class draws new weights for every seed.
    criterion : class of torch module, default=nn.L1Loss
        The loss.
    lr : float, default=0.01
        Learning rate at the start.
    batch_size : int, default=256
        Rows of a step.
    max_epochs : int, default=100
        Passes.
    **settings
        For skorch, such as ``module__width=0.5``.

    Returns
    -------
    skorch.NeuralNetRegressor
        Untrained.

    Notes
    -----
    The paper watches the validation loss and keeps the best weights; here the training loss is watched and the last
    weights are kept, so that no row outside the training set shapes the model.

    Examples
    --------
    >>> from mlunlearn.regression.tasks.task import recipe
    >>> recipe(nn.Linear(2, 1), max_epochs=3).max_epochs
    3
    """
    schedule = LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, monitor="train_loss", factor=0.1, patience=10)
    return NeuralNetRegressor(
        module,
        criterion=criterion,
        optimizer=torch.optim.Adam,
        lr=lr,
        batch_size=batch_size,
        max_epochs=max_epochs,
        train_split=None,
        iterator_train=BatchLoader,
        iterator_train__shuffle=True,
        iterator_valid=BatchLoader,
        callbacks=[("schedule", schedule)],
        verbose=0,
        **settings,
    )
