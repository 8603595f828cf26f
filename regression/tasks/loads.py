"""Electric loads: readings of transformers (ETT) and of the UCI customers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skorch import NeuralNetRegressor

from mlunlearn.datasets import find_data
from mlunlearn.networks.quantiles import QuantileLoss
from mlunlearn.regression.models.networks import SequenceForecaster
from mlunlearn.regression.tasks.task import recipe


def read_ett(*, root: str | Path | None = None, name: str = "ETTh1.csv") -> pd.DataFrame:
    """Read the hourly readings of an electricity transformer.

    Parameters
    ----------
    root : path or None, default=None
        Data root with the folder ``ett``; None takes ``MLUNLEARN_DATA``.
    name : str, default='ETTh1.csv'
        ``ETTh1.csv`` or ``ETTh2.csv``.

    Returns
    -------
    pandas.DataFrame of shape (n_hours, 7)
        Six loads and the oil temperature ``OT``, indexed by hour.

    Examples
    --------
    >>> from mlunlearn.regression import read_ett
    >>> series = read_ett()  # doctest: +SKIP
    """
    return pd.read_csv(find_data(root, "ett", name), index_col="date", parse_dates=["date"])


def read_uci_electricity(path: str | Path) -> pd.DataFrame:
    """Read ``LD2011_2014.txt``, the load of 370 customers every quarter of an hour, as means of whole hours.

    Parameters
    ----------
    path : path
        The file: semicolons between columns, decimal commas, the first column the time at the end of a quarter.

    Returns
    -------
    pandas.DataFrame of shape (n_hours, n_customers)
        Kilowatts; hours before a customer's first reading are missing.

    Examples
    --------
    >>> import io
    >>> from mlunlearn.regression import read_uci_electricity
    >>> quarters = [f'"2011-01-01 0{i // 4}:{15 * (i % 4):02d}:00";{i},5' for i in range(1, 9)]
    >>> read_uci_electricity(io.StringIO("\\n".join(['"";"MT_001"', *quarters])))["MT_001"].tolist()
    [3.0, 7.0]
    """
    quarters = pd.read_csv(path, sep=";", decimal=",", index_col=0, parse_dates=[0])
    quarters = quarters.astype(np.float64)
    hours = quarters.resample("h", closed="right", label="left").mean()
    started = (hours.fillna(0) != 0).cummax()
    return hours.where(started)


def load_forecaster(*, horizon: int = 24, max_epochs: int = 30, n_hidden: int = 64) -> NeuralNetRegressor:
    """Build a net that predicts the quantiles 0.1, 0.5 and 0.9 of the next hours.

    Parameters
    ----------
    horizon : int, default=24
        Hours ahead.
    max_epochs : int, default=30
        Passes.
    n_hidden : int, default=64
        Length of its state.

    Returns
    -------
    skorch.NeuralNetRegressor
        A `SequenceForecaster` with pinball loss, for windows scaled by customer.

    Examples
    --------
    >>> from mlunlearn.regression import load_forecaster
    >>> load_forecaster().max_epochs
    30
    """
    return recipe(
        SequenceForecaster,
        criterion=QuantileLoss,
        lr=1e-3,
        batch_size=64,
        max_epochs=max_epochs,
        module__n_features=5,
        module__horizon=horizon,
        module__n_hidden=n_hidden,
        module__scale_windows=False,
    )
