"""UtU: the trained weights on the graph that is left."""

import numpy as np
import pytest
import torch
from torch_geometric.nn import GCN, GCNConv

from mlunlearn.graph import LinkPredictor, NodeClassifier, UtU, edge_list


def test_weights_stay_and_outputs_are_those_of_the_smaller_graph(links, link_predictor):
    model = UtU(link_predictor(links), random_state=0).fit(links)
    before = {name: value.clone() for name, value in model.estimator_.module_.state_dict().items()}
    original = model.estimator_
    model.unlearn([4, 9, 30], of="edges")
    after = model.estimator_.module_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    smaller = links.clone()
    kept = edge_list(links)[:, np.setdiff1d(np.arange(edge_list(links).shape[1]), [4, 9, 30])]
    smaller.edge_index = torch.cat([kept, kept.flip(0)], dim=1)
    questions = links.test_pos_edge_index
    assert (model.predict_proba(questions) == original.predict_proba(questions, data=smaller)).all()
    assert (original.predict_proba(questions) == original.predict_proba(questions, data=links)).all()


@pytest.mark.parametrize("of", ["nodes", "edges", "features"])
def test_the_order_of_requests_does_not_matter(blocks, node_classifier, of):
    ask = np.arange(20, 60)
    orders = ([[3], [7, 9]], [[9], [3, 7]], [[3, 7, 9]])
    outcomes = []
    for order in orders:
        model = UtU(node_classifier(blocks), random_state=0).fit(blocks)
        for request in order:
            model.unlearn(request, of=of)
        outcomes.append(model.predict_proba(ask))
    assert (outcomes[0] == outcomes[1]).all()
    assert (outcomes[0] == outcomes[2]).all()


def test_a_forgotten_edge_carries_no_message(undirected):
    torch.manual_seed(0)
    path = undirected((0, 1), (1, 2), (2, 3), x=torch.randn(4, 2), y=torch.tensor([0, 1, 0, 1]))
    model = UtU(NodeClassifier(GCN(2, 4, 3, out_channels=2), max_epochs=2), random_state=0).fit(path)
    model.unlearn([[2], [1]], of="edges")
    module, graph = model.estimator_.module_, model._data
    other = graph.x.clone()
    other[2:] += 10
    a, b = (module(x, graph.edge_index)[:2] for x in (graph.x, other))
    assert torch.equal(a, b)


class Cached(torch.nn.Module):
    """A network whose layers remember the first graph they see."""

    def __init__(self):
        super().__init__()
        self.first, self.second = GCNConv(6, 8, cached=True), GCNConv(8, 3, cached=True)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


def test_caches_do_not_answer_from_the_graph_that_is_gone(blocks):
    model = UtU(NodeClassifier(Cached, max_epochs=3), random_state=0).fit(blocks)
    before = model.predict_proba(np.arange(20, 60))
    model.unlearn(slice(0, 60), of="edges")
    assert np.abs(model.predict_proba(np.arange(20, 60)) - before).max() > 1e-3
    used = Cached()
    used(blocks.x, blocks.edge_index)
    warmed = UtU(NodeClassifier(used, max_epochs=1), random_state=0).fit(blocks)
    assert warmed.estimator_.module_.first._cached_edge_index is None
    assert used.first._cached_edge_index is not None


def test_a_module_with_node_weights_must_say_how_to_draw_them_anew(undirected):
    class Table(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(3, 2)

        def forward(self, x, edge_index):
            return self.table(x)

    data = undirected((0, 1), (1, 2), n_nodes=3)
    model = UtU(LinkPredictor(Table, max_epochs=1), random_state=0).fit(data)
    with pytest.raises(ValueError, match="reset_nodes"):
        model.unlearn([0])
