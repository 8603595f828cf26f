"""NegGrad and NegGrad+: up on the rows to forget, and no higher than the ceiling."""

import math

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn._testing import small_net
from mlunlearn.approximate import FineTuneClassifier, NegGradClassifier, NegGradPlusClassifier
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


def loss_on(module, X, y):
    with torch.no_grad():
        return nn.functional.cross_entropy(module(torch.as_tensor(X, dtype=torch.float32)), torch.as_tensor(y)).item()


def details(model):
    return model.receipts_[-1].work.details


class Three(nn.Linear):
    """Three outputs for five features."""

    def __init__(self):
        super().__init__(5, 3)


@pytest.fixture
def linear(blobs):
    """A network without dropout, trained elsewhere."""
    X, y, *_ = blobs
    return FrozenEstimator(TorchClassifier(small_net(module=Three, callbacks="disable"), random_state=0).fit(X, y))


def test_the_ascent_ends_at_the_loss_of_guessing(frozen, blobs, module_of):
    """Ten times as many passes climb no higher than a step beyond it, though the loss has no upper bound."""
    X, y, *_ = blobs
    found = [NegGradClassifier(frozen, max_epochs=n, random_state=0).fit(X, y).unlearn(ROWS) for n in (100, 1000)]
    assert details(found[0]) == details(found[1])
    assert details(found[0])["ceiling"] == math.log(3)
    assert details(found[0])["loss"][-1] == pytest.approx(loss_on(module_of(found[0]), X[ROWS], y[ROWS]), rel=1e-4)
    assert math.log(3) <= details(found[0])["loss"][-1] < 1.2 * math.log(3)


def test_it_ends_at_the_loss_on_held_out_rows_unless_a_class_is_forgotten(frozen, trained, blobs):
    X, y, X_other, y_other = blobs
    model = NegGradClassifier(frozen, random_state=0).fit(X, y, held_out=(X_other, y_other))
    ceilings = [details(model.unlearn(**asked))["ceiling"] for asked in ({"forget_idx": ROWS}, {"classes": [1]})]
    assert ceilings == [pytest.approx(loss_on(trained.net_.module_, X_other, y_other), rel=1e-4), math.log(3)]


def test_where_nothing_is_known_nothing_is_changed(frozen, trained, blobs, module_of, same_weights):
    X, y, *_ = blobs
    wrong = np.where(np.isin(np.arange(len(y)), ROWS), (trained.predict(X) + 1) % 3, y)
    model = NegGradClassifier(frozen, random_state=0).fit(X, wrong).unlearn(ROWS)
    assert same_weights(module_of(model), trained.net_.module_)
    assert model.receipts_[-1].work.samples == len(ROWS)


def test_a_step_of_the_ascent_is_the_gradient(linear, blobs, module_of):
    X, y, *_ = blobs
    model = NegGradClassifier(linear, max_epochs=1, lr=0.5, momentum=0.0, batch_size=30, random_state=0).fit(X, y)
    net = module_of(model)
    logits = net(torch.as_tensor(X[ROWS], dtype=torch.float32))
    gradient = torch.autograd.grad(nn.functional.cross_entropy(logits, torch.as_tensor(y[ROWS])), net.weight)[0]
    expected = net.weight + 0.5 * gradient
    torch.testing.assert_close(module_of(model.unlearn(ROWS)).weight, expected)


def test_a_step_of_both_is_the_weighted_difference_of_gradients(linear, blobs, module_of):
    """Settings of the benchmark on faces: the plain difference, at a rate of 0.001."""
    X, y, *_ = blobs
    model = NegGradPlusClassifier.published(linear, form="mufac", max_epochs=1, batch_size=90, random_state=0).fit(X, y)
    net = module_of(model)
    keep, drop = (
        nn.functional.cross_entropy(net(torch.as_tensor(X[rows], dtype=torch.float32)), torch.as_tensor(y[rows]))
        for rows in (np.arange(30, 120), ROWS)
    )
    expected = net.weight - 0.001 * torch.autograd.grad(keep - drop, net.weight)[0]
    torch.testing.assert_close(module_of(model.unlearn(ROWS)).weight, expected)


def test_without_ascent_it_is_fine_tuning_to_the_bit(linear, blobs, module_of, same_weights):
    X, y, *_ = blobs
    settings = {"lr": 0.01, "weight_decay": 5e-4, "batch_size": 18, "random_state": 0}
    model = NegGradPlusClassifier(linear, alpha=1.0, max_epochs=3, **settings).fit(X, y).unlearn(ROWS)
    other = FineTuneClassifier(linear, optimizer="sgd", n_steps=15, **settings).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), module_of(other))


def test_the_ceiling_keeps_what_the_published_form_loses(frozen, blobs, module_of):
    """A class at full ascent: without a ceiling its loss goes up without end, with one it stays near guessing."""
    X, y, *_ = blobs
    settings = {"alpha": 0.5, "max_epochs": 40, "lr": 0.05, "random_state": 0}
    losses = {}
    for capped in (True, False):
        model = NegGradPlusClassifier(frozen, capped=capped, **settings).fit(X, y).unlearn(classes=[2])
        losses[capped] = loss_on(module_of(model), X[y == 2], y[y == 2])
    assert losses[False] > 10 * math.log(3)
    assert losses[True] < losses[False] / 2


def test_the_rows_that_are_read(frozen, blobs):
    """Batches of 18: five of retained rows a pass, and as many of rows to forget, which are 18 and 12 by turns."""
    X, y, *_ = blobs
    model = NegGradPlusClassifier(frozen, max_epochs=2, batch_size=18, random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.samples == 2 * 90 + 5 * (18 + 12)


def test_published_settings(frozen):
    model = NegGradPlusClassifier.published(frozen)
    assert (model.alpha, model.capped, model.lr, model.momentum) == (0.95, False, 0.01, 0.9)
    with pytest.raises(ValueError, match="form"):
        NegGradPlusClassifier.published(frozen, form="medium")
