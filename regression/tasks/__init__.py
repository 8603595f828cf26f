"""Data with its split, its network and its recipe, and what is asked to be forgotten."""

from mlunlearn.regression.tasks.faces import agedb, mufac_ages
from mlunlearn.regression.tasks.loads import load_forecaster, read_ett, read_uci_electricity
from mlunlearn.regression.tasks.scenarios import Band, group_rows
from mlunlearn.regression.tasks.sentences import hashed_pairs, sts_benchmark
from mlunlearn.regression.tasks.tables import california_housing, diabetes_progression
from mlunlearn.regression.tasks.task import RegressionTask
from mlunlearn.scenarios import random_rows

__all__ = [
    "Band",
    "RegressionTask",
    "agedb",
    "california_housing",
    "diabetes_progression",
    "group_rows",
    "hashed_pairs",
    "load_forecaster",
    "mufac_ages",
    "random_rows",
    "read_ett",
    "read_uci_electricity",
    "sts_benchmark",
]
