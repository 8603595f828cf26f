"""Units of networks that do something on the way out."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.links import Link, last_layer


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, X):
        return self.function(X)


# Functions that rise, and their slope by hand, with the targets' mean and standard deviation that they can put out.
RISING = {
    "relu": (torch.relu, 100.0, 10.0, 10.0, 100.0),
    "softplus": (nn.functional.softplus, 1e4, 1e3, 1e3, 1e4),
    "clamp": (lambda z: z.clamp(0.0, 5.0), 2.0, 0.5, 0.5, 2.0),
    "exp": (torch.exp, 100.0, 50.0, np.log(1.5), np.log(100.0)),
    "sigmoid": (lambda z: 8 * torch.sigmoid(z), 4.0, 2.0, np.log(3.0), 0.0),
    "abs": (torch.abs, 7.0, 3.0, 3.0, 7.0),
    "square": (torch.square, 9.0, 7.0, 1.0, 3.0),
    "falling": (lambda z: -torch.relu(z), -7.0, 3.0, 3.0, 7.0),
    "half": (lambda z: z / 2, 1.0, 1.0, 2.0, 2.0),
}


def network(function, *, outputs=1, bias=True, seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs, bias=bias), Apply(function)).eval()


@pytest.fixture
def X():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", RISING)
def test_the_units_are_those_at_which_the_output_is_standardised(name, X):
    function, mean, scale, gain, shift = RISING[name]
    net = network(function)
    layer = last_layer(net, X)
    assert layer is net[2]
    link = Link.of(net, layer, X, np.array(mean), np.array(scale))
    np.testing.assert_allclose(link.gain, gain, rtol=1e-2)
    np.testing.assert_allclose(link.shift, shift, rtol=1e-3, atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(RISING)), st.integers(0, 99), st.booleans())
def test_wearing_units_changes_the_units_of_the_output_alone(name, seed, bias):
    function, mean, scale, *_ = RISING[name]
    net, X = network(function, bias=bias, seed=seed), torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    before, weights = net(X).detach(), copy.deepcopy(net.state_dict())
    link = Link.of(net, net[2], X, np.array(mean), np.array(scale))
    link.fold_in(net[2])
    handles = link.put_on(net, net[2])
    for wearing in (net, copy.deepcopy(net)):
        torch.testing.assert_close(wearing(X) * scale + mean, before, rtol=1e-3, atol=1e-3 * scale)
    for handle in handles:
        handle.remove()
    link.fold_out(net[2])
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-4, atol=1e-4 + 1e-6 * abs(mean))


def test_every_output_has_units_of_its_own(X):
    net = network(nn.functional.softplus, outputs=2)
    link = Link.of(net, net[2], X, np.array([100.0, 1e4]), np.array([10.0, 50.0]))
    np.testing.assert_allclose(link.gain, [10.0, 50.0], rtol=1e-2)
    np.testing.assert_allclose(link.shift, [100.0, 1e4], rtol=1e-4)


@pytest.mark.parametrize(
    ("function", "mean"),
    [(torch.sin, 0.5), (torch.sigmoid, 100.0), (torch.relu, -5.0), (lambda z: z * 0 + 1, 1.0)],
)
def test_no_units_where_the_output_does_not_reach_the_mean_or_turns(function, mean, X):
    net = network(function)
    assert Link.of(net, net[2], X, np.array(mean), np.array(1.0)) is None


class Otherwise(nn.Module):
    """A linear layer, and something that the output depends on as well."""

    def __init__(self, function):
        super().__init__()
        self.last, self.weight, self.function = nn.Linear(4, 2), nn.Parameter(torch.ones(2)), function

    def forward(self, X):
        return self.function(self, X)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, X: net.last(X) + X[:, :2],
        lambda net, X: net.last(X) * X[:, :2].sigmoid(),
        lambda net, X: net.last(X) * net.weight,
        lambda net, X: net.last(X).softmax(dim=1),
        lambda net, X: net.last(X).cumsum(dim=1),
        lambda net, X: net.last(X) + net.last(-X),
    ],
)
def test_a_layer_that_is_not_all_that_counts_is_not_taken(function, X):
    assert last_layer(Otherwise(function).eval(), X) is None


def test_a_layer_without_a_bias_takes_up_the_size(X):
    net = network(torch.relu, bias=False)
    link = Link.of(net, net[2], X, np.array(400.0), np.array(300.0))
    np.testing.assert_allclose([link.gain, link.shift], [[500.0], [0.0]], rtol=1e-2)
