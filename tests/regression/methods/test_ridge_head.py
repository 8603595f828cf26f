"""The ridge head against scikit-learn's ridge on the rows that are left."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from torch import nn

from mlunlearn import DataChangedError
from mlunlearn.nets.seeds import seeded
from mlunlearn.regression import RidgeHeadRegressor

N = 3000


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 6)) + 3
    return X, X @ rng.normal(size=(6, 2)) + rng.normal(size=(N, 2))


def same_as_ridge(model, X, Y, gone, alpha=1.0):
    oracle = Ridge(alpha=alpha).fit(np.delete(X, gone, axis=0), np.delete(Y, gone, axis=0))
    np.testing.assert_allclose(model.coef_, oracle.coef_, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, oracle.intercept_, atol=1e-8)


def test_a_thousand_single_removals_equal_one_refit(table):
    X, Y = table
    model = RidgeHeadRegressor().fit(X, Y)
    gone = np.random.default_rng(1).permutation(N)[:1000]
    for row in gone:
        model.unlearn([row])
    same_as_ridge(model, X, Y, gone)
    never = RidgeHeadRegressor().fit(X, Y, exclude=gone)
    assert np.array_equal(model.coef_, never.coef_)
    assert np.array_equal(model.intercept_, never.intercept_)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=40, unique=True), st.integers(0, 40))
def test_any_split_and_order_gives_the_same_bits(table, rows, cut):
    X, Y = table
    y = Y[:, 0]
    parts = [part for part in (rows[cut:], rows[:cut]) if part]
    model = RidgeHeadRegressor(alpha=0.3).fit(X, y)
    for part in parts:
        model.unlearn(part)
    assert np.array_equal(model.coef_, RidgeHeadRegressor(alpha=0.3).fit(X, y).unlearn(rows).coef_)
    same_as_ridge(model, X, y, rows, alpha=0.3)


def test_weights_are_those_of_scikit_learn(table, rng):
    X, Y = table
    weight = rng.random(N)
    model = RidgeHeadRegressor().fit(X, Y, sample_weight=weight).unlearn([5])
    oracle = Ridge().fit(np.delete(X, 5, 0), np.delete(Y, 5, 0), np.delete(weight, 5))
    np.testing.assert_allclose(model.coef_, oracle.coef_, atol=1e-8)


def test_only_touched_blocks_are_summed_again(table):
    model = RidgeHeadRegressor().fit(*table).unlearn([3])
    assert model.receipts_[-1].work.samples == 1023
    model.unlearn(slice(0, 1024))
    assert model.receipts_[-1].work.samples == 0


def test_features_of_a_network(table):
    X, Y = table
    with seeded(0):
        net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2))
    model = RidgeHeadRegressor(net, layer="1").fit(X, Y).unlearn(slice(0, 500))
    with torch.no_grad():
        H = torch.tanh(net[0](torch.as_tensor(X, dtype=torch.float32))).double().numpy()
    same_as_ridge(model, H, Y, np.arange(500))
    assert net.training


def test_features_from_elsewhere_are_taken_and_others_refused(table):
    X, Y = table
    elsewhere = PCA(2).fit(np.random.default_rng(7).normal(size=(50, 6)))
    model = RidgeHeadRegressor(FrozenEstimator(elsewhere)).fit(X, Y).unlearn([1, 2])
    same_as_ridge(model, elsewhere.transform(X), Y, [1, 2])
    with pytest.raises(TypeError, match="learn nothing"):
        RidgeHeadRegressor(PCA(2)).fit(X, Y)
    with pytest.raises(ValueError, match="alpha"):
        RidgeHeadRegressor(alpha=0.0).fit(X, Y)


def test_features_without_parameters(table):
    X, Y = table
    images = X.reshape(N, 1, 2, 3)
    model = RidgeHeadRegressor(nn.Flatten()).fit(images, Y).unlearn([4])
    same_as_ridge(model, X.astype(np.float32).astype(float), Y, [4])
    np.testing.assert_allclose(model.predict(images), RidgeHeadRegressor().fit(X, Y).unlearn([4]).predict(X), rtol=1e-4)


def edit_weight(net):
    with torch.no_grad():
        net[0].weight[0, 0] += 1e-3


def edit_statistic(net):
    net[1].running_mean[0] = 0.5


def edit_layer(net):
    net[2] = nn.ReLU()


def edit_attribute(net):
    net[2].gain = 5.0


def add_hook(net):
    net[2].register_forward_hook(lambda part, inputs, output: 2 * output)


def replace_forward(net):
    net[2].forward = lambda X: X**2


@pytest.mark.parametrize("edit", [edit_weight, edit_statistic, edit_layer, edit_attribute, add_hook, replace_forward])
def test_features_that_changed_since_fit_are_refused(edit, table):
    X, Y = table
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh())
    model = RidgeHeadRegressor(net).fit(X, Y).unlearn([7])
    before = model.coef_.copy()
    edit(net)
    with pytest.raises(DataChangedError, match="Sequential that makes the features was changed"):
        model.unlearn([8])
    assert np.array_equal(model.coef_, before)
    assert model.forgotten_.sum() == 1


def test_a_transformer_that_was_fitted_again_is_refused_and_a_reloaded_one_is_not(table):
    X, Y = table
    elsewhere = PCA(2).fit(np.random.default_rng(7).normal(size=(50, 6)))
    model = RidgeHeadRegressor(FrozenEstimator(elsewhere)).fit(X, Y)
    reloaded = pickle.loads(pickle.dumps(model)).attach_data(X, Y).unlearn([1])
    assert np.array_equal(reloaded.coef_, model.unlearn([1]).coef_)
    elsewhere.fit(X)
    with pytest.raises(DataChangedError, match="FrozenEstimator that makes"):
        model.unlearn([2])


def test_modes_of_a_module_do_not_matter(table):
    X, Y = table
    net = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5))
    model = RidgeHeadRegressor(net).fit(X, Y)
    net.eval()
    assert model.unlearn([1]).receipts_


def test_features_that_are_drawn_are_refused(table):
    class Noisy(nn.Module):
        def forward(self, X):
            return X + torch.randn_like(X)

    with pytest.raises(ValueError, match="other features of the same rows each time"):
        RidgeHeadRegressor(Noisy()).fit(*table)


def test_sums_are_made_without_reading_forgotten_rows():
    gone = np.array([3, 17, 60])
    X, y = load_diabetes(return_X_y=True)
    never = RidgeHeadRegressor().fit(X.copy(), y.copy(), exclude=gone)
    model = RidgeHeadRegressor().fit(X, y)
    X[gone], y[gone] = np.nan, -1.0
    np.testing.assert_array_equal(model.unlearn(gone).coef_, never.coef_)
    X, y = load_diabetes(return_X_y=True)
    model = RidgeHeadRegressor().fit(X, y)
    X[100] = 0.0
    with pytest.raises(DataChangedError, match="Row 100 was edited after fit"):
        model.unlearn(gone)


def test_reloaded_sums_forget_rows_that_are_erased():
    gone = np.array([3, 17, 60])
    X, y = load_diabetes(return_X_y=True)
    never = RidgeHeadRegressor().fit(X.copy(), y.copy(), exclude=gone)
    loaded = pickle.loads(pickle.dumps(RidgeHeadRegressor().fit(X, y)))
    X[gone], y[gone] = np.nan, np.inf
    np.testing.assert_array_equal(loaded.attach_data(X, y, erased=gone).unlearn(gone).coef_, never.coef_)
