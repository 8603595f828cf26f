"""Learners that do not depend on a seed: retraining gives one model, and whatever answers otherwise is another.

References that agree in every answer show no difference between seeds that a model could be compared with. Nothing is
left to estimate: the audited model gives the answers of retraining, or it does not. Where the learner declares no
randomness at all, that is certain; else the references may have agreed by chance, which is allowed for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.intervals.contrast import Difference
from mlunlearn.audit.predictions import ByData, Outputs, Predictions
from mlunlearn.audit.statistic import Statistic

Floats = NDArray[np.float64]

__all__ = ["answers_of_retraining", "chance_of_agreement", "identity_statistic", "references_needed"]

# Answers are the same up to this share of their scale: that of a probability, or the range of the predicted values.
# A model that is exact up to rounding, in single precision too, must not be told apart by it.
ROUNDING = 1e-6


def answers_of_retraining(predictions: Predictions) -> ByData | None:
    """Return what retraining says, where all references say the same.

    Parameters
    ----------
    predictions : Predictions
        What the models said.

    Returns
    -------
    mapping of str to Outputs, or None
        None if references differ on any row by more than rounding.
    """
    first, *others = predictions.references
    return None if any(_differing(predictions, other, first).any() for other in others) else first


def identity_statistic(predictions: Predictions, ours: Sequence[ByData], retraining: ByData) -> Statistic:
    """Compare a model with retraining row by row, where all references agree.

    Parameters
    ----------
    predictions : Predictions
        References, and the original, which shows how many forgotten rows change an answer.
    ours : sequence of mapping of str to Outputs
        What the audited model said, or several of one method.
    retraining : mapping of str to Outputs
        What every reference said.

    Returns
    -------
    Statistic
        Share of all rows, forgotten, retained and unseen, that the model answers otherwise; 0 is as retrained.

    Notes
    -----
    Where training is known not to depend on a seed, a model that differs is another: its p-value is 0. Else it is
    `chance_of_agreement`, the chance that an exact model is told apart although K references agree.
    """
    differing = np.mean([_differing(predictions, one, retraining) for one in ours], axis=0)
    share, n_references = float(differing.mean()), len(predictions.references)
    decisive = 0.0 if predictions.deterministic else chance_of_agreement(n_references, len(ours))
    p_value = 1.0 if share == 0.0 else decisive
    statistic = Statistic(
        "identity: share of rows answered otherwise than by retraining",
        Difference(share, 0.0, float("inf"), p_value),
        0.0,
        larger=(
            f"it answers {round(float(differing.sum())):,} of {len(differing):,} rows otherwise than retraining does "
            "with any seed"
        ),
        decisive_p=decisive,
    )
    if predictions.original is None or "forget" not in predictions.sizes:
        return statistic
    changed = _differing(predictions, predictions.original, retraining, ("forget",))
    return replace(statistic, member_effect=float(changed.mean()), n_decisive=int(changed.sum()))


def chance_of_agreement(n_references: int, n_ours: int = 1) -> float:
    """Return the largest chance that all references are one model and an exact one is another.

    Parameters
    ----------
    n_references : int
        References that agree, K.
    n_ours : int, default=1
        Exact models of which one that differs decides.

    Returns
    -------
    float
        0.25, 0.125, 0.083, 0.067, 0.057 and 0.049 with two to seven references.

    Notes
    -----
    If a share q of the seeds gives a model, the references are all that model and another one is not with a chance of
    q^K (1 - q). The sum over models is largest where there are no more than two of them; from five references on it is
    K^K / (K + 1)^(K + 1), that of the commonest model, to three digits.
    """
    shares = np.linspace(0.5, 1.0, 10_001)
    chances = sum(q**n_references * (1.0 - q**n_ours) for q in (shares, 1.0 - shares))
    return float(np.max(chances))


def references_needed(alpha: float, n_ours: int = 1) -> int:
    """Return how many references have to agree until one row that is answered otherwise decides.

    Parameters
    ----------
    alpha : float
        Chance that an exact model is called distinguishable.
    n_ours : int, default=1
        Exact models of which one that differs decides.

    Returns
    -------
    int
        7 at 5 %.
    """
    n_references = 2
    while chance_of_agreement(n_references, n_ours) > alpha:
        n_references += 1
    return n_references


def _differing(
    predictions: Predictions, ours: ByData, theirs: ByData, parts: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Which rows two models answer otherwise."""
    parts = list(predictions.sizes) if parts is None else parts
    scale = np.ones(1) if predictions.task == "classifier" else _ranges(predictions)
    return np.concatenate([_row_differs(ours[data], theirs[data], predictions, scale) for data in parts])


def _row_differs(ours: Outputs, theirs: Outputs, predictions: Predictions, scale: Floats) -> NDArray[np.bool_]:
    if predictions.task == "regressor":
        first, second = ours.labels, theirs.labels
    elif predictions.has_proba and ours.proba is not None and theirs.proba is not None:
        first, second = ours.proba, theirs.proba
    else:
        return np.not_equal(ours.labels, theirs.labels)
    distance = np.abs(np.asarray(first, dtype=float) - second)
    far: NDArray[np.bool_] = np.any(distance.reshape(len(distance), -1) > ROUNDING * scale, axis=1)
    return far


def _ranges(predictions: Predictions) -> Floats:
    """Range of the values that retraining predicts, by output; 1 where it predicts one number."""
    first = predictions.references[0]
    widths = np.atleast_1d(np.ptp(np.concatenate([first[data].labels for data in predictions.sizes]), axis=0))
    return np.where(widths > 0.0, widths, 1.0).astype(float)
