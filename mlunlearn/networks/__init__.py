"""Trained torch networks: the loop, batches, layers, untrained copies, adoption, divergences and curvature."""

from mlunlearn.networks.adoption import adopt, as_network
from mlunlearn.networks.batches import Batch, Rows, UndeclaredNeedError, step_batches
from mlunlearn.networks.criteria import class_loss, logits_of
from mlunlearn.networks.curvature import (
    conjugate_gradients,
    fisher_diagonal,
    gauss_newton_product,
    hessian_product,
    per_sample_gradients,
)
from mlunlearn.networks.divergences import cosine_distance, entropy, js, kl, soft_cross_entropy
from mlunlearn.networks.fresh import Rebuild, Reset, reset_parameters, shrink
from mlunlearn.networks.gradients import mean_gradient, top_share
from mlunlearn.networks.layers import Head, find_head, forward, recorded
from mlunlearn.networks.loop import Descent, adam, adamw, cosine, descend, drops, sgd
from mlunlearn.networks.quantiles import QuantileLoss
from mlunlearn.networks.restriction import GradientRestrictedClassifier
from mlunlearn.networks.standardized import StandardizedRegressor
from mlunlearn.rows.dataset_rows import DatasetRows, labels_of
from mlunlearn.rows.items import NamedArrays

__all__ = [
    "Batch",
    "DatasetRows",
    "Descent",
    "GradientRestrictedClassifier",
    "Head",
    "NamedArrays",
    "QuantileLoss",
    "Rebuild",
    "Reset",
    "Rows",
    "StandardizedRegressor",
    "UndeclaredNeedError",
    "adam",
    "adamw",
    "adopt",
    "as_network",
    "class_loss",
    "conjugate_gradients",
    "cosine",
    "cosine_distance",
    "descend",
    "drops",
    "entropy",
    "find_head",
    "fisher_diagonal",
    "forward",
    "gauss_newton_product",
    "hessian_product",
    "js",
    "kl",
    "labels_of",
    "logits_of",
    "mean_gradient",
    "per_sample_gradients",
    "recorded",
    "reset_parameters",
    "sgd",
    "shrink",
    "soft_cross_entropy",
    "step_batches",
    "top_share",
]
