"""What every graph unlearner keeps; a new method is one more line in METHODS."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch_geometric.nn import SGConv

from mlunlearn import DataChangedError, DataNotAttachedError, UnknownIdError
from mlunlearn.graph import (
    CEU,
    D2DGN,
    GIF,
    MEGU,
    DescentToDelete,
    FineTuneGNN,
    GNNDelete,
    GradientAscent,
    GraphEraser,
    NodeClassifier,
    RestartGNN,
    Retrain,
    UtU,
)


def around_linear(method, **options):
    """Put a linear network into node classifiers: the certificate is about those."""

    def make(estimator, **more):
        if isinstance(estimator, NodeClassifier):
            estimator = clone(estimator).set_params(module=partial(SGConv, 6, 3, K=2), weight_decay=0.1)
        return method(estimator, **options, **more)

    return make


METHODS = {
    "CEU": partial(CEU, max_iter=5),
    "CEU certified": around_linear(CEU),
    "D2DGN": partial(D2DGN, destroyer="untrained", max_epochs=3),
    "DescentToDelete": partial(DescentToDelete, max_epochs=3),
    "DescentToDelete certified": around_linear(DescentToDelete),
    "FineTuneGNN": FineTuneGNN,
    "GIF": partial(GIF, max_iter=5),
    "GNNDelete": partial(GNNDelete, max_epochs=3),
    "GradientAscent": GradientAscent,
    "GraphEraser": partial(GraphEraser, n_shards=3, aggregation="learned"),
    "MEGU": partial(MEGU, smooth=(0.8, 0.5), max_epochs=3),
    "RestartGNN": RestartGNN,
    "Retrain": Retrain,
    "UtU": UtU,
}
NODES_ONLY = {"CEU", "CEU certified", "MEGU"}  # refuse link predictors
FEATURES_ONLY = {"GraphEraser"}  # refuse graphs whose nodes bring no features


def part_named(model, name):
    """Copy a weight of the network, also where another one is wrapped around it."""
    (found,) = [v for k, v in model.estimator_.module_.state_dict().items() if k.endswith(name)]
    return found.clone()


REQUESTS = [
    ([3, 17], "nodes"),
    ([0, 5, 9], "edges"),
    ([8], "features"),
]


@pytest.fixture(params=METHODS)
def name(request):
    """Name of a method."""
    return request.param


@pytest.fixture
def make(name):
    """Make the unlearner around an estimator."""
    return lambda estimator, **options: METHODS[name](estimator, **{"random_state": 0, **options})


@pytest.fixture(params=["nodes", "links"])
def task(request, name, blocks, links, node_classifier, link_predictor):
    """Data, an estimator, and what to ask it about."""
    if request.param == "nodes":
        return blocks, node_classifier(blocks), np.arange(20, 60)
    if name in NODES_ONLY:
        pytest.skip("for node classifiers")
    return links, link_predictor(links), np.stack([np.arange(20, 60), np.arange(60, 20, -1)])


@pytest.mark.parametrize(("asked", "of"), REQUESTS)
def test_unlearn_keeps_the_books(make, task, asked, of, untouched):
    data, estimator, questions = task
    watched, before = untouched(data), copy.deepcopy(estimator)
    model = make(estimator).fit(data)
    n = model.n_fit_[of]
    assert model.unlearn(asked, of=of) is model
    receipt = model.receipts_[-1]
    assert (receipt.of, receipt.rows.tolist(), receipt.n_retained) == (of, asked, n - len(asked))
    assert receipt.guarantee == model.guarantee
    assert np.flatnonzero(model.forgotten_[of]).tolist() == asked
    assert np.isfinite(model.predict_proba(questions)).all()
    watched.check()
    assert repr(estimator) == repr(before)


@pytest.mark.parametrize(("asked", "of"), REQUESTS)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(make, task, asked, of, same_state):
    data, estimator, _ = task
    a, b, c = (make(estimator, random_state=seed).fit(data).unlearn(asked, of=of) for seed in (0, 0, 1))
    assert same_state(a, b)
    assert not same_state(a, c)


def test_torch_s_own_generator_is_left_alone(make, task):
    data, estimator, questions = task
    torch.manual_seed(5)
    before = torch.get_rng_state()
    make(estimator).fit(data).unlearn([1]).predict(questions)
    assert torch.equal(torch.get_rng_state(), before)


def test_predictions_change_nothing_and_copies_are_apart(make, task, same_state):
    data, estimator, questions = task
    model = make(estimator).fit(data)
    first = model.predict_proba(questions)
    assert (model.predict_proba(questions) == first).all()
    twin = copy.deepcopy(model)
    twin.unlearn([2])
    assert (model.predict_proba(questions) == first).all()
    assert not model.forgotten_["nodes"].any()
    assert clone(model).get_params()["random_state"] == 0


def test_forgotten_nodes_can_no_longer_be_asked_about(make, task):
    data, estimator, _ = task
    model = make(estimator).fit(data).unlearn([4])
    pairs = [4, 5] if data.num_nodes == 60 else [[4], [5]]
    with pytest.raises(ValueError, match="node 4 is not in the graph"):
        model.predict(pairs)


def test_an_interrupted_request_leaves_the_model_as_it_was(make, task, monkeypatch):
    data, estimator, _ = task
    model = make(estimator).fit(data)
    before = dict(vars(model))

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model), "_file_receipt", fail)
    with pytest.raises(KeyboardInterrupt):
        model.unlearn([1])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


def test_repeats_do_nothing(make, task, same_state):
    data, estimator, _ = task
    model = make(estimator).fit(data).unlearn([1, 2])
    twin = copy.deepcopy(model).unlearn([2])
    assert same_state(model, twin)
    assert twin.receipts_[-1].already.tolist() == [2]


def test_the_saved_model_holds_no_graph(make, task):
    data, estimator, questions = task
    model = make(estimator).fit(data).unlearn([3])
    saved = pickle.dumps(model)
    assert data.x[3].numpy().tobytes() not in saved
    assert data.x[50].numpy().tobytes() not in saved
    loaded = pickle.loads(saved)
    with pytest.raises(DataNotAttachedError, match=r"attach_data\(data\)"):
        loaded.unlearn([7])
    with pytest.raises(DataNotAttachedError):
        loaded.predict(questions)
    assert (loaded.attach_data(data).predict_proba(questions) == model.predict_proba(questions)).all()
    assert len(loaded.unlearn([7]).receipts_) == 2


def test_a_reloaded_model_takes_its_graph_after_all_kinds_of_requests(make, blocks, node_classifier):
    model = make(node_classifier(blocks)).fit(blocks)
    model.unlearn([3]).unlearn([0, 9], of="edges").unlearn([5], of="features")
    loaded = pickle.loads(pickle.dumps(model)).attach_data(blocks)
    assert (loaded.predict_proba([6, 7]) == model.predict_proba([6, 7])).all()
    other = blocks.clone()
    other.x = other.x + 1
    with pytest.raises(DataChangedError):
        pickle.loads(pickle.dumps(model)).attach_data(other)


def test_a_graph_edited_after_fit_is_refused(make, task):
    data, estimator, _ = task
    data = data.clone()
    model = make(estimator).fit(data)
    data.x[40] += 1
    with pytest.raises(DataChangedError):
        model.unlearn([1])


def test_nothing_of_what_was_forgotten_is_held(make, task):
    data, estimator, _ = task
    model = make(estimator).fit(data).unlearn([3, 17])
    for holder in (model, model.estimator_):
        assert not (holder._data.x.unsqueeze(1) == data.x[[3, 17]]).all(dim=-1).any()
        assert not torch.isin(torch.tensor([3, 17]), holder._data.positions).any()


def test_labels_and_edges_for_testing_never_change_the_outcome(make, blocks, node_classifier, same_state):
    other = blocks.clone()
    other.y[blocks.test_mask] = 2 - other.y[blocks.test_mask]
    a, b = (make(node_classifier(d)).fit(d).unlearn([3, 17]) for d in (blocks, other))
    assert same_state(a, b)


def test_test_edges_never_change_the_outcome(name, make, links, link_predictor, same_state):
    if name in NODES_ONLY:
        pytest.skip("for node classifiers")
    other = links.clone()
    other.test_pos_edge_index, other.test_neg_edge_index = other.test_neg_edge_index, other.test_pos_edge_index
    a, b = (make(link_predictor(d)).fit(d).unlearn([3, 17], of="edges") for d in (links, other))
    assert same_state(a, b)


def test_an_unfitted_model_says_so(make, task):
    _, estimator, questions = task
    for call in (lambda m: m.unlearn([1]), lambda m: m.predict(questions)):
        with pytest.raises(NotFittedError):
            call(make(estimator))


def test_only_graph_estimators_are_taken(make, blocks):
    with pytest.raises(TypeError, match="NodeClassifier"):
        make(torch.nn.Linear(2, 2)).fit(blocks)


def test_a_class_of_nodes_is_forgotten(make, blocks, node_classifier):
    model = make(node_classifier(blocks)).fit(blocks).unlearn(classes=[1])
    assert (
        np.flatnonzero(model.forgotten_["nodes"]).tolist()
        == np.flatnonzero(blocks.train_mask & (blocks.y == 1)).tolist()
    )
    assert model.predict_proba(np.flatnonzero(blocks.test_mask)).shape[1] == 3
    with pytest.raises(UnknownIdError):
        model.unlearn(classes=[7])


@pytest.fixture
def embeds(name):
    """Skip methods that refuse knowledge graphs."""
    if name in NODES_ONLY | FEATURES_ONLY:
        pytest.skip("needs features")


@pytest.mark.parametrize("kind", ["links", "triples"])
def test_what_a_method_cannot_learn_is_refused(name, make, kind, links, triples, link_predictor, relational):
    refused = NODES_ONLY if kind == "links" else NODES_ONLY | FEATURES_ONLY
    if name not in refused:
        pytest.skip("is taken")
    data, estimator = (links, link_predictor(links)) if kind == "links" else (triples, relational())
    with pytest.raises((TypeError, ValueError), match=r"classif|features"):
        make(estimator).fit(data)


@pytest.mark.usefixtures("embeds")
def test_a_node_of_a_knowledge_graph_takes_its_embedding_along(make, triples, relational):
    model = make(relational()).fit(triples)
    before = part_named(model, "embedding.weight")
    after = part_named(model.unlearn([4]), "embedding.weight")
    assert not torch.equal(before[4], after[4])


@pytest.mark.usefixtures("embeds")
def test_a_relation_takes_its_weights_along(make, triples, relational):
    model = make(relational()).fit(triples)
    names = {"relation": [1], "convs.0.weight": [1, 4]}
    before = {name: part_named(model, name) for name in names}
    model.unlearn(classes=[1], of="edges")
    for name, rows in names.items():
        assert (before[name][rows] != part_named(model, name)[rows]).flatten(1).any(dim=1).all()
