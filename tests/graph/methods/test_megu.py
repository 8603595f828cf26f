"""MEGU: who is trained on, what is read, and what the smoothing is anchored on."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch_geometric.nn import GCN

from mlunlearn.graph import MEGU, NodeClassifier, UtU, stochastic_block_model
from mlunlearn.graph.methods.megu import PUBLISHED, Smoothed, below_the_gap, highly_influenced
from mlunlearn.graph.models.training import evaluate, run
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete

DATA = stochastic_block_model([40, 40, 40], n_features=6, random_state=0)
ASKED = [3, 17, 60]


def make(**options):
    """A MEGU around a small network."""
    network = partial(GCN, 6, 8, 2, out_channels=3, dropout=0.5)
    return MEGU(NodeClassifier(network, max_epochs=60), random_state=0, **options)


def scene(of="nodes", asked=ASKED, **options):
    """A fitted model, a request, and the loss it is served by."""
    model = make(**options).fit(DATA)
    deletion = delete(read_graph(DATA), of, np.array(asked))
    predictor = copy.deepcopy(model.estimator_.module_).eval()
    operator = torch.nn.Linear(3, 3)
    said = evaluate(predictor, deletion.before).argmax(dim=1)
    influenced = highly_influenced(deletion, 2)
    rows = torch.cat([deletion.nodes, deletion.features])

    def loss(said=said, kappa=None):
        model.kappa = options.get("kappa", 0.01) if kappa is None else kappa
        return model._loss(predictor, operator, deletion, said, rows, influenced)(0)

    return predictor, operator, deletion, said, influenced, loss


def gradients(loss, *modules):
    """All gradients in one vector."""
    parameters = [p for module in modules for p in module.parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, materialize_grads=True)])


# -------------------------------------------------------------------- the loss


def test_the_loss_is_the_published_one():
    predictor, operator, deletion, said, influenced, loss = scene(kappa=0.3)
    with torch.no_grad():
        kept, gone = run(predictor, deletion.after)[influenced], run(predictor, deletion.after)[deletion.nodes]

        def kd(student, teacher):
            p, q = (teacher / 1.5).softmax(dim=1), (student / 1.5).softmax(dim=1)
            return (p * (p / q).log()).sum(dim=1).mean()

        ce = torch.nn.functional.cross_entropy
        expected = 0.3 * (kd(gone, operator(gone)) - ce(operator(gone), said[deletion.nodes]))
        expected += kd(operator(kept), kept) + ce(kept, said[influenced])
    assert loss().item() == pytest.approx(expected.item(), abs=1e-5)


def test_teachers_are_detached():
    """The operator hears of the forgotten nodes by the unsaying alone, of the others by following."""
    predictor, operator, deletion, said, influenced, loss = scene(kappa=1.0)
    out = run(predictor, deletion.after)
    unsaying = -torch.nn.functional.cross_entropy(operator(out[deletion.nodes]), said[deletion.nodes])
    logs = [(z / 1.5).log_softmax(dim=1) for z in (operator(out[influenced]), out[influenced].detach())]
    following = torch.nn.functional.kl_div(*logs, log_target=True, reduction="batchmean")
    expected = gradients(unsaying + following, operator)
    assert torch.allclose(gradients(loss(), operator), expected, atol=1e-6)


def test_without_kappa_only_the_influenced_count():
    _, _, deletion, said, influenced, loss = scene()
    other = said.clone()
    other[~influenced] = (other[~influenced] + 1) % 3
    assert loss(other, kappa=0.0) == loss(said, kappa=0.0)
    assert loss(other, kappa=0.01) != loss(said, kappa=0.01)
    other = said.clone()
    other[influenced] = (other[influenced] + 1) % 3
    assert loss(other, kappa=0.0) != loss(said, kappa=0.0)
    assert len(deletion.nodes) == 3


def test_for_edges_nothing_is_unsaid():
    predictor, _, _, _, _, loss = scene("edges", [0, 5, 40])
    assert torch.equal(gradients(loss(kappa=5.0), predictor), gradients(loss(kappa=0.0), predictor))


@pytest.mark.parametrize("rows", ["forgotten", "test", "val"])
@pytest.mark.parametrize("smooth", [None, (0.8, 0.5)])
def test_no_label_of_forgotten_or_held_out_nodes_is_read(rows, smooth, same_state):
    """The original model is the same in both; what happens afterwards reads no label at all."""
    original = make(smooth=smooth).fit(DATA)
    twin = copy.deepcopy(original)
    chosen = torch.tensor(ASKED) if rows == "forgotten" else DATA[f"{rows}_mask"].nonzero().flatten()
    twin._data = copy.copy(original._data)
    y, held_out = original._data.y.clone(), original._data.held_out_y.clone()
    for labels in (y, held_out):
        there = chosen[labels[chosen] >= 0]
        labels[there] = (labels[there] + 1) % 3
    object.__setattr__(twin._data, "y", y)
    object.__setattr__(twin._data, "held_out_y", held_out)
    twin._checksum = twin._data.checksum
    assert same_state(original.unlearn(ASKED), twin.unlearn(ASKED))


# ------------------------------------------------------------ who is influenced


def test_influenced_are_neighbours_within_reach():
    deletion = delete(read_graph(DATA), "nodes", np.array(ASKED))
    chosen = highly_influenced(deletion, 2)
    assert chosen.any()
    assert not chosen[ASKED].any()
    assert not (chosen & ~read_graph(DATA).within(torch.tensor(ASKED), 2)).any()


def test_a_node_fed_by_the_forgotten_one_alone_is_influenced_and_a_hub_is_not(undirected):
    """A leaf that hangs on the forgotten node turns with it; a hub with many other neighbours hardly does."""
    hub = [(0, 1), (0, 2)] + [(2, other) for other in range(3, 30)]
    data = undirected(*hub, x=torch.eye(30)[:, :4] * 3 + torch.tensor([0.2, 0.3, 0.4, 0.5]))
    chosen = highly_influenced(delete(read_graph(data), "nodes", np.array([0])), 1)
    assert chosen[1]
    assert not chosen[2]


def test_the_threshold_stops_at_a_gap():
    assert below_the_gap(torch.tensor([0.05, 0.15, 0.35, 0.9])).tolist() == [True, True, False, False]
    assert below_the_gap(torch.tensor([0.95, 1.0])).all()
    assert below_the_gap(torch.tensor([-0.5, 0.3])).tolist() == [True, False]


# ------------------------------------------------------------------- smoothing


def test_smoothing_is_anchored_on_remaining_training_nodes_alone():
    model = make(smooth=(0.8, 0.5)).fit(DATA).unlearn(ASKED)
    smoothed = model.estimator_.module_
    assert isinstance(smoothed, Smoothed)
    training = DATA.train_mask.clone()
    training[ASKED] = False
    assert torch.equal(smoothed.anchors, training.nonzero().flatten())
    model.unlearn([5, 90])
    training[[5, 90]] = False
    assert torch.equal(model.estimator_.module_.anchors, training.nonzero().flatten())
    assert not isinstance(model.estimator_.module_.module, Smoothed)


def test_what_was_said_of_forgotten_nodes_does_not_reach_the_answers():
    """The published code anchors on them: permuting their predictions changed its answers."""
    model = make(smooth=(0.8, 0.5)).fit(DATA)
    module = model.estimator_.module_
    said = evaluate(module, model._data).argmax(dim=1)
    deletion = delete(model._data, "nodes", np.array(ASKED))
    answers = []
    for shift in (0, 1):
        labels = said.clone()
        labels[ASKED] = (labels[ASKED] + shift) % 3
        anchors = deletion.after.labelled.nonzero().flatten()
        answers.append(evaluate(Smoothed(module, anchors, labels[anchors], (0.8, 0.5)), deletion.remaining))
    assert torch.equal(*answers)


def test_smoothed_answers_are_distributions_and_follow_held_neighbours():
    model = make(smooth=(0.8, 0.5)).fit(DATA).unlearn(ASKED)
    proba = model.predict_proba(DATA.test_mask.numpy())
    assert proba.sum(axis=1) == pytest.approx(1, abs=1e-5)
    one_hot = torch.eye(3)[torch.zeros(120, dtype=int)]
    says_zero = Smoothed(model.estimator_.module_.module, torch.arange(60), one_hot[:60].argmax(dim=1), (0.9, 0.9))
    graph = model._data
    assert evaluate(says_zero, graph)[graph.positions < 60].argmax(dim=1).eq(0).all()


# ----------------------------------------------------------------- as a whole


def test_forgotten_nodes_are_unsaid():
    """Shown without edges, forgotten nodes get less of what the model said of them than by mere unlinking."""
    gaps = []
    for seed in range(3):
        network = NodeClassifier(partial(GCN, 6, 8, 2, out_channels=3), max_epochs=60)
        deletion = delete(read_graph(DATA), "nodes", np.array(ASKED))
        models = [
            m.fit(DATA).unlearn(ASKED)
            for m in (MEGU(network, kappa=0.05, random_state=seed), UtU(network, random_state=seed))
        ]
        said = evaluate(UtU(network, random_state=seed).fit(DATA).estimator_.module_, deletion.before).argmax(dim=1)
        ours, theirs = (evaluate(m.estimator_.module_, deletion.after).softmax(dim=1)[ASKED] for m in models)
        of_said = said[ASKED][:, None]
        gaps.append((theirs.gather(1, of_said) - ours.gather(1, of_said)).mean().item())
    assert np.mean(gaps) > 0.002


def test_work_counts_the_answers_that_were_learned_from_and_nothing_else():
    model = make(max_epochs=4).fit(DATA).unlearn([3, 17])
    work = model.receipts_[-1].work
    assert work.samples == 4 * (2 + work.details["influenced"])
    work = make(max_epochs=4).fit(DATA).unlearn([0, 5], of="edges").receipts_[-1].work
    assert work.samples == 4 * work.details["influenced"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings(name, node_classifier):
    model = MEGU.published(node_classifier(DATA), name, random_state=0)
    assert (model.lr, model.kappa, model.smooth) == PUBLISHED[name]


def test_unknown_settings_are_refused(node_classifier):
    with pytest.raises(ValueError, match="Cora"):
        MEGU.published(node_classifier(DATA), "Reddit")
