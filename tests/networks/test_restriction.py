"""Training with a penalty on gradients."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional

from mlunlearn._testing import ConvNet, small_net
from mlunlearn.approximate import IAUClassifier
from mlunlearn.nets import TorchClassifier
from mlunlearn.networks import GradientRestrictedClassifier, per_sample_gradients


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    return rng.normal(size=(90, 5)) + np.eye(3, 5)[y], y


def states(*models):
    return zip(*(model.net_.module_.state_dict().values() for model in models), strict=True)


@pytest.mark.parametrize("module", ["perceptron", "conv"])
def test_without_weight_it_is_plain_training_to_the_bit(module, blobs):
    X, y = blobs
    options = {"max_epochs": 3} if module == "perceptron" else {"max_epochs": 3, "module": ConvNet}
    X = X if module == "perceptron" else np.random.default_rng(0).normal(size=(90, 64))
    plain = TorchClassifier(small_net(NeuralNetClassifier, **options), random_state=0).fit(X, y)
    restricted = TorchClassifier(small_net(GradientRestrictedClassifier, **options, alpha=0.0), random_state=0)
    assert all(torch.equal(*pair) for pair in states(plain, restricted.fit(X, y)))


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_single_samples_end_smaller(seed, blobs):
    X, y = blobs
    inputs, norms = torch.as_tensor(X, dtype=torch.float32), []
    for alpha in (0.0, 0.3):
        net = small_net(GradientRestrictedClassifier, max_epochs=30, alpha=alpha)
        module = TorchClassifier(net, random_state=seed).fit(X, y).net_.module_
        gradients = per_sample_gradients(module, functional.cross_entropy, inputs, torch.as_tensor(y))
        norms.append(torch.cat([g.flatten(start_dim=1) for g in gradients.values()], dim=1).norm(dim=1).mean())
    assert norms[1] < norms[0]


def test_the_penalty_is_the_sum_of_norms_and_only_in_training():
    """A parameter without gradient, and a layer whose gradient is nought, add nothing and break nothing."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.dead, self.spare = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, X):
            return self.first(X) + 0 * self.dead(X)

    net = GradientRestrictedClassifier(Net, criterion=nn.CrossEntropyLoss, alpha=0.5).initialize()
    X, y = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    plain = functional.cross_entropy(net.module_(X), y)
    weights = list(net.module_.first.parameters())
    expected = plain + 0.5 * sum(g.norm() for g in torch.autograd.grad(plain, weights, retain_graph=True))
    found = net.get_loss(net.module_(X), y, training=True)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(net.get_loss(net.module_(X), y), plain)
    found.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.module_.parameters() if p.grad is not None)


def test_it_serves_as_the_network_of_a_method(blobs):
    X, y = blobs
    net = small_net(GradientRestrictedClassifier, max_epochs=2, alpha=0.01)
    model = IAUClassifier(net, random_state=0).fit(X, y).unlearn([0, 1])
    assert model.get_params()["estimator__alpha"] == 0.01
    assert model.forgotten_.sum() == 2
