"""From the predictions of the shards to one prediction, without ever looking at training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from mlunlearn.training.labels import one_column


def votes(model: BaseEstimator, X: Any, classes: np.ndarray) -> np.ndarray:
    """Return one model's predicted labels as one-hot rows over `classes`.

    Parameters
    ----------
    model : classifier
        A constituent, which may know fewer classes.
    X : array-like of shape (n_samples, n_features)
        Inputs.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Zeros and ones.
    """
    return np.eye(len(classes))[np.searchsorted(classes, one_column(model.predict(X)))]


def probabilities(model: BaseEstimator, X: Any, classes: np.ndarray) -> np.ndarray:
    """Return one model's probabilities, aligned to `classes`.

    Parameters
    ----------
    model : classifier
        A constituent, which may know fewer classes.
    X : array-like of shape (n_samples, n_features)
        Inputs.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Probabilities; zero for classes the constituent has never seen.
    """
    own = model.predict_proba(X)
    aligned = np.zeros((own.shape[0], len(classes)))
    aligned[:, np.searchsorted(classes, model.classes_)] = own
    return aligned


def weighted_mean(predictions: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Average predictions of the shards, in an order that does not matter to the last bit.

    Parameters
    ----------
    predictions : list of ndarray, all of one shape
        One per shard.
    weights : ndarray of shape (n_shards,)
        Non-negative, not all zero.

    Returns
    -------
    ndarray
        The mean.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.sharded.aggregation import weighted_mean
    >>> weighted_mean([np.array([0.0, 1.0]), np.array([1.0, 1.0])], np.array([3, 1]))
    array([0.25, 1.  ])
    """
    stack = np.stack([weight * prediction for weight, prediction in zip(weights, predictions, strict=True)])
    return np.sort(stack, axis=0).sum(axis=0) / np.sort(weights).sum()
