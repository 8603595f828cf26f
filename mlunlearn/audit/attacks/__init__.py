"""Membership attacks, each a plain function of arrays, and what the audit runs of them."""

from mlunlearn.audit.attacks.attack_result import AttackResult, tpr_at_fpr
from mlunlearn.audit.attacks.calibrated import calibrated_attack, loss_gap
from mlunlearn.audit.attacks.errors import error_attack, row_differences, sample_errors, target_kinds
from mlunlearn.audit.attacks.label import label_attack
from mlunlearn.audit.attacks.membership import entropy_attack, loss_attack, loss_spread_attack, svc_attack
from mlunlearn.audit.attacks.relative import RelativeTest, relative_test
from mlunlearn.audit.attacks.shadow import residual_features, shadow_attack
from mlunlearn.audit.attacks.swap import swap_advantage, swap_quality
from mlunlearn.audit.attacks.threshold import threshold_attack

__all__ = [
    "AttackResult",
    "RelativeTest",
    "calibrated_attack",
    "entropy_attack",
    "error_attack",
    "label_attack",
    "loss_attack",
    "loss_gap",
    "loss_spread_attack",
    "relative_test",
    "residual_features",
    "row_differences",
    "sample_errors",
    "shadow_attack",
    "svc_attack",
    "swap_advantage",
    "swap_quality",
    "target_kinds",
    "threshold_attack",
    "tpr_at_fpr",
]
