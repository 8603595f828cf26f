"""Methods that forget rows of regressors: one paper, one file."""

from mlunlearn.regression.methods.activations import attention_distance, attention_map, find_layers
from mlunlearn.regression.methods.blindspot import BlindspotRegressor
from mlunlearn.regression.methods.cross_fit import CrossFitRegressor
from mlunlearn.regression.methods.finetune import FineTuneRegressor
from mlunlearn.regression.methods.gaussian import GaussianAmnesiacRegressor
from mlunlearn.regression.methods.negative_gradient import NegativeGradientRegressor
from mlunlearn.regression.methods.restart import RestartRegressor
from mlunlearn.regression.methods.ridge_head import RidgeHeadRegressor
from mlunlearn.regression.methods.shrink_perturb import ShrinkPerturbRegressor

__all__ = [
    "BlindspotRegressor",
    "CrossFitRegressor",
    "FineTuneRegressor",
    "GaussianAmnesiacRegressor",
    "NegativeGradientRegressor",
    "RestartRegressor",
    "RidgeHeadRegressor",
    "ShrinkPerturbRegressor",
    "attention_distance",
    "attention_map",
    "find_layers",
]
