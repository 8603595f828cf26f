"""Retraining is exact: to the bit, in any order, and against a fit on the smaller graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator

from mlunlearn.graph import Retrain, UtU, stochastic_block_model

SMALL = stochastic_block_model([10, 10, 10], n_features=4, random_state=3)


@settings(deadline=None, max_examples=10)
@given(st.sets(st.integers(0, 29), min_size=2, max_size=12), st.integers(1, 11))
def test_two_requests_equal_one_and_a_fit_without_the_nodes(nodes, cut):
    from functools import partial

    from torch_geometric.nn import GCN

    from mlunlearn.graph import NodeClassifier

    nodes = sorted(nodes)
    cut = min(cut, len(nodes) - 1)
    make = partial(GCN, 4, 4, 2, out_channels=3, dropout=0.5)
    model = Retrain(NodeClassifier(make, max_epochs=3), random_state=0)
    twice = model.fit(SMALL).unlearn(nodes[cut:]).unlearn(nodes[:cut]).estimator_.module_.state_dict()
    without = model.fit(SMALL, exclude=nodes).estimator_.module_.state_dict()
    kept = torch.ones(30, dtype=torch.bool)
    kept[nodes] = False
    smaller = model.fit(SMALL.subgraph(kept)).estimator_.module_.state_dict()
    for name in twice:
        assert torch.equal(twice[name], without[name])
        assert torch.equal(twice[name], smaller[name])


@pytest.mark.parametrize("of", ["edges", "features"])
def test_unlearn_equals_a_fit_without(links, link_predictor, same_state, of):
    a = Retrain(link_predictor(links), random_state=0).fit(links).unlearn([3], of=of).unlearn([1, 20], of=of)
    b = Retrain(link_predictor(links), random_state=0).fit(links, exclude=[1, 3, 20], of=of)
    assert same_state(a, b)
    assert (a.forgotten_[of] == b.forgotten_[of]).all()


def test_a_relation_equals_a_fit_without_it(triples, relational, same_state):
    a = Retrain(relational(), random_state=0).fit(triples).unlearn(classes=[2], of="edges")
    b = Retrain(relational(), random_state=0).fit(triples, exclude=triples.edge_type.numpy() == 2, of="edges")
    assert same_state(a, b)


def test_a_model_trained_elsewhere_is_refused_and_taken_by_approximate_methods(blocks, node_classifier):
    trained = node_classifier(blocks, random_state=0).fit(blocks)
    with pytest.raises(ValueError, match="exact"):
        Retrain(FrozenEstimator(trained)).fit(blocks)
    model = UtU(FrozenEstimator(trained)).fit(blocks)
    before = trained.predict_proba([0, 5])
    assert (model.predict_proba([0, 5]) == before).all()
    model.unlearn([1])
    assert (trained.predict_proba([0, 5]) == before).all()
