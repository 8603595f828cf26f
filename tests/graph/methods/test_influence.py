"""Influence steps against dense solves, exact retraining and known curves."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch.func import functional_call, hessian, jacrev
from torch_geometric.nn import GAT, GCN, SGConv

from mlunlearn.graph import GIF, LinkPredictor, NodeClassifier, UtU, stochastic_block_model
from mlunlearn.graph.methods.influence import (
    Influence,
    flat,
    gauss_newton_product,
    hessian_product,
    precise,
)
from mlunlearn.graph.models.training import run
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete
from mlunlearn.networks.solvers import conjugate_gradient, lissa

NO_STEP = 1e-50  # a learning rate that single precision rounds to zero
DATA = stochastic_block_model([60, 60, 60], n_features=5, random_state=1)
GRAPH = precise(read_graph(DATA))
KINDS = {"nodes": [3, 17, 40, 90], "edges": [0, 5, 9, 44], "features": [8, 70]}


def classifier(module, weight_decay=1e-2):
    """A node classifier that is not fitted, for what it says about losses and penalties."""
    return NodeClassifier(module, weight_decay=weight_decay)


def objective(module, graph, weight_decay):
    """The mean training loss with its penalty."""
    loss = torch.nn.functional.cross_entropy(run(module, graph)[graph.labelled], graph.y[graph.labelled])
    return loss + weight_decay / 2 * sum(p.square().sum() for p in module.parameters())


def minimised(module, graph, weight_decay):
    """Train a linear network to the minimum by Newton's method, in double precision, from zero."""
    parameters = list(module.parameters())
    torch.nn.utils.vector_to_parameters(torch.zeros_like(weights(module)), parameters)
    for _ in range(12):
        loss = objective(module, graph, weight_decay)
        gradient = flat(torch.autograd.grad(loss, parameters))
        product = hessian_product(objective(module, graph, weight_decay), parameters)
        step = conjugate_gradient(product, gradient, tol=1e-10, max_iter=500).step
        torch.nn.utils.vector_to_parameters(weights(module) - step, parameters)
    assert gradient.norm() < 1e-12
    return module


def weights(module):
    """All weights in one vector."""
    return flat(p.detach() for p in module.parameters())


def linear(seed=0):
    """A linear network on features propagated twice."""
    torch.manual_seed(seed)
    return SGConv(5, 3, K=2).double()


# ----------------------------------------------------------------- solvers


@pytest.fixture(scope="module")
def dense():
    """A network of 50 parameters, its Gauss-Newton matrix and its Hessian, written out."""
    torch.manual_seed(0)
    module = GCN(5, 5, 2, out_channels=3, bias=True).double()
    parameters = dict(module.named_parameters())

    def outputs(values):
        return functional_call(module, values, (GRAPH.x, GRAPH.edge_index))[GRAPH.labelled]

    def loss(values):
        return torch.nn.functional.cross_entropy(outputs(values), GRAPH.y[GRAPH.labelled], reduction="sum")

    n = sum(p.numel() for p in parameters.values())
    assert 40 <= n <= 60
    bent = hessian(loss)(parameters)
    h = torch.cat(
        [torch.cat([bent[a][b].reshape(parameters[a].numel(), -1) for b in parameters], 1) for a in parameters]
    )
    slopes = jacrev(outputs)(parameters)
    j = torch.cat([slopes[name].flatten(2) for name in parameters], dim=2).detach()
    p = outputs(parameters).detach().softmax(dim=1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    return module, torch.einsum("ncp,ncd,ndq->pq", j, inner, j), h.detach()


def test_products_are_those_of_the_dense_matrices(dense):
    module, gauss_newton, h = dense
    parameters = list(module.parameters())
    outputs = run(module, GRAPH)[GRAPH.labelled]
    loss = torch.nn.functional.cross_entropy(outputs, GRAPH.y[GRAPH.labelled], reduction="sum")
    vector = torch.randn(len(h), dtype=torch.float64)
    assert torch.allclose(gauss_newton_product(outputs, parameters)(vector), gauss_newton @ vector, atol=1e-10)
    assert torch.allclose(hessian_product(loss, parameters)(vector), h @ vector, atol=1e-10)


def test_both_solvers_end_at_the_dense_solve(dense):
    _, gauss_newton, _ = dense
    n = len(gauss_newton)
    right = torch.randn(n, dtype=torch.float64)
    damped = gauss_newton + 2.0 * torch.eye(n)
    exact = torch.linalg.solve(damped, right)
    found = conjugate_gradient(lambda x: damped @ x, right, tol=1e-12, max_iter=500)
    assert torch.allclose(found.step, exact, atol=1e-9)
    assert found.residual < 1e-10
    scale = float(torch.linalg.eigvalsh(gauss_newton)[-1])
    fixed = lissa(lambda x: gauss_newton @ x, right, steps=3000, scale=scale, damping=0.01)
    exact = torch.linalg.solve(gauss_newton + 0.01 * scale * torch.eye(n), right)
    assert torch.allclose(fixed.step, exact, atol=1e-9)
    assert fixed.residual < 1e-9
    short = lissa(lambda x: gauss_newton @ x, right, steps=5, scale=scale * 1e6)
    assert short.residual > 0.9  # a scale that is too large makes hardly any step, and the residual says so


def test_one_newton_step_is_retraining_for_a_ridge():
    """Quadratic loss on propagated features: the step with the retained matrix ends where retraining does."""
    module, deletion = linear(), delete(GRAPH, "nodes", np.array(KINDS["nodes"]))
    ridge, parameters = 0.3, list(module.parameters())

    def loss(graph):
        rows = graph.labelled
        target = torch.nn.functional.one_hot(graph.y[rows], 3).double()
        squares = (run(module, graph)[rows] - target).square().sum() / 2
        return squares + ridge / 2 * sum(p.square().sum() for p in parameters)

    def solve(graph):
        product, gradient = hessian_product(loss(graph), parameters), torch.autograd.grad(loss(graph), parameters)
        return weights(module) - conjugate_gradient(product, flat(gradient), tol=1e-14, max_iter=500).step

    torch.nn.utils.vector_to_parameters(solve(deletion.before), parameters)
    v = flat(torch.autograd.grad(loss(deletion.before) - loss(deletion.after), parameters))
    product = hessian_product(loss(deletion.after), parameters)
    stepped = weights(module) + conjugate_gradient(product, v, tol=1e-14, max_iter=500).step
    retrained = solve(deletion.remaining)
    assert (weights(module) - retrained).norm() > 1e-3
    assert (stepped - retrained).norm() < 1e-8


# ---------------------------------------------------------- the whole step


@pytest.mark.parametrize("of", KINDS)
def test_the_right_hand_side_is_the_gradient_of_what_remains(of):
    """At a minimum, the gradient of all that remains is minus the right-hand side, though that looks at few nodes."""
    module = minimised(linear(), GRAPH, 1e-2)
    deletion = delete(GRAPH, of, np.array(KINDS[of]))
    influence = Influence(classifier(module), module, deletion, seed=0)
    n = int(deletion.after.labelled.sum())
    remaining = flat(torch.autograd.grad(objective(module, deletion.remaining, 1e-2), list(module.parameters())))
    assert torch.allclose(influence.gradient, -n * remaining, atol=1e-8)
    assert influence.gradient.norm() > 1e-3


@pytest.mark.parametrize("of", ["nodes", "edges"])
def test_the_error_falls_with_the_square_of_the_forgotten_share(of):
    data = precise(read_graph(stochastic_block_model([300] * 3, n_features=5, random_state=1)))
    trained = minimised(linear(), data, 1e-2)
    candidates = data.labelled.nonzero().flatten().numpy() if of == "nodes" else np.arange(data.n_edges)
    errors = np.zeros((4, 2, 2))
    for draw, error in enumerate(errors):
        order = np.random.RandomState(draw).permutation(candidates)
        for i, n in enumerate((16, 64)):
            deletion = delete(data, of, np.sort(order[:n]))
            module = linear()
            module.load_state_dict(trained.state_dict())
            influence = Influence(classifier(module), module, deletion, seed=0)
            influence.move(conjugate_gradient(influence.gauss_newton(), influence.gradient, tol=1e-12).step)
            retrained = weights(minimised(linear(), deletion.remaining, 1e-2))
            error[i] = (weights(module) - retrained).norm(), (weights(trained) - retrained).norm()
    (ours, unmoved), (ours_4, unmoved_4) = errors.mean(axis=0)
    assert ours < 0.1 * unmoved
    # Random changes add up like the root of their number, and the step's error like the square of the change.
    assert np.log(ours_4 / ours) == pytest.approx(2 * np.log(unmoved_4 / unmoved), rel=0.35)


@pytest.mark.parametrize("network", [GCN, GAT])
def test_where_nothing_is_forgotten_nothing_moves(network):
    module = network(5, 4, 2, out_channels=3).double().eval()
    influence = Influence(classifier(module, 0.0), module, delete(GRAPH, "edges", np.array([], dtype=int)), seed=0)
    assert not influence.gradient.any()
    before = weights(module)
    influence.move(conjugate_gradient(influence.gauss_newton(1e-3), influence.gradient).step)
    assert torch.equal(weights(module), before)


@pytest.mark.parametrize("solver", ["cg", "lissa"])
def test_far_off_nodes_move_nothing(undirected, solver):
    """Two components; the labels are all in the one, the request is about the other: no weight changes."""
    data = undirected(
        (0, 1), (1, 2), (3, 4), (4, 5), (5, 6), x=torch.randn(7, 4), y=torch.tensor([0, 1, 0, 1, 0, 1, 0])
    )
    data.train_mask = torch.arange(7) < 3
    make = partial(GCN, 4, 4, 2, out_channels=2)
    model = GIF(NodeClassifier(make, max_epochs=5), solver=solver, random_state=0).fit(data)
    before = {name: value.clone() for name, value in model.estimator_.module_.state_dict().items()}
    model.unlearn([4])
    assert all(torch.equal(value, before[name]) for name, value in model.estimator_.module_.state_dict().items())
    assert model.receipts_[-1].work.details["residual"] == 0


@pytest.mark.parametrize("solver", ["cg", "lissa"])
def test_test_labels_never_enter(blocks, node_classifier, solver, same_state):
    other = blocks.clone()
    other.y[blocks.test_mask] = 2 - other.y[blocks.test_mask]
    a, b = (
        GIF(node_classifier(d), solver=solver, max_iter=10, random_state=0).fit(d).unlearn([3, 17])
        for d in (blocks, other)
    )
    assert same_state(a, b)


def test_gif_comes_nearer_to_the_minimum_of_what_remains():
    """Through the public door, around a linear model trained elsewhere to its minimum, in single precision."""
    module = minimised(linear(), GRAPH, 1e-2).float()
    trained = NodeClassifier(module, max_epochs=1, lr=NO_STEP, weight_decay=1e-2).fit(DATA)
    retrained = weights(minimised(linear(), delete(GRAPH, "nodes", np.array(KINDS["nodes"])).remaining, 1e-2))
    gif, utu = (m.fit(DATA).unlearn(KINDS["nodes"]) for m in (GIF(FrozenEstimator(trained), damping=0.0), UtU(trained)))
    far = (weights(utu.estimator_.module_).double() - retrained).norm()
    assert (weights(gif.estimator_.module_).double() - retrained).norm() < 0.1 * far
    details = gif.receipts_[-1].work.details
    assert details["residual"] < 1e-5
    assert 0 < details["iterations"] < 60


@pytest.mark.parametrize("of", KINDS)
@pytest.mark.parametrize("task", ["nodes", "links"])
def test_looking_at_near_nodes_alone_loses_nothing(links, of, task):
    """Far losses are the same before and after: the right-hand side is that of the sums over everything."""
    data, n_outputs = (DATA, 3) if task == "nodes" else (links, 4)
    torch.manual_seed(0)
    module = GCN(data.num_features, 4, 2, out_channels=n_outputs).double().eval()
    estimator = classifier(module, 0.0) if task == "nodes" else LinkPredictor(module)
    influence = Influence(estimator, module, delete(read_graph(data), of, np.array(KINDS[of]) % 60), seed=0)
    everything = [influence._losses(graph)[1] for graph in (influence.before, influence.after)]
    expected = flat(torch.autograd.grad(everything[0] - everything[1], influence.parameters))
    assert torch.allclose(influence.gradient, expected, atol=1e-9)
    assert expected.norm() > 1e-2


def test_a_diverging_iteration_is_an_error_and_changes_nothing(blocks, node_classifier):
    model = GIF(node_classifier(blocks), solver="lissa", scale=1e-4, max_iter=500, random_state=0).fit(blocks)
    before = model.estimator_
    with pytest.raises(FloatingPointError, match="scale"):
        model.unlearn([3])
    assert model.estimator_ is before
    with pytest.raises(ValueError, match="solver"):
        GIF(node_classifier(blocks), solver="newton").fit(blocks)


def test_the_published_settings_are_undamped(blocks, node_classifier):
    model = GIF.published(node_classifier(blocks), random_state=0).fit(blocks).unlearn([3, 17])
    assert (model.solver, model.damping, model.scale) == ("lissa", 0.0, 500.0)
    assert model.receipts_[-1].work.details["iterations"] == 101
