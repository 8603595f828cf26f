"""Units of targets: their moments, and shapes that meet outputs with further axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def moments(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of targets, free of the order of the rows.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, n_outputs)
        Targets.

    Returns
    -------
    mean, scale : ndarray of shape () or (n_outputs,)
        A constant target has scale 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.networks.units import moments
    >>> [float(v) for v in moments(np.array([1.0, 3.0]))]
    [2.0, 1.0]
    """
    columns = y.reshape(len(y), -1).T
    mean = np.array([math.fsum(column) / len(y) for column in columns])
    variance = np.array([math.fsum((column - m) ** 2) / len(y) for column, m in zip(columns, mean, strict=True)])
    scale = np.where(variance > 1e-24 * np.maximum(mean**2, 1e-300), np.sqrt(variance), 1.0)
    return mean.reshape(y.shape[1:]), scale.reshape(y.shape[1:])


def aligned(values: np.ndarray, like: Any) -> np.ndarray:
    """Shape one number an output so that it meets outputs with further axes, such as quantiles.

    Parameters
    ----------
    values : ndarray of shape () or (n_outputs,)
        Means or scales.
    like : array or tensor of shape (n, n_outputs, ...)
        What they are to meet.

    Returns
    -------
    ndarray
        Broadcasts against `like`.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.networks.units import aligned
    >>> aligned(np.ones(4), np.zeros((2, 4, 3))).shape
    (4, 1)
    """
    return values if values.ndim == 0 else values.reshape(-1, *(1,) * (like.ndim - 2))


def evenly_spread(n: int, at_most: int = 1024) -> np.ndarray:
    """Choose places that are spread evenly.

    Parameters
    ----------
    n : int
        Places there are.
    at_most : int, default=1024
        How many to choose.

    Returns
    -------
    ndarray of int
        Ascending, without repeats.

    Examples
    --------
    >>> from mlunlearn.networks.units import evenly_spread
    >>> evenly_spread(9, 3)
    array([0, 4, 8])
    """
    return np.linspace(0, n - 1, min(n, at_most)).astype(int)
