"""Certified removal: what noise hides, and solvers of strictly convex problems; only `softmax` needs torch."""

from mlunlearn.certified.accounts import check_certificate, hidden_distance, hidden_gradient
from mlunlearn.certified.logistic import LogisticObjective, one_hot, spectral_norm

__all__ = [
    "LogisticObjective",
    "check_certificate",
    "hidden_distance",
    "hidden_gradient",
    "one_hot",
    "spectral_norm",
]
