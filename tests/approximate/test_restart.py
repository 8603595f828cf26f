"""Restart: training on the retained rows from scratch, and nothing else."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mlunlearn._testing import ConvNet, small_net
from mlunlearn.approximate import FineTuneClassifier, RestartClassifier

ROWS = np.arange(30)


def perceptron():
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


def test_it_is_fine_tuning_of_the_weights_that_the_estimator_brings(blobs, module_of, same_weights):
    """A module passed as an instance brings its untrained weights: from there the two controls are one loop."""
    X, y, *_ = blobs
    net = perceptron()
    settings = {"n_steps": 7, "lr": 0.01, "batch_size": 16, "random_state": 0}
    model = RestartClassifier(net, **settings).fit(X, y).unlearn(ROWS)
    other = FineTuneClassifier(net, decay=True, **settings).fit(X, y)
    module_of(other).load_state_dict(copy.deepcopy(net.state_dict()))
    assert same_weights(module_of(model), module_of(other.unlearn(ROWS)))


@pytest.mark.parametrize("module", ["conv", "perceptron"])
def test_no_number_depends_on_what_the_forgotten_rows_held(module, blobs, digits, module_of, same_weights):
    X, y = digits if module == "conv" else blobs[:2]
    net = small_net(module=ConvNet, max_epochs=1) if module == "conv" else perceptron()
    other = X.copy()
    other[ROWS] = 7
    models = [RestartClassifier(net, n_steps=3, random_state=0).fit(rows, y).unlearn(ROWS) for rows in (X, other)]
    assert same_weights(*map(module_of, models))


def test_nothing_of_a_frozen_network_is_left(frozen, trained, blobs, module_of):
    X, y, *_ = blobs
    model = RestartClassifier(frozen, n_steps=1, lr=1e-9, random_state=0).fit(X, y).unlearn(ROWS)
    for before, after in zip(trained.net_.module_.parameters(), module_of(model).parameters(), strict=True):
        assert not torch.isclose(before, after).any()


@pytest.mark.parametrize("budget", [0.5, 1.0])
def test_the_budget_is_the_share_of_a_training_that_is_read(budget, frozen, blobs):
    X, y, *_ = blobs
    model = RestartClassifier(frozen, budget=budget, batch_size=5, random_state=0).fit(X, y).unlearn(range(20))
    assert model.receipts_[-1].retrained_share == pytest.approx(budget)


def test_controls_of_one_budget_read_the_same_rows(frozen, blobs, monkeypatch):
    """Batch for batch, so that a difference between them is one of weights."""
    X, y, *_ = blobs
    read = {}
    for method in (RestartClassifier, FineTuneClassifier):
        seen = read[method] = []
        original = method._edit

        def edit(self, module, forget, retain, run, original=original, seen=seen):
            inside = run.criterion
            run.criterion = lambda logits, labels: (seen.append(labels.tolist()), inside(logits, labels))[1]
            return original(self, module, forget, retain, run)

        monkeypatch.setattr(method, "_edit", edit)
        method(frozen, budget=0.3, random_state=0).fit(X, y).unlearn(ROWS)
    assert read[RestartClassifier] == read[FineTuneClassifier]
