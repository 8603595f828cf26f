"""Problems, networks and models that the tests of every approximate method share."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from mlunlearn._testing import ConvNet, small_net
from mlunlearn.nets import TorchClassifier


@pytest.fixture(scope="session")
def blobs():
    """Three overlapping classes of five features, and rows held out."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(180) % 3)
    X = rng.normal(size=(180, 5)) + 2 * np.eye(3, 5)[y]
    return X[:120], y[:120], X[120:], y[120:]


@pytest.fixture(scope="session")
def trained(blobs):
    """A perceptron with dropout, trained elsewhere."""
    X, y, _, _ = blobs
    return TorchClassifier(small_net(), random_state=0).fit(X, y)


@pytest.fixture(scope="session")
def digits():
    """Small images as bytes."""
    X, y = load_digits(return_X_y=True)
    return (16 * X[:300]).clip(max=255).astype(np.uint8), y[:300]


@pytest.fixture(scope="session")
def trained_conv(digits):
    """A convolutional network with batch normalisation and dropout, trained elsewhere."""
    X, y = digits
    return TorchClassifier(small_net(module=ConvNet, max_epochs=5), random_state=0).fit(X, y)


@pytest.fixture
def frozen(trained):
    return FrozenEstimator(trained)


@pytest.fixture
def module_of():
    """The network of a fitted model."""
    return lambda model: model.estimator_.net_.module_


@pytest.fixture
def same_weights():
    """Whether two networks hold the same numbers, buffers included."""

    def same(first, second):
        return all(
            torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
        )

    return same
