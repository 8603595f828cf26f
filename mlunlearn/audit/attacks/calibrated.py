"""Membership inference by comparison with models that never saw the row: how much easier is it for this one?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit._checks import check_finite_array, check_scores
from mlunlearn.audit.attacks._scored import scored_attack
from mlunlearn.audit.attacks.attack_result import AttackResult

__all__ = ["calibrated_attack", "loss_gap"]


def loss_gap(loss: ArrayLike, reference_loss: ArrayLike) -> NDArray[np.float64]:
    """How much more, or less, a row costs a model than models that never saw it.

    Parameters
    ----------
    loss : array-like of shape (n_samples,)
        Loss of the model under audit: cross-entropy, absolute or squared residual.
    reference_loss : array-like of shape (n_references, n_samples)
        Loss of each reference model, none of which was trained on the rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        ``loss - mean of reference_loss``. Negative where the model knows the row.

    Raises
    ------
    ValueError
        If arrays are not finite or do not describe the same rows.

    Notes
    -----
    The mean over the forgotten rows is the paired comparison of the audit: what is hard about a row is hard for every
    model and cancels, and what is left is whether the model remembers. A distance between *distributions* of
    predictions cannot see rows forgotten at random, whose distribution is that of all others.

    Examples
    --------
    >>> from mlunlearn.audit import loss_gap
    >>> loss_gap([1.0, 3.0], [[2.0, 2.0], [4.0, 4.0]]).tolist()
    [-2.0, 0.0]
    """
    ours = check_scores(loss, "loss")
    theirs = check_finite_array(reference_loss, "reference_loss", ndim=(2,))
    if theirs.shape[1] != ours.size:
        raise ValueError(
            f"reference_loss must have shape (n_references, {ours.size}), one row a model, got {theirs.shape}."
        )
    return ours - theirs.mean(axis=0)


def calibrated_attack(
    loss_forget: ArrayLike,
    loss_unseen: ArrayLike,
    reference_loss_forget: ArrayLike,
    reference_loss_unseen: ArrayLike,
    *,
    forget_groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Attack with the loss, less what the row costs models that never saw it.

    Parameters
    ----------
    loss_forget : array-like of shape (n_forget,)
        Loss of the model under audit on the forgotten rows.
    loss_unseen : array-like of shape (n_unseen,)
        The same on rows never trained on.
    reference_loss_forget : array-like of shape (n_references, n_forget)
        Loss of reference models on the forgotten rows, none of which was trained on them. To attack a reference
        itself, leave it out.
    reference_loss_unseen : array-like of shape (n_references, n_unseen)
        The same on the rows never trained on.
    forget_groups, unseen_groups : array-like of shape (n_forget,) and (n_unseen,), optional
        The person or source of each row. Give both or neither.
    random_state : int, RandomState or None, default=0
        Seed of the halvings that choose the threshold.

    Returns
    -------
    AttackResult
        Scores are the negated `loss_gap`. AUC is 0.5 for a model that saw neither side, however unlike the two sides
        are in difficulty. `accuracy`, `tpr` and `fpr` are those of a threshold chosen on one half of the rows and
        applied to the other.

    Raises
    ------
    ValueError
        If arrays are not finite or do not describe the same rows, or a side has fewer than two rows.

    Notes
    -----
    This is the likelihood ratio attack (LiRA, "Membership Inference Attacks From First Principles",
    arXiv:2112.03570) in its offline form, with one standard deviation for all rows, as fits few references: a
    common divisor does not change the order of the rows. The audit has such references anyway.

    References
    ----------
    "On the Importance of Difficulty Calibration in Membership Inference Attacks", arXiv:2111.08440.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import calibrated_attack
    >>> hard, easy = np.full(60, 5.0), np.full(60, 1.0)
    >>> calibrated_attack(hard - 1.0, easy, [hard], [easy]).auc
    1.0
    """
    forget = -loss_gap(loss_forget, reference_loss_forget)
    unseen = -loss_gap(loss_unseen, reference_loss_unseen)
    return scored_attack("calibrated", forget, unseen, groups=(forget_groups, unseen_groups), random_state=random_state)
