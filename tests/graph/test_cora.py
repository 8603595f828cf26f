"""On real data: D2DGN by its default settings, between UtU and retraining."""

from functools import partial

import numpy as np
import pytest
from torch_geometric.nn import GCN

from mlunlearn.graph import (
    D2DGN,
    LinkPredictor,
    NodeClassifier,
    audit_graph,
    choose_forgotten,
    deletion_masks,
    split_edges,
    split_nodes,
)

pytestmark = pytest.mark.slow


def distance(table, figure):
    """How far each model is from retraining."""
    return (table[figure] - table.loc["Retrain", figure]).abs()


def test_forgotten_edges(cora):
    data = split_edges(cora, random_state=42)
    estimator = LinkPredictor(
        partial(GCN, data.num_features, 128, 2, out_channels=64), max_epochs=400, lr=5e-3, random_state=42
    )
    asked = choose_forgotten(deletion_masks(data)[0], 0.025, random_state=42)
    methods = {"D2DGN": partial(D2DGN, random_state=42)}
    table = audit_graph(estimator.fit(data), data, asked, of="edges", methods=methods, n_references=2).to_frame()
    assert table.loc["Retrain", "auc_unseen"] == pytest.approx(0.51, abs=0.05)
    assert table.loc["UtU", "auc_unseen"] == pytest.approx(0.59, abs=0.05)
    assert distance(table, "auc_test")["D2DGN"] < 0.02
    for figure in ("auc_unseen", "auc_forget"):
        assert distance(table, figure)["D2DGN"] < distance(table, figure)["UtU"] / 2
    assert table.loc["D2DGN", "gap_forget"] <= table.loc["UtU", "gap_forget"]
    assert table.loc["D2DGN", "seconds"] < table.loc["Retrain", "seconds"] / 5


@pytest.mark.parametrize("what", ["nodes", "class"])
def test_forgotten_nodes(cora, what):
    data = split_nodes(cora, random_state=42)
    make = partial(GCN, data.num_features, 64, 2, out_channels=7, dropout=0.5)
    original = NodeClassifier(make, random_state=42).fit(data)
    training = np.flatnonzero(data.train_mask)
    some = {"forget_idx": np.random.RandomState(42).choice(training, len(training) // 20, replace=False)}
    request = some if what == "nodes" else {"classes": [3]}
    methods = {"D2DGN": partial(D2DGN, random_state=42)}
    table = audit_graph(original, data, methods=methods, n_references=2, **request).to_frame()
    assert distance(table, "accuracy_test")["D2DGN"] < 0.03
    for figure in ("auc_unseen", "accuracy_forget"):
        assert distance(table, figure)["D2DGN"] < distance(table, figure)["UtU"]
    assert table.loc["D2DGN", "gap_forget"] < table.loc["UtU", "gap_forget"]
