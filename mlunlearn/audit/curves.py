"""ROC curves of the strongest attack on each model, small enough to save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from mlunlearn.audit.battery import Attacked

MAX_POINTS = 200


@dataclass(frozen=True)
class RocCurve:
    """Points of one model's ROC curve under the attack that is strongest on it.

    Parameters
    ----------
    model : str
        "original", "unlearned", "retrained" or "null 1".
    attack : str
        The attack. Where its AUC is below 0.5 the curve is that of its scores turned round.
    fpr : tuple of float
        Rates of wrongly accused non-members.
    tpr : tuple of float
        Rates of members found.
    """

    model: str
    attack: str
    fpr: tuple[float, ...]
    tpr: tuple[float, ...]


def roc_curves(attacks: Mapping[str, Mapping[str, Attacked]]) -> tuple[RocCurve, ...]:
    """Find the attack that is strongest on each model, and its curve.

    Parameters
    ----------
    attacks : mapping of str to mapping of str to Attacked
        By model and by attack.

    Returns
    -------
    tuple of RocCurve
        One for every model; none if there was no attack. The strongest attack is that whose AUC is farthest from 0.5.
    """
    return tuple(_strongest(model, on_model) for model, on_model in attacks.items() if on_model)


def _strongest(model: str, attacks: Mapping[str, Attacked]) -> RocCurve:
    name = max(attacks, key=lambda name: abs(attacks[name].result.auc - 0.5))
    result = attacks[name].result
    assert result.of_members is not None  # every attack of the battery keeps its evidence
    assert result.of_nonmembers is not None
    members, nonmembers = result.of_members.scores, result.of_nonmembers.scores
    scores = np.concatenate([members, nonmembers]) * (1.0 if result.auc >= 0.5 else -1.0)
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [len(members), len(nonmembers)]), scores)
    kept = _spread(fpr)
    return RocCurve(model, name, tuple(fpr[kept].tolist()), tuple(tpr[kept].tolist()))


def _spread(fpr: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose points that are spread evenly on a logarithmic axis, both ends among them."""
    if len(fpr) <= MAX_POINTS:
        return np.arange(len(fpr))
    smallest = fpr[fpr > 0].min()
    wanted = np.concatenate([[0.0], np.geomspace(smallest, 1.0, MAX_POINTS - 2)])
    return np.union1d(np.searchsorted(fpr, wanted).clip(max=len(fpr) - 1), [len(fpr) - 1])
