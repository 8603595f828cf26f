"""Metrics, membership attacks, retrained references and the Audit object."""

from mlunlearn.audit.attacks.attack_result import AttackResult, tpr_at_fpr
from mlunlearn.audit.attacks.calibrated import calibrated_attack, loss_gap
from mlunlearn.audit.attacks.errors import error_attack, row_differences, sample_errors, target_kinds
from mlunlearn.audit.attacks.label import label_attack
from mlunlearn.audit.attacks.membership import entropy_attack, loss_attack, loss_spread_attack, svc_attack
from mlunlearn.audit.attacks.relative import RelativeTest, relative_test
from mlunlearn.audit.attacks.shadow import residual_features, shadow_attack
from mlunlearn.audit.attacks.swap import swap_advantage, swap_quality
from mlunlearn.audit.attacks.threshold import threshold_attack
from mlunlearn.audit.compare import Comparison, compare
from mlunlearn.audit.costs import plot_costs
from mlunlearn.audit.exchangeability import Comparability, comparability
from mlunlearn.audit.intervals.bootstrap import BootstrapInterval, bootstrap_interval
from mlunlearn.audit.metrics.accuracy import (
    accuracy,
    accuracy_gap,
    accuracy_retention,
    average_gap,
    group_accuracy,
    sape,
    tow,
)
from mlunlearn.audit.metrics.agreement import activation_distance, completeness, js_divergence, zrf
from mlunlearn.audit.metrics.benchmark import efficiency, forgetting_score, nomus, scaled_score
from mlunlearn.audit.metrics.signals import (
    binary_cross_entropy,
    cross_entropy,
    entropy,
    logit_scaled_confidence,
    margin,
    membership_features,
    modified_entropy,
)
from mlunlearn.audit.predictions import Outputs, Predictions
from mlunlearn.audit.report import Audit
from mlunlearn.audit.run import audit
from mlunlearn.audit.statistics import (
    Statistic,
    agreement_statistic,
    distance_statistic,
    level_statistic,
    membership_statistic,
)
from mlunlearn.audit.swapped import SwapAudit, swap_audit
from mlunlearn.audit.verdict import Verdict, decide

__all__ = [
    "AttackResult",
    "Audit",
    "BootstrapInterval",
    "Comparability",
    "Comparison",
    "Outputs",
    "Predictions",
    "RelativeTest",
    "Statistic",
    "SwapAudit",
    "Verdict",
    "accuracy",
    "accuracy_gap",
    "accuracy_retention",
    "activation_distance",
    "agreement_statistic",
    "audit",
    "average_gap",
    "binary_cross_entropy",
    "bootstrap_interval",
    "calibrated_attack",
    "comparability",
    "compare",
    "completeness",
    "cross_entropy",
    "decide",
    "distance_statistic",
    "efficiency",
    "entropy",
    "entropy_attack",
    "error_attack",
    "forgetting_score",
    "group_accuracy",
    "js_divergence",
    "label_attack",
    "level_statistic",
    "logit_scaled_confidence",
    "loss_attack",
    "loss_gap",
    "loss_spread_attack",
    "margin",
    "membership_features",
    "membership_statistic",
    "modified_entropy",
    "nomus",
    "plot_costs",
    "relative_test",
    "residual_features",
    "row_differences",
    "sample_errors",
    "sape",
    "scaled_score",
    "shadow_attack",
    "svc_attack",
    "swap_advantage",
    "swap_audit",
    "swap_quality",
    "target_kinds",
    "threshold_attack",
    "tow",
    "tpr_at_fpr",
    "zrf",
]
