"""Regression unlearning: continuous targets from images, text, series and tables."""

from mlunlearn.audit import error_attack, sample_errors
from mlunlearn.regression.activations import attention_distance, attention_map, find_layers
from mlunlearn.regression.audit import (
    member_share,
    pointwise_distance,
    prediction_distance,
    regression_report,
)
from mlunlearn.regression.blindspot import BlindspotRegressor
from mlunlearn.regression.cross_fit import CrossFitRegressor
from mlunlearn.regression.faces import agedb, mufac_ages
from mlunlearn.regression.finetune import FineTuneRegressor
from mlunlearn.regression.gaussian import GaussianAmnesiacRegressor
from mlunlearn.regression.loads import load_forecaster, read_ett, read_uci_electricity
from mlunlearn.regression.losses import QuantileLoss
from mlunlearn.regression.models import AllCNN, LSTMPair, Pixels, SequenceForecaster, mlp
from mlunlearn.regression.negative_gradient import NegativeGradientRegressor
from mlunlearn.regression.relearning import Relearning, anamnesis_index, relearn_steps, relearn_target
from mlunlearn.regression.restart import RestartRegressor
from mlunlearn.regression.ridge_head import RidgeHeadRegressor
from mlunlearn.regression.scenarios import Band, group_rows
from mlunlearn.regression.sentences import hashed_pairs, sts_benchmark
from mlunlearn.regression.series import SeriesForgetter
from mlunlearn.regression.shrink_perturb import ShrinkPerturbRegressor
from mlunlearn.regression.standardized import StandardizedRegressor
from mlunlearn.regression.tables import california_housing, diabetes_progression
from mlunlearn.regression.tasks import RegressionTask
from mlunlearn.regression.torchvision_models import MobileNetV3, ResNet18
from mlunlearn.regression.windows import Windows
from mlunlearn.scenarios import random_rows

__all__ = [
    "AllCNN",
    "Band",
    "BlindspotRegressor",
    "CrossFitRegressor",
    "FineTuneRegressor",
    "GaussianAmnesiacRegressor",
    "LSTMPair",
    "MobileNetV3",
    "NegativeGradientRegressor",
    "Pixels",
    "QuantileLoss",
    "RegressionTask",
    "Relearning",
    "ResNet18",
    "RestartRegressor",
    "RidgeHeadRegressor",
    "SequenceForecaster",
    "SeriesForgetter",
    "ShrinkPerturbRegressor",
    "StandardizedRegressor",
    "Windows",
    "agedb",
    "anamnesis_index",
    "attention_distance",
    "attention_map",
    "california_housing",
    "diabetes_progression",
    "error_attack",
    "find_layers",
    "group_rows",
    "hashed_pairs",
    "load_forecaster",
    "member_share",
    "mlp",
    "mufac_ages",
    "pointwise_distance",
    "prediction_distance",
    "random_rows",
    "read_ett",
    "read_uci_electricity",
    "regression_report",
    "relearn_steps",
    "relearn_target",
    "sample_errors",
    "sts_benchmark",
]
