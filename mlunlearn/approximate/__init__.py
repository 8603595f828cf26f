"""Methods that edit a trained network, for any torch classifier: approximate, and measured against retraining."""

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.finetune import FineTuneClassifier
from mlunlearn.approximate.lotus import LoTUSClassifier
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.salun import SalUnClassifier
from mlunlearn.approximate.scrub import SCRUBClassifier

__all__ = [
    "EditedClassifier",
    "EditedRegressor",
    "FineTuneClassifier",
    "LoTUSClassifier",
    "Run",
    "SCRUBClassifier",
    "SalUnClassifier",
]
