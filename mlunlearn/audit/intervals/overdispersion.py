"""By how much a difference may vary beyond what independent rows explain, learned from the references.

Forgotten rows that were chosen together, such as neighbours, are not independent of each other: a model errs on all of
them at once. How far the K references then differ from each other in the tested number, over what independent rows
explain, has K - 1 degrees of freedom, too few to decide whether there is such a factor or not. So nothing is decided:
every factor counts by how well it explains the references.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm, t

Floats = NDArray[np.float64]

# Before the references are seen: the chance that rows are independent; else the standard error is multiplied by more
# than x with a chance of 1 / x. The stated error rate holds on average over this; at the least favourable factor, about
# two, a test at 5 % errs in 8 % (ten references) to 13 % (three). A larger chance finds smaller residues, and errs more
# often where rows were chosen together. `benchmarks/audit_power.py` measures both.
INDEPENDENT = 0.5
FACTORS = np.concatenate([[1.0], np.exp((np.arange(80) + 0.5) * np.log(100.0) / 80)])
PRIOR = np.concatenate([[INDEPENDENT], (1.0 - INDEPENDENT) / FACTORS[1:] / np.sum(1.0 / FACTORS[1:])])
# Two-sided levels at which Student's distribution that stands for the mixture of factors agrees with it.
LEVELS = (0.05, 0.01)


@dataclass(frozen=True)
class Overdispersion:
    """Weights of the factors by which a standard error over rows may have to be multiplied.

    Parameters
    ----------
    weights : ndarray of shape (n_factors,)
        Of `FACTORS`; they sum to 1.

    Examples
    --------
    >>> from mlunlearn.audit.intervals.overdispersion import Overdispersion
    >>> [round(float(Overdispersion.seen(ratio, df=9).weights[0]), 2) for ratio in (0.5, 1.0, 4.0)]
    [0.87, 0.78, 0.0]
    """

    weights: Floats

    @classmethod
    def seen(cls, ratio: float, df: int) -> Overdispersion:
        """Weigh the factors by Bayes' rule.

        Parameters
        ----------
        ratio : float
            Variance between references over what independent rows explain.
        df : int
            Its degrees of freedom, one less than there are references.

        Returns
        -------
        Overdispersion
            The weights.
        """
        log_likelihood = -df * np.log(FACTORS) - 0.5 * df * ratio / FACTORS**2
        weights = PRIOR * np.exp(log_likelihood - log_likelihood.max())
        return cls(weights / weights.sum())

    def p_value(self, tail: Callable[[Floats], Floats]) -> float:
        """Average of the p-values with the difference divided by each factor.

        Parameters
        ----------
        tail : callable
            From numbers that the difference is multiplied with to its p-values if rows are independent.

        Returns
        -------
        float
            Two-sided if those are.
        """
        return float(self.weights @ tail(1.0 / FACTORS))

    def as_student(self) -> tuple[float, float]:
        """Student's distribution with the same critical values at 5 % and at 1 %.

        Returns
        -------
        scale, df : float
            What to multiply the standard error with; infinite degrees of freedom if it is normal.
        """
        near, far = (self._critical(level) for level in LEVELS)
        df = _student_with(far / near)
        return near / float(_upper(LEVELS[0], df)), df

    def _critical(self, level: float) -> float:
        """Multiple of the standard error that is exceeded with this chance."""

        def excess(x: float) -> float:
            return float(2.0 * self.weights @ ndtr(-x / FACTORS)) - level

        return float(brentq(excess, 0.5, 400.0))


def _upper(level: float, df: float) -> float:
    return float(norm.isf(level / 2.0) if np.isinf(df) else t.isf(level / 2.0, df))


@lru_cache(maxsize=512)
def _student_with(ratio: float) -> float:
    """Degrees of freedom at which the critical values have this ratio."""

    def excess(log_df: float) -> float:
        return _upper(LEVELS[1], np.exp(log_df)) / _upper(LEVELS[0], np.exp(log_df)) - ratio

    low, high = np.log(0.5), np.log(1e4)
    if excess(high) >= 0.0:
        return np.inf
    return float(np.exp(brentq(excess, low, high))) if excess(low) > 0.0 else float(np.exp(low))
