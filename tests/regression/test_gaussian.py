"""The labels that Gaussian-amnesiac fine-tuning trains on."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

from mlunlearn.regression import GaussianAmnesiacRegressor
from mlunlearn.regression.gaussian import amnesiac_labels


class Labels(GaussianAmnesiacRegressor):
    """Keeps the labels instead of training on them."""

    def _edit(self, edit):
        self.edit_ = edit
        return 0


@pytest.fixture
def edit(rng):
    y = rng.gamma(2.0, 10.0, size=4000)
    model = Labels(nn.Linear(1, 1), random_state=0).fit(rng.normal(size=(4000, 1)), y).unlearn(y < 20)
    model.edit_.y_in_units = y
    return model.edit_


def test_only_the_labels_to_forget_are_drawn(edit):
    y = amnesiac_labels(edit, seed=0)
    assert torch.equal(torch.nonzero((y != edit.y).flatten()).flatten(), edit.forgotten)
    assert torch.equal(y, amnesiac_labels(edit, seed=0))


def test_draws_follow_the_moments_of_all_labels(edit):
    y = amnesiac_labels(edit, seed=0)[edit.forget].numpy().ravel() * edit.scale + edit.mean
    everything = edit.y_in_units
    assert kstest(y, "norm", (everything.mean(), everything.std())).pvalue > 0.01


def test_draws_can_be_clipped(edit):
    y = amnesiac_labels(edit, seed=0, clip_to_range=True)[edit.forget]
    kept = edit.y[~edit.forget]
    assert y.min() >= kept.min()
    assert y.max() <= kept.max()


def test_published_budget():
    model = GaussianAmnesiacRegressor.published(nn.Linear(1, 1), n_samples=12_200)
    assert model.n_steps == 48


def test_long_training_draws_predictions_to_the_global_mean(diabetes, mlp):
    X, y = diabetes
    model = GaussianAmnesiacRegressor(mlp, n_steps=300, lr=3e-3, random_state=0).fit(X, y)
    before = model.predict(X[y <= 90]).mean()
    after = model.unlearn(y <= 90).predict(X[y <= 90]).mean()
    assert abs(after - y.mean()) < 0.5 * abs(before - y.mean())
    assert np.isfinite(after)
