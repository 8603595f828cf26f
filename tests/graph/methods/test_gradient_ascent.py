"""Gradient ascent raises the loss of what is forgotten."""

import numpy as np
import pytest

from mlunlearn.graph import GradientAscent, UtU, edge_list


def test_the_loss_of_forgotten_edges_rises(links, link_predictor):
    pairs = edge_list(links)[:, [3, 8, 21]]
    ours, utu = (method(link_predictor(links), random_state=0).fit(links) for method in (GradientAscent, UtU))
    for model in (ours, utu):
        model.unlearn([3, 8, 21], of="edges")
    loss = [-np.log(model.predict_proba(pairs)[:, 1]).mean() for model in (ours, utu)]
    assert loss[0] > loss[1]


@pytest.mark.parametrize("of", ["nodes", "features", "edges"])
def test_the_loss_of_forgotten_nodes_rises(blocks, node_classifier, of):
    asked = np.flatnonzero(blocks.train_mask)[:3]
    labels = blocks.y[asked]
    proba = []
    for method in (GradientAscent, UtU):
        model = method(node_classifier(blocks, max_epochs=40), random_state=0).fit(blocks).unlearn(asked, of=of)
        proba.append(model.predict_proba(asked, data=blocks)[np.arange(3), labels].mean())
    assert proba[0] < proba[1]


def test_a_node_without_a_label_leaves_nothing_to_climb(blocks, node_classifier, same_state):
    asked = np.flatnonzero(blocks.test_mask)[:2]
    ours, utu = (m(node_classifier(blocks), random_state=0).fit(blocks).unlearn(asked) for m in (GradientAscent, UtU))
    assert same_state(ours, utu)
    assert ours.receipts_[-1].work.samples == 0
