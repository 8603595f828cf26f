"""Networks, data and models that the tests of every regression method share."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.nets.seeds import seeded


@pytest.fixture
def mlp():
    with seeded(0):
        return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X / X.std(axis=0), y


@pytest.fixture(scope="session")
def patients(diabetes):
    """As many of them as show what a method does, and which are to be forgotten: a band of the target."""
    X, y = (part[:160] for part in diabetes)
    return X, y, y <= 90


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def net_of():
    """A net that trains quickly around a module."""

    def make(module, *, max_epochs=20, lr=1e-2, batch_size=32, **params):
        return NeuralNetRegressor(
            module, optimizer=torch.optim.Adam, lr=lr, max_epochs=max_epochs, batch_size=batch_size,
            train_split=None, callbacks="disable", verbose=0, **params,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def trained(patients):
    """A perceptron trained elsewhere, in the units of the target."""
    X, y, _ = patients
    with seeded(0):
        module = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    net = NeuralNetRegressor(
        module, optimizer=torch.optim.Adam, lr=3e-2, max_epochs=10, batch_size=32, train_split=None,
        callbacks="disable", verbose=0,
    )  # fmt: skip
    return TorchRegressor(net, random_state=0).fit(X, y)


@pytest.fixture
def frozen(trained):
    return FrozenEstimator(trained)


@pytest.fixture(scope="session")
def module_of():
    """The network of a fitted model, alone or at the end of a pipeline."""

    def module(model):
        final = model.estimator_
        final = final[-1] if hasattr(final, "steps") else final
        return final.net_.module_

    return module


@pytest.fixture(scope="session")
def same_weights():
    """Whether two networks hold the same numbers, buffers included."""

    def same(first, second):
        return all(
            torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
        )

    return same


@pytest.fixture
def threefold(mlp):
    """The same architecture at other weights."""
    other = copy.deepcopy(mlp)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(3)
    return other
