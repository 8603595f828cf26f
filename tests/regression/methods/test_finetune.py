"""Continued training of a regressor."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate.run import Run
from mlunlearn.networks import step_batches
from mlunlearn.regression import FineTuneRegressor, StandardizedRegressor


def test_it_is_training_on_with_the_retained_rows(patients, net_of, mlp, monkeypatch):
    """Against a loop of plain torch on targets standardised by hand."""
    X, y, gone = patients
    trained = StandardizedRegressor(net_of(mlp, max_epochs=2), random_state=0).fit(X, y)
    module = copy.deepcopy(trained.net_.module_)
    monkeypatch.setattr(Run, "seed", lambda run, purpose: 5)
    model = FineTuneRegressor(FrozenEstimator(trained), n_steps=6, batch_size=32, lr=1e-3, random_state=0)
    found = model.fit(X, y).unlearn(gone).predict(X)
    mean, scale = y[~gone].mean(), y[~gone].std()
    with torch.no_grad():  # the same function in the units of the retained targets
        module[-1].weight.mul_(float(trained.scale_ / scale))
        module[-1].bias.mul_(float(trained.scale_ / scale)).add_(float((trained.mean_ - mean) / scale))
    inputs = torch.as_tensor(X[~gone], dtype=torch.float32)
    targets = torch.as_tensor((y[~gone] - mean) / scale, dtype=torch.float32)[:, None]
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for rows in step_batches(len(inputs), 32, 6, 5):
        optimizer.zero_grad()
        nn.functional.mse_loss(module(inputs[rows]), targets[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        expected = module(torch.as_tensor(X, dtype=torch.float32)).numpy().ravel() * scale + mean
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("budget", [1.0, 2.0])
def test_the_budget_is_the_share_of_a_training_that_is_read(budget, patients, frozen):
    X, y, _ = patients
    model = FineTuneRegressor(frozen, budget=budget, batch_size=10, random_state=0).fit(X, y).unlearn(range(20))
    assert model.receipts_[-1].retrained_share == pytest.approx(budget)
