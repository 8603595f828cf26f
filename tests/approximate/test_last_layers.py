"""CF-k and EU-k: the last layers learn, the others are frozen."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from mlunlearn.approximate import CFkClassifier, EUkClassifier
from mlunlearn.networks import step_batches

ROWS = np.arange(30)
both = pytest.mark.parametrize("method", [CFkClassifier, EUkClassifier])


@both
def test_frozen_layers_and_their_statistics_are_the_same_to_the_bit(method, trained_conv, digits, module_of):
    X, y = digits
    model = method(FrozenEstimator(trained_conv), max_epochs=2, random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.details == {"layers": ["body.6"]}
    before, after = trained_conv.net_.module_.state_dict(), module_of(model).state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"body.6.weight", "body.6.bias"}


@both
def test_the_cost_is_the_passes_and_two_rows_to_see_the_order(method, frozen, blobs):
    X, y, *_ = blobs
    model = method(frozen, max_epochs=3, random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.samples == 3 * 90 + 2


@both
def test_more_layers_than_there_are_is_refused_before_any_change(method, frozen, blobs):
    X, y, *_ = blobs
    model = method(frozen, n_layers=3, random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"n_layers is 3, and the network has 2 layers \(body.0, body.3\)"):
        model.unlearn(ROWS)
    assert vars(model) == before


@both
def test_a_network_whose_last_layers_are_not_trainable_is_refused(method, trained, blobs):
    X, y, *_ = blobs
    net = copy.deepcopy(trained)
    net.net_.module_.body[3].requires_grad_(False)
    model = method(FrozenEstimator(net), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="no weight of the last 1 layers is trainable"):
        model.unlearn(ROWS)
    assert method(FrozenEstimator(net), n_layers=2, random_state=0).fit(X, y).unlearn(ROWS).receipts_


def expected(net, X, y, seed, batch_size, max_epochs):
    """Training of all layers, written out: Adam, and a rate that drops three times."""
    n_steps = max_epochs * -(-len(X) // batch_size)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, fused=True)
    schedule = MultiStepLR(optimizer, [round(share * n_steps) for share in (0.5, 0.8, 0.9)])
    for rows in step_batches(len(X), batch_size, n_steps, seed):
        loss = nn.functional.cross_entropy(net(torch.as_tensor(X[rows], dtype=torch.float32)), torch.as_tensor(y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


@both
def test_with_all_layers_it_is_continued_or_new_training(method, blobs, module_of, same_weights, monkeypatch):
    """A module passed as an instance brings its untrained weights, from which EU-k starts."""
    X, y, *_ = blobs
    seeds, original = {}, method._edit

    def edit(self, module, forget, retain, run):
        seeds["batches"] = run.seed("batches")
        return original(self, module, forget, retain, run)

    monkeypatch.setattr(method, "_edit", edit)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    model = method(net, n_layers=2, lr=0.01, batch_size=16, max_epochs=2, random_state=0).fit(X, y)
    start = copy.deepcopy(net if method is EUkClassifier else module_of(model))
    model.unlearn(ROWS)
    assert same_weights(module_of(model), expected(start, X[30:], y[30:], seeds["batches"], 16, 2))


def test_of_the_layers_that_are_trained_anew_nothing_is_left(trained_conv, digits, module_of):
    """Statistics of batch normalisation included: they begin with those of an untrained network."""
    X, y = digits
    still = {"lr": 1e-12, "max_epochs": 1, "batch_size": 300, "random_state": 0}
    model = EUkClassifier(FrozenEstimator(trained_conv), n_layers=2, **still).fit(X, y).unlearn(ROWS)
    before, after = trained_conv.net_.module_.body, module_of(model).body
    for layer in (0, 6):
        assert not torch.isclose(before[layer].weight, after[layer].weight).any()
    assert after[1].num_batches_tracked.item() == 1


@both
def test_published_settings(method, frozen):
    model = method.published(frozen, n_layers=3)
    assert (model.optimizer, model.lr, model.weight_decay, model.max_epochs, model.n_layers) == (
        "sgd",
        0.01,
        5e-4,
        10,
        3,
    )
