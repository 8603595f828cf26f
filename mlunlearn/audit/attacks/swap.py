"""SWAP: what remains of an attack's advantage when forget and test set exchange roles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit._checks import check_finite_array

__all__ = ["swap_advantage", "swap_quality"]


def swap_advantage(advantage: ArrayLike, swapped_advantage: ArrayLike) -> NDArray[np.float64]:
    """Membership advantage of an attack that remains when forget and test set exchange roles.

    Parameters
    ----------
    advantage : array-like of shape (n_attacks,) or float
        Signed advantage (`AttackResult.advantage`) of each attack in the pipeline that trains on retain and
        forget set and then unlearns the forget set.
    swapped_advantage : array-like of shape (n_attacks,) or float
        The same attacks in the pipeline run a second time with the forget and the test set exchanged.

    Returns
    -------
    ndarray of float64, shape (n_attacks,), or 0-d
        ``0.5 * |advantage + swapped_advantage|``, in [0, 1]. Best is 0.

    Raises
    ------
    ValueError
        If the shapes differ or a value lies outside [-1, 1].

    Notes
    -----
    The formula is not verified against the paper. What it does is plain: if an attack tells forget from test
    samples only because the two are distributed differently, its advantage changes sign with the roles and
    cancels; so a retrained model has 0.

    It cancels only for an attack whose rule does not come from the two sets it judges: ``2 * auc - 1`` of a
    raw score, or `svc_attack` with a third set of never trained samples as its `test` and the exchanged
    sets as `forget` and `unseen`. An attack that fits its own direction on them, such as the accuracy of
    `loss_attack`, has a positive advantage both times.

    References
    ----------
    "Towards Reliable Empirical Machine Unlearning Evaluation: A Cryptographic Game Perspective",
    arXiv:2404.11577 (formula not verified).

    Examples
    --------
    >>> swap_advantage([0.5, 0.5], [-0.5, 0.25])
    array([0.   , 0.375])
    """
    first = check_finite_array(advantage, "advantage", ndim=(0, 1))
    second = check_finite_array(swapped_advantage, "swapped_advantage", ndim=(0, 1))
    if first.shape != second.shape:
        raise ValueError(
            f"both pipelines must be attacked by the same attacks, got shapes {first.shape} and {second.shape}."
        )
    if max(np.abs(first).max(), np.abs(second).max()) > 1.0:
        raise ValueError("advantages must lie in [-1, 1]; pass AttackResult.advantage, not percentages.")
    return np.asarray(0.5 * np.abs(first + second))


def swap_quality(advantage: ArrayLike, swapped_advantage: ArrayLike) -> float:
    """Unlearning quality: one minus the largest `swap_advantage` over the attacks.

    Parameters
    ----------
    advantage, swapped_advantage : array-like of shape (n_attacks,) or float
        As in `swap_advantage`.

    Returns
    -------
    float
        In [0, 1]. Best is 1. More attacks can only lower it.

    Raises
    ------
    ValueError
        As in `swap_advantage`.

    References
    ----------
    "Towards Reliable Empirical Machine Unlearning Evaluation: A Cryptographic Game Perspective",
    arXiv:2404.11577 (formula not verified).

    Examples
    --------
    >>> swap_quality([0.5, 0.5], [-0.5, 0.25])
    0.625
    """
    return 1.0 - float(np.max(swap_advantage(advantage, swapped_advantage)))
