"""Exact sharded unlearning."""

from mlunlearn.sharded.allocation import Allocation
from mlunlearn.sharded.sisa import SISAClassifier, SISARegressor

__all__ = ["Allocation", "SISAClassifier", "SISARegressor"]
