"""Tasks on tables: diabetes, which ships with scikit-learn, and houses in California."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from torch import nn

from mlunlearn.datasets import find_data
from mlunlearn.regression.models.networks import mlp
from mlunlearn.regression.tasks.task import RegressionTask, recipe
from mlunlearn.training.seeds import derive_seeds

HOUSE_VALUES = ("MedHouseVal", "median_house_value")


def diabetes_progression(*, seed: int = 0) -> RegressionTask:
    """Progression of diabetes after a year, from ten measurements of 442 patients.

    Parameters
    ----------
    seed : int, default=0
        Seed of the split: 70 % training, 15 % validation, 15 % test.

    Returns
    -------
    RegressionTask
        Columns scaled to variance 1 by a constant, targets from 25 to 346, an MLP trained for 100 epochs.

    Examples
    --------
    >>> from mlunlearn.regression import diabetes_progression
    >>> len(diabetes_progression().y_test)
    67
    """
    X, y = load_diabetes(return_X_y=True)
    net = recipe(_Diabetes, criterion=nn.MSELoss, lr=1e-3, batch_size=32)
    return split_table("diabetes", X * np.sqrt(len(X)), y, net, "points", seed)


def california_housing(
    path: str | Path = "california_housing.csv", *, root: str | Path | None = None
) -> RegressionTask:
    """Median house values of districts in California.

    Parameters
    ----------
    path : path, default='california_housing.csv'
        A csv file with one column named ``MedHouseVal`` or ``median_house_value``; the other numeric columns are
        inputs. Rows with missing values are left out.
    root : path or None, default=None
        Data root; None takes ``MLUNLEARN_DATA``. Not used for an absolute path.

    Returns
    -------
    RegressionTask
        Columns as they are: scale them inside the unlearner, ``make_pipeline(StandardScaler(), task.net)``, so that
        the constants are learned again when rows are forgotten.

    Raises
    ------
    ValueError
        If there is no such target column.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from mlunlearn.regression import california_housing
    >>> with tempfile.NamedTemporaryFile(suffix=".csv") as file:
    ...     pd.DataFrame({"MedInc": range(20), "MedHouseVal": range(20)}).to_csv(file.name, index=False)
    ...     california_housing(file.name).X.shape
    (14, 1)
    """
    path = Path(path)
    table = pd.read_csv(path if path.is_absolute() else find_data(root, str(path))).dropna()
    targets = [name for name in HOUSE_VALUES if name in table]
    if not targets:
        raise ValueError(f"{path} has none of the columns {', '.join(HOUSE_VALUES)}.")
    inputs = table.drop(columns=targets[0]).select_dtypes("number")
    net = recipe(mlp(inputs.shape[1]), criterion=nn.MSELoss, lr=1e-3)
    X, y = inputs.to_numpy(np.float64), table[targets[0]].to_numpy(np.float64)
    return split_table("California housing", X, y, net, "dollars", 0)


def split_table(name: str, X: np.ndarray, y: np.ndarray, net: object, unit: str, seed: int) -> RegressionTask:
    """Split rows at random into 70 % training, 15 % validation and 15 % test.

    Parameters
    ----------
    name : str
        Name of the data.
    X : ndarray of shape (n, n_features)
        Inputs.
    y : ndarray of shape (n,)
        Targets.
    net : skorch.NeuralNetRegressor
        The network.
    unit : str
        Unit of the targets.
    seed : int
        Seed of the split.

    Returns
    -------
    RegressionTask
        The task.
    """
    order = np.random.default_rng(derive_seeds(seed)[0]).permutation(len(X))
    train, val, test = np.split(order, [int(0.7 * len(X)), int(0.85 * len(X))])
    return RegressionTask(
        name,
        X[train],
        y[train],
        X[val],
        y[val],
        X[test],
        y[test],
        net,
        unit,  # type: ignore[arg-type]
    )


class _Diabetes(nn.Sequential):
    """As a class, so that every seed draws its own weights."""

    def __init__(self) -> None:
        super().__init__(*mlp(10, (64, 64)))
