"""Predictions that were made without each row."""

import copy

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.nets.seeds import seeded
from mlunlearn.regression import CrossFitRegressor, ShrinkPerturbRegressor


def long_trained(module):
    return NeuralNetRegressor(
        module, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=60, batch_size=32, train_split=None, verbose=0,
        callbacks="disable",
    )  # fmt: skip


@pytest.fixture(scope="module")
def memorising(patients):
    """A network that is wide and trained for long, and a cross-fit around it."""
    X, y, _ = patients
    with seeded(0):
        net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    ids = [f"person {row // 2}" for row in range(len(y))]
    return CrossFitRegressor(long_trained(net), few=0.05, random_state=0).fit(X, y, sample_ids=ids)


def test_folds_part_the_rows_and_keep_ids_together(memorising):
    rows = memorising._retained()
    folds = list(memorising._folds(rows))
    assert len(folds) == 5
    assert sorted(np.concatenate(folds).tolist()) == rows.tolist()
    assert all(set(fold // 2) & set(other // 2) == set() for fold in folds for other in folds if fold is not other)


def test_held_out_predictions_are_worse_than_those_of_who_saw_the_rows(memorising, patients):
    X, y, _ = patients
    own, held_out = memorising.predict(X), memorising.held_out_[:, 0]
    assert np.abs(own - y).mean() < 0.5 * np.abs(held_out - y).mean()
    assert 0.5 < memorising.trust_ <= 1


def test_few_rows_are_moved_to_their_aims_and_the_cost_follows_their_number(memorising, patients):
    X, y, _ = patients
    model, rows = copy.copy(memorising), np.array([3, 50, 100, 151])
    aims = model.held_out_[rows, 0]
    before = np.abs(model.predict(X[rows]) - aims).mean()
    model.unlearn(rows)
    assert np.abs(model.predict(X[rows]) - aims).mean() < 0.5 * before
    left = ~model.forgotten_
    assert np.abs(model.predict(X[left]) - y[left]).mean() < 0.4 * np.abs(y - y.mean()).mean()
    assert np.isnan(model.held_out_[rows]).all()
    assert not np.isnan(model.held_out_[left]).any()
    assert not np.isnan(memorising.held_out_).any()
    assert model.receipts_[-1].work.samples == 10 * 4 + 2 * 156  # batches of 32, the last of a pass of 28
    assert model.receipts_[-1].retrained_share < 0.04
    assert model.receipts_[-1].guarantee == "approximate"


def test_many_rows_are_forgotten_as_by_shrinking(memorising, patients, module_of, same_weights):
    X, y, gone = patients
    shrunken = ShrinkPerturbRegressor(memorising.estimator, random_state=0).fit(X, y)
    model = copy.copy(memorising).unlearn(gone)
    assert same_weights(module_of(shrunken.unlearn(gone)), module_of(model))
    assert np.isnan(model.held_out_[gone]).all()


def test_a_network_that_cannot_memorise_is_hardly_moved(rng):
    X = rng.normal(size=(300, 3))
    y = X.sum(axis=1) + rng.normal(size=300)
    model = CrossFitRegressor(long_trained(nn.Linear(3, 1)), random_state=0).fit(X, y)
    assert np.abs(model.held_out_[:, 0] - model.predict(X)).mean() < 0.1  # a tenth of the noise


@pytest.mark.parametrize(("name", "wrong"), [("n_folds", 1), ("few", 1.5), ("budget", 0), ("budget_lr", -1.0)])
def test_settings_that_make_no_sense(name, wrong, patients, frozen):
    X, y, _ = patients
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {wrong}"):
        CrossFitRegressor(frozen, **{name: wrong}).fit(X, y)
