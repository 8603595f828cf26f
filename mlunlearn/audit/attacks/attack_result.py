"""What every membership inference attack reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit._checks import check_scores

__all__ = ["AttackResult", "Evidence", "tpr_at_fpr"]

Decisions = tuple[NDArray[np.float64], NDArray[np.float64]]  # share called a member, number of decisions


@dataclass(frozen=True)
class Evidence:
    """What an attack said of every sample of one side; figures of resampled samples are computed from it.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Score of each sample, higher for more likely members.
    called : ndarray of shape (n_samples,)
        Share of the decisions on a sample that called it a member; 0 where none was made.
    times : ndarray of shape (n_samples,)
        Number of decisions on each sample: an attack that holds samples out in turn may judge some twice.
    """

    scores: NDArray[np.float64]
    called: NDArray[np.float64]
    times: NDArray[np.float64]


@dataclass(frozen=True)
class AttackResult:
    """Figures of one membership inference attack on one model.

    Members are the samples under audit, usually the forget set; non-members were never trained on. A
    successful attack on the forget set is only alarming as far as the same attack on the retrained model
    does worse.

    Parameters
    ----------
    name : str
        The attack.
    accuracy : float
        Share of correct decisions, 0.5 for coin tossing. Both sides weigh the same, whatever their sizes,
        unless the attack says otherwise.
    auc : float
        Area under the ROC curve of the attack's scores, in [0, 1]. Below 0.5 the forget samples look *less*
        like members than unseen samples do, a sign of over-forgetting.
    tpr_at_fpr_0_01 : float
        Share of members found when 1 % of the non-members may be accused wrongly; NaN if there are fewer than
        100 non-members, see `tpr_at_fpr`.
    tpr_at_fpr_0_001 : float
        The same for 0.1 %; NaN if there are fewer than 1,000 non-members.
    tpr : float
        Share of members called members at the attack's own decision rule.
    fpr : float
        Share of non-members called members at that rule.
    n_members : int
        Number of members given.
    n_nonmembers : int
        Number of non-members given for scoring.
    of_members, of_nonmembers : Evidence or None, default=None
        Score and decision of every sample, where the attack keeps them; not compared, not printed.

    Examples
    --------
    >>> result = AttackResult("loss", 0.75, 0.875, 0.25, float("nan"), 0.75, 0.25, 400, 400)
    >>> result.advantage, result.efficacy
    (0.5, 0.25)
    """

    name: str
    accuracy: float
    auc: float
    tpr_at_fpr_0_01: float
    tpr_at_fpr_0_001: float
    tpr: float
    fpr: float
    n_members: int
    n_nonmembers: int
    of_members: Evidence | None = field(default=None, repr=False, compare=False)
    of_nonmembers: Evidence | None = field(default=None, repr=False, compare=False)

    @property
    def advantage(self) -> float:
        """Signed membership advantage ``tpr - fpr``, in [-1, 1]; 0 is chance."""
        return self.tpr - self.fpr

    @property
    def efficacy(self) -> float:
        """Share of the members taken for non-members, "MIA efficacy"; compare with the retrained model's."""
        return 1.0 - self.tpr


def tpr_at_fpr(scores_members: ArrayLike, scores_nonmembers: ArrayLike, fpr: float) -> float:
    """Share of members that a threshold finds while at most a share `fpr` of non-members lies at or above it.

    Parameters
    ----------
    scores_members : array-like of shape (n_members,)
        Attack scores of members; higher means more likely a member.
    scores_nonmembers : array-like of shape (n_nonmembers,)
        Attack scores of non-members.
    fpr : float
        Allowed false positive rate, in (0, 1].

    Returns
    -------
    float
        In [0, 1]. NaN if ``n_nonmembers < 1 / fpr``: the rate is then below one non-member and cannot be
        measured.

    Raises
    ------
    ValueError
        If `fpr` is outside (0, 1] or the scores are not one finite number per sample.

    Notes
    -----
    No interpolation between points of the ROC curve, and tied scores are accepted or rejected together, so
    the figure never flatters the attack. With ``n_nonmembers`` only just above ``1 / fpr`` it hangs on a
    single non-member: give an interval (`mlunlearn.audit.intervals.bootstrap.bootstrap_interval`) beside it.

    Examples
    --------
    >>> tpr_at_fpr([3, 4, 5, 6], [0, 1, 2, 3.5], fpr=0.25)
    1.0
    >>> tpr_at_fpr([3, 4, 5, 6], [0, 1, 2, 3.5], fpr=0.01)
    nan
    """
    members = check_scores(scores_members, "scores_members")
    nonmembers = check_scores(scores_nonmembers, "scores_nonmembers")
    if not 0.0 < fpr <= 1.0:
        raise ValueError(f"fpr must lie in (0, 1], got {fpr!r}.")
    allowed = np.floor(fpr * nonmembers.size + 1e-9)
    if allowed < 1:
        return float("nan")
    return _share_above(members, np.sort(nonmembers), int(allowed))


def roc_figures(scores_members: ArrayLike, scores_nonmembers: ArrayLike) -> dict[str, float]:
    """AUC and the two low false positive rate figures of an `AttackResult`, by field name."""
    members = check_scores(scores_members, "scores_members")
    nonmembers = check_scores(scores_nonmembers, "scores_nonmembers")
    ordered = np.sort(nonmembers)
    below = np.searchsorted(ordered, members, side="left") + np.searchsorted(ordered, members, side="right")
    figures = {"auc": float(below.mean() / (2.0 * nonmembers.size))}
    for name, fpr in (("tpr_at_fpr_0_01", 0.01), ("tpr_at_fpr_0_001", 0.001)):
        allowed = int(np.floor(fpr * nonmembers.size + 1e-9))
        figures[name] = _share_above(members, ordered, allowed) if allowed else float("nan")
    return figures


def collect_result(
    name: str,
    scores_members: NDArray[np.float64],
    scores_nonmembers: NDArray[np.float64],
    *,
    accuracy: float,
    tpr: float,
    fpr: float,
    decisions: tuple[Decisions, Decisions],
) -> AttackResult:
    """Collect the figures of an attack; `decisions` are those on members and on non-members."""
    of_members, of_nonmembers = (
        Evidence(scores, *side) for scores, side in zip((scores_members, scores_nonmembers), decisions, strict=True)
    )
    return AttackResult(
        name,
        accuracy=accuracy,
        **roc_figures(scores_members, scores_nonmembers),
        tpr=tpr,
        fpr=fpr,
        n_members=len(scores_members),
        n_nonmembers=len(scores_nonmembers),
        of_members=of_members,
        of_nonmembers=of_nonmembers,
    )


def decided_once(called: ArrayLike) -> Decisions:
    """Decisions of an attack that judges every sample exactly once."""
    share = np.asarray(called, dtype=np.float64)
    return share, np.ones_like(share)


class Tally:
    """Counts decisions on samples that are held out in turn.

    Parameters
    ----------
    n_samples : int
        Samples of both sides.
    """

    def __init__(self, n_samples: int):
        self._called = np.zeros(n_samples)
        self._times = np.zeros(n_samples)

    def add(self, rows: NDArray[np.intp], called: ArrayLike) -> None:
        """Count one decision on each of these rows."""
        self._called[rows] += np.asarray(called, dtype=np.float64)
        self._times[rows] += 1.0

    def decisions(self, rows: slice) -> Decisions:
        """Return the share called a member, and the number of decisions, of some rows."""
        called, times = self._called[rows], self._times[rows]
        return called / np.maximum(times, 1.0), times


def balanced_accuracy(tpr: float, fpr: float) -> float:
    """Share of correct decisions when members and non-members weigh the same."""
    return 0.5 * (tpr + 1.0 - fpr)


def _share_above(members: NDArray[np.float64], ordered: NDArray[np.float64], allowed: int) -> float:
    """Share of members above all but `allowed` of the non-members, which are in ascending order."""
    return float(np.mean(members > ordered[-allowed - 1])) if allowed < ordered.size else 1.0
