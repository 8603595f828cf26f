"""The cap of the ascent."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.regression import NegativeGradientRegressor, QuantileLoss
from mlunlearn.regression.methods.negative_gradient import ignorance


def test_the_cap_is_the_loss_of_the_retained_mean(patients, frozen):
    X, y, gone = patients
    seen = []

    class Looking(NegativeGradientRegressor):
        def _edit(self, module, forget, retain, run):
            seen.append(ignorance(module, forget, retain, run))

    Looking(frozen, random_state=0).fit(X, y).unlearn(gone)
    z = (y - y[~gone].mean()) / y[~gone].std()
    assert seen[0] == pytest.approx(np.mean(z[gone] ** 2), rel=1e-4)
    quantiles = NeuralNetRegressor(
        nn.Sequential(nn.Linear(10, 3), nn.Unflatten(1, (1, 3))), criterion=QuantileLoss, train_split=None
    ).initialize()
    Looking(FrozenEstimator(quantiles), random_state=0).fit(X, y).unlearn(gone)
    pinball = sum(np.maximum(q * z[gone], (q - 1) * z[gone]).mean() for q in (0.1, 0.5, 0.9))
    assert seen[1] == pytest.approx(pinball, rel=1e-4)


def test_it_ends_where_a_batch_to_forget_is_as_bad_as_ignorance(patients, frozen):
    X, y, gone = patients
    model = NegativeGradientRegressor(frozen, n_steps=400, weight=50.0, random_state=0).fit(X, y).unlearn(gone)
    assert model.receipts_[-1].work.samples < 400 * len(y)
