"""CEU: bounds above what is measured, a budget that is kept, and no certificate where none holds."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch_geometric.nn import GCN, SGConv

from mlunlearn.graph import CEU, NodeClassifier, edge_list, stochastic_block_model
from mlunlearn.graph.linear.linear_problem import design
from mlunlearn.graph.reading import read_graph

DATA = stochastic_block_model([100, 100, 100], n_features=5, random_state=0)
KINDS = {"edges": [0, 5, 9, 100, 300], "nodes": [3, 40, 170], "features": [8, 70]}


def make(weight_decay=0.05, noise=3e-3, **options):
    """A CEU around a linear network."""
    network = partial(SGConv, 5, 3, K=2)
    return CEU(NodeClassifier(network, weight_decay=weight_decay), noise=noise, random_state=0, **options)


def test_linear_networks_are_told_from_others():
    graph = read_graph(DATA)
    assert design(SGConv(5, 3, K=2), graph).shape == (300, 6)
    assert design(SGConv(5, 3, K=2, bias=False), graph).shape == (300, 5)
    assert design(GCN(5, 4, 2, out_channels=3), graph) is None

    class Scaled(SGConv):
        """Linear in its input, but its own answer is scaled by a further weight."""

        def __init__(self):
            super().__init__(5, 3)
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, edge_index):
            return self.scale * super().forward(x, edge_index)

    class Bent(SGConv):
        """What comes after the layer is not linear."""

        def forward(self, x, edge_index):
            return super().forward(x, edge_index).relu()

    class Looped(SGConv):
        """The features pass the weights before the layer."""

        def forward(self, x, edge_index):
            return super().forward(x * self.lin.weight.sum(), edge_index)

    assert design(Scaled(), graph) is None
    assert design(Bent(5, 3), graph) is None
    assert design(Looped(5, 3), graph) is None


def test_training_ends_at_the_minimum_of_the_tilted_objective():
    model = make().fit(DATA)
    layer = model.estimator_.module_.double()
    w = torch.cat([layer.lin.weight, layer.lin.bias[:, None]], dim=1).detach().requires_grad_()
    graph = read_graph(DATA)
    z = torch.cat([propagated(DATA), torch.ones(300, 1)], dim=1).double()[graph.labelled]
    loss = torch.nn.functional.cross_entropy(z @ w.T, graph.y[graph.labelled]) + 0.025 * w.square().sum()
    (slope,) = torch.autograd.grad(loss, w)
    assert (slope + model._tilt).norm() < 1e-5  # in single precision
    assert model._tilt.std() == pytest.approx(3e-3, rel=0.6)
    assert model.spent_ <= 1e-10


def propagated(data):
    """The features, propagated twice by the dense normalised adjacency."""
    a = torch.eye(data.num_nodes)
    a[data.edge_index[0], data.edge_index[1]] = 1
    scale = a.sum(dim=1).rsqrt()
    a = scale[:, None] * a * scale
    return a @ a @ data.x


@pytest.mark.parametrize("of", KINDS)
def test_bounds_hold_and_the_step_ends_near_the_retrained_model(of):
    model, retrained = make(noise=1.0).fit(DATA), make(noise=1.0).fit(DATA, exclude=KINDS[of], of=of)
    start = model.weights_
    model.unlearn(KINDS[of], of=of)
    details = model.receipts_[-1].work.details
    assert not details["retrained"]
    assert details["residual"] <= details["bound"] <= details["worst_case"]
    assert details["bound"] <= details["allowed"]
    assert model.receipts_[-1].guarantee == "certified"
    moved = (start - retrained.weights_).norm()
    assert (model.weights_ - retrained.weights_).norm() < 0.05 * moved
    assert (model.weights_ - retrained.weights_).norm() <= details["bound"] / 0.05 + 1e-9


def test_errors_do_not_add_up_over_requests():
    model = make(noise=0.1).fit(DATA)
    rng = np.random.RandomState(0)
    edges = rng.permutation(edge_list(DATA).shape[1])
    spent = []
    for part in np.split(edges[:200], 20):
        model.unlearn(part, of="edges")
        details = model.receipts_[-1].work.details
        assert details["residual"] <= details["bound"] == model.spent_
        spent.append(details["bound"])
    assert np.mean(spent[10:]) < 3 * np.mean(spent[:10])


def test_where_the_allowance_is_spent_the_model_is_trained_again():
    model = make(noise=1e-6, max_newton_steps=1).fit(DATA).unlearn(KINDS["nodes"])
    details = model.receipts_[-1].work.details
    assert details["retrained"]
    assert details["bound"] <= details["allowed"]
    again = make(noise=1e-6).fit(DATA, exclude=KINDS["nodes"])
    assert torch.equal(model.weights_, again.weights_)


def test_more_steps_spare_the_training():
    """The second step starts where little is left, and leaves the square of it."""
    model, again = (
        make(noise=1e-6).fit(DATA).unlearn(KINDS["nodes"]),
        make(noise=1e-6).fit(DATA, exclude=KINDS["nodes"]),
    )
    details = model.receipts_[-1].work.details
    assert not details["retrained"]
    assert details["steps"] == 2
    assert details["residual"] <= details["bound"] <= details["allowed"]
    assert (model.weights_ - again.weights_).norm() < 1e-5


def test_the_allowance_is_that_of_the_theorem():
    model = make(noise=0.2, epsilon=0.5, delta=1e-3).fit(DATA)
    c = model.noise * model.epsilon / model.allowed_
    assert 1.5 * math.exp(-(c**2) / 2) == pytest.approx(1e-3)


def test_the_solver_s_residual_is_charged():
    """Cut short, the conjugate gradients leave much of the gradient, and the bound must say so."""
    model = make(noise=10.0, max_iter=1, max_newton_steps=1).fit(DATA).unlearn(KINDS["nodes"])
    short = model.receipts_[-1].work.details
    full = make(noise=10.0).fit(DATA).unlearn(KINDS["nodes"]).receipts_[-1].work.details
    assert full["residual"] < short["residual"] <= short["bound"] <= short["worst_case"]


def test_other_networks_get_no_certificate(blocks, node_classifier):
    model = CEU(node_classifier(blocks), random_state=0).fit(blocks).unlearn([0, 5], of="edges")
    assert model.guarantee == model.receipts_[-1].guarantee == "approximate"
    assert not hasattr(model, "allowed_")
    assert CEU(FrozenEstimator(node_classifier(blocks).fit(blocks))).fit(blocks).guarantee == "approximate"


def test_what_cannot_be_certified_is_refused():
    linear = NodeClassifier(SGConv(5, 3, K=2), weight_decay=0.0, max_epochs=2)
    with pytest.raises(ValueError, match="weight_decay"):
        CEU(linear).fit(DATA)
    with pytest.raises(ValueError, match="FrozenEstimator"):
        CEU(FrozenEstimator(linear.fit(DATA))).fit(DATA)
    with pytest.raises(ValueError, match="max_newton_steps"):
        make(max_newton_steps=0).fit(DATA)
