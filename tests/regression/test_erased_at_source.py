"""Rows erased at the source before they are forgotten: served where nobody reads them, refused by name elsewhere."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from torch import nn

from mlunlearn import DataChangedError
from mlunlearn.regression import (
    BlindspotRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
)

NET = nn.Linear(10, 1)
GONE = np.array([3, 17, 60])


def fitted(method, **params):
    X, y = load_diabetes(return_X_y=True)
    return method(NET, n_steps=2, random_state=0, **params).fit(X, y), X, y


def test_sums_are_made_without_reading_forgotten_rows():
    X, y = load_diabetes(return_X_y=True)
    never = RidgeHeadRegressor().fit(X.copy(), y.copy(), exclude=GONE)
    model = RidgeHeadRegressor().fit(X, y)
    X[GONE], y[GONE] = np.nan, -1.0
    np.testing.assert_array_equal(model.unlearn(GONE).coef_, never.coef_)
    X, y = load_diabetes(return_X_y=True)
    model = RidgeHeadRegressor().fit(X, y)
    X[100] = 0.0
    with pytest.raises(DataChangedError, match="Row 100 was edited after fit"):
        model.unlearn(GONE)


@pytest.mark.parametrize("method", [FineTuneRegressor, ShrinkPerturbRegressor])
def test_methods_that_read_retained_rows_alone(method):
    one, *_ = fitted(method)
    other, X, y = fitted(method)
    X[GONE], y[GONE] = np.nan, -1.0
    one.unlearn(GONE)
    other.unlearn(GONE)
    X, _ = load_diabetes(return_X_y=True)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("method", [BlindspotRegressor, GaussianAmnesiacRegressor, NegativeGradientRegressor])
def test_methods_that_read_what_they_forget_say_so(method):
    model, X, _ = fitted(method)
    before = model.predict(X)
    kept = X[17].copy()
    X[17] = 0.0
    with pytest.raises(DataChangedError, match=f"Row 17 was edited after fit: {method.__name__} reads what it forgets"):
        model.unlearn(GONE)
    X[17] = kept
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.unlearn(GONE).forgotten_.sum() == 3
