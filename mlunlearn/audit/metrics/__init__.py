"""Metrics, each a plain function of arrays, and the signals they are made of."""

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

__all__ = [
    "accuracy",
    "accuracy_gap",
    "accuracy_retention",
    "activation_distance",
    "average_gap",
    "binary_cross_entropy",
    "completeness",
    "cross_entropy",
    "efficiency",
    "entropy",
    "forgetting_score",
    "group_accuracy",
    "js_divergence",
    "logit_scaled_confidence",
    "margin",
    "membership_features",
    "modified_entropy",
    "nomus",
    "sape",
    "scaled_score",
    "tow",
    "zrf",
]
