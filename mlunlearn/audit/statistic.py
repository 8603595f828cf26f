"""A tested difference to the references, and the share of the forgotten rows that it would have found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlunlearn.audit.intervals.contrast import Difference

__all__ = ["Statistic"]

# Chance of finding the residue that the verdict names.
POWER = 0.8


@dataclass(frozen=True)
class Statistic:
    """One of the declared statistics: a tested difference to the references.

    Parameters
    ----------
    name : str
        What was compared.
    difference : Difference
        The audited model's value minus the references', with its error and p-value.
    reference : float
        Mean value of the references.
    member_effect : float or None, default=None
        The difference of a model that still holds all forgotten rows: the original's, or what retained rows show.
    member_variance : float, default=0.0
        What a random row among them adds to the variance of the estimate if it is held or not.
    larger : str, default="larger"
        What a larger value means, in words.
    smaller : str, default="smaller"
        What a smaller value means.
    n_decisive : int or None, default=None
        Where one row that differs decides: forgotten rows that a model which holds them answers otherwise.
    decisive_p : float, default=0.0
        The p-value of a model that answers such a row otherwise.

    Examples
    --------
    >>> from mlunlearn.audit import Statistic
    >>> from mlunlearn.audit.intervals.contrast import Difference
    >>> statistic = Statistic("membership", Difference(0.0, 0.02, float("inf"), 1.0), 0.5, member_effect=0.2)
    >>> round(statistic.detectable_residue(0.05), 2)
    0.29
    """

    name: str
    difference: Difference
    reference: float
    member_effect: float | None = None
    member_variance: float = 0.0
    larger: str = "larger"
    smaller: str = "smaller"
    n_decisive: int | None = None
    decisive_p: float = 0.0

    @property
    def value(self) -> float:
        """The audited model's own value."""
        return self.reference + self.difference.estimate

    @property
    def direction(self) -> str:
        """What the sign of the difference means."""
        return self.larger if self.difference.estimate > 0 else self.smaller

    def detectable_residue(self, level: float) -> float | None:
        """Smallest share of the forgotten rows, left in the model, that the test at this level mostly finds.

        Parameters
        ----------
        level : float
            Of the test.

        Returns
        -------
        float or None
            In (0, 1]; infinite if not even all of them would be found; None where nothing says how a member looks.
        """
        if self.member_effect is None:
            return None
        if self.n_decisive is not None:  # one of these rows must be among those that are held
            found_at_all = self.n_decisive > 0 and self.decisive_p <= level
            return float(1.0 - (1.0 - POWER) ** (1.0 / self.n_decisive)) if found_at_all else float("inf")
        shares = np.linspace(0.01, 1.0, 100)
        mixture = shares * (1.0 - shares) * self.member_variance
        spread = np.sqrt(self.difference.standard_error**2 + mixture)
        unit = replace(self.difference, standard_error=1.0).detectable(level, POWER)
        found = shares * abs(self.member_effect) >= unit * spread + 1e-12
        return float(shares[np.argmax(found)]) if found.any() else float("inf")
