"""Membership inference with one threshold per class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from mlunlearn.audit._checks import check_scores
from mlunlearn.audit.attacks._splits import group_folds, groups_per_side, joined_groups, joined_labels
from mlunlearn.audit.attacks.attack_result import AttackResult, Evidence, Tally, balanced_accuracy, roc_figures

__all__ = ["threshold_attack"]


def threshold_attack(
    scores_members: ArrayLike,
    y_members: ArrayLike,
    scores_nonmembers: ArrayLike,
    y_nonmembers: ArrayLike,
    *,
    groups_members: ArrayLike | None = None,
    groups_nonmembers: ArrayLike | None = None,
    n_repeats: int = 20,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Attack with one threshold per class, chosen on one half of the samples and applied to the other.

    Parameters
    ----------
    scores_members : array-like of shape (n_members,)
        Score of each member, higher for more likely members: a confidence, the negated loss or the negated
        modified entropy (`mlunlearn.audit.metrics.signals`).
    y_members : array-like of shape (n_members,)
        True class of each member.
    scores_nonmembers : array-like of shape (n_nonmembers,)
        Score of each non-member.
    y_nonmembers : array-like of shape (n_nonmembers,)
        True class of each non-member.
    groups_members, groups_nonmembers : array-like of shape (n_members,) and (n_nonmembers,), optional
        The person or source of each sample; a group then never lies in both halves. Give both or neither.
    n_repeats : int, default=20
        Number of random halvings to average over.
    random_state : int, RandomState or None, default=0
        Seed of the halvings.

    Returns
    -------
    AttackResult
        Means over the repeats on the half that chose no threshold. AUC and the rates at low FPR use the
        score minus the threshold of its class; a rate is NaN if that half has too few non-members for it.

    Raises
    ------
    ValueError
        If the arrays do not match, a side has fewer than two samples or groups, or only one of the two group
        arrays is given.

    Notes
    -----
    A threshold maximises the mean of the true positive and true negative rate. A class that lacks members or
    non-members in the choosing half falls back to the threshold of all classes together.

    References
    ----------
    Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models", arXiv:2003.10595.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.tile([0, 1], 100)
    >>> members, nonmembers = y + 0.5, y - 0.5  # separable within a class, mixed over classes
    >>> threshold_attack(members, y, nonmembers, y).accuracy
    1.0
    """
    members = check_scores(scores_members, "scores_members")
    nonmembers = check_scores(scores_nonmembers, "scores_nonmembers")
    scores = np.concatenate([members, nonmembers])
    is_member = np.repeat([True, False], [members.size, nonmembers.size])
    y = joined_labels(y_members, y_nonmembers, members.size, nonmembers.size, ("y_members", "y_nonmembers"))
    classes = np.unique(y, return_inverse=True)[1]
    groups = joined_groups(groups_members, groups_nonmembers, members.size, nonmembers.size)
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1, got {n_repeats!r}.")
    rng = check_random_state(random_state)
    tally, distances = Tally(scores.size), np.zeros(scores.size)
    repeats = [_threshold_half(scores, classes, is_member, groups, rng, tally, distances) for _ in range(n_repeats)]
    means = {key: float(np.mean([repeat[key] for repeat in repeats])) for key in repeats[0]}
    sides = []
    for rows in (slice(members.size), slice(members.size, None)):
        called, times = tally.decisions(rows)
        sides.append(Evidence(distances[rows] / np.maximum(times, 1.0), called, times))
    return AttackResult(
        "threshold",
        **means,
        n_members=members.size,
        n_nonmembers=nonmembers.size,
        of_members=sides[0],
        of_nonmembers=sides[1],
    )


def _threshold_half(
    scores: NDArray[np.float64],
    classes: NDArray[np.intp],
    is_member: NDArray[np.bool_],
    groups: NDArray[np.intp] | None,
    rng: np.random.RandomState,
    tally: Tally,
    distances: NDArray[np.float64],
) -> dict[str, float]:
    """Choose thresholds on a random half, judge the other and return the attack's figures on it.

    Decisions are added to `tally`, and distances to the threshold to `distances`.
    """
    units = np.arange(scores.size) if groups is None else groups
    groups_per_side(is_member, units)
    chooses = group_folds(is_member, units, 2, rng) == 0
    thresholds = _class_thresholds(scores[chooses], classes[chooses], is_member[chooses], classes.max() + 1)
    distance = (scores - thresholds[classes])[~chooses]
    truth = is_member[~chooses]
    called = distance >= 0.0
    tally.add(np.flatnonzero(~chooses), called)
    distances[~chooses] += distance
    tpr, fpr = float(called[truth].mean()), float(called[~truth].mean())
    figures = roc_figures(distance[truth], distance[~truth])
    return {"accuracy": balanced_accuracy(tpr, fpr), "tpr": tpr, "fpr": fpr, **figures}


def _class_thresholds(
    scores: NDArray[np.float64], classes: NDArray[np.intp], is_member: NDArray[np.bool_], n_classes: int
) -> NDArray[np.float64]:
    order = np.argsort(-scores, kind="stable")
    scores, classes, is_member = scores[order], classes[order], is_member[order]
    thresholds = np.full(n_classes, _best_threshold(scores, is_member))
    by_class = np.argsort(classes, kind="stable")
    for rows in np.split(by_class, np.cumsum(np.bincount(classes, minlength=n_classes))[:-1]):
        if is_member[rows].any() and not is_member[rows].all():
            thresholds[classes[rows[0]]] = _best_threshold(scores[rows], is_member[rows])
    return thresholds


def _best_threshold(scores: NDArray[np.float64], is_member: NDArray[np.bool_]) -> float:
    """The observed score that, taken as a threshold, maximises TPR - FPR; scores in descending order."""
    found = np.cumsum(is_member)
    advantage = found / found[-1] - (np.arange(1, len(scores) + 1) - found) / (len(scores) - found[-1])
    last_of_ties = np.append(scores[1:] != scores[:-1], True)
    return float(scores[np.argmax(np.where(last_of_ties, advantage, -np.inf))])
