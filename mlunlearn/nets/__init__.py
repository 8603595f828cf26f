"""Torch modules as scikit-learn estimators."""

from mlunlearn.nets.estimators import TorchClassifier, TorchRegressor

__all__ = ["TorchClassifier", "TorchRegressor"]
