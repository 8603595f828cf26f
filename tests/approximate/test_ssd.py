"""SSD: the threshold, its bound, and the search for it."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn._testing import ConvNet, small_net
from mlunlearn.approximate import SSDClassifier, ssd
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


def details(model):
    return model.receipts_[-1].work.details


@pytest.mark.parametrize("alpha", [4.0, 1e30])
def test_a_threshold_at_the_bound_does_nothing_whatever_the_data(
    alpha, trained, frozen, blobs, module_of, same_weights
):
    X, y = blobs[0].copy(), blobs[1]
    X[30:, 1] = 0  # weights that rows to forget alone touch have a ratio of 120 / 30
    model = SSDClassifier(frozen, alpha=alpha, random_state=0).fit(X, y).unlearn(ROWS)
    assert details(model) == {"alpha": alpha, "dampened": 0}
    assert same_weights(module_of(model), trained.net_.module_)
    assert details(SSDClassifier(frozen, bound_share=0.99, random_state=0).fit(X, y).unlearn(ROWS))["dampened"] == 16


@pytest.mark.parametrize("bound_share", [0.3, 0.5, 0.8])
def test_a_share_of_the_bound_selects_the_same_weights_under_either_reference(
    bound_share, trained, frozen, blobs, module_of
):
    X, y, *_ = blobs
    changed = []
    for reference in ("all", "retain"):
        model = SSDClassifier(frozen, bound_share=bound_share, reference=reference, random_state=0).fit(X, y)
        model.unlearn(classes=[2])
        pairs = zip(trained.net_.module_.parameters(), module_of(model).parameters(), strict=True)
        changed.append(torch.cat([(a != b).flatten() for a, b in pairs]))
    assert torch.equal(*changed)
    assert 0 < changed[0].sum() < len(changed[0])


class Scaled(nn.CrossEntropyLoss):
    def forward(self, logits, y):
        return 8 * super().forward(logits, y)


def test_the_scale_of_the_loss_does_not_matter(trained, blobs, module_of, same_weights):
    X, y, *_ = blobs
    scaled = copy.deepcopy(trained)
    scaled.net_.criterion_ = Scaled()
    models = [SSDClassifier(FrozenEstimator(net), random_state=0).fit(X, y).unlearn(ROWS) for net in (trained, scaled)]
    assert same_weights(*map(module_of, models))


def test_a_class_is_forgotten_and_the_others_stay_as_after_retraining(trained_conv, digits):
    X, y = digits
    retrained = TorchClassifier(small_net(module=ConvNet, max_epochs=5), random_state=0).fit(X[y != 3], y[y != 3])
    model = SSDClassifier(FrozenEstimator(trained_conv), random_state=0).fit(X, y)
    proba = np.insert(retrained.predict_proba(X), 3, 0.0, axis=1)
    gaps = [np.abs(model.predict_proba(X) - proba).mean()]
    gaps.append(np.abs(model.unlearn(classes=[3]).predict_proba(X) - proba).mean())
    assert gaps[1] < gaps[0]
    assert model.score(X[y == 3], y[y == 3]) < trained_conv.score(X[y == 3], y[y == 3]) / 3
    assert model.score(X[y != 3], y[y != 3]) > trained_conv.score(X[y != 3], y[y != 3]) - 0.05


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_the_search_loses_no_more_than_it_may(tolerance, trained, frozen, blobs):
    X, y, X_other, y_other = blobs
    model = SSDClassifier(frozen, tolerance=tolerance, random_state=0).fit(X, y, held_out=(X_other, y_other))
    model.unlearn(classes=[2])
    stay = y_other != 2
    lost = trained.score(X_other[stay], y_other[stay]) - model.score(X_other[stay], y_other[stay])
    assert lost <= tolerance + 1e-9


def test_the_search_takes_the_largest_threshold_that_forgets_enough(trained_conv, digits, monkeypatch):
    X, y = digits
    frozen, three = FrozenEstimator(trained_conv), y == 3
    searched = SSDClassifier(frozen, tolerance=1.0, random_state=0)
    monkeypatch.setattr(ssd, "_GONE", 0.5)
    model = searched.fit(X, y, held_out=(X, y)).unlearn(classes=[3])
    assert model.score(X[three], y[three]) <= 0.5
    weaker = SSDClassifier(frozen, alpha=1.1 * details(model)["alpha"], random_state=0).fit(X, y).unlearn(classes=[3])
    assert weaker.score(X[three], y[three]) > 0.5


def test_the_search_takes_the_threshold_that_forgets_most_where_none_forgets_enough(trained_conv, digits, monkeypatch):
    X, y = digits
    frozen, three = FrozenEstimator(trained_conv), y == 3
    monkeypatch.setattr(ssd, "_GONE", -1.0)
    model = SSDClassifier(frozen, tolerance=1.0, random_state=0).fit(X, y, held_out=(X, y)).unlearn(classes=[3])
    other = SSDClassifier(frozen, bound_share=0.9, random_state=0).fit(X, y).unlearn(classes=[3])
    assert model.score(X[three], y[three]) <= other.score(X[three], y[three])
    assert model.score(X[three], y[three]) < trained_conv.score(X[three], y[three]) / 3


def test_the_search_leaves_alone_what_is_not_remembered(trained, frozen, blobs, module_of, same_weights):
    X, y, X_other, _ = blobs
    wrong = np.where(np.isin(np.arange(len(y)), ROWS), (trained.predict(X) + 1) % 3, y)
    model = SSDClassifier(frozen, tolerance=0.5, random_state=0)
    model.fit(X, wrong, held_out=(X_other, trained.predict(X_other))).unlearn(ROWS)
    assert same_weights(module_of(model), trained.net_.module_)


def test_the_search_asks_for_held_out_rows_before_anything_changes(frozen, blobs):
    X, y, X_other, y_other = blobs
    model = SSDClassifier(frozen, tolerance=0.1, random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="held_out="):
        model.unlearn(ROWS)
    assert vars(model) == before
    only = y_other == 2
    model.fit(X, y, held_out=(X_other[only], y_other[only]))
    with pytest.raises(ValueError, match="classes to forget"):
        model.unlearn(classes=[2])


@pytest.mark.parametrize(
    ("meant", "expected"),
    [
        ({}, (10, 1, 64)),
        ({"scenario": "random"}, (10, 1, 128)),
        ({"network": "vit"}, (5, 1, 64)),
        ({"network": "vit", "scenario": "subclass"}, (25, 1, 64)),
        ({"network": "vit", "scenario": "random"}, (10, 1, 128)),
        ({"scenario": "face"}, (50, 0.1, 64)),
    ],
)
def test_published_settings(meant, expected, frozen):
    model = SSDClassifier.published(frozen, **meant)
    assert (model.alpha, model.dampening, model.batch_size) == expected
    assert not model.per_sample


@pytest.mark.parametrize(
    ("name", "value"), [("bound_share", 1.0), ("dampening", 0.0), ("tolerance", 2), ("reference", "test")]
)
def test_settings_that_make_no_sense(name, value, blobs):
    with pytest.raises(ValueError, match=name):
        SSDClassifier(nn.Linear(5, 3), **{name: value}).fit(*blobs[:2])
