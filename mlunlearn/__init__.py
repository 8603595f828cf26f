"""Machine unlearning in scikit-learn's style: fit, unlearn, audit."""

from mlunlearn.exceptions import (
    DataChangedError,
    DataNotAttachedError,
    ForgetRequestError,
    UnknownIdError,
    UnlearningWarning,
)
from mlunlearn.pipeline import UnlearningPipeline, make_unlearning_pipeline
from mlunlearn.receipts import Receipt
from mlunlearn.retrain import Retrain
from mlunlearn.sharded import SISAClassifier, SISARegressor
from mlunlearn.verification import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "DataChangedError",
    "DataNotAttachedError",
    "ForgetRequestError",
    "Receipt",
    "Retrain",
    "SISAClassifier",
    "SISARegressor",
    "UnknownIdError",
    "UnlearningPipeline",
    "UnlearningWarning",
    "Verification",
    "make_unlearning_pipeline",
    "verify",
]
