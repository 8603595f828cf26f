"""Fisher forgetting: the information in closed form, and noise of the variance that follows from it."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate import FisherForgettingClassifier
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


@pytest.fixture(scope="module")
def linear(blobs):
    X, y, *_ = blobs
    return TorchClassifier(nn.Linear(5, 3), random_state=0).fit(X, y)


def information(linear, X):
    """Of a linear softmax model in closed form: the mean of p (1 - p) x^2, with 1 in place of x for the bias."""
    p = linear.predict_proba(X)
    inputs = np.column_stack([X, np.ones(len(X))])
    return ((p * (1 - p)).T @ inputs**2) / len(X)


def changes(linear, X, y, n_seeds=30, request=None, **settings):
    """Differences that the noise makes to weights and bias, one row for each seed."""
    found = []
    for seed in range(n_seeds):
        model = FisherForgettingClassifier(FrozenEstimator(linear), random_state=seed, **settings).fit(X, y)
        model.unlearn(**(request or {"forget_idx": ROWS}))
        after, before = (each.net_.module_ for each in (model.estimator_, linear))
        parts = [getattr(after, name) - getattr(before, name) for name in ("weight", "bias")]
        found.append(torch.cat([parts[0], parts[1][:, None]], dim=1).detach().numpy())
    return np.stack(found)


def assert_variance(found, expected):
    """Chi-square tests of each weight's variance; one in a thousand runs fails by chance, the seeds are fixed."""
    n, share = len(found), 0.001 / expected.size / 2
    ratio = (found**2).sum(axis=0) / expected
    assert (ratio > chi2(n).ppf(share)).all()
    assert (ratio < chi2(n).ppf(1 - share)).all()


def test_the_variance_is_the_inverse_of_the_information(linear, blobs):
    X, y, *_ = blobs
    assert_variance(changes(linear, X, y, alpha=1e-4), 1e-4 / information(linear, X[30:]))


def test_the_official_variances(linear, blobs):
    """Averaged over the inputs of a unit, ten times as large, and for a forgotten class drawn around 0."""
    X, y, *_ = blobs
    kept = y != 2
    found = changes(linear, X, y, alpha=1e-6, variant="official", request={"classes": [2]})
    inverse = np.minimum(1 / information(linear, X[kept]), 1e2)
    inverse[:, :5] = inverse[:, :5].mean(axis=1, keepdims=True)
    expected = 10 * 1e-6 * inverse
    assert_variance(found[:, :2], expected[:2])
    before = linear.net_.module_
    centred = found[:, 2] + torch.cat([before.weight[2], before.bias[2:]]).detach().numpy()
    assert_variance(centred, np.full(6, 1e-3))


def test_the_estimate_does_not_depend_on_the_batches_and_can_be_made_on_a_share(linear, blobs):
    X, y, *_ = blobs
    small, large = (changes(linear, X, y, 2, batch_size=size) for size in (7, 200))
    np.testing.assert_allclose(small, large, rtol=1e-3)
    model = FisherForgettingClassifier(FrozenEstimator(linear), retain_share=0.1, random_state=0).fit(X, y)
    assert model.unlearn(ROWS).receipts_[-1].work.samples == 9


@pytest.mark.parametrize("variant", ["definition", "official"])
def test_no_noise_leaves_every_bit(variant, frozen, trained, blobs, module_of, same_weights):
    X, y, *_ = blobs
    model = FisherForgettingClassifier(frozen, alpha=0.0, variant=variant, random_state=0).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), trained.net_.module_)


def test_weights_without_information_get_bounded_noise(blobs):
    """A column that is always 0 says nothing: the variance is 1000 alpha there, and not infinite."""
    X, y = blobs[0].copy(), blobs[1]
    X[:, 4] = 0
    linear = TorchClassifier(nn.Linear(5, 3), random_state=0).fit(X, y)
    assert_variance(changes(linear, X, y, 10, alpha=1e-4)[:, :, 4], np.full(3, 0.1))


def test_published_settings(frozen):
    model = FisherForgettingClassifier.published(frozen, random_state=3)
    assert (model.alpha, model.variant) == (1e-6, "official")
