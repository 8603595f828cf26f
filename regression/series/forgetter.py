"""Forecasters that forget customers and days: every window that touches them, and their part in every scale."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from mlunlearn.exceptions import DataChangedError, ForgetRequestError, UnknownIdError
from mlunlearn.receipts import Work
from mlunlearn.regression.series.windows import Windows, blanked, check_series, customer_scales
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.checksums import checksum
from mlunlearn.state import ForgettingState, Guarantee


@dataclass(frozen=True, kw_only=True)
class SeriesRequest(ForgetRequest):
    """Windows to forget, and the series without the hours that were named.

    Parameters
    ----------
    left : pandas.DataFrame of shape (n_hours, n_customers)
        The series; forgotten hours are missing.
    kept : ndarray of int, shape (n_windows, 2)
        Customer and first hour of each window that is left.
    """

    left: pd.DataFrame
    kept: np.ndarray

    @property
    def asks_for_nothing_new(self) -> bool:
        """Hours without a window of their own still count in the scales."""
        return False


class SeriesForgetter(ForgettingState, BaseEstimator):
    """Forecast hourly series, and forget customers or stretches of time.

    Windows overlap: an hour stands in many of them, and in the mean and the standard deviation that scale its
    customer. Forgetting it removes every window that overlaps it, computes the scales again from the hours that are
    left, and has the unlearner forget those windows in the new scales.

    Parameters
    ----------
    unlearner : unlearner
        An unfitted one of this wing, or ``Retrain(StandardizedRegressor(...))``, around a network that maps
        ``(n, n_past, 5)`` to ``(n, horizon)`` or ``(n, horizon, n_quantiles)``.
    windows : Windows or None, default=None
        How series are cut; None is 168 hours of input, 24 of target, a window a day.

    Attributes
    ----------
    unlearner_ : unlearner
        Fitted on the windows that are left.
    scales_ : pandas.DataFrame
        Mean and scale of each customer, from the hours that are left.
    starts_ : ndarray of int, shape (n_windows, 2)
        Customer and first hour of each window that is left.
    receipts_ : tuple of Receipt
        What each request did; rows are windows as they were before the request.

    Notes
    -----
    Guarantee: that of `unlearner`. With an exact one the model is, to the bit, the one fitted on the series with
    those hours missing. With an approximate one the scales and the windows are exact and the network is approximate.

    A copy of the series is held, in which forgotten hours are missing. It is never saved: a reloaded forecaster
    predicts, and needs `attach_data` before it forgets.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from torch import nn
    >>> from mlunlearn.regression import FineTuneRegressor, SeriesForgetter, Windows
    >>> times = pd.date_range("2024-01-01", periods=240, freq="h")
    >>> load = np.sin(np.arange(240) * 2 * np.pi / 24)
    >>> series = pd.DataFrame({"ann": load + 3, "bob": 5 * load}, index=times)
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(24 * 5, 6))
    >>> model = SeriesForgetter(FineTuneRegressor(net, random_state=0), Windows(24, 6, 6)).fit(series)
    >>> model.unlearn(customers="ann").scales_.index.tolist()
    ['bob']
    """

    def __init__(self, unlearner: Any, windows: Windows | None = None):
        self.unlearner = unlearner
        self.windows = windows

    _attach_call = "attach_data(series)"
    _private_state = ("_data", "_held", "_first_hour", "_checksum", "_cutter")

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """What `unlearn` promises: what the unlearner does."""
        return self.unlearner.guarantee

    def fit(self, series: pd.DataFrame) -> Self:
        """Cut the series into windows and train on them.

        Parameters
        ----------
        series : pandas.DataFrame of shape (n_hours, n_customers)
            Every hour once, in order; missing hours are NaN.

        Returns
        -------
        self
            The trained forecaster.

        Raises
        ------
        ValueError
            If the series are not hourly, or hold no whole window.
        """
        return self._fit_anew(series)

    def _remember(self, series: pd.DataFrame) -> None:
        series = check_series(series)
        self._cutter = self.windows or Windows()
        self.starts_ = _some(self._cutter.starts(series), self._cutter)
        self.scales_ = customer_scales(series)
        self.receipts_ = ()
        self._hold(series)

    def _fit(self) -> None:
        windows = self._cutter.cut(_scaled(self._data, self.scales_), self.starts_)
        self.unlearner_ = clone(self.unlearner).fit(*windows)
        self.seed_ = self.unlearner_.seed_

    def unlearn(
        self,
        customers: Any = None,
        *,
        start: Any = None,
        end: Any = None,
        request_id: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """Forget hours, every window that overlaps one of them, and their part in the scales.

        Parameters
        ----------
        customers : label, sequence of labels or None, default=None
            Whose hours; None is everybody's.
        start, end : timestamp or None, default=None
            From `start` to before `end`; None is the end of the series.
        request_id : str or None, default=None
            What the receipt calls this request; None makes a new random one.
        reason : str or None, default=None
            Why the hours are forgotten; kept in the receipt.

        Returns
        -------
        self
            The forecaster without them.

        Raises
        ------
        UnknownIdError
            If a customer or a stretch of time is not in the series.
        ForgetRequestError
            If nothing is named, or no window would be left.
        DataNotAttachedError
            If the forecaster was reloaded and holds no series.

        Notes
        -----
        A call that fails or is interrupted leaves the model as it was.
        """
        return self._forget(customers, start, end, request_id=request_id, reason=reason)

    def _resolve(self, customers: Any, start: Any, end: Any) -> SeriesRequest:
        if customers is None and start is None and end is None:
            raise ForgetRequestError("unlearn needs customers, start or end: nothing was asked to be forgotten.")
        try:
            left = blanked(self._data, customers, start, end)
        except ValueError as error:
            raise UnknownIdError(str(error)) from None
        kept = self._cutter.starts(left)
        if not len(kept):
            raise ForgetRequestError("no window would be left; a model of nothing is no model. Delete it instead.")
        gone = np.flatnonzero(~_among(self.starts_, kept))
        return SeriesRequest(rows=gone, already=gone[:0], of="windows", left=left, kept=kept)

    def _serve(self, request: SeriesRequest) -> Work:
        scales = customer_scales(request.left)
        # A customer without hours left keeps a scale of its own while it is being forgotten, and none afterwards.
        passing = pd.concat([scales, self.scales_.drop(index=scales.index, errors="ignore")])
        keep = np.ones(len(self.starts_), dtype=bool)
        keep[request.rows] = False
        self.unlearner_, work = self._forgotten(_scaled(self._data, passing), keep)
        self.scales_, self.starts_ = scales, request.kept
        self._hold(request.left)
        return work

    def _count_retained(self, of: str) -> int:
        return len(self.starts_)

    def _hold(self, series: pd.DataFrame) -> None:
        self._data = series
        self._held = series.notna().to_numpy()
        self._first_hour = series.index[0]
        self._checksum = checksum(series.to_numpy()[self._held])

    def attach_data(self, series: pd.DataFrame) -> Self:
        """Give a reloaded forecaster its series back.

        Parameters
        ----------
        series : pandas.DataFrame of shape (n_hours, n_customers)
            As given to `fit`; hours that were forgotten since may hold anything, or be missing. Hours that are still
            to be forgotten have to be what they were, and are erased at the source after `unlearn`: approximate
            methods cut windows of them once more, and one checksum stands for all hours.

        Returns
        -------
        self
            The forecaster, able to forget again.

        Raises
        ------
        ValueError
            If the hours or the customers are others.
        DataChangedError
            If an hour that is still held has another value.
        """
        return self._attach(series)

    def _take_data(self, series: pd.DataFrame) -> None:
        series = check_series(series)
        names = [name for name, held in zip(series, self._held.any(axis=0), strict=False) if held]
        same_shape = series.shape == self._held.shape and series.index[0] == self._first_hour
        if not same_shape or names != self.scales_.index.tolist():
            raise ValueError(
                f"attach_data needs the {self._held.shape[0]} hours from {self._first_hour} of the "
                f"{self._held.shape[1]} customers given to fit, in that order."
            )
        if checksum(series.to_numpy()[self._held]) != self._checksum:
            raise DataChangedError(
                "The series were edited after fit: forgetting from them would not give the promised model. Restore "
                "them, or fit again. (Hours are erased after unlearn.)"
            )
        self._data = series.where(self._held)

    def _forgotten(self, series: pd.DataFrame, keep: np.ndarray) -> tuple[Any, Work]:
        """Have the unlearner forget the windows that are not kept, in the new scales."""
        X, y = self._cutter.cut(series, self.starts_)
        n_kept = int(keep.sum())
        if self.unlearner_.guarantee == "exact":
            return clone(self.unlearner).fit(X[keep], y[keep]), Work(samples=n_kept, full=n_kept)
        trained = FrozenEstimator(self.unlearner_.estimator_)
        unlearner = clone(self.unlearner).set_params(estimator=trained).fit(X, y)
        work = Work(samples=0, full=n_kept)
        if not keep.all():
            work = unlearner.unlearn(~keep).receipts_[-1].work
        unlearner.estimator = self.unlearner.estimator
        return unlearner, work

    def predict(self, past: pd.DataFrame) -> pd.DataFrame:
        """Forecast the hours that follow.

        Parameters
        ----------
        past : pandas.DataFrame of shape (n_hours, n_customers)
            The last ``n_past`` hours or more of customers the model knows.

        Returns
        -------
        pandas.DataFrame of shape (horizon, n_customers)
            In the units of the series; of several quantiles the middle one.

        Raises
        ------
        ValueError
            If there are too few hours, or a customer is unknown or was forgotten.
        """
        check_is_fitted(self)
        past = check_series(past)
        now = copy.copy(self)  # another thread may put a later state in the place of this one
        unknown = [name for name in past if name not in now.scales_.index]
        if unknown:
            raise ValueError(f"the model knows no customer {unknown[0]!r}: it has no scale for it.")
        n_past, horizon = now._cutter.n_past, now._cutter.horizon
        recent = past.iloc[-n_past:]
        if len(recent) < n_past or recent.isna().to_numpy().any():
            raise ValueError(f"predict needs the last {n_past} hours of every customer, none of them missing.")
        ahead = pd.date_range(recent.index[-1], periods=horizon + 1, freq="h")[1:]
        padded = _scaled(recent, now.scales_).reindex(recent.index.append(ahead))
        starts = np.column_stack([np.arange(recent.shape[1]), np.zeros(recent.shape[1], dtype=int)])
        values = now.unlearner_.predict(now._cutter.cut(padded, starts)[0]).reshape(len(starts), horizon)
        scales = now.scales_.loc[list(recent)]
        return pd.DataFrame(
            (values * scales[["scale"]].to_numpy() + scales[["mean"]].to_numpy()).T, index=ahead, columns=recent.columns
        )


def _scaled(series: pd.DataFrame, scales: pd.DataFrame) -> pd.DataFrame:
    known = [name for name in series if name in scales.index]
    scaled = (series[known] - scales.loc[known, "mean"]) / scales.loc[known, "scale"]
    return scaled.reindex(columns=series.columns)


def _some(starts: np.ndarray, cutter: Windows) -> np.ndarray:
    if not len(starts):
        raise ValueError(f"the series hold no stretch of {cutter.length} hours without a gap: there is no window.")
    return starts


def _among(starts: np.ndarray, kept: np.ndarray) -> np.ndarray:
    left = set(map(tuple, kept.tolist()))
    return np.array([tuple(start) in left for start in starts.tolist()])
