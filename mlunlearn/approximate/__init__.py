"""Methods that edit a trained network, for any torch classifier: approximate, and measured against retraining."""

from mlunlearn.approximate.assd import ASSDClassifier
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.finetune import FineTuneClassifier
from mlunlearn.approximate.iau import IAUClassifier
from mlunlearn.approximate.laf import LAFClassifier
from mlunlearn.approximate.lafr import LAFRClassifier
from mlunlearn.approximate.lfssd import LFSSDClassifier
from mlunlearn.approximate.lotus import LoTUSClassifier
from mlunlearn.approximate.potion import PotionClassifier
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.scrub import SCRUBClassifier
from mlunlearn.approximate.ssd import SSDClassifier

__all__ = [
    "ASSDClassifier",
    "EditedClassifier",
    "EditedRegressor",
    "FineTuneClassifier",
    "IAUClassifier",
    "LAFClassifier",
    "LAFRClassifier",
    "LFSSDClassifier",
    "LoTUSClassifier",
    "PotionClassifier",
    "Run",
    "SCRUBClassifier",
    "SSDClassifier",
]
