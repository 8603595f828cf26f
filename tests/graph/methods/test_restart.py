"""Training anew for a shorter time on the graph that is left, the control of every approximate method."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from mlunlearn.graph import RestartGNN, Retrain

OF = {"nodes": [3, 17], "edges": [0, 5, 9], "features": [8]}


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("kind", ["nodes", "links"])
def test_with_the_whole_budget_it_is_retraining(kind, blocks, links, node_classifier, link_predictor, same_state, of):
    data, estimator = (blocks, node_classifier(blocks)) if kind == "nodes" else (links, link_predictor(links))
    ours = RestartGNN(estimator, budget=1.0, random_state=0).fit(data)
    assert same_state(ours.unlearn(OF[of], of=of), Retrain(estimator, random_state=0).fit(data, exclude=OF[of], of=of))
    assert (ours.receipts_[-1].guarantee, ours.receipts_[-1].exactness) == ("exact", "influence")


def test_no_weight_is_a_function_of_what_was_forgotten(blocks, node_classifier, same_state):
    """Poisoning the forgotten nodes before the fit changes nothing after the request."""
    poisoned, asked = blocks.clone(), np.flatnonzero(blocks.train_mask)[:3]
    poisoned.x, poisoned.y = blocks.x.clone(), blocks.y.clone()
    poisoned.x[asked], poisoned.y[asked] = 5.0, 2
    a, b = (RestartGNN(node_classifier(d), random_state=0).fit(d).unlearn(asked) for d in (blocks, poisoned))
    assert same_state(a, b)


def test_of_a_frozen_network_the_architecture_is_taken(blocks, node_classifier, same_state):
    estimators = [node_classifier(blocks, random_state=seed).fit(blocks) for seed in (0, 1)]
    a, b = (RestartGNN(FrozenEstimator(e), random_state=0).fit(blocks).unlearn([3]) for e in estimators)
    assert a.guarantee == a.receipts_[-1].guarantee == "approximate"
    assert a.exactness is None
    assert same_state(a, b)  # whatever the trained weights were
    shapes = {name: value.shape for name, value in estimators[0].module_.state_dict().items()}
    assert {name: value.shape for name, value in a.estimator_.module_.state_dict().items()} == shapes
    assert not torch.equal(a.estimator_.module_.convs[0].lin.weight, estimators[0].module_.convs[0].lin.weight)


def test_it_reads_what_the_budget_says(links, link_predictor):
    model = RestartGNN(link_predictor(links), budget=0.4, random_state=0).fit(links).unlearn([3, 8], of="edges")
    work = model.receipts_[-1].work
    assert work.samples == 6 * model._data.n_edges
    assert work.share == 0.4
