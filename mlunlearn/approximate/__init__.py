"""Methods that edit a trained network, for any torch classifier: approximate, and measured against retraining."""

from mlunlearn.approximate.assd import ASSDClassifier
from mlunlearn.approximate.bad_teacher import BadTeacherClassifier
from mlunlearn.approximate.boundary_expand import BoundaryExpandClassifier
from mlunlearn.approximate.boundary_shrink import BoundaryShrinkClassifier
from mlunlearn.approximate.cfk import CFkClassifier
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.convolution_transpose import ConvolutionTransposeClassifier
from mlunlearn.approximate.euk import EUkClassifier
from mlunlearn.approximate.finetune import FineTuneClassifier
from mlunlearn.approximate.fisher_forgetting import FisherForgettingClassifier
from mlunlearn.approximate.iau import IAUClassifier
from mlunlearn.approximate.jit import JiTClassifier
from mlunlearn.approximate.l1_sparse import L1SparseClassifier
from mlunlearn.approximate.laf import LAFClassifier
from mlunlearn.approximate.lafr import LAFRClassifier
from mlunlearn.approximate.lfssd import LFSSDClassifier
from mlunlearn.approximate.lotus import LoTUSClassifier
from mlunlearn.approximate.masked_small_gradients import MaskedSmallGradientsClassifier
from mlunlearn.approximate.neggrad import NegGradClassifier
from mlunlearn.approximate.neggrad_plus import NegGradPlusClassifier
from mlunlearn.approximate.potion import PotionClassifier
from mlunlearn.approximate.random_label import RandomLabelClassifier
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.relearn import RelearnClassifier
from mlunlearn.approximate.restart import RestartClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.salun import SalUnClassifier
from mlunlearn.approximate.scrub import SCRUBClassifier
from mlunlearn.approximate.scrub_rewind import SCRUBRewindClassifier
from mlunlearn.approximate.shrink_perturb import ShrinkPerturbClassifier
from mlunlearn.approximate.ssd import SSDClassifier
from mlunlearn.approximate.unsir import UNSIRClassifier
from mlunlearn.approximate.woodfisher import WoodFisherClassifier

__all__ = [
    "ASSDClassifier",
    "BadTeacherClassifier",
    "BoundaryExpandClassifier",
    "BoundaryShrinkClassifier",
    "CFkClassifier",
    "ConvolutionTransposeClassifier",
    "EUkClassifier",
    "EditedClassifier",
    "EditedRegressor",
    "FineTuneClassifier",
    "FisherForgettingClassifier",
    "IAUClassifier",
    "JiTClassifier",
    "L1SparseClassifier",
    "LAFClassifier",
    "LAFRClassifier",
    "LFSSDClassifier",
    "LoTUSClassifier",
    "MaskedSmallGradientsClassifier",
    "NegGradClassifier",
    "NegGradPlusClassifier",
    "PotionClassifier",
    "RandomLabelClassifier",
    "RelearnClassifier",
    "RestartClassifier",
    "Run",
    "SCRUBClassifier",
    "SCRUBRewindClassifier",
    "SSDClassifier",
    "SalUnClassifier",
    "ShrinkPerturbClassifier",
    "UNSIRClassifier",
    "WoodFisherClassifier",
]
