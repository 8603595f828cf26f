"""Boundary shrink: neighbours lie in the box, are never of the true class, and are what is learned."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn._testing import small_net
from mlunlearn.approximate import BoundaryShrinkClassifier
from mlunlearn.approximate._inputs import Spread
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


@pytest.fixture
def seen(monkeypatch):
    """What the network before is shown: inputs in turn as they are and as they were moved."""
    shown = []
    original = Spread.inside

    def inside(self, X):
        shown.append((self, X.detach(), original(self, X).detach()))
        return shown[-1][2]

    monkeypatch.setattr(Spread, "inside", inside)
    return shown


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 5.0])
def test_the_step_follows_the_signs_of_the_gradient_inside_the_box(epsilon, frozen, trained, blobs, seen):
    X, y, *_ = blobs
    BoundaryShrinkClassifier(frozen, epsilon=epsilon, random_state=0).fit(X, y).unlearn(ROWS)
    ((spread, moved, inside),) = seen
    rows = torch.as_tensor(X[ROWS].astype(np.float32))
    reach = torch.as_tensor(np.ptp(X[ROWS].astype(np.float32), axis=0))
    given = rows.clone().requires_grad_()
    nn.functional.cross_entropy(trained.net_.module_.eval()(given), torch.as_tensor(y[ROWS])).backward()
    torch.testing.assert_close(moved, rows + epsilon * reach * given.grad.sign())
    assert (inside >= rows.amin(dim=0)).all()
    assert (inside <= rows.amax(dim=0)).all()
    torch.testing.assert_close(spread.high - spread.low, reach)
    if not epsilon:
        torch.testing.assert_close(inside, rows)


def test_images_have_one_box_for_all_their_numbers(digits, seen):
    X, y = digits
    X = X.reshape(-1, 1, 8, 8)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    BoundaryShrinkClassifier(FrozenEstimator(net), random_state=0).fit(X, y).unlearn(ROWS)
    spread, moved, _ = seen[0]
    assert (spread.low.item(), spread.high.item()) == (0.0, 255.0)
    distance = (moved - torch.as_tensor(X[ROWS].astype(np.float32))).abs()
    assert set(np.round(distance.numpy(), 3).ravel().tolist()) <= {0.0, 25.5}


def test_without_a_step_the_runner_up_is_learned(frozen, trained, blobs):
    """And no step counts as one that crossed a boundary."""
    X, y, *_ = blobs
    right = np.flatnonzero(trained.predict(X) == y)[:30]
    model = BoundaryShrinkClassifier(frozen, epsilon=0.0, max_epochs=100, lr=0.05, random_state=0)
    model.fit(X, y).unlearn(right)
    assert model.receipts_[-1].work.details == {"crossed": 0}
    runner_up = trained.predict_proba(X[right]).argsort(axis=1)[:, 1]
    assert (model.predict(X[right]) == runner_up).mean() > 0.8
    assert (model.predict(X[right]) == y[right]).mean() < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_a_forgotten_class_is_answered_more_like_by_a_network_that_never_saw_it(seed, blobs):
    X, y, *_ = blobs
    kept = y != 2
    trained = TorchClassifier(small_net(), random_state=seed).fit(X, y)
    retrained = TorchClassifier(small_net(), random_state=seed).fit(X[kept], y[kept])
    expected = np.pad(retrained.predict_proba(X)[:, :2], ((0, 0), (0, 1)))
    model = BoundaryShrinkClassifier(FrozenEstimator(trained), random_state=seed).fit(X, y).unlearn(classes=[2])
    distances = [np.abs(each.predict_proba(X) - expected).mean() for each in (trained, model)]
    assert distances[1] < 0.5 * distances[0]


def test_inputs_that_are_looked_up_cannot_be_moved(blobs):
    X, y = np.arange(120).reshape(60, 2) % 7, blobs[1][:60]
    net = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 3))
    model = BoundaryShrinkClassifier(FrozenEstimator(net), random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="integers that are looked up"):
        model.unlearn([0, 1])
    assert vars(model) == before


def test_published_settings(frozen):
    model = BoundaryShrinkClassifier.published(frozen, random_state=3)
    assert (model.epsilon, model.max_epochs, model.lr, model.momentum) == (0.1, 10, 1e-5, 0.9)
