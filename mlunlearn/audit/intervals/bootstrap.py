"""Percentile bootstrap intervals over samples or over whole groups of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

__all__ = ["BootstrapInterval", "bootstrap_interval"]


class BootstrapInterval(NamedTuple):
    """An estimate with its bootstrap confidence interval.

    Parameters
    ----------
    estimate : float
        The statistic of the data as given.
    low : float
        Lower end of the interval.
    high : float
        Upper end of the interval.

    Examples
    --------
    >>> estimate, low, high = BootstrapInterval(0.5, 0.4, 0.6)
    >>> high
    0.6
    """

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState | None = None,
    confidence: float = 0.95,
) -> BootstrapInterval:
    """Percentile bootstrap interval of a statistic over samples, or over whole groups of them.

    Parameters
    ----------
    statistic : callable
        Takes the (resampled) arrays in the order given and returns one number.
    *arrays : array-like of shape (n_samples, ...)
        The data; row `i` of every array belongs to sample `i`.
    groups : array-like of shape (n_samples,), optional
        The person, source or other unit of each sample. Whole groups are then drawn, with all their
        samples. Leave it out only if the samples are independent: images of one person are not, and
        intervals that ignore it are too narrow.
    strata : array-like of shape (n_samples,), optional
        Draw within each stratum, so that its number of samples (of groups, if given) stays the same. For a
        statistic of members and non-members pass the membership labels here.
    n_resamples : int, default=1000
        Number of bootstrap resamples.
    random_state : int, RandomState or None, default=None
        Seed of the resampling.
    confidence : float, default=0.95
        Nominal coverage, in (0, 1).

    Returns
    -------
    BootstrapInterval
        ``(estimate, low, high)``. Both ends are NaN if the statistic is NaN on the data or on any resample.

    Raises
    ------
    ValueError
        If the arrays differ in length, there are fewer than two samples (or groups) to draw from, the
        statistic returns no single number, or a setting is out of range.

    Notes
    -----
    The percentile interval is a little too narrow for few samples: for the mean of 50 it covers about 94 %
    where 95 % is asked for. What counts is the number of groups, if there are any.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall 1993.

    Examples
    --------
    >>> import numpy as np
    >>> correct = np.repeat([0.0, 1.0], 50)
    >>> interval = bootstrap_interval(np.mean, correct, random_state=0)
    >>> interval.estimate
    0.5
    >>> bool(0.35 < interval.low < 0.45 and 0.55 < interval.high < 0.65)
    True
    """
    data = _check_arrays(arrays)
    _check_settings(n_resamples, confidence)
    n_samples = len(data[0])
    rows_of_unit, units_of_stratum = _resampling_plan(n_samples, groups, strata)
    estimate = _number(statistic(*data))
    rng = check_random_state(random_state)
    values = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = np.concatenate([rng.choice(units, size=units.size) for units in units_of_stratum])
        rows = rows_of_unit(drawn)
        values[i] = _number(statistic(*(array[rows] for array in data)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return BootstrapInterval(estimate, float(low), float(high))


def _check_arrays(arrays: tuple[ArrayLike, ...]) -> list[NDArray[Any]]:
    if not arrays:
        raise ValueError("bootstrap_interval needs at least one array after the statistic.")
    data = [np.asarray(array) for array in arrays]
    if any(array.ndim == 0 for array in data) or len({len(array) for array in data}) != 1:
        shapes = [array.shape for array in data]
        raise ValueError(f"all arrays must have the same first dimension, got shapes {shapes}.")
    return data


def _check_settings(n_resamples: int, confidence: float) -> None:
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, got {n_resamples!r}.")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence!r}.")


def _resampling_plan(
    n_samples: int, groups: ArrayLike | None, strata: ArrayLike | None
) -> tuple[Callable[[NDArray[np.intp]], NDArray[np.intp]], list[NDArray[np.intp]]]:
    """How to turn drawn units into rows, and the units that each stratum draws from.

    A unit is a group within a stratum, or a single sample.
    """
    stratum = _codes(strata, n_samples, "strata") if strata is not None else np.zeros(n_samples, dtype=np.intp)
    group = _codes(groups, n_samples, "groups") if groups is not None else np.arange(n_samples)
    _, unit = np.unique(np.stack([stratum, group]), axis=1, return_inverse=True)
    order = np.argsort(unit, kind="stable")
    sizes = np.bincount(unit)
    if sizes.size < 2:
        what = "samples" if groups is None else "groups"
        raise ValueError(f"a bootstrap needs at least two {what} to draw from, got {sizes.size}.")
    starts = np.cumsum(sizes) - sizes
    stratum_of_unit = stratum[order[starts]]

    def rows_of_unit(drawn: NDArray[np.intp]) -> NDArray[np.intp]:
        lengths = sizes[drawn]
        ends = np.cumsum(lengths)
        shift = np.repeat(starts[drawn] - (ends - lengths), lengths)
        return order[np.arange(ends[-1]) + shift]

    return rows_of_unit, [np.flatnonzero(stratum_of_unit == s) for s in np.unique(stratum_of_unit)]


def _codes(labels: ArrayLike, n_samples: int, name: str) -> NDArray[np.intp]:
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), one label per sample, got {array.shape}.")
    return np.unique(array, return_inverse=True)[1]


def _number(value: Any) -> float:
    if np.ndim(value) != 0:
        raise ValueError(f"statistic must return a single number, got an array of shape {np.shape(value)}.")
    return float(value)
