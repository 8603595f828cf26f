"""Torch models found where an estimator stands, however deep, and wrapped as estimators with a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.state import Task

_GRIDS = ("param_distributions", "param_grid")
"""Parameters in which a search keeps what it tries, estimators among it."""

_PLACES = (
    "estimator",
    "estimators",
    "final_estimator",
    "regressor",
    "remainder",
    "steps",
    "transformer_list",
    "transformers",
)
"""Parameters in which scikit-learn, and who follows it, keeps estimators."""


def wrap_torch(estimator: Any, task: Task | None = None) -> Any:
    """Wrap torch models: the one passed, and those inside pipelines, searches, stacks and other estimators.

    Parameters
    ----------
    estimator : object
        A module (class or instance), a skorch net, an estimator, or something else.
    task : {'classifier', 'regressor'} or None, default=None
        What a bare module is for; None takes it for a classifier. Nets and the estimators around say it themselves.

    Returns
    -------
    object
        A `TorchClassifier` or `TorchRegressor` for torch models, an estimator of the same class that holds them where
        they stand inside, and anything else as it is. Nets that transform stay as they are, and so does what is inside
        this package's own estimators.
    """
    if _is_torch(estimator):
        return _wrapped(estimator, task)
    if not hasattr(estimator, "get_params") or isinstance(estimator, type) or _is_ours(estimator):
        return estimator
    params = estimator.get_params(deep=False)
    task = _task_of(estimator) or task
    found = {name: _wrap_inside(params[name], task) for name in _PLACES if name in params}
    found |= {name: _wrap_tried(params[name], task) for name in _GRIDS if name in params}
    changed = {name: value for name, value in found.items() if value is not params[name]}
    return type(estimator)(**params | changed) if changed else estimator


def _is_torch(value: Any) -> bool:
    if isinstance(value, NeuralNet):
        return not hasattr(value, "transform")
    return isinstance(value, nn.Module) or (isinstance(value, type) and issubclass(value, nn.Module))


def _is_ours(estimator: Any) -> bool:
    return type(estimator).__module__.partition(".")[0] == "mlunlearn"


def _task_of(estimator: Any) -> Task | None:
    if isinstance(estimator, (RegressorMixin, NeuralNetRegressor)):
        return "regressor"
    return "classifier" if isinstance(estimator, (ClassifierMixin, NeuralNetClassifier)) else None


def _wrapped(model: Any, task: Task | None) -> Any:
    return TorchRegressor(model) if (_task_of(model) or task) == "regressor" else TorchClassifier(model)


def _wrap_inside(value: Any, task: Task | None) -> Any:
    """Wrap an estimator, or those in lists of named ones; the same object where there is nothing to wrap."""
    if not isinstance(value, (list, tuple)):
        return wrap_torch(value, task)
    parts = [_wrap_inside(part, task) for part in value]
    same = all(new is old for new, old in zip(parts, value, strict=True))
    return value if same else type(value)(parts)


def _wrap_tried(grids: Any, task: Task | None) -> Any:
    """Wrap the models that a search tries; the same object where there are none."""
    if isinstance(grids, dict):
        wrapped = {name: _wrap_values(name, values, task) for name, values in grids.items()}
        return grids if all(wrapped[name] is values for name, values in grids.items()) else wrapped
    return _wrap_each(grids, lambda grid: _wrap_tried(grid, task)) if isinstance(grids, (list, tuple)) else grids


def _wrap_values(name: str, values: Any, task: Task | None) -> Any:
    """Wrap what a search tries for one parameter, unless that belongs to a net, whose modules stay its own."""
    if name.rpartition("__")[2] in ("module", "net") or not isinstance(values, (list, tuple, np.ndarray)):
        return values
    if isinstance(values, np.ndarray):
        return values if values.dtype != object else _wrap_each(values.tolist(), lambda value: wrap_torch(value, task))
    return _wrap_each(values, lambda value: wrap_torch(value, task))


def _wrap_each(values: Any, wrap: Callable[[Any], Any]) -> Any:
    new = [wrap(value) for value in values]
    return values if all(a is b for a, b in zip(new, values, strict=True)) else type(values)(new)
