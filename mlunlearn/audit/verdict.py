"""The verdict: is the audited model as a retrained one, distinguishable from one, or is this audit too small to say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mlunlearn.audit.statistic import Statistic

__all__ = ["Verdict", "decide"]

Decision = Literal["as a retrained model", "distinguishable from one", "cannot tell at this size"]

RETRAINED: Decision = "as a retrained model"
DISTINGUISHABLE: Decision = "distinguishable from one"
CANNOT_TELL: Decision = "cannot tell at this size"


@dataclass(frozen=True)
class Verdict:
    """What the declared statistics say of one model.

    Parameters
    ----------
    decision : {"as a retrained model", "distinguishable from one", "cannot tell at this size"}
        The verdict.
    alpha : float
        Chance that a retrained model is called distinguishable, over all statistics together.
    statistics : tuple of Statistic
        The declared statistics, in their order.
    adjusted : tuple of float
        Their p-values, corrected for their number by Holm's method.
    residue : float or None
        Smallest share of the forgotten rows that would have been found, had it been left in the model, with a chance
        of 80 %; infinite if not even all of them; None if nothing says how a member looks.
    absent : tuple of str, default=()
        Declared statistics that could not be computed, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import decide, membership_statistic
    >>> rng = np.random.default_rng(0)
    >>> outside = rng.uniform(size=(4, 600))  # three references and an exact model, 200 forgotten and 400 unseen rows
    >>> original = np.concatenate([np.ones(200), rng.uniform(size=400)])
    >>> forget = np.arange(600) < 200
    >>> exact = membership_statistic(outside[0], outside[1:], forget, original=original)
    >>> decide([exact]).decision
    'as a retrained model'
    >>> decide([membership_statistic(original, outside[1:], forget)]).decision
    'distinguishable from one'
    """

    decision: Decision
    alpha: float
    statistics: tuple[Statistic, ...]
    adjusted: tuple[float, ...]
    residue: float | None
    absent: tuple[str, ...] = field(default=())

    @property
    def found(self) -> tuple[Statistic, ...]:
        """Statistics that are beyond chance."""
        return tuple(s for s, p in zip(self.statistics, self.adjusted, strict=True) if p <= self.alpha)

    def __str__(self) -> str:
        """The verdict in one sentence, and what it rests on in another."""
        if self.decision == DISTINGUISHABLE:
            return f"{self.decision}: {'; '.join(statistic.direction for statistic in self.found)}."
        if self.decision == RETRAINED:
            return (
                f"{self.decision}: {self.residue:.0%} of the forgotten rows left in it would mostly have been found; "
                "a smaller share may remain unfound."
            )
        if self.residue is None:
            if any("they need the forgotten rows" in what for what in self.absent):
                return "cannot tell: without the forgotten rows no audit can be favourable; pass them in train."
            return f"{self.decision}: nothing here shows how a model looks that still holds the forgotten rows."
        if np.isinf(self.residue):
            return f"{self.decision}: a model that still holds all forgotten rows would mostly not have been found."
        return f"{self.decision}: only {self.residue:.0%} of the forgotten rows, or more, would mostly have been found."


def decide(
    statistics: Sequence[Statistic],
    *,
    alpha: float = 0.05,
    residue: float = 1.0,
    absent: Sequence[str] = (),
) -> Verdict:
    """Come to a verdict.

    Parameters
    ----------
    statistics : sequence of Statistic
        The declared ones, chosen before looking.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable, over all statistics together.
    residue : float, default=1.0
        Share of the forgotten rows that the audit must be able to find for a favourable verdict; 1 asks that it could
        have told a model that still holds all of them.
    absent : sequence of str, default=()
        What could not be computed, in words.

    Returns
    -------
    Verdict
        The decision and what it rests on.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import decide, level_statistic
    >>> theirs = np.array([[0.8, 0.9], [0.9, 0.8], [0.9, 0.9]])
    >>> print(decide([level_statistic(np.array([0.1, 0.2]), theirs)]))
    distinguishable from one: its score on unseen rows is lower than that of retrained models.
    """
    if not statistics:
        return Verdict(CANNOT_TELL, alpha, (), (), None, tuple(absent))
    adjusted = holm([statistic.difference.p_value for statistic in statistics])
    level = alpha / len(statistics)
    shares = [share for s in statistics if (share := s.detectable_residue(level)) is not None]
    smallest = min(shares, default=None)
    decision = CANNOT_TELL
    if min(adjusted) <= alpha:
        decision = DISTINGUISHABLE
    elif smallest is not None and smallest <= residue:
        decision = RETRAINED
    return Verdict(decision, alpha, tuple(statistics), tuple(adjusted), smallest, tuple(absent))


def favourable_only_if_found(verdict: Verdict, original: Verdict | None) -> Verdict:
    """Take a favourable verdict back if the same statistics do not even tell the original from a retrained model.

    Parameters
    ----------
    verdict : Verdict
        Of the audited model.
    original : Verdict or None
        Of the model before unlearning; None leaves the verdict as it is.

    Returns
    -------
    Verdict
        "cannot tell at this size" instead of a favourable one.
    """
    if verdict.decision == RETRAINED and original is not None and original.decision != DISTINGUISHABLE:
        return replace(verdict, decision=CANNOT_TELL, residue=float("inf"))
    return verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number.

    Parameters
    ----------
    p_values : sequence of float
        Of any dependence.

    Returns
    -------
    list of float
        In the same order; rejecting those up to alpha keeps the family-wise error rate.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> from mlunlearn.audit.verdict import holm
    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    adjusted = np.empty(len(p_values))
    adjusted[order] = stepped
    return adjusted.tolist()
