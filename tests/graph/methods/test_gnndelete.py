"""GNNDelete: what the operators may change, and what they learn from."""

from functools import partial

import numpy as np
import pytest
import torch
from torch_geometric.nn import GAT, GCN, GIN

from mlunlearn.graph import GNNDelete, LinkPredictor, UtU
from mlunlearn.graph.models.layers import edited_layers, evaluate_layers, message_layers, run_layers
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete


def fitted(links, network=GCN, **options):
    """A fitted GNNDelete and the UtU model beside it."""
    make = LinkPredictor(partial(network, links.num_features, 8, 2, out_channels=4), max_epochs=10)
    return GNNDelete(make, random_state=0, **{"max_epochs": 20, **options}).fit(links), UtU(make, random_state=0).fit(
        links
    )


@pytest.mark.parametrize("network", [GCN, GAT, GIN])
@pytest.mark.parametrize("of", ["nodes", "edges", "features"])
def test_only_affected_nodes_change_and_no_trained_weight(links, network, of):
    model, utu = fitted(links, network)
    before = {name: value.clone() for name, value in model.estimator_.module_.state_dict().items()}
    deletion = delete(read_graph(links), of, np.array([7]))
    model.unlearn([7], of=of)
    utu.unlearn([7], of=of)
    after = model.estimator_.module_.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    graph = model._data
    with torch.no_grad():
        ours = model.estimator_.module_(graph.x, graph.edge_index, positions=graph.positions)
        theirs = utu.estimator_.module_(graph.x, graph.edge_index)
    outside = ~deletion.affected(2)[deletion.kept]
    assert torch.equal(ours[outside], theirs[outside])
    assert not torch.equal(ours, theirs)


def test_without_consistency_the_identity_is_a_fixed_point(links):
    model, _ = fitted(links, alpha=0.0)
    model.unlearn([3, 8], of="edges")
    for operator in model.estimator_.module_.operators:
        assert torch.equal(operator, torch.eye(len(operator)))


def test_an_operator_learns_from_its_own_layer_alone(links):
    """Learning the first layer's operator does not depend on whether there is a second."""
    model, _ = fitted(links)
    deletion = delete(read_graph(links), "edges", np.array([3, 8]))
    trained = model._starting_module(deletion)
    from mlunlearn.graph.methods.gnndelete import DeletionOperator

    targets = evaluate_layers(trained, deletion.after)
    affected = [deletion.affected(1), deletion.affected(2)]
    student = DeletionOperator(trained, [there.nonzero().flatten() for there in affected], targets)
    loss = model._loss(student, deletion, targets, affected)
    student.zero_grad()
    loss(0).backward()
    both = student.operators[0].grad.clone()
    student.zero_grad()
    targets[1] = targets[1] + 100  # the second layer's loss becomes another one
    model._loss(student, deletion, targets, affected)(0).backward()
    assert torch.equal(student.operators[0].grad, both)
    assert student.operators[1].grad.abs().max() > 1


def test_requests_build_on_each_other(links):
    model, _ = fitted(links)
    model.unlearn([3], of="edges")
    first = [operator.clone() for operator in model.estimator_.module_.operators]
    model.unlearn([11])
    inner = model.estimator_.module_.module
    assert all(torch.equal(a, b) for a, b in zip(first, inner.operators, strict=True))
    for operator in (model.estimator_.module_, inner):
        assert not torch.isin(torch.tensor([11]), operator.affected_0).any()
    assert np.isfinite(model.predict_proba([[0], [5]])).all()


def test_deleted_pairs_are_pushed_down(links):
    model, utu = fitted(links, max_epochs=300, lr=1e-2)
    pairs = read_graph(links).pairs[:, [3, 8, 21]]
    model.unlearn([3, 8, 21], of="edges")
    utu.unlearn([3, 8, 21], of="edges")
    assert model.predict_proba(pairs)[:, 1].mean() < utu.predict_proba(pairs)[:, 1].mean()


def test_edits_come_in_the_order_in_which_they_were_made():
    module = GCN(2, 2, 1, out_channels=2)
    x, edges = torch.ones(2, 2), torch.tensor([[0, 1], [1, 0]])
    plain = module(x, edges)
    with edited_layers(module, lambda _, h: h * 3), edited_layers(module, lambda _, h: h + 1):
        both = module(x, edges)
    assert torch.allclose(both, (plain + 1) * 3)
    assert torch.equal(module(x, edges), plain)


def test_layers_are_found_in_the_order_they_run(blocks):
    module = GCN(6, 8, 3, out_channels=3)
    graph = read_graph(blocks)
    assert [h.shape[1] for h in run_layers(module, graph)] == [8, 8, 3]
    assert len(message_layers(module)) == 3
    with pytest.raises(ValueError, match="MessagePassing"):
        message_layers(torch.nn.Linear(2, 2))
