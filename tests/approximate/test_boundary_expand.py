"""Boundary expand: one logit more while it learns, and the network's own number afterwards."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetBinaryClassifier
from torch import nn

from mlunlearn._testing import small_net
from mlunlearn.approximate import BoundaryExpandClassifier
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


def test_one_step_on_a_linear_network_is_that_of_the_extended_one(blobs, monkeypatch):
    """The gradient of the cross entropy for the class that does not exist is p x for each logit there is."""
    X, y, *_ = blobs
    trained = TorchClassifier(nn.Linear(5, 3), random_state=0).fit(X, y)
    extra = []
    original = BoundaryExpandClassifier._extra_logit

    def spy(self, *given):
        extra.append(copy.deepcopy(made := original(self, *given)))
        return made

    monkeypatch.setattr(BoundaryExpandClassifier, "_extra_logit", spy)
    method = BoundaryExpandClassifier(FrozenEstimator(nn.Sequential(trained.net_.module_)), max_epochs=1, lr=0.1)
    model = method.set_params(random_state=0).fit(X, y).unlearn(ROWS)
    rows = torch.as_tensor(X[ROWS].astype(np.float32))
    before = trained.net_.module_
    with torch.no_grad():
        p = torch.cat([before(rows), extra[0](rows)], dim=1).softmax(dim=1)[:, :3]
    after = model.estimator_.net_.module_[0]
    torch.testing.assert_close(after.weight, before.weight - 0.1 * p.T @ rows / 30)
    torch.testing.assert_close(after.bias, before.bias - 0.1 * p.mean(dim=0))


def test_outputs_keep_their_number_and_weights_their_names(frozen, trained, blobs):
    X, y, *_ = blobs
    model = BoundaryExpandClassifier(frozen, random_state=0).fit(X, y).unlearn(classes=[1])
    before, after = (each.net_.module_.state_dict() for each in (trained, model.estimator_))
    assert {name: value.shape for name, value in before.items()} == {n: value.shape for n, value in after.items()}
    assert model.predict_proba(X).shape == (120, 3)


@pytest.mark.parametrize("seed", range(3))
def test_a_forgotten_class_is_answered_more_like_by_a_network_that_never_saw_it(seed, blobs):
    X, y, *_ = blobs
    kept = y != 2
    trained = TorchClassifier(small_net(), random_state=seed).fit(X, y)
    retrained = TorchClassifier(small_net(), random_state=seed).fit(X[kept], y[kept])
    expected = np.pad(retrained.predict_proba(X)[:, :2], ((0, 0), (0, 1)))
    model = BoundaryExpandClassifier(FrozenEstimator(trained), random_state=seed).fit(X, y).unlearn(classes=[2])
    distances = [np.abs(each.predict_proba(X) - expected).mean() for each in (trained, model)]
    assert distances[1] < 0.8 * distances[0]


def test_one_output_of_a_binary_network_stands_for_two_classes(blobs):
    X, y = blobs[0], (blobs[1] > 0).astype(np.float32)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))
    net = NeuralNetBinaryClassifier(net, max_epochs=2, train_split=None, verbose=0)
    trained = TorchClassifier(net, random_state=0).fit(X, y)
    model = BoundaryExpandClassifier(FrozenEstimator(trained), lr=0.1, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    assert model.unlearn(classes=[1.0]).predict_proba(X).shape == (120, 2)
    assert not np.allclose(model.predict_proba(X), before)


def test_the_head_can_be_named_and_has_to_exist(frozen, blobs):
    X, y, *_ = blobs
    model = BoundaryExpandClassifier(frozen, head="body.3", random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.details == {"head": "body.3"}
    with pytest.raises(ValueError, match="no submodule"):
        BoundaryExpandClassifier(frozen, head="top", random_state=0).fit(X, y).unlearn(ROWS)


def test_published_settings(frozen):
    model = BoundaryExpandClassifier.published(frozen, random_state=3)
    assert (model.max_epochs, model.lr, model.momentum) == (10, 1e-5, 0.9)
