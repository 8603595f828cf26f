"""Windows of hourly series: where they overlap, what scales them, and what is left when hours go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.networks.units import moments

HOURS = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class Windows:
    """How series are cut into windows: the last hours as input, the next ones as target.

    Parameters
    ----------
    n_past : int, default=168
        Hours of input.
    horizon : int, default=24
        Hours of target.
    stride : int, default=24
        Hours from one window to the next.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from mlunlearn.regression import Windows
    >>> series = pd.DataFrame({"ann": np.arange(10.0)}, index=pd.date_range("2024-01-01", periods=10, freq="h"))
    >>> Windows(n_past=4, horizon=2, stride=2).starts(series)
    array([[0, 0],
           [0, 2],
           [0, 4]])
    """

    n_past: int = 168
    horizon: int = 24
    stride: int = 24

    @property
    def length(self) -> int:
        """Hours from the first of a window to its last."""
        return self.n_past + self.horizon

    def starts(self, series: pd.DataFrame) -> np.ndarray:
        """List the windows in which no hour is missing.

        Parameters
        ----------
        series : pandas.DataFrame of shape (n_hours, n_customers)
            See `check_series`.

        Returns
        -------
        ndarray of int, shape (n_windows, 2)
            Column and first row of each.
        """
        known = series.notna().to_numpy()
        found = []
        for column in range(known.shape[1]):
            counts = np.concatenate([[0], np.cumsum(known[:, column])])
            first = np.arange(0, len(known) - self.length + 1, self.stride)
            whole = first[counts[first + self.length] - counts[first] == self.length]
            found.append(np.column_stack([np.full(len(whole), column), whole]))
        return np.concatenate(found).astype(int)

    def cut(self, series: pd.DataFrame, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut windows out.

        Parameters
        ----------
        series : pandas.DataFrame of shape (n_hours, n_customers)
            Scaled series.
        starts : ndarray of int, shape (n_windows, 2)
            As from `starts`.

        Returns
        -------
        X : ndarray of shape (n_windows, n_past, 5)
            The series, and hour and day of the week as points on circles.
        y : ndarray of shape (n_windows, horizon)
            What follows.
        """
        values = series.to_numpy(dtype=np.float64)
        rows = starts[:, 1:] + np.arange(self.length)
        cut = values[rows, starts[:, :1]]
        clock = calendar(series.index)[rows[:, : self.n_past]]
        return np.concatenate([cut[:, : self.n_past, None], clock], axis=2), cut[:, self.n_past :]


def calendar(times: pd.DatetimeIndex) -> np.ndarray:
    """Place hours and days of the week on circles.

    Parameters
    ----------
    times : pandas.DatetimeIndex of length n_hours
        When.

    Returns
    -------
    ndarray of shape (n_hours, 4)
        Sine and cosine of both.
    """
    angles = 2 * np.pi * np.column_stack([times.hour / 24, times.day_of_week / 7])
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def check_series(series: Any) -> pd.DataFrame:
    """Check that series are hourly, one column a customer; missing hours are NaN.

    Parameters
    ----------
    series : pandas.DataFrame of shape (n_hours, n_customers)
        Ascending hours without gaps in the index; a series is a frame of one column.

    Returns
    -------
    pandas.DataFrame
        A copy in float64.

    Raises
    ------
    ValueError
        If the index is no time, skips hours, or a value is infinite.
    """
    frame = series.to_frame() if isinstance(series, pd.Series) else series
    if not isinstance(frame, pd.DataFrame) or not isinstance(frame.index, pd.DatetimeIndex):
        raise ValueError("series must be a pandas DataFrame indexed by time, one column a customer.")
    if len(frame) > 1 and not (np.diff(frame.index) == HOURS).all():
        raise ValueError("series must hold every hour once, in order; missing hours are rows of NaN.")
    frame = frame.astype(np.float64).copy()
    if np.isinf(frame.to_numpy()).any():
        raise ValueError("series contains infinity; write missing hours as NaN.")
    return frame


def customer_scales(series: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of each customer over the hours that are there.

    Parameters
    ----------
    series : pandas.DataFrame of shape (n_hours, n_customers)
        See `check_series`.

    Returns
    -------
    pandas.DataFrame
        Index the customers with at least one hour, columns ``mean`` and ``scale``.
    """
    found = {}
    for name in series:
        values = series[name].dropna().to_numpy()
        if len(values):
            found[name] = [float(v) for v in moments(values)]
    return pd.DataFrame.from_dict(found, orient="index", columns=["mean", "scale"])


def blanked(series: pd.DataFrame, customers: Any, start: Any, end: Any) -> pd.DataFrame:
    """Remove hours.

    Parameters
    ----------
    series : pandas.DataFrame of shape (n_hours, n_customers)
        Not changed.
    customers : label, sequence of labels or None
        Whose hours; None is everybody's.
    start, end : timestamp or None
        From the first hour at or after `start` to the last before `end`; None is the end of the series.

    Returns
    -------
    pandas.DataFrame
        A copy with NaN in those hours.

    Raises
    ------
    ValueError
        If a customer is unknown, or no hour is named.
    """
    names = list(series) if customers is None else [customers] if np.ndim(customers) == 0 else list(customers)
    unknown = [name for name in names if name not in series]
    if unknown:
        raise ValueError(f"there is no customer {unknown[0]!r}; nothing was forgotten.")
    inside = np.ones(len(series), dtype=bool)
    if start is not None:
        inside &= series.index >= pd.Timestamp(start)
    if end is not None:
        inside &= series.index < pd.Timestamp(end)
    if not names or not inside.any():
        raise ValueError("the request names no hour of the series; nothing was forgotten.")
    left = series.copy()
    left.loc[inside, names] = np.nan
    return left
