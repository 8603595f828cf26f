"""D2DGN: its invariants, above all those that published code breaks."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.nn import GAT, GCN, GIN, GraphSAGE

from mlunlearn.graph import D2DGN, GNNDelete, LinkPredictor, NodeClassifier, Retrain, UtU, edge_list, split_edges
from mlunlearn.graph import stochastic_block_model as block_model
from mlunlearn.graph.distillation.destroyers import NegativeGraph, Scene, Untrained
from mlunlearn.graph.models.training import run
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete

KINDS = ("nodes", "edges", "features")
DESTROYERS = ("calibrated", "untrained", "negative_graph", "random_pairs")


def storages(module):
    """Addresses of all weights."""
    return {value.data_ptr() for value in module.state_dict().values()}


def scene_of(model, data, of="edges", asked=(3, 8)):
    """What teachers see of a request."""
    deletion = delete(read_graph(data), of, np.array(asked))
    return Scene(model.estimator_, deletion, copy.deepcopy(model.estimator_.module_), seed=5)


class Watching(Untrained):
    """An untrained destroyer that remembers the networks it saw and made."""

    def network(self, scene):
        self.made, self.scene = super().network(scene), scene
        self.before = [copy.deepcopy(m.state_dict()) for m in (self.made, scene.preserver)]
        return self.made


@pytest.mark.parametrize("of", KINDS)
@pytest.mark.parametrize("task", ["nodes", "links"])
def test_with_all_weight_on_the_preserver_nothing_moves(blocks, links, node_classifier, link_predictor, of, task):
    data, estimator = (blocks, node_classifier(blocks)) if task == "nodes" else (links, link_predictor(links))
    ours, utu = (
        m.fit(data).unlearn([3, 8], of=of)
        for m in (D2DGN(estimator, alpha=1.0, destroyer="untrained", random_state=0), UtU(estimator, random_state=0))
    )
    a, b = ours.estimator_.module_.state_dict(), utu.estimator_.module_.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    asked = np.arange(20, 40) if task == "nodes" else np.stack([np.arange(20, 40), np.arange(40, 20, -1)])
    assert (ours.predict_proba(asked) == utu.predict_proba(asked)).all()


@pytest.mark.parametrize("knowledge", ["response", "feature", "both"])
def test_teachers_are_apart_from_the_student_and_never_change(links, link_predictor, knowledge):
    destroyer = Watching()
    model = D2DGN(link_predictor(links), destroyer=destroyer, knowledge=knowledge, max_epochs=5, random_state=0)
    model.fit(links)
    original = copy.deepcopy(model.estimator_.module_.state_dict())
    model.unlearn([3, 8], of="edges")
    student, made, preserver = model.estimator_.module_, destroyer.made, destroyer.scene.preserver
    assert not storages(student) & storages(made)
    assert not storages(student) & storages(preserver)
    assert not storages(made) & storages(preserver)
    for teacher, before in zip((made, preserver), destroyer.before, strict=True):
        assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
        assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(value, original[name]) for name, value in preserver.state_dict().items())
    assert any(not torch.equal(value, original[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize("network", [GCN, GAT, GIN, GraphSAGE])
def test_the_untrained_destroyer_is_not_the_trained_model(links, network):
    make = LinkPredictor(partial(network, links.num_features, 8, 2, out_channels=4), max_epochs=20)
    model = UtU(make, random_state=0).fit(links)
    scene = scene_of(model, links)
    made, preserver = Untrained().network(scene).state_dict(), scene.preserver.state_dict()
    weights = [name for name in made if made[name].ndim == 2]
    assert all(not torch.equal(made[name], preserver[name]) for name in weights)
    assert not torch.allclose(Untrained().response(scene), scene.remembered)
    other = UtU(make, random_state=9).fit(links)  # other weights, same seed of the scene
    again = Untrained().network(scene_of(other, links)).state_dict()
    assert all(torch.equal(made[name], again[name]) for name in made)


def test_the_negative_graph_has_as_many_edges_and_none_of_the_true_ones(links, link_predictor, monkeypatch):
    seen = []
    monkeypatch.setattr(LinkPredictor, "loss", lambda self, module, graph, rng: seen.append(graph) or _some(module))
    model = UtU(link_predictor(links, max_epochs=1), random_state=0).fit(links)
    scene = scene_of(model, links)
    seen.clear()
    NegativeGraph(max_epochs=1).network(scene)
    remaining = scene.deletion.remaining
    assert seen[0].n_edges == remaining.n_edges
    true = {tuple(pair) for pair in remaining.edge_index.t().tolist()}
    assert not true & {tuple(pair) for pair in seen[0].pairs.t().tolist()}


def _some(module):
    return sum(parameter.sum() for parameter in module.parameters())


@pytest.mark.parametrize("destroyer", DESTROYERS)
def test_forgotten_edges_carry_no_message(undirected, destroyer):
    """What lies behind a forgotten bridge cannot change what is said on this side of it."""
    torch.manual_seed(0)
    left = [(a, b) for a in range(6) for b in range(a) if (a + b) % 3]
    right = [(a + 6, b + 6) for a, b in left]
    data = undirected(*left, *right, (0, 6), x=torch.randn(12, 3))
    data.val_pos_edge_index = torch.tensor([[0, 1], [3, 5]])
    model = D2DGN(LinkPredictor(partial(GCN, 3, 4, 3, out_channels=2), max_epochs=3), destroyer=destroyer, max_epochs=3)
    model.fit(data).unlearn([[0], [6]], of="edges")
    module, graph = model.estimator_.module_, model._data
    other = graph.x.clone()
    other[6:] += 10
    with torch.no_grad():
        assert torch.equal(module(graph.x, graph.edge_index)[:6], module(other, graph.edge_index)[:6])


@pytest.mark.parametrize("destroyer", DESTROYERS)
def test_order_and_direction_of_forgotten_edges_do_not_matter(links, link_predictor, same_state, destroyer):
    trained = FrozenEstimator(link_predictor(links, random_state=0).fit(links))
    pairs = edge_list(links)[:, [3, 8, 21]]
    asked = ([3, 8, 21], pairs.flip(1), pairs.flip(0), torch.cat([pairs, pairs.flip(0)], dim=1))
    models = [
        D2DGN(trained, destroyer=destroyer, max_epochs=3, random_state=0).fit(links).unlearn(a, of="edges")
        for a in asked
    ]
    assert all(same_state(models[0], other) for other in models[1:])


def test_relabelling_the_nodes_relabels_the_answers(blocks):
    trained = NodeClassifier(partial(GCN, 6, 8, 2, out_channels=3), max_epochs=20, random_state=0).fit(blocks)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    new = torch.empty(60, dtype=torch.long)
    new[order] = torch.arange(60)
    other = blocks.clone()
    other.edge_index = new[blocks.edge_index]
    for name in ("x", "y", "train_mask", "val_mask", "test_mask"):
        other[name] = blocks[name][order]
    asked = np.flatnonzero(blocks.train_mask)[:4]
    rest = np.setdiff1d(np.arange(60), asked)
    a = D2DGN(FrozenEstimator(trained), max_epochs=5).fit(blocks).unlearn(asked).predict_proba(rest)
    b = D2DGN(FrozenEstimator(trained), max_epochs=5).fit(other).unlearn(new[asked]).predict_proba(new[rest])
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_node_that_was_never_trained_on_leaves_nothing_to_destroy(blocks, node_classifier, same_state):
    asked = np.flatnonzero(blocks.test_mask)[:2]
    ours, utu = (m(node_classifier(blocks), random_state=0).fit(blocks).unlearn(asked) for m in (D2DGN, UtU))
    assert same_state(ours, utu)


def test_the_student_has_the_shape_of_the_original(blocks, node_classifier):
    model = D2DGN(node_classifier(blocks), random_state=0).fit(blocks)
    before = model.estimator_.module_
    after = model.unlearn([3, 8]).estimator_.module_
    assert type(after) is type(before)
    assert {n: v.shape for n, v in after.state_dict().items()} == {n: v.shape for n, v in before.state_dict().items()}


def test_an_answer_costs_what_it_did_before(links, link_predictor):
    """Unlike deletion operators, which are paid for with every answer."""
    costs = {}
    for method in (UtU, partial(D2DGN, max_epochs=2), partial(GNNDelete, max_epochs=2)):
        model = method(link_predictor(links, max_epochs=2), random_state=0).fit(links).unlearn([3, 8], of="edges")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run(model.estimator_.module_, model._data)
        costs[type(model)] = counter.get_total_flops()
    assert costs[D2DGN] == costs[UtU] < costs[GNNDelete]


@pytest.mark.parametrize("of", KINDS)
@pytest.mark.parametrize("knowledge", ["response", "feature", "both"])
@pytest.mark.parametrize("destroyer", ["untrained", "negative_graph"])
def test_every_knowledge_serves_every_request(blocks, links, node_classifier, link_predictor, of, knowledge, destroyer):
    for data, estimator in ((blocks, node_classifier(blocks)), (links, link_predictor(links))):
        model = D2DGN(estimator, destroyer=destroyer, knowledge=knowledge, max_epochs=3, random_state=0).fit(data)
        before = copy.deepcopy(model.estimator_.module_.state_dict())
        asked = np.flatnonzero(data.train_mask)[:2]
        after = model.unlearn(asked, of=of).estimator_.module_.state_dict()
        assert any(not torch.equal(before[name], after[name]) for name in before)
        assert all(torch.isfinite(value).all() for value in after.values())


def test_relations_are_forgotten_with_the_typed_decoder(triples, relational):
    model = D2DGN(relational(max_epochs=30), max_epochs=5, random_state=0).fit(triples)
    model.unlearn(classes=[1], of="edges")
    assert np.isfinite(model.predict_proba(triples.edge_index, triples.edge_type)).all()
    assert model.receipts_[-1].classes == (1,)


def test_a_relation_that_is_forgotten_is_not_taught_again(triples, relational, same_state):
    """Its weights are drawn anew, and no score of its triples is a target for them."""
    options = {"max_epochs": 60, "lr": 0.05}
    ours, utu = (
        method(relational(**options), random_state=0).fit(triples).unlearn(classes=[1], of="edges")
        for method in (D2DGN, UtU)
    )
    assert same_state(ours, utu)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"knowledge": "feature"}, "no embeddings"),
        ({}, "val_pos_edge_index"),
    ],
)
def test_what_cannot_be_taught_is_said_and_changes_nothing(links, link_predictor, options, message):
    data = links.clone()
    if not options:
        del data.val_pos_edge_index
    model = D2DGN(link_predictor(data), random_state=0, **options).fit(data)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.unlearn([3], of="edges")
    assert vars(model) == before


def test_nodes_need_nodes_to_compare_with(blocks, node_classifier):
    data = blocks.clone()
    del data.val_mask
    with pytest.raises(ValueError, match="val_mask"):
        D2DGN(node_classifier(data), random_state=0).fit(data).unlearn(np.flatnonzero(data.train_mask)[:2])
    model = D2DGN(node_classifier(blocks), destroyer="random_pairs", random_state=0).fit(blocks)
    with pytest.raises(ValueError, match="random pairs"):
        model.unlearn(np.flatnonzero(blocks.train_mask)[:2])


def test_a_forgotten_class_is_gone_and_the_others_stay():
    data = block_model([60, 60, 60], n_features=8, signal=2.0, random_state=0)
    estimator = NodeClassifier(partial(GCN, 8, 16, 2, out_channels=3), max_epochs=100)
    ours, retrained = (method(estimator, random_state=0).fit(data).unlearn(classes=[1]) for method in (D2DGN, Retrain))
    gone, stay = data.test_mask & (data.y == 1), data.test_mask & (data.y != 1)
    assert (ours.predict(gone) == 1).mean() <= (retrained.predict(gone) == 1).mean() + 0.05
    assert ours.score(stay, data.y[stay]) >= retrained.score(stay, data.y[stay]) - 0.05


def test_a_class_that_loses_its_features_keeps_its_label(blocks, node_classifier):
    model = D2DGN(node_classifier(blocks, max_epochs=60), random_state=0).fit(blocks)
    model.unlearn(classes=[1], of="features")
    assert (model.predict(blocks.test_mask & (blocks.y == 1)) == 1).any()
    assert (model._data.y == 1).any()


def test_forgotten_edges_come_nearer_to_edges_never_seen():
    """The forgotten edges stand out less, in the same direction as after retraining, and farther than by UtU."""
    data = block_model([100] * 4, n_features=100, degree_in=3.0, random_state=1)
    split = split_edges(data, val=0.15, test=0.15, random_state=1)
    estimator = LinkPredictor(partial(GCN, 100, 64, 2, out_channels=32), max_epochs=150)
    asked = np.arange(0, edge_list(split).shape[1], 12)
    pairs = edge_list(split)[:, asked]
    unseen = {}
    for method in (D2DGN, Retrain, UtU):
        model = method(estimator, random_state=0).fit(split).unlearn(asked, of="edges")
        scores = [model.decision_function(p) for p in (pairs, split.test_pos_edge_index)]
        unseen[method] = roc_auc_score(np.repeat([1, 0], [len(s) for s in scores]), np.concatenate(scores))
    assert unseen[UtU] > unseen[Retrain] + 0.2
    assert abs(unseen[D2DGN] - unseen[Retrain]) < abs(unseen[UtU] - unseen[Retrain]) / 3
