"""The contract of unlearning, executable: for the estimators of this package and for anybody's."""

from mlunlearn.checks.state import flatten_state, learned_state, state_differences
from mlunlearn.checks.suite import check_unlearner, parametrize_with_unlearner_checks, unlearner_checks
from mlunlearn.checks.taint import find_marks

__all__ = [
    "check_unlearner",
    "find_marks",
    "flatten_state",
    "learned_state",
    "parametrize_with_unlearner_checks",
    "state_differences",
    "unlearner_checks",
]
