"""The package's own suite for the verb `unlearn`, over every unlearner of the wing."""

import torch
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn.checks import parametrize_with_unlearner_checks
from mlunlearn.regression import (
    BlindspotRegressor,
    CrossFitRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RestartRegressor,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
)


class Five(nn.Sequential):
    """Reads the five columns of the suite's problem."""

    def __init__(self):
        super().__init__(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))


# Trained to the end: of two networks that have hardly learned, neither shows what was forgotten.
NET = NeuralNetRegressor(
    Five,
    optimizer=torch.optim.Adam,
    lr=1e-2,
    max_epochs=60,
    batch_size=32,
    train_split=None,
    callbacks="disable",
    verbose=0,
)


@parametrize_with_unlearner_checks(
    [
        BlindspotRegressor(NET, random_state=0),
        CrossFitRegressor(NET, random_state=0),
        FineTuneRegressor(NET, random_state=0),
        GaussianAmnesiacRegressor(NET, n_steps=10, random_state=0),
        NegativeGradientRegressor(NET, random_state=0),
        RestartRegressor(NET, random_state=0),
        RidgeHeadRegressor(random_state=0),
        ShrinkPerturbRegressor(NET, random_state=0),
    ]
)
def test_the_promises_of_unlearning(estimator, check):
    check(estimator)
