"""Rows erased at the source before they are forgotten: served where nobody reads them, refused by name elsewhere."""

import pickle

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


@pytest.mark.parametrize("method", [FineTuneRegressor, ShrinkPerturbRegressor])
def test_a_reloaded_network_forgets_rows_that_are_erased(method):
    model, X, y = fitted(method)
    loaded = pickle.loads(pickle.dumps(model))
    model.unlearn(GONE)
    erased, told = X.copy(), y.copy()
    erased[GONE], told[GONE] = np.nan, np.nan
    loaded.attach_data(erased, told, erased=GONE).unlearn(GONE)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_reloaded_sums_forget_rows_that_are_erased():
    X, y = load_diabetes(return_X_y=True)
    never = RidgeHeadRegressor().fit(X.copy(), y.copy(), exclude=GONE)
    loaded = pickle.loads(pickle.dumps(RidgeHeadRegressor().fit(X, y)))
    X[GONE], y[GONE] = np.nan, np.inf
    np.testing.assert_array_equal(loaded.attach_data(X, y, erased=GONE).unlearn(GONE).coef_, never.coef_)


@pytest.mark.parametrize("method", [BlindspotRegressor, GaussianAmnesiacRegressor, NegativeGradientRegressor])
def test_methods_that_read_what_they_forget_take_no_erased_rows(method):
    model, X, y = fitted(method)
    loaded = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match=f"{method.__name__} reads what it forgets"):
        loaded.attach_data(X, y, erased=GONE)
    loaded.attach_data(X, y).unlearn(GONE)
