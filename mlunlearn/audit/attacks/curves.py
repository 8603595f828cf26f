"""ROC curves of one attack on every model, small enough to save."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.judge import Judge

MAX_POINTS = 200


@dataclass(frozen=True)
class RocCurve:
    """Points of one model's ROC curve under the attack by the score of the verdict, the same for every model.

    Parameters
    ----------
    model : str
        "original", "unlearned", "retrained", "null 1" and so on.
    auc : float
        Area; below one half the forgotten rows look less like members than unseen ones.
    fpr : tuple of float
        Rates of wrongly accused non-members.
    tpr : tuple of float
        Rates of members found.
    """

    model: str
    auc: float
    fpr: tuple[float, ...]
    tpr: tuple[float, ...]


def roc_curves(judge: Judge) -> tuple[RocCurve, ...]:
    """Attack every model by one score.

    Parameters
    ----------
    judge : Judge
        Knows the models and the score.

    Returns
    -------
    tuple of RocCurve
        One for every model; none without forgotten rows.
    """
    predictions = judge.predictions
    if "forget" not in predictions.sizes:
        return ()
    return tuple(
        _curve(name, judge.signal(said, "forget"), judge.signal(said, predictions.nonmembers))
        for name, said in predictions.models().items()
    )


def _curve(model: str, members: NDArray[np.float64], nonmembers: NDArray[np.float64]) -> RocCurve:
    scores = np.concatenate([members, nonmembers])
    order = np.argsort(-scores, kind="stable")
    is_member = (order < len(members)).astype(float)
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    tpr = np.append(0.0, np.cumsum(is_member)[last] / len(members))
    fpr = np.append(0.0, np.cumsum(1.0 - is_member)[last] / len(nonmembers))
    kept = _spread(fpr)
    return RocCurve(model, float(np.trapezoid(tpr, fpr)), tuple(fpr[kept].tolist()), tuple(tpr[kept].tolist()))


def _spread(fpr: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose points that are spread evenly, both ends among them."""
    if len(fpr) <= MAX_POINTS:
        return np.arange(len(fpr))
    wanted = np.linspace(0.0, 1.0, MAX_POINTS - 1)
    return np.union1d(np.searchsorted(fpr, wanted).clip(max=len(fpr) - 1), [0, len(fpr) - 1])
