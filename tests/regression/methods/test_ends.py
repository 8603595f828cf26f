"""Frozen networks that do something on the way out, or whose last layer has no bias, on targets of any size."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn import ForgetRequestError
from mlunlearn.nets.seeds import seeded
from mlunlearn.regression import BlindspotRegressor, FineTuneRegressor, RestartRegressor, ShrinkPerturbRegressor


class Exp(nn.Module):
    def forward(self, X):
        return X.exp()


class Abs(nn.Module):
    def forward(self, X):
        return X.abs()


class UpTo(nn.Module):
    """A sigmoid times a constant."""

    def __init__(self, high):
        super().__init__()
        self.high = high

    def forward(self, X):
        return self.high * X.sigmoid()


# Given the size of the targets: the function, whether the last layer has a bias, and the units and the centre in which
# that layer is trained here.
ENDS = {
    "ReLU": lambda size: (nn.ReLU(), True, size, 2 * size),
    "Softplus": lambda size: (nn.Softplus(), True, size, 2 * size),
    "clamp": lambda size: (nn.Hardtanh(0.0, 5.0 * size), True, size, 2 * size),
    "sigmoid": lambda size: (UpTo(5 * size), True, 1.0, 0.0),
    "exp": lambda size: (Exp(), True, 1.0, np.log(2 * size)),
    "abs": lambda size: (Abs(), True, size, 2 * size),
    "no bias": lambda size: (nn.Identity(), False, size, 0.0),
}
METHODS = [ShrinkPerturbRegressor, BlindspotRegressor, RestartRegressor, FineTuneRegressor]
GONE = np.arange(40)


def targets(diabetes, size):
    X, y = diabetes
    return X.astype(np.float32), (size * y / y.std()).astype(np.float32)


def trained(end, size, X, y, seed=0):
    """A network trained outside, with steps of the size that its last layer needs."""
    function, bias, unit, centre = ENDS[end](size)
    with seeded(seed):
        net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1, bias=bias), function)
    with torch.no_grad():
        net[2].weight.mul_(unit)
        if bias:
            net[2].bias.fill_(centre)
    rates = [{"params": net[0].parameters(), "lr": 0.02}, {"params": net[2].parameters(), "lr": 0.02 * unit}]
    optimizer, X, y = torch.optim.Adam(rates), torch.as_tensor(X), torch.as_tensor(y)[:, None]
    for _ in range(250):
        optimizer.zero_grad()
        (nn.functional.mse_loss(net(X), y) / size**2).backward()
        optimizer.step()
    return net.eval()


def frozen(net):
    return FrozenEstimator(
        NeuralNetRegressor(
            net, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=20, train_split=None, verbose=0, callbacks="disable"
        ).initialize()
    )


def error(prediction, y):
    return float(np.mean((prediction.ravel() - y) ** 2) / y.var())


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("end", ENDS)
def test_the_fit_of_the_retained_rows_is_kept(end, size, diabetes):
    """The defaults end near a model trained from scratch on the retained rows, whatever the targets' size.

    The retrained model took 250 passes; a restart takes 60 steps and is held to half the variance less.
    """
    X, y = targets(diabetes, size)
    kept = np.setdiff1d(np.arange(len(y)), GONE)
    net, other = trained(end, size, X, y), trained(end, size, X[kept], y[kept], seed=1)
    with torch.no_grad():
        measure = error(other(torch.as_tensor(X[kept])).numpy(), y[kept])
    assert measure < 0.45
    for method in METHODS:
        model = method(frozen(net), random_state=1).fit(X, y)
        before = model.predict(X)
        after = error(model.unlearn(GONE).predict(X)[kept], y[kept])
        assert error(before[kept], y[kept]) < 0.45
        assert after < measure + (0.5 if method is RestartRegressor else 0.25), method
        assert not any(part._forward_hooks for part in model.estimator_.net_.module_.modules())


@pytest.mark.parametrize("end", ["ReLU", "clamp", "abs", "no bias"])
@pytest.mark.parametrize("method", METHODS)
def test_the_size_of_the_targets_does_not_matter(end, method, diabetes):
    """Networks that are the same but for the size of their last layer."""
    errors = []
    for size in (1.0, 1e4):
        X, y = targets(diabetes, size)
        net = trained(end, 1.0, X, (y / size).astype(np.float32))
        with torch.no_grad():
            for p in net[2].parameters():
                p.mul_(size)
            if end == "clamp":
                net[3].max_val = 5.0 * size
        errors.append(error(method(frozen(net), random_state=1).fit(X, y).unlearn(GONE).predict(X), y))
    np.testing.assert_allclose(*errors, rtol=0.05)


def test_a_network_in_the_units_of_the_targets_after_uniform_steps(diabetes):
    """A last layer and a first one that share the size of the targets, as plain training leaves them."""
    X, y = targets(diabetes, 77.0)
    with seeded(0):
        net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1), nn.ReLU())
    optimizer, A, b = torch.optim.Adam(net.parameters(), lr=0.02), torch.as_tensor(X), torch.as_tensor(y)[:, None]
    for _ in range(250):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(A), b).backward()
        optimizer.step()
    for method in METHODS:
        model = method(frozen(net), random_state=0).fit(X, y)
        before = error(model.predict(X)[40:], y[40:])
        assert error(model.unlearn(GONE).predict(X)[40:], y[40:]) < before + 0.05


class Residual(nn.Module):
    """Its output is no function of one layer: no units fit in."""

    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(10, 16), nn.Linear(16, 1)

    def forward(self, X):
        return self.last(self.inner(X).relu()) + X[:, :1]


@pytest.mark.parametrize("method", [ShrinkPerturbRegressor, BlindspotRegressor, RestartRegressor])
def test_a_network_that_would_be_ruined_is_refused_and_left_as_it_was(method, diabetes):
    X, y = targets(diabetes, 1e4)
    with seeded(0):
        net = Residual()
    optimizer, A, b = torch.optim.Adam(net.parameters(), lr=1.0), torch.as_tensor(X), torch.as_tensor(y)[:, None]
    for _ in range(250):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(A), b).backward()
        optimizer.step()
    keep = {} if method is RestartRegressor else {"keep": 0.1}
    model = method(frozen(net), random_state=0, **keep).fit(X, y)
    before, state = model.predict(X), dict(vars(model))
    with pytest.raises(ForgetRequestError, match="ruined the network: its squared error on the retained rows"):
        model.unlearn(GONE)
    np.testing.assert_array_equal(model.predict(X), before)
    assert vars(model) == state
    assert not model.receipts_
