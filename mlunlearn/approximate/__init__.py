"""Methods that edit a trained network, for any torch classifier: approximate, and measured against retraining."""

from mlunlearn.approximate.boundary_expand import BoundaryExpandClassifier
from mlunlearn.approximate.boundary_shrink import BoundaryShrinkClassifier
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.convolution_transpose import ConvolutionTransposeClassifier
from mlunlearn.approximate.finetune import FineTuneClassifier
from mlunlearn.approximate.fisher_forgetting import FisherForgettingClassifier
from mlunlearn.approximate.jit import JiTClassifier
from mlunlearn.approximate.lotus import LoTUSClassifier
from mlunlearn.approximate.masked_small_gradients import MaskedSmallGradientsClassifier
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.salun import SalUnClassifier
from mlunlearn.approximate.scrub import SCRUBClassifier
from mlunlearn.approximate.unsir import UNSIRClassifier
from mlunlearn.approximate.woodfisher import WoodFisherClassifier

__all__ = [
    "BoundaryExpandClassifier",
    "BoundaryShrinkClassifier",
    "ConvolutionTransposeClassifier",
    "EditedClassifier",
    "EditedRegressor",
    "FineTuneClassifier",
    "FisherForgettingClassifier",
    "JiTClassifier",
    "LoTUSClassifier",
    "MaskedSmallGradientsClassifier",
    "Run",
    "SCRUBClassifier",
    "SalUnClassifier",
    "UNSIRClassifier",
    "WoodFisherClassifier",
]
