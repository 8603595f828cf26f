"""The labels that Gaussian-amnesiac fine-tuning trains on."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.frozen import FrozenEstimator
from torch import nn

import mlunlearn.regression.methods.gaussian as gaussian
from mlunlearn.approximate import Run
from mlunlearn.regression import GaussianAmnesiacRegressor
from mlunlearn.regression.methods.gaussian import amnesiac_labels


class Labels(GaussianAmnesiacRegressor):
    """Keeps the labels instead of training on them."""

    def _edit(self, module, forget, retain, run):
        kept = run.labels(retain)
        drawn = [
            amnesiac_labels(run.labels(forget | retain), kept, len(forget), 0, clip_to_range=clip)
            for clip in (False, True)
        ]
        final = self.estimator_
        self.kept_, *self.drawn_ = (final.restore_units(y.double().numpy()).ravel() for y in (kept, *drawn))


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    y = rng.gamma(2.0, 10.0, size=4000)
    model = Labels(FrozenEstimator(nn.Linear(1, 1)), random_state=0).fit(rng.normal(size=(4000, 1)), y)
    return y, model.unlearn(y < 20)


def test_draws_follow_the_moments_of_all_labels(drawn):
    y, model = drawn
    assert len(model.drawn_[0]) == (y < 20).sum()
    assert kstest(model.drawn_[0], "norm", (y.mean(), y.std())).pvalue > 0.01


def test_draws_can_be_clipped(drawn):
    y, model = drawn
    plain, clipped = model.drawn_
    np.testing.assert_allclose(clipped, plain.clip(y[y >= 20].min(), y.max()), rtol=1e-4)


def test_only_the_labels_to_forget_are_drawn(patients, frozen, monkeypatch):
    X, y, gone = patients
    targets = []

    class Looking(Run):
        def loss(self, outputs, wanted):
            targets.append(wanted)
            return super().loss(outputs, wanted)

    monkeypatch.setattr("mlunlearn.approximate.base.Run", Looking)
    monkeypatch.setattr(gaussian, "amnesiac_labels", lambda *_, **__: torch.full((int(gone.sum()), 1), 9.0))
    GaussianAmnesiacRegressor(frozen, n_steps=1, batch_size=len(y), random_state=0).fit(X, y).unlearn(gone)
    z = (y[~gone] - y[~gone].mean()) / y[~gone].std()
    found = targets[0].numpy().ravel()
    assert (found == 9.0).sum() == gone.sum()
    np.testing.assert_allclose(np.sort(found[found != 9.0]), np.sort(z), rtol=1e-4, atol=1e-6)


def test_no_single_label_of_a_forgotten_row_counts(patients, frozen, module_of, same_weights):
    X, y, gone = patients
    shuffled = y.copy()
    shuffled[gone] = np.random.default_rng(0).permutation(y[gone])
    one, two = (
        GaussianAmnesiacRegressor(frozen, n_steps=10, random_state=0).fit(X, labels).unlearn(gone)
        for labels in (y, shuffled)
    )
    assert same_weights(module_of(one), module_of(two))


def test_published_budget():
    model = GaussianAmnesiacRegressor.published(nn.Linear(1, 1), n_samples=12_200)
    assert model.n_steps == 48
    model = GaussianAmnesiacRegressor.published(nn.Linear(1, 1), n_samples=512, data="sentences", lr=0.1)
    assert (model.n_steps, model.lr) == (10, 0.1)


def test_long_training_draws_predictions_to_the_global_mean(patients, frozen):
    X, y, gone = patients
    model = GaussianAmnesiacRegressor(frozen, n_steps=200, lr=3e-3, random_state=0).fit(X, y)
    before = model.predict(X[gone]).mean()
    after = model.unlearn(gone).predict(X[gone]).mean()
    assert abs(after - y.mean()) < 0.5 * abs(before - y.mean())
    assert np.isfinite(after)
