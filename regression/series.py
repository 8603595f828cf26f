"""Forecasters that forget customers and days: every window that touches them, and their part in every scale."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from mlunlearn.data import checksum
from mlunlearn.exceptions import DataChangedError, ForgetRequestError, UnknownIdError
from mlunlearn.receipts import Receipt, Work
from mlunlearn.regression.windows import Windows, blanked, check_series, customer_scales
from mlunlearn.state import ForgettingState, Guarantee


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
    receipts_ : list of Receipt
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
        series = check_series(series)
        cutter = self.windows or Windows()
        starts = _some(cutter.starts(series), cutter)
        scales = customer_scales(series)
        unlearner = clone(self.unlearner).fit(*cutter.cut(_scaled(series, scales), starts))
        self._swap(series, scales, starts, unlearner, [], cutter)
        return self

    def unlearn(self, customers: Any = None, *, start: Any = None, end: Any = None) -> Self:
        """Forget hours, every window that overlaps one of them, and their part in the scales.

        Parameters
        ----------
        customers : label, sequence of labels or None, default=None
            Whose hours; None is everybody's.
        start, end : timestamp or None, default=None
            From `start` to before `end`; None is the end of the series.

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
        check_is_fitted(self)
        started = perf_counter()
        self._require_data()
        if customers is None and start is None and end is None:
            raise ForgetRequestError("unlearn needs customers, start or end: nothing was asked to be forgotten.")
        try:
            left = blanked(self._data, customers, start, end)
        except ValueError as error:
            raise UnknownIdError(str(error)) from None
        kept = self._cutter.starts(left)
        if not len(kept):
            raise ForgetRequestError("no window would be left; a model of nothing is no model. Delete it instead.")
        scales = customer_scales(left)
        # A customer without hours left keeps a scale of its own while it is being forgotten, and none afterwards.
        passing = pd.concat([scales, self.scales_.drop(index=scales.index, errors="ignore")])
        keep = _among(self.starts_, kept)
        unlearner, work = self._forgotten(_scaled(self._data, passing), keep)
        receipt = Receipt(
            method=f"{type(self).__name__}({type(unlearner).__name__})",
            guarantee=unlearner.guarantee,
            rows=np.flatnonzero(~keep),
            already=np.array([], dtype=int),
            classes=(),
            n_retained=len(kept),
            seconds=perf_counter() - started,
            work=work,
            seed=unlearner.seed_,
        )
        self._swap(left, scales, kept, unlearner, [*self.receipts_, receipt], self._cutter)
        return self

    def _swap(
        self,
        series: pd.DataFrame,
        scales: pd.DataFrame,
        starts: np.ndarray,
        unlearner: Any,
        receipts: list[Receipt],
        cutter: Windows,
    ) -> None:
        """Put a new state in place at once."""
        held = series.notna().to_numpy()
        self.__dict__.update(
            {
                "_data": series,
                "_held": held,
                "_first_hour": series.index[0],
                "_checksum": checksum(series.to_numpy()[held]),
                "_cutter": cutter,
                "scales_": scales,
                "starts_": starts,
                "unlearner_": unlearner,
                "receipts_": receipts,
            }
        )

    def attach_data(self, series: pd.DataFrame) -> Self:
        """Give a reloaded forecaster its series back.

        Parameters
        ----------
        series : pandas.DataFrame of shape (n_hours, n_customers)
            As given to `fit`; hours that were forgotten since may hold anything, or be missing.

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
        check_is_fitted(self)
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
                "them, or fit again."
            )
        self._data = series.where(self._held)
        return self

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
        unknown = [name for name in past if name not in self.scales_.index]
        if unknown:
            raise ValueError(f"the model knows no customer {unknown[0]!r}: it has no scale for it.")
        n_past, horizon = self._cutter.n_past, self._cutter.horizon
        recent = past.iloc[-n_past:]
        if len(recent) < n_past or recent.isna().to_numpy().any():
            raise ValueError(f"predict needs the last {n_past} hours of every customer, none of them missing.")
        ahead = pd.date_range(recent.index[-1], periods=horizon + 1, freq="h")[1:]
        padded = _scaled(recent, self.scales_).reindex(recent.index.append(ahead))
        starts = np.column_stack([np.arange(recent.shape[1]), np.zeros(recent.shape[1], dtype=int)])
        values = self.unlearner_.predict(self._cutter.cut(padded, starts)[0]).reshape(len(starts), horizon)
        scales = self.scales_.loc[list(recent)]
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
