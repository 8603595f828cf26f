"""An attack from one score a row: figures of the scores, decisions of a threshold chosen on other rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit.attacks.attack_result import AttackResult, collect_result
from mlunlearn.audit.attacks.threshold import threshold_attack

Sides = tuple[ArrayLike | None, ArrayLike | None]


def scored_attack(
    name: str,
    forget: NDArray[np.float64],
    unseen: NDArray[np.float64],
    *,
    kinds: tuple[ArrayLike, ArrayLike] | None = None,
    groups: Sides = (None, None),
    shown: tuple[NDArray[np.float64], ...] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Attack with one score a row.

    Parameters
    ----------
    name : str
        The attack.
    forget, unseen : ndarray of shape (n_forget,) and (n_unseen,)
        Scores, higher for more likely members.
    kinds : tuple of two array-like, optional
        Kind of each forgotten and each unseen row; every kind gets a threshold of its own.
    groups : tuple of two array-like or None
        The person or source of each forgotten and each unseen row.
    shown : tuple of two ndarray, optional
        Scores to compute AUC and rates from, where they are not those that thresholds are put on.
    random_state : int, RandomState or None, default=0
        Seed of the halvings.

    Returns
    -------
    AttackResult
        AUC and rates at low FPR are those of the scores of all rows; accuracy, TPR and FPR those of the thresholds.
    """
    kinds = (np.zeros(forget.size), np.zeros(unseen.size)) if kinds is None else kinds
    decided = threshold_attack(
        forget,
        kinds[0],
        unseen,
        kinds[1],
        groups_members=groups[0],
        groups_nonmembers=groups[1],
        random_state=random_state,
    )
    assert decided.of_members is not None  # the threshold attack keeps its evidence
    assert decided.of_nonmembers is not None
    sides = [(side.called, side.times) for side in (decided.of_members, decided.of_nonmembers)]
    scores = (forget, unseen) if shown is None else shown
    return collect_result(
        name,
        scores[0],
        scores[1],
        accuracy=decided.accuracy,
        tpr=decided.tpr,
        fpr=decided.fpr,
        decisions=(sides[0], sides[1]),
    )
