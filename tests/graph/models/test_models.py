"""The estimators, with every architecture of the protocol."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch_geometric.nn import GAT, GCN, GIN, GraphSAGE, RGCNConv

from mlunlearn.graph import RGCN, LinkPredictor, NodeClassifier
from mlunlearn.graph.models.training import redraw
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.structure.sampling import generator, permute_heads, sample_non_edges

NO_STEP = 1e-50  # a learning rate that single precision rounds to zero


@pytest.mark.parametrize("network", [GCN, GAT, GIN, GraphSAGE])
def test_node_classifiers_learn(blocks, network):
    model = NodeClassifier(partial(network, 6, 8, 2, out_channels=3), max_epochs=60, random_state=0).fit(blocks)
    assert model.score(blocks.test_mask, blocks.y[blocks.test_mask]) > 0.6


@pytest.mark.parametrize("network", [GCN, GAT, GIN, GraphSAGE])
def test_link_predictors_learn(links, network):
    model = LinkPredictor(partial(network, 6, 16, 2, out_channels=8), max_epochs=60, random_state=0).fit(links)
    pairs = torch.cat([links.test_pos_edge_index, links.test_neg_edge_index], dim=1)
    y = np.repeat([1, 0], links.test_pos_edge_index.shape[1])
    assert model.score(pairs, y) > 0.55
    assert model.score(pairs, y) == roc_auc_score(y, model.predict_proba(pairs)[:, 1])


def test_relational_networks_learn_their_triples(triples):
    model = LinkPredictor(partial(RGCN, 30, 3, 16, 8), max_epochs=150, random_state=0).fit(triples)
    false = permute_heads(triples.edge_index, triples.edge_type, generator(9))
    pairs, types = torch.cat([triples.edge_index, false], dim=1), triples.edge_type.repeat(2)
    assert model.score(pairs, np.repeat([1, 0], 120), types) > 0.8
    with pytest.raises(ValueError, match="edge_type"):
        model.predict(pairs)


@pytest.mark.parametrize("n_relations", [3, 21])
def test_relational_layers_are_those_of_torch_geometric(n_relations):
    """By dense weights, and by the block-diagonal ones of many relations; with and without isolated nodes."""
    rng = generator(1)
    edges, types = torch.randint(12, (2, 60), generator=rng), torch.randint(2 * n_relations, (60,), generator=rng)
    x = torch.randn(14, 8, generator=rng)
    layer = RGCN(14, n_relations, 8, 4).layers[0]
    for messages, of in ((edges, types), (edges[:, :0], types[:0])):
        results = []
        for forward in (layer.forward, partial(RGCNConv.forward, layer)):
            layer.zero_grad()
            given = x.clone().requires_grad_(True)
            out = forward(given, messages, of)
            out.square().sum().backward()
            results.append([out.detach(), given.grad, *(parameter.grad for parameter in layer.parameters())])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b)


def test_an_instance_brings_its_initial_weights_and_is_left_alone(blocks):
    network = GCN(6, 8, 2, out_channels=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    untrained = NodeClassifier(network, max_epochs=1, lr=NO_STEP).fit(blocks)
    trained = NodeClassifier(network, max_epochs=2).fit(blocks)
    for name, value in before.items():
        assert torch.equal(untrained.module_.state_dict()[name], value)
        assert torch.equal(network.state_dict()[name], value)
    assert any(not torch.equal(trained.module_.state_dict()[name], value) for name, value in before.items())


def test_predictions_keep_the_order_asked_for(blocks, node_classifier):
    model = node_classifier(blocks, random_state=0).fit(blocks)
    every = model.predict_proba(slice(None))
    assert (model.predict_proba([5, 2, 5]) == every[[5, 2, 5]]).all()
    assert (model.predict_proba(blocks.test_mask) == every[blocks.test_mask.numpy()]).all()
    np.testing.assert_allclose(every.sum(axis=1), 1)
    with pytest.raises(ValueError, match="boolean mask"):
        model.predict([0.5])
    with pytest.raises(ValueError, match="node 77"):
        model.predict([77])


def test_bad_fits_are_refused(blocks, links, link_predictor):
    with pytest.raises(ValueError, match="2 outputs only"):
        NodeClassifier(GCN(6, 4, 2, out_channels=2)).fit(blocks)
    unlabelled = blocks.clone()
    unlabelled.train_mask = torch.zeros(60, dtype=torch.bool)
    with pytest.raises(ValueError, match="no labelled node"):
        NodeClassifier(GCN(6, 4, 2, out_channels=3)).fit(unlabelled)
    with pytest.raises(TypeError, match="torch module"):
        NodeClassifier("GCN").fit(blocks)
    with pytest.raises(ValueError, match=r"expected \(2, n\)"):
        link_predictor(links, max_epochs=1).fit(links).predict([[0, 1], [1, 2], [2, 3]])


@pytest.mark.parametrize("network", [GCN, GAT, GIN, GraphSAGE])
def test_redrawn_weights_depend_on_the_seed_alone(network):
    a, b = network(6, 8, 2, out_channels=3), network(6, 8, 2, out_channels=3)
    first, second, third = redraw(a, 0).state_dict(), redraw(b, 0).state_dict(), redraw(a, 1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_weights_that_cannot_be_redrawn_are_named(kind):
    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            if kind == "parameter":
                self.weight = torch.nn.Parameter(torch.ones(2))
            else:
                self.register_buffer("answers", torch.ones(2))

    with pytest.raises(TypeError, match="Fixed"):
        redraw(Fixed(), 0)


def test_non_edges_are_none(blocks):
    graph = read_graph(blocks)
    drawn = sample_non_edges(graph, 500, generator(0))
    edges = {tuple(pair) for pair in graph.edge_index.t().tolist()}
    assert drawn.shape == (2, 500)
    assert not edges & {tuple(pair) for pair in drawn.t().tolist()}
    assert (drawn[0] != drawn[1]).all()


def test_a_complete_graph_has_no_non_edges(undirected):
    graph = read_graph(undirected((0, 1), (1, 2), (0, 2), n_nodes=3))
    with pytest.raises(ValueError, match="hardly any"):
        sample_non_edges(graph, 4, generator(0))


def test_permuted_heads_keep_relations_and_tails(triples):
    false = permute_heads(triples.edge_index, triples.edge_type, generator(0))
    assert torch.equal(false[1], triples.edge_index[1])
    for relation in range(3):
        of = triples.edge_type == relation
        assert torch.equal(false[0, of].sort().values, triples.edge_index[0, of].sort().values)
