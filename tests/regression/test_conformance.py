"""The package's own suite for the verb `unlearn`, over every unlearner of the wing."""

from torch import nn

from mlunlearn.checks import parametrize_with_unlearner_checks
from mlunlearn.regression import (
    BlindspotRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
)


class Five(nn.Sequential):
    """Reads the five columns of the suite's problem."""

    def __init__(self):
        super().__init__(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))


@parametrize_with_unlearner_checks(
    [
        BlindspotRegressor(Five, blind_steps=60, n_steps=40, random_state=0),
        FineTuneRegressor(Five, random_state=0),
        GaussianAmnesiacRegressor(Five, n_steps=10, random_state=0),
        NegativeGradientRegressor(Five, random_state=0),
        RidgeHeadRegressor(random_state=0),
        ShrinkPerturbRegressor(Five, n_steps=40, random_state=0),
    ]
)
def test_the_promises_of_unlearning(estimator, check):
    check(estimator)
