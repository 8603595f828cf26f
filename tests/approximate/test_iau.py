"""IAU: one step, linear in its rate, that lands on the minimum where losses are quadratic."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional

from mlunlearn._testing import small_net
from mlunlearn.approximate import IAUClassifier
from mlunlearn.approximate.iau import moved

ROWS = np.arange(30)


@pytest.fixture
def change(trained, module_of):
    """How far the weights of a model have moved from those before."""

    def of(model):
        pairs = zip(module_of(model).parameters(), trained.net_.module_.parameters(), strict=True)
        return torch.cat([(a - b).detach().flatten() for a, b in pairs])

    return of


@pytest.mark.parametrize("step", ["sgd", "sign"])
def test_gradients_of_twins_cancel(step, trained, frozen, blobs, module_of, same_weights):
    """Each row to forget is a copy of a retained one: the gradients are the same."""
    X, y = (np.concatenate([part[:60], part[:60]]) for part in blobs[:2])
    model = IAUClassifier(frozen, step=step, random_state=0).fit(X, y).unlearn(np.arange(60))
    assert same_weights(module_of(model), trained.net_.module_)


def test_a_rate_of_nought_is_no_step():
    start = {"w": torch.randn(9)}
    assert torch.equal(moved(start, {"w": torch.randn(9)}, 0.0)["w"], start["w"])


def test_the_step_is_linear_in_the_rate(frozen, blobs, change):
    X, y, *_ = blobs
    once, twice = (change(IAUClassifier(frozen, lr=lr, random_state=0).fit(X, y).unlearn(ROWS)) for lr in (0.1, 0.2))
    torch.testing.assert_close(twice, 2 * once, rtol=1e-4, atol=1e-6)


class Scaled(nn.CrossEntropyLoss):
    def forward(self, logits, y):
        return 100 * super().forward(logits, y)


def test_the_step_of_signs_is_the_first_of_adam_whatever_the_scale_of_the_loss(trained, frozen, blobs, change):
    X, y, *_ = blobs
    scaled = copy.deepcopy(trained)
    scaled.net_.criterion_ = Scaled()
    models = [
        IAUClassifier.published(FrozenEstimator(net), random_state=0).fit(X, y).unlearn(ROWS)
        for net in (trained, scaled)
    ]
    module = copy.deepcopy(trained.net_.module_).eval().requires_grad_(True)
    inputs, targets = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    retain, forget = (functional.cross_entropy(module(inputs[rows]), targets[rows]) for rows in (slice(30, None), ROWS))
    (retain - forget).backward()
    optimizer.step()
    pairs = zip(module.parameters(), trained.net_.module_.parameters(), strict=True)
    expected = torch.cat([(a - b).detach().flatten() for a, b in pairs])
    for model in models:
        assert change(model).abs().max() <= 1e-3 * (1 + 1e-3)
        torch.testing.assert_close(change(model), expected, rtol=1e-3, atol=1e-5)


class Point(nn.Module):
    """A parameter, as far as it is from the inputs."""

    def __init__(self, at):
        super().__init__()
        self.at = nn.Parameter(torch.as_tensor(at, dtype=torch.float32))

    def forward(self, X):
        return self.at - X


class Quadratic(nn.Module):
    def forward(self, outputs, y):
        return 2.5 * outputs.square().sum(dim=1).mean()


@pytest.mark.parametrize("n_forget", [1, 30, 100])
def test_quadratic_losses_lead_to_the_minimum_over_the_retained_rows(n_forget, module_of):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 3)), np.arange(120) % 3
    net = NeuralNetClassifier(Point(X.mean(axis=0)), criterion=Quadratic, train_split=None, verbose=0).initialize()
    model = IAUClassifier(FrozenEstimator(net), lr=n_forget / (5.0 * 120), random_state=0)
    model.fit(X, y).unlearn(np.arange(n_forget))
    np.testing.assert_allclose(module_of(model).at.detach(), X[n_forget:].mean(axis=0), atol=1e-5)


def test_batches_do_not_matter(frozen, blobs, change):
    X, y, *_ = blobs
    few, many = (
        change(IAUClassifier(frozen, batch_size=size, random_state=0).fit(X, y).unlearn(ROWS)) for size in (7, 120)
    )
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-7)


def test_a_small_step_raises_the_loss_to_forget_and_not_the_other(trained, frozen, blobs, module_of):
    X, y, *_ = blobs
    model = IAUClassifier(frozen, lr=1e-2, random_state=0).fit(X, y).unlearn(ROWS)

    inputs, targets = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)

    def losses(module):
        rows = (slice(30), slice(30, None))
        return [functional.cross_entropy(module(inputs[part]), targets[part]).item() for part in rows]

    before, after = losses(trained.net_.module_), losses(module_of(model))
    assert after[0] > before[0]
    assert after[1] < before[1]
    np.testing.assert_allclose(model.receipts_[-1].work.details["forget_loss"], [before[0], after[0]], atol=1e-5)


def test_the_search_raises_the_loss_to_that_of_rows_never_seen(blobs):
    X, y, X_other, y_other = blobs
    y = np.where(np.arange(120) < 30, (y + 1) % 3, y)  # memorised, and so of a low loss for what they are
    model = IAUClassifier(small_net(max_epochs=40), lr=1e-3, line_search=True, random_state=0)
    model.fit(X, y, held_out=(X_other, y_other))
    level = -np.log(model.predict_proba(X_other))[np.arange(60), y_other].mean()
    before = -np.log(model.predict_proba(X))[np.arange(30), y[:30]].mean()
    work = model.unlearn(ROWS).receipts_[-1].work.details
    if before >= level:
        assert work["lr"] == 0
    else:
        assert before < work["forget_loss"][1] <= level + 1e-6
        assert work["forget_loss"][1] > level - 0.2 * (level - before)


def test_nothing_is_raised_that_is_as_high_already(trained, frozen, blobs, module_of, same_weights):
    X, y, X_other, _ = blobs
    wrong = np.where(np.arange(120) < 30, (trained.predict(X) + 1) % 3, y)
    model = IAUClassifier(frozen, line_search=True, random_state=0)
    model.fit(X, wrong, held_out=(X_other, trained.predict(X_other))).unlearn(ROWS)
    assert model.receipts_[-1].work.details["lr"] == 0
    assert same_weights(module_of(model), trained.net_.module_)


def test_the_search_asks_for_held_out_rows_before_anything_changes(frozen, blobs):
    X, y, *_ = blobs
    model = IAUClassifier(frozen, line_search=True, random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="held_out="):
        model.unlearn(ROWS)
    assert vars(model) == before
