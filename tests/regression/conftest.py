"""Small networks and data for the regression wing."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import nn


@pytest.fixture
def mlp():
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    torch.set_rng_state(torch_state)
    return net


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X / X.std(axis=0), y


@pytest.fixture
def rng():
    return np.random.default_rng(0)
