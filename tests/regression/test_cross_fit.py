"""Restarts, and predictions that were made without each row."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.regression import (
    CrossFitRegressor,
    FineTuneRegressor,
    RestartRegressor,
    ShrinkPerturbRegressor,
    StandardizedRegressor,
)


def module_of(model):
    return model.estimator_.regressor_.net_.module_


def same_weights(a, b):
    return all(torch.equal(p, q) for p, q in zip(module_of(a).parameters(), module_of(b).parameters(), strict=True))


def long_trained(module):
    return NeuralNetRegressor(
        module, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=60, batch_size=32, train_split=None, verbose=0,
        callbacks="disable",
    )  # fmt: skip


def test_a_restart_keeps_nothing_of_the_trained_weights(diabetes, mlp):
    X, y = diabetes
    other = copy.deepcopy(mlp)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(3)
    one, two = (
        RestartRegressor(FrozenEstimator(TorchRegressor(net, random_state=0).fit(X, y)), random_state=0)
        .fit(X, y)
        .unlearn(y <= 90)
        for net in (mlp, other)
    )
    assert same_weights(one, two)
    assert (one.guarantee, one.exactness) == ("approximate", None)
    assert (RestartRegressor(mlp).guarantee, RestartRegressor(mlp).exactness) == ("exact", "influence")


def test_controls_read_as_many_samples(diabetes, mlp):
    X, y = diabetes
    trained = FrozenEstimator(StandardizedRegressor(long_trained(mlp), random_state=0).fit(X, y))
    models = (
        ShrinkPerturbRegressor(trained, random_state=0),
        RestartRegressor(trained, random_state=0),
        FineTuneRegressor(trained, budget=0.18, decay=True, batch_size=None, random_state=0),
    )
    read = [model.fit(X, y).unlearn(y <= 90).receipts_[-1].work.samples for model in models]
    assert read[0] == read[1] == read[2] > 0


@pytest.fixture(scope="module")
def memorising(diabetes):
    """A network that is wide and trained for long, and a cross-fit around it."""
    X, y = diabetes
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    torch.set_rng_state(torch_state)
    ids = np.arange(len(y)) // 2
    return CrossFitRegressor(long_trained(net), few=0.05, random_state=0).fit(
        X, y, sample_ids=[f"person {k}" for k in ids]
    )


def test_folds_part_the_rows_and_keep_ids_together(memorising):
    rows = memorising._retained()
    folds = list(memorising._folds(rows))
    assert len(folds) == 5
    assert sorted(np.concatenate(folds).tolist()) == rows.tolist()
    assert all(set(fold // 2) & set(other // 2) == set() for fold in folds for other in folds if fold is not other)


def test_held_out_predictions_are_worse_than_those_of_who_saw_the_rows(memorising, diabetes):
    X, y = diabetes
    own, held_out = memorising.predict(X), memorising.held_out_[:, 0]
    assert np.abs(own - y).mean() < 0.5 * np.abs(held_out - y).mean()
    assert 0.5 < memorising.trust_ <= 1


def test_few_rows_are_moved_to_their_aims_and_the_cost_follows_their_number(memorising, diabetes):
    X, y = diabetes
    model, rows = copy.copy(memorising), np.array([3, 50, 200, 301])
    aims = model.held_out_[rows, 0]
    before = np.abs(model.predict(X[rows]) - aims).mean()
    model.unlearn(rows)
    assert np.abs(model.predict(X[rows]) - aims).mean() < 0.5 * before
    left = ~model.forgotten_
    assert np.abs(model.predict(X[left]) - y[left]).mean() < 0.4 * np.abs(y - y.mean()).mean()
    assert np.isnan(model.held_out_[rows]).all()
    assert not np.isnan(model.held_out_[left]).any()
    assert not np.isnan(memorising.held_out_).any()
    assert model.receipts_[-1].work.samples == 10 * (4 + 32)
    assert model.receipts_[-1].retrained_share < 0.02
    assert model.receipts_[-1].guarantee == "approximate"


def test_many_rows_are_forgotten_as_by_shrinking(memorising, diabetes):
    X, y = diabetes
    shrunken = ShrinkPerturbRegressor(memorising.estimator, random_state=0).fit(X, y)
    assert same_weights(shrunken.unlearn(y <= 90), copy.copy(memorising).unlearn(y <= 90))


def test_a_network_that_cannot_memorise_is_hardly_moved(rng):
    X = rng.normal(size=(600, 3))
    y = X.sum(axis=1) + rng.normal(size=600)
    model = CrossFitRegressor(long_trained(nn.Linear(3, 1)), random_state=0).fit(X, y)
    assert np.abs(model.held_out_[:, 0] - model.predict(X)).mean() < 0.1  # a tenth of the noise


@pytest.mark.parametrize(("name", "wrong"), [("n_folds", 1), ("few", 1.5), ("budget", 0), ("budget_lr", -1.0)])
def test_settings_that_make_no_sense(name, wrong, diabetes, mlp):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {wrong}"):
        CrossFitRegressor(mlp, **{name: wrong}).fit(*diabetes)
