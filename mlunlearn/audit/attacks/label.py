"""The label attack: a sample is called a member if the model gets it right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlunlearn.audit._checks import check_unit_entries
from mlunlearn.audit.attacks.attack_result import AttackResult, balanced_accuracy, collect_result, decided_once

__all__ = ["label_attack"]


def label_attack(correct_forget: ArrayLike, correct_unseen: ArrayLike) -> AttackResult:
    """Call the samples that the model predicts correctly members: all that can be done with labels alone.

    Parameters
    ----------
    correct_forget : array-like of shape (n_forget,)
        Whether each forget sample is predicted correctly, 1 or 0.
    correct_unseen : array-like of shape (n_unseen,)
        The same of samples that were never trained on.

    Returns
    -------
    AttackResult
        `advantage` is the accuracy on the forget samples minus that on the unseen ones. Nothing is fitted.

    Raises
    ------
    ValueError
        If a side is empty or holds anything outside [0, 1].

    References
    ----------
    Yeom et al., "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting", arXiv:1709.01604.

    Examples
    --------
    >>> label_attack([1, 1, 1, 1], [1, 1, 0, 0]).advantage
    0.5
    """
    forget = check_unit_entries(correct_forget, "correct_forget", ndim=(1,))
    unseen = check_unit_entries(correct_unseen, "correct_unseen", ndim=(1,))
    tpr, fpr = float(np.mean(forget)), float(np.mean(unseen))
    return collect_result(
        "label",
        forget,
        unseen,
        accuracy=balanced_accuracy(tpr, fpr),
        tpr=tpr,
        fpr=fpr,
        decisions=(decided_once(forget), decided_once(unseen)),
    )
