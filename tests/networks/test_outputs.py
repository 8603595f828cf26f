"""Networks that do something on the way out, and networks with several outputs for a target."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn
from torch.nn import functional

from mlunlearn.approximate import EditedRegressor
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import QuantileLoss, StandardizedRegressor
from mlunlearn.networks.outputs import unit_layer


class Nothing(EditedRegressor):
    """Edits nothing."""

    needs = frozenset()

    def __init__(self, estimator, *, random_state=0):
        self.estimator = estimator
        self.random_state = random_state

    def _edit(self, module, forget, retain, run):
        pass


class Exp(nn.Module):
    def forward(self, X):
        return X.exp()


class Called(nn.Module):
    """Calls a function on the output of a network, inside ``forward``."""

    def __init__(self, function):
        super().__init__()
        self.first, self.relu, self.last, self.function = nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1), function

    def forward(self, X):
        return self.function(self.last(self.relu(self.first(X))))


def clamped(X):
    return X.clamp(0.0, 3.0)


def ended(last):
    return nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1), last)


# What a network ends in.
ENDS = {
    "ReLU": lambda: ended(nn.ReLU()),
    "relu": lambda: Called(torch.relu),
    "Softplus": lambda: ended(nn.Softplus()),
    "softplus": lambda: Called(functional.softplus),
    "Sigmoid": lambda: ended(nn.Sigmoid()),
    "sigmoid": lambda: Called(torch.sigmoid),
    "clamp": lambda: Called(clamped),
    "Exp": lambda: ended(Exp()),
    "exp": lambda: Called(torch.exp),
    "Hardtanh": lambda: ended(nn.Hardtanh(0.0, 3.0)),
    "hardtanh": lambda: Called(nn.Hardtanh(0.0, 3.0).forward),
}


def linear_layers(net):
    return [part for part in net.modules() if isinstance(part, nn.Linear)]


def build(end):
    with seeded(0):
        net = ENDS[end]()
        with torch.no_grad():
            linear_layers(net)[-1].bias.fill_(1.0)  # no output starts below zero
    return net


@pytest.fixture(scope="module")
def positive():
    """Targets that fit into every range, most of them well above zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    return X, 0.15 + 0.7 / (1 + np.exp(-X @ np.array([1.0, -1.0, 0.5, 0.0])))


def skorch_net(module):
    return NeuralNetRegressor(
        module, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=20, batch_size=32, train_split=None, verbose=0,
        callbacks="disable",
    )  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_no_layer_takes_units_where_no_row_reaches_a_bound(end, positive):
    net = build(end).eval()
    with torch.no_grad():
        linear_layers(net)[-1].weight.mul_(1e-3)  # all pre-activations are about 1: a ReLU and a clamp change nothing
    before = copy.deepcopy(net.state_dict())
    assert unit_layer(net, torch.as_tensor(positive[0][:8])) is None
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.modules())


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(0, 99), st.booleans())
def test_a_linear_layer_that_is_the_output_is_found(n_outputs, seed, flat):
    with seeded(seed):
        last = nn.Linear(5, n_outputs)
        net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), last, nn.Flatten() if flat else nn.Identity()).eval()
        assert unit_layer(net, torch.randn(3, 4)) is last


class Odd(nn.Module):
    """Puts out what a function makes of its layers."""

    def __init__(self, function):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(4, 1), nn.Linear(4, 1, bias=False), function

    def forward(self, X):
        return self.function(self, X)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, X: net.b(X),  # has no bias to take a shift up
        lambda net, X: net.a(X) + X[:, :1],
        lambda net, X: net.a(X) / 2,
        lambda net, X: net.a(-X) * 0 + net.a(X),  # called twice
        lambda net, X: net.a(X).detach().abs(),
        lambda net, X: (net.a.weight * X).sum(dim=1, keepdim=True),
    ],
)
def test_outputs_that_cannot_take_units(function):
    with seeded(0):
        assert unit_layer(Odd(function).eval(), torch.randn(3, 4).abs()) is None


def test_weights_that_serve_something_else_do_not_take_units():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).eval()
    X = torch.randn(3, 4)
    assert unit_layer(net, X) is net[2]
    net[2].weight = net[0].weight
    assert unit_layer(net, X) is None
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 1))).eval()
    assert unit_layer(normed, X) is None


def test_the_layer_is_found_where_another_is_called_later():
    def both(net, X):
        return net.a(X), net.b(X)

    net = Odd(both).eval()
    assert unit_layer(net, torch.randn(3, 4)) is net.a


class MeanAndVariance(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.log = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, X):
        return torch.stack([self.mean(X), self.log(X).exp()], dim=2)


class Likelihood(nn.Module):
    def forward(self, prediction, target):
        return nn.functional.gaussian_nll_loss(prediction[..., 0], target, prediction[..., 1])


class NeedsMore(nn.Module):
    def forward(self, prediction, target, variance):
        return (prediction - target).square().mean()


class Pinball(nn.Module):
    """Somebody's own, for (n, 3)."""

    def forward(self, prediction, target):
        error = target - prediction
        levels = torch.tensor([0.1, 0.5, 0.9])
        return torch.maximum(levels * error, (levels - 1) * error).mean()


@pytest.mark.parametrize(
    ("module", "criterion", "message"),
    [
        (nn.Linear(4, 1), nn.GaussianNLLLoss, "variance"),
        (MeanAndVariance(), Likelihood, "a mean and a variance, are not supported"),
        (nn.Linear(4, 1), NeedsMore, "cannot be called with a prediction and a target"),
        (nn.Linear(4, 3), Pinball, "QuantileLoss"),
        (nn.Linear(4, 3), QuantileLoss, "n_samples, n_outputs, n_quantiles"),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_heads_that_cannot_be_unlearned_are_refused_at_fit(module, criterion, message, frozen, positive):
    net = skorch_net(module).set_params(criterion=criterion)
    estimator = FrozenEstimator(net.initialize()) if frozen else net
    with pytest.raises(ValueError, match=message):
        Nothing(estimator).fit(*positive)


def test_quantiles_of_one_target_are_kept_in_order(positive):
    X, y = positive
    module = nn.Sequential(nn.Linear(4, 3), nn.Unflatten(1, (1, 3)))
    model = StandardizedRegressor(skorch_net(module).set_params(criterion=QuantileLoss), random_state=0).fit(X, y)
    low, middle, high = model.predict_all(X)[:, 0].T
    np.testing.assert_array_equal(model.predict(X), middle)
    assert (y < low).mean() < (y < middle).mean() < (y < high).mean()
