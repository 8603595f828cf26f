"""Continued training on the graph that is left, the control of every approximate method."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from mlunlearn.graph import FineTuneGNN, NodeClassifier, UtU


def test_it_reads_what_the_budget_says(blocks, node_classifier):
    for budget, passes in ((0.2, 3), (0.01, 1), (2.0, 30)):
        model = FineTuneGNN(node_classifier(blocks), budget=budget, random_state=0).fit(blocks).unlearn([3, 17])
        work = model.receipts_[-1].work
        assert (work.samples, work.full) == (passes * int(model._data.labelled.sum()), 15 * work.samples // passes)


def test_it_goes_on_from_the_trained_weights(blocks, node_classifier):
    """The loss on what is left falls below that of the trained weights, and less than it would from new ones."""
    trained = node_classifier(blocks, max_epochs=30, random_state=0).fit(blocks)
    ours, start = (m(FrozenEstimator(trained), random_state=0).fit(blocks).unlearn([3, 17]) for m in (FineTuneGNN, UtU))

    def loss(model):
        graph = model._data
        with torch.no_grad():
            return float(model.estimator_.loss(model.estimator_.module_, graph, torch.Generator()))

    assert loss(ours) < loss(start)


@pytest.mark.parametrize("kind", ["nodes", "edges"])
def test_what_was_forgotten_is_never_read(blocks, node_classifier, same_state, kind):
    """Labels and features of forgotten nodes may be erased at the source: the trained weights are all that is left."""
    trained = node_classifier(blocks, random_state=0).fit(blocks)
    asked = np.flatnonzero(blocks.train_mask)[:3] if kind == "nodes" else np.array([0, 5, 9])
    erased = blocks.clone()
    if kind == "nodes":
        erased.x, erased.y = blocks.x.clone(), blocks.y.clone()
        erased.x[asked], erased.y[asked] = torch.randn(3, 6), 2
    a, b = (
        FineTuneGNN(FrozenEstimator(trained), random_state=0).fit(data).unlearn(asked, of=kind)
        for data in (blocks, erased)
    )
    assert same_state(a, b)


def test_the_learning_rate_falls_if_asked_to(blocks, node_classifier, same_state):
    make = {"estimator": node_classifier(blocks), "random_state": 0}
    a, b = (FineTuneGNN(**make, decay=decay).fit(blocks).unlearn([3]) for decay in (False, True))
    assert not same_state(a, b)
    assert isinstance(a.estimator_, NodeClassifier)
