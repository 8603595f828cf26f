"""Regression unlearning: continuous targets from images, text, series and tables."""

from mlunlearn.regression.activations import attention_distance, attention_map, find_layers
from mlunlearn.regression.blindspot import BlindspotRegressor
from mlunlearn.regression.finetune import FineTuneRegressor
from mlunlearn.regression.gaussian import GaussianAmnesiacRegressor
from mlunlearn.regression.losses import QuantileLoss
from mlunlearn.regression.negative_gradient import NegativeGradientRegressor
from mlunlearn.regression.ridge_head import RidgeHeadRegressor
from mlunlearn.regression.scenarios import Band, group_rows, random_rows
from mlunlearn.regression.standardized import StandardizedRegressor

__all__ = [
    "Band",
    "BlindspotRegressor",
    "FineTuneRegressor",
    "GaussianAmnesiacRegressor",
    "NegativeGradientRegressor",
    "QuantileLoss",
    "RidgeHeadRegressor",
    "StandardizedRegressor",
    "attention_distance",
    "attention_map",
    "find_layers",
    "group_rows",
    "random_rows",
]
