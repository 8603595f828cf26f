"""Targets that are standardised inside, and units that are folded into a network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_diabetes
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.approximate import EditedRegressor
from mlunlearn.nets import TorchRegressor
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import StandardizedRegressor, adopt
from mlunlearn.networks.outputs import rescale, unit_layer
from mlunlearn.networks.units import moments


@settings(deadline=None)
@given(hnp.arrays(float, st.integers(2, 60), elements=st.floats(-1e6, 1e6)), st.randoms())
def test_moments_do_not_depend_on_the_order_of_the_rows(y, random):
    order = list(range(len(y)))
    random.shuffle(order)
    assert [v.item() for v in moments(y)] == [v.item() for v in moments(y[order])]
    mean, scale = moments(y)
    np.testing.assert_allclose(mean, y.mean(), atol=1e-6)
    if y.std() > 1e-3:
        np.testing.assert_allclose(scale, y.std(), rtol=1e-9)


def test_a_constant_target_has_scale_one():
    assert moments(np.full(5, 0.1))[1] == 1
    assert moments(np.zeros((5, 2)))[1].tolist() == [1, 1]


def test_units_fold_into_the_last_linear_layer():
    with seeded(0):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 6), nn.Unflatten(1, (2, 3)))
        X = torch.randn(5, 3)
    before = net(X)
    rescale(unit_layer(net.eval(), X), np.array([2.0, 3.0]), np.array([1.0, -1.0]))
    expected = before * torch.tensor([2.0, 3.0])[:, None] + torch.tensor([1.0, -1.0])[:, None]
    torch.testing.assert_close(net(X), expected)


@pytest.fixture
def problem():
    """Targets far from zero, and the linear network that fits them best."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = 500 + 80 * (X @ np.array([1.0, -2.0, 0.5])) + rng.normal(size=200)
    best = np.linalg.lstsq(np.column_stack([X, np.ones(200)]), y, rcond=None)[0]
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.as_tensor(best[None, :3]))
        net.bias.fill_(best[3])
    return X, y, net


def slow(module, max_epochs=1):
    return NeuralNetRegressor(
        module, optimizer=torch.optim.SGD, lr=1e-9, max_epochs=max_epochs, train_split=None, verbose=0,
        callbacks="disable",
    )  # fmt: skip


def test_a_module_instance_that_knows_the_targets_starts_at_what_it_predicts(problem):
    X, y, net = problem
    before = net(torch.as_tensor(X, dtype=torch.float32)).detach().numpy().ravel()
    model = StandardizedRegressor(slow(net), random_state=0).fit(X, y)
    assert model.pretrained_
    np.testing.assert_allclose(model.mean_, y.mean())
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-5)
    trained = StandardizedRegressor(net, random_state=0).fit(X, y)
    assert np.abs(trained.predict(X) - y).mean() < 1.05 * np.abs(before - y).mean()


def test_a_module_instance_that_knows_nothing_starts_near_the_mean(problem):
    X, y, _ = problem
    with seeded(0):
        net = nn.Linear(3, 1)
    model = StandardizedRegressor(slow(net), random_state=0).fit(X, y)
    assert not model.pretrained_
    weight, bias = net.weight.detach().numpy(), net.bias.detach().numpy()
    np.testing.assert_allclose(model.predict(X), (X @ weight.T + bias).ravel() * y.std() + y.mean(), rtol=1e-4)


def test_a_module_instance_that_was_badly_trained_starts_at_what_it_predicts(problem):
    """It explains next to nothing, but its outputs are as large as the targets: they mean their units."""
    X, y, net = problem
    with torch.no_grad():
        net.weight.mul_(-0.3)
        net.bias.mul_(0.3)
    before = net(torch.as_tensor(X, dtype=torch.float32)).detach().numpy().ravel()
    assert np.square(before - y).mean() > 2 * y.var()
    model = StandardizedRegressor(slow(net), random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-4)
    edited = Nothing(slow(net)).fit(X, y)
    edited.probe = X
    edited.unlearn(slice(20))
    np.testing.assert_allclose(edited.seen["fresh"].ravel(), before, rtol=1e-3)


@pytest.mark.parametrize("location", [0.0, 500.0, -1e5])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_an_untrained_module_instance_never_starts_far_from_the_mean(problem, location, scale):
    X, y, _ = problem
    y = location + scale * (y - y.mean()) / y.std()
    for seed in range(5):
        with seeded(seed):
            net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
        start = StandardizedRegressor(slow(net), random_state=0).fit(X, y).predict(X)
        assert np.square(start - y).mean() < 2.5 * y.var()


class Nothing(EditedRegressor):
    """Edits nothing, and looks at the other networks of a request."""

    needs = frozenset({"retain"})

    def __init__(self, estimator, *, random_state=0):
        self.estimator = estimator
        self.random_state = random_state

    def _edit(self, module, forget, retain, run):
        final = self.estimator_
        X = torch.as_tensor(self.probe, dtype=torch.float32)
        with torch.no_grad():
            outputs = {"fresh": run.fresh("fresh")(X), "original": run.original(X)}
        self.seen = {name: final.restore_units(output.double().numpy()) for name, output in outputs.items()}


def test_forgetting_without_steps_changes_units_only(problem):
    X, y, net = problem
    gone = y < np.quantile(y, 0.2)
    for estimator in (slow(net), FrozenEstimator(net), FrozenEstimator(TorchRegressor(slow(net)).fit(X, y))):
        model = Nothing(estimator).fit(X, y)
        model.probe = X
        before = model.predict(X)
        model.unlearn(gone)
        own = isinstance(estimator, FrozenEstimator)
        np.testing.assert_allclose(model.estimator_.mean_, 0.0 if own else y[~gone].mean())
        np.testing.assert_allclose(model.predict(X), before, rtol=1e-4)
        np.testing.assert_allclose(model.seen["original"].ravel(), before, rtol=1e-4)  # in the units of the request
        if not own:  # an instance that knows the targets is where a restart begins
            np.testing.assert_allclose(model.seen["fresh"].ravel(), before, rtol=1e-3)


def test_a_regressor_of_this_class_is_adopted_with_its_units(problem):
    X, y, net = problem
    model = StandardizedRegressor(net, random_state=0).fit(X, y)
    taken = adopt(model, "regressor", X[:2], y)
    assert (taken.mean_, taken.adopted_) == (model.mean_, False)
    np.testing.assert_array_equal(taken.predict(X), model.predict(X))


def test_predictions_come_in_the_units_of_y():
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    model = StandardizedRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X).mean(), y.mean(), rtol=0.2)
