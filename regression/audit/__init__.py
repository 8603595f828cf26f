"""How close an unlearned regressor is to a retrained one."""

from mlunlearn.regression.audit.relearning import Relearning, anamnesis_index, relearn_steps, relearn_target
from mlunlearn.regression.audit.report import member_share, pointwise_distance, prediction_distance, regression_report

__all__ = [
    "Relearning",
    "anamnesis_index",
    "member_share",
    "pointwise_distance",
    "prediction_distance",
    "regression_report",
    "relearn_steps",
    "relearn_target",
]
