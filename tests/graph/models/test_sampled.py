"""Learning in batches and answering in parts: the same as with the whole graph where nothing is left out."""

import copy
import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.nn import GAT, GCN, GIN, GATv2Conv, GCNConv, GraphConv, GraphSAGE, SGConv

from mlunlearn.graph import (
    D2DGN,
    RGCN,
    GNNDelete,
    GradientAscent,
    LinkPredictor,
    NodeClassifier,
    Retrain,
    UtU,
    stochastic_block_model,
)
from mlunlearn.graph.distillation.batches import Batches
from mlunlearn.graph.distillation.destroyers import Calibrated, Scene
from mlunlearn.graph.distillation.divergences import response_divergence
from mlunlearn.graph.models.inference import in_parts
from mlunlearn.graph.models.layers import evaluate_layers
from mlunlearn.graph.models.training import evaluate, run
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete
from mlunlearn.graph.structure.neighbours import neighbourhood
from mlunlearn.graph.structure.sampling import generator

NETWORKS = (GCN, GAT, GIN, GraphSAGE)
METHODS = (partial(D2DGN, max_epochs=3), partial(GNNDelete, max_epochs=3), GradientAscent, Retrain, UtU)
DETAILS = {"batch_size": 16, "n_neighbors": 2}


@st.composite
def graphs(draw):
    """Any undirected graph of a few nodes, isolated ones included, and some of its nodes."""
    n = draw(st.integers(1, 12))
    pairs = draw(st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1])))
    ends = torch.tensor(sorted(pairs), dtype=torch.long).reshape(-1, 2).t()
    rows = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4))
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(n))
    return read_graph(Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1))), torch.tensor(rows)


def adjacency(graph):
    """Dense, receivers by senders."""
    dense = torch.zeros(graph.n_nodes, graph.n_nodes)
    dense[graph.edge_index[1], graph.edge_index[0]] = 1
    return dense


# --------------------------------------------------------- neighbourhoods


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(0, 3))
def test_nothing_within_the_hops_is_missing_and_nothing_else_is_there(case, hops):
    graph, rows = case
    around = neighbourhood(graph, rows, [None] * hops, generator(0))
    reached = torch.zeros(graph.n_nodes)
    reached[rows] = 1
    heard = torch.zeros_like(reached)
    for _ in range(hops):
        heard = reached.clone()
        reached = ((adjacency(graph).t() @ reached) + reached > 0).float()
    assert sorted(around.positions.tolist()) == reached.nonzero().flatten().tolist()
    found = {(int(around.positions[a]), int(around.positions[b])) for a, b in around.edge_index.t()}
    assert len(found) == around.edge_index.shape[1]
    assert found == {(int(a), int(b)) for a, b in graph.edge_index.t() if heard[b]}
    assert torch.equal(around.positions[around.local(rows)], rows)
    assert torch.equal(around.degrees, adjacency(graph).sum(dim=1)[around.positions].long())


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(1, 4), st.integers(0, 5))
def test_samples_are_distinct_true_messages_and_stand_for_all(case, limit, seed):
    graph, rows = case
    around = neighbourhood(graph, rows, [limit], generator(seed))
    messages = [tuple(around.positions[list(pair)].tolist()) for pair in around.edge_index.t().tolist()]
    assert len(set(messages)) == len(messages)
    assert set(messages) <= {tuple(pair) for pair in graph.edge_index.t().tolist()}
    degrees = adjacency(graph).sum(dim=1)
    for row in set(rows.tolist()):
        of = torch.tensor([target == row for _, target in messages], dtype=torch.bool)
        assert int(of.sum()) == min(limit, int(degrees[row]))
        assert float(around.scale[of].sum()) == pytest.approx(float(degrees[row]))


def test_every_neighbour_is_as_likely_as_any_other(undirected):
    """A star of 12 leaves, 3 drawn 4000 times: fails by chance once in 10,000 runs (normal approximation)."""
    graph = read_graph(undirected(*((0, leaf) for leaf in range(1, 13)), x=torch.eye(13)))
    counts = torch.zeros(13)
    for seed in range(4000):
        counts[neighbourhood(graph, torch.tensor([0]), [3], generator(seed)).positions] += 1
    error = (4000 * 0.25 * 0.75) ** 0.5
    assert counts[0] == 4000
    assert ((counts[1:] - 1000).abs() < 4.5 * error).all()


@pytest.mark.parametrize("options", [{}, {"improved": True}, {"add_self_loops": False}])
def test_sampled_sums_of_a_gcn_layer_are_right_on_average(blocks, options):
    """Means of 1000 samples within 4.5 of their standard errors, 60 values: fails by chance once in 2,000 runs."""
    graph, rows = read_graph(blocks), torch.arange(0, 60, 4)
    layer = GCNConv(6, 4, **options).eval()
    whole = evaluate(layer, graph)[rows]
    samples = []
    for seed in range(1000):
        around = neighbourhood(graph, rows, [2], generator(seed))
        with torch.no_grad():
            samples.append(run(layer, around)[around.local(rows)])
    samples = torch.stack(samples)
    error = samples.std(dim=0) / 1000**0.5
    assert ((samples.mean(dim=0) - whole).abs() <= 4.5 * error + 1e-5).all()


# ------------------------------------------------- equal where nothing is left out


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_of_complete_neighbourhoods_are_those_of_the_graph(blocks, network):
    graph, module = read_graph(blocks), network(6, 8, 3, out_channels=3).eval()
    rows = torch.tensor([50, 3, 17])
    around = neighbourhood(graph, rows, [None] * 3, generator(0))
    whole = evaluate_layers(module, graph)
    part = evaluate_layers(module, around)
    torch.testing.assert_close(part[-1][around.local(rows)], whole[-1][rows])
    assert all("forward" not in vars(layer) for layer in module.modules())
    assert all(layer.normalize for layer in module.modules() if isinstance(layer, GCNConv))


def gradients(estimator, module, graph, **options):
    """Loss and gradient of one step."""
    module.zero_grad()
    value = estimator.loss(module, graph, generator(3), **options)
    value.backward()
    return [value.detach(), *(parameter.grad.clone() for parameter in module.parameters())]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("task", ["nodes", "links"])
def test_one_batch_of_everything_is_a_full_step(blocks, links, network, task):
    data, kind, width = (blocks, NodeClassifier, 3) if task == "nodes" else (links, LinkPredictor, 4)
    graph, module = read_graph(data), network(6, 8, 2, out_channels=width)
    whole, batched = kind(module), kind(module, batch_size=10**6, n_neighbors=60)
    every = torch.randperm(whole.n_trained(graph), generator=generator(0))
    for a, b in zip(gradients(whole, module, graph), gradients(batched, module, graph, chosen=every), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_one_batch_of_all_triples_is_a_full_step(triples):
    graph, module = read_graph(triples), RGCN(30, 3, 8, 4)
    whole, batched = LinkPredictor(module), LinkPredictor(module, batch_size=10**6, n_neighbors=None)
    every = torch.arange(graph.n_edges)
    for a, b in zip(gradients(whole, module, graph), gradients(batched, module, graph, chosen=every), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def scene_of(estimator, data, asked, of):
    """What teachers see of a request to a fitted model."""
    model = UtU(estimator, random_state=0).fit(data)
    deletion = delete(read_graph(data), of, np.asarray(asked))
    return Scene(model.estimator_, deletion, copy.deepcopy(model.estimator_.module_), seed=5)


@pytest.mark.parametrize("of", ["nodes", "edges", "features"])
def test_one_batch_of_everything_is_distilled_as_the_whole(blocks, node_classifier, of):
    asked = np.flatnonzero(blocks.train_mask)[:6]
    estimator = node_classifier(blocks, batch_size=10**6, n_neighbors=None)
    scene = scene_of(estimator, blocks, asked, of)
    student = copy.deepcopy(scene.preserver)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator(1))
    batches = Batches(scene, Calibrated(), 0.5)
    assert (batches.per_epoch, batches.n_forgotten) == (1, len(scene.elements))
    retain, forget = batches.divergences(student, 0, 2.0)
    layers, labelled = evaluate_layers(student, scene.after), scene.after.labelled
    expected = response_divergence(layers[-1][labelled], scene.preserved[-1][labelled], 2.0)
    torch.testing.assert_close(retain.detach(), expected)
    shown = scene.elements.response(student, evaluate_layers(student, scene.probe))
    expected = response_divergence(shown, Calibrated().response(scene), 2.0)
    torch.testing.assert_close(forget.detach(), expected)


@pytest.mark.parametrize("kind", [GCNConv, GATv2Conv, GraphConv, partial(GCNConv, improved=True), partial(SGConv, K=2)])
@pytest.mark.parametrize("limit", [1, 7, 40, 10**6])
def test_answers_in_parts_are_those_of_the_whole(blocks, kind, limit):
    layer, isolated = kind(6, 4).eval(), torch.cat([blocks.x, torch.ones(5, 6)])
    with torch.no_grad():
        whole = layer(isolated, blocks.edge_index)
        with in_parts(layer, limit):
            parts = layer(isolated, blocks.edge_index)
    torch.testing.assert_close(parts, whole)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_answer_in_parts(blocks, network, monkeypatch):
    module, graph = network(6, 8, 2, out_channels=3).eval(), read_graph(blocks)
    around = neighbourhood(graph, torch.arange(9), [3, 3], generator(0))
    whole = [*evaluate_layers(module, graph), *evaluate_layers(module, around)]
    monkeypatch.setattr("mlunlearn.graph.models.inference._MAX_MESSAGES", 20)
    parts = [*evaluate_layers(module, graph), *evaluate_layers(module, around)]
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b)


def test_relational_networks_answer_in_parts(triples, monkeypatch):
    module, graph = RGCN(30, 3, 8, 4), read_graph(triples)
    whole = evaluate(module, graph)
    monkeypatch.setattr("mlunlearn.graph.models.inference._MAX_MESSAGES", 20)
    torch.testing.assert_close(evaluate(module, graph), whole)


# ------------------------------------------------------------------ learning


@pytest.mark.parametrize("network", NETWORKS)
def test_batches_learn_what_the_whole_graph_teaches(network):
    data = stochastic_block_model([100] * 3, n_features=8, signal=1.5, random_state=0)
    make = partial(network, 8, 16, 2, out_channels=3)
    whole = NodeClassifier(make, max_epochs=60, random_state=0)
    batched = NodeClassifier(make, max_epochs=12, batch_size=32, n_neighbors=4, random_state=0)
    a, b = (m.fit(data).score(data.test_mask, data.y[data.test_mask]) for m in (whole, batched))
    assert b > a - 0.1 > 0.6


def test_links_are_learned_in_batches(links, link_predictor):
    model = link_predictor(links, max_epochs=15, batch_size=32, n_neighbors=4, random_state=0).fit(links)
    pairs = torch.cat([links.test_pos_edge_index, links.test_neg_edge_index], dim=1)
    assert model.score(pairs, np.repeat([1, 0], links.test_pos_edge_index.shape[1])) > 0.6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("of", ["nodes", "edges", "features"])
def test_every_method_serves_and_one_seed_gives_one_model(
    blocks, links, node_classifier, link_predictor, method, of, same_state
):
    for data, estimator in ((blocks, node_classifier(blocks, **DETAILS)), (links, link_predictor(links, **DETAILS))):
        estimator.set_params(max_epochs=3)
        asked = np.flatnonzero(data.train_mask)[:3]
        a, b, c = (method(estimator, random_state=seed).fit(data).unlearn(asked, of=of) for seed in (0, 0, 1))
        assert same_state(a, b)
        assert not same_state(a, c)


def test_relations_are_forgotten_in_batches(triples, relational):
    model = D2DGN(relational(**DETAILS), max_epochs=3, random_state=0).fit(triples).unlearn(classes=[1], of="edges")
    assert np.isfinite(model.predict_proba(triples.edge_index, triples.edge_type)).all()


def test_retraining_in_batches_is_a_fit_without_what_is_forgotten(blocks, node_classifier, same_state):
    estimator = node_classifier(blocks, **DETAILS)
    a = Retrain(estimator, random_state=0).fit(blocks).unlearn([1, 4, 9])
    b = Retrain(estimator, random_state=0).fit(blocks, exclude=[1, 4, 9])
    assert same_state(a, b)


@pytest.mark.parametrize("of", ["nodes", "edges", "features"])
@pytest.mark.parametrize("task", ["nodes", "links"])
def test_with_all_weight_on_the_preserver_nothing_moves(blocks, links, node_classifier, link_predictor, of, task):
    data, make = (blocks, node_classifier) if task == "nodes" else (links, link_predictor)
    estimator = make(data, **{**DETAILS, "max_epochs": 2})
    ours, utu = (
        m.fit(data).unlearn([3, 8], of=of)
        for m in (
            D2DGN(estimator, alpha=1.0, destroyer="untrained", max_epochs=4, random_state=0),
            UtU(estimator, random_state=0),
        )
    )
    a, b = ours.estimator_.module_.state_dict(), utu.estimator_.module_.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(2, 64), st.floats(0.05, 0.95))
def test_every_batch_holds_its_share_and_every_epoch_everything(n_asked, batch_size, share):
    data = stochastic_block_model([20, 20, 20], n_features=6, train=1.0, val=0.0, random_state=0)
    estimator = NodeClassifier(GCN(6, 4, 1, out_channels=3), max_epochs=1, batch_size=batch_size)
    scene = scene_of(estimator, data, np.arange(n_asked), "nodes")

    class Silent:
        def response(self, scene):
            return torch.zeros(n_asked, 3)

    batches = Batches(scene, Silent(), share)
    assert batches.n_forgotten == min(max(round(share * batch_size), 1), n_asked)
    assert batches.n_retained == min(max(batch_size - batches.n_forgotten, 1), 60 - n_asked)
    for epoch in range(2):
        seen = [batches.forgotten(epoch * batches.per_epoch + batch) for batch in range(batches.per_epoch)]
        assert all(len(torch.unique(part)) == len(part) == batches.n_forgotten for part in seen)
        assert torch.unique(torch.cat(seen)).tolist() == list(range(n_asked))
    retained = batches.retained(1).rows
    assert len(torch.unique(retained)) == batches.n_retained
    assert not torch.isin(retained, scene.deletion.nodes).any()


@pytest.mark.parametrize("destroyer", ["calibrated", "untrained", "negative_graph", "random_pairs"])
def test_forgotten_edges_carry_no_message_in_batches(undirected, destroyer):
    """What lies behind a forgotten bridge cannot change what is said on this side of it, nor is it ever looked at."""
    torch.manual_seed(0)
    left = [(a, b) for a in range(6) for b in range(a) if (a + b) % 3]
    right = [(a + 6, b + 6) for a, b in left]
    data = undirected(*left, *right, (0, 6), x=torch.randn(12, 3))
    data.val_pos_edge_index = torch.tensor([[0, 1], [3, 5]])
    make = partial(GCN, 3, 4, 3, out_channels=2)
    estimator = LinkPredictor(make, max_epochs=3, batch_size=4, n_neighbors=2)
    model = D2DGN(estimator, destroyer=destroyer, max_epochs=3, random_state=0)
    model.fit(data).unlearn([[0], [6]], of="edges")  # the first edge of the list
    student, rows = model.estimator_.module_, torch.arange(6)
    for graph in (model._data, scene_of(estimator, data, [0], "edges").after):
        near = model.estimator_.around(student, graph, rows, generator(0))
        assert near.positions.max() < 6
    whole = evaluate(student, model._data)
    other = model._data.x.clone()
    other[6:] += 10
    assert torch.equal(whole[:6], evaluate(student, dataclasses.replace(model._data, x=other))[:6])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be .* got 0"),
        ({"batch_size": 2.5}, "batch_size must be .* got 2.5"),
        ({"batch_size": 8, "n_neighbors": 0}, "n_neighbors must be .* got 0"),
        ({"batch_size": 8, "n_neighbors": [3]}, "names 1 hops"),
    ],
)
def test_bad_batches_are_refused(blocks, node_classifier, options, message):
    with pytest.raises(ValueError, match=message):
        node_classifier(blocks, **options).fit(blocks)


@pytest.mark.parametrize(
    ("options", "message"), [({"knowledge": "feature"}, "batch_size=None"), ({"forget_share": 1.0}, "forget_share")]
)
def test_what_batches_cannot_teach_is_refused(blocks, node_classifier, options, message):
    with pytest.raises(ValueError, match=message):
        D2DGN(node_classifier(blocks, **DETAILS), random_state=0, **options).fit(blocks)
