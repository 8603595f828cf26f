"""Two-sided tests of one model against K retrained models on the same rows, and what they could have found.

Every function takes a value of each row, or its mean, under the audited model and under each reference. There are two
sources of noise, and a test for each:

- *rows*: forgotten and unseen rows that were drawn alike are exchangeable, since none of the models learned from
  either. So are their paired differences (audited minus mean reference), and a permutation of rows is an exact test,
  however few references there are. Rows that were chosen together, such as neighbours, are not: a smooth model errs on
  all of them at once. How far the references are from each other shows by how much (`dispersion`), and the p-value is
  averaged over the factors that this leaves possible (`mlunlearn.audit.intervals.overdispersion`).
- *models*: given all rows, the audited model and the references are draws of one training procedure. The test is
  Student's with K - 1 degrees of freedom and needs nothing of the rows; with few references it finds only large
  differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr
from scipy.stats import norm, rankdata, t

from mlunlearn.audit.intervals.overdispersion import Overdispersion
from mlunlearn.training.seeds import derive_seeds

Floats = NDArray[np.float64]

# Differences of a mean below this are rounding: methods that are exact up to rounding must not be told apart by it.
ROUNDING = 1e-9
# Up to this many forgotten rows the permutation distribution is drawn; beyond, it is normal.
DRAWN_UP_TO = 200
N_PERMUTATIONS = 1999
# Random numbers that are held at a time.
LARGEST_DRAW = 20_000_000


@dataclass(frozen=True)
class Difference:
    """A tested difference between one model and its references.

    Parameters
    ----------
    estimate : float
        Value of the audited model minus the mean of the references.
    standard_error : float
        Of the estimate, if the audited model is a further reference.
    df : float
        Degrees of freedom; infinite for a test over rows.
    p_value : float
        Two-sided.
    """

    estimate: float
    standard_error: float
    df: float
    p_value: float

    def detectable(self, level: float, power: float = 0.8) -> float:
        """Smallest true difference that a test at this level finds with this power."""
        tail = (t.isf(level / 2, self.df) + t.ppf(power, self.df)) if np.isfinite(self.df) else None
        return float((norm.isf(level / 2) + norm.ppf(power) if tail is None else tail) * self.standard_error)


def contrast_weights(is_forget: NDArray[np.bool_], strata: NDArray[np.intp]) -> Floats:
    """Weight of each row in the mean over forgotten rows minus the mean over unseen rows of the same strata.

    Parameters
    ----------
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten (True) or unseen (False).
    strata : ndarray of int, shape (n_rows,)
        Rows are compared within these; every forgotten row of a stratum without unseen rows has weight 0.

    Returns
    -------
    ndarray of float, shape (n_rows,)
        The positive ones sum to 1 and the negative ones to -1; all 0 if nothing can be compared.
    """
    n_strata = int(strata.max()) + 1
    forget = np.bincount(strata[is_forget], minlength=n_strata)
    unseen = np.bincount(strata[~is_forget], minlength=n_strata)
    matched = (forget > 0) & (unseen > 0)
    total = forget[matched].sum()
    if total == 0:
        return np.zeros(len(strata))
    share = np.where(matched, forget / total, 0.0)
    per_row = np.where(is_forget, share[strata] / np.maximum(forget[strata], 1), 0.0)
    return per_row - np.where(is_forget, 0.0, share[strata] / np.maximum(unseen[strata], 1))


def ranks_within(values: Floats, strata: NDArray[np.intp]) -> Floats:
    """Mid-ranks within strata as shares, so that a contrast of them is an AUC minus one half.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Scores of one model, higher for more likely members.
    strata : ndarray of int, shape (n_rows,)
        Strata.

    Returns
    -------
    ndarray of shape (n_rows,)
        Between 0 and 1.
    """
    if not strata.any():
        return rankdata(values) / len(values)
    ranks = np.empty(len(values))
    for stratum in np.unique(strata):
        rows = strata == stratum
        ranks[rows] = rankdata(values[rows]) / rows.sum()
    return ranks


def over_rows(
    differences: Floats,
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
    seed: int,
    beyond: Overdispersion | None = None,
) -> Difference:
    """Test whether paired differences are larger or smaller on forgotten rows than on unseen ones.

    Parameters
    ----------
    differences : ndarray of shape (n_rows,)
        Audited model minus mean reference.
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten or unseen.
    strata : ndarray of int, shape (n_rows,)
        Rows are exchangeable within these.
    groups : ndarray of int or None
        Person or source of each row, if rows are dependent. Whole groups are then what is independent.
    seed : int
        Seed of the permutations; equal ones are drawn once for all models.
    beyond : Overdispersion or None, default=None
        By how much the difference may vary beyond what independent rows, or groups, explain; None if not at all.

    Returns
    -------
    Difference
        Of the contrast, by permutation, or by its normal approximation where there are many rows. With groups by a
        cluster-robust Student test. With `beyond` the average over its factors, and the standard error and degrees of
        freedom are those of Student's distribution with the same critical values.
    """
    weights = contrast_weights(is_forget, strata)
    estimate = float(weights @ differences)
    if groups is not None:
        standard_error, df = _group_error(differences, weights, is_forget, strata, groups)
    else:
        df, few = np.inf, bool(is_forget[weights != 0.0].sum() <= DRAWN_UP_TO)
        standard_error = _row_error(differences, weights, is_forget, strata, few)
    if abs(estimate) <= ROUNDING or standard_error <= ROUNDING:
        return Difference(estimate, standard_error, df, 1.0 if abs(estimate) <= ROUNDING else 0.0)
    if groups is None and few:
        drawn = _permuted(differences, is_forget, strata, weights, seed)

        def tail(factors: Floats) -> Floats:
            as_large = len(drawn) - np.searchsorted(drawn, abs(estimate) * factors * (1.0 - 1e-9))
            return np.asarray((1.0 + as_large) / (1.0 + len(drawn)), dtype=np.float64)
    else:

        def tail(factors: Floats) -> Floats:
            return _two_sided(abs(estimate) * factors / standard_error, df)

    if beyond is None:
        return Difference(estimate, standard_error, df, float(tail(np.ones(1))[0]))
    scale, at_most = beyond.as_student()
    return Difference(estimate, standard_error * scale, min(df, at_most), beyond.p_value(tail))


def dispersion(
    scores: Floats, is_forget: NDArray[np.bool_], strata: NDArray[np.intp], groups: NDArray[np.intp] | None
) -> float:
    """Compare how far models that learned from no row differ in the contrast with what independent rows explain.

    Parameters
    ----------
    scores : ndarray of shape (n_models, n_rows)
        Score of each row under each model.
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten or unseen.
    strata : ndarray of int, shape (n_rows,)
        Rows are exchangeable within these.
    groups : ndarray of int or None
        Person or source of each row; whole groups are then what is independent.

    Returns
    -------
    float
        The variance between models over the expected one: Cochran's Q over its K - 1 degrees of freedom, about 1 if
        rows are independent; 0 if models agree.
    """
    weights = contrast_weights(is_forget, strata)
    deviations = scores - scores.mean(axis=0)
    expected = sum(_chance(of_model, weights, is_forget, strata, groups) for of_model in deviations)
    if not np.isfinite(expected) or expected <= ROUNDING**2:
        return 0.0
    return float(np.sum((deviations @ weights) ** 2)) / expected


def over_models(ours: float, theirs: Floats, floor: float, n_ours: int = 1) -> Difference:
    """Test whether one number of the audited model is a further draw of the references' numbers.

    Parameters
    ----------
    ours : float
        The audited model's, or the mean over `n_ours` audited models.
    theirs : ndarray of shape (n_references,)
        The references'.
    floor : float
        Variance of one model's number that independent noise of single rows explains. A sample variance of few
        references is never taken to be smaller: two accuracies that happen to be equal prove nothing.
    n_ours : int, default=1
        Audited models.

    Returns
    -------
    Difference
        By Student's test with K - 1 degrees of freedom.
    """
    n_references = len(theirs)
    estimate = float(ours - theirs.mean())
    variance = max(float(np.var(theirs, ddof=1)), floor) * (1.0 / n_ours + 1.0 / n_references)
    standard_error = float(np.sqrt(variance))
    if abs(estimate) <= ROUNDING or standard_error <= ROUNDING:
        return Difference(estimate, standard_error, n_references - 1, 1.0 if abs(estimate) <= ROUNDING else 0.0)
    p_value = float(_two_sided(np.array(abs(estimate) / standard_error), n_references - 1))
    return Difference(estimate, standard_error, n_references - 1, p_value)


def _two_sided(multiples: Floats, df: float) -> Floats:
    return 2.0 * (ndtr(-multiples) if np.isinf(df) else stdtr(df, -multiples))


def _chance(
    differences: Floats,
    weights: Floats,
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
) -> float:
    """Variance of a contrast if rows, or groups of them, are exchangeable."""
    if groups is None:
        return _row_variance(differences, weights, strata, np.ones(len(strata), dtype=bool))
    return _group_error(differences, weights, is_forget, strata, groups)[0] ** 2


def _row_error(
    differences: Floats, weights: Floats, is_forget: NDArray[np.bool_], strata: NDArray[np.intp], few: bool
) -> float:
    """Standard error if rows are independent: of all rows together where these are permuted, else side by side."""
    sides = [np.ones(len(strata), dtype=bool)] if few else [is_forget, ~is_forget]
    return float(np.sqrt(sum(_row_variance(differences, weights, strata, side) for side in sides)))


def _row_variance(differences: Floats, weights: Floats, strata: NDArray[np.intp], chosen: NDArray[np.bool_]) -> float:
    """Variance of the weighted sum of the chosen rows, each stratum with its own variance of a row."""
    total = 0.0
    for stratum in np.unique(strata[weights != 0.0]):
        rows = chosen & (strata == stratum)
        own = differences[rows] if rows.sum() > 1 else differences[strata == stratum]
        total += float(np.var(own, ddof=1) * np.sum(weights[rows] ** 2)) if len(own) > 1 else 0.0
    return total


def _group_error(
    differences: Floats,
    weights: Floats,
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp],
    groups: NDArray[np.intp],
) -> tuple[float, float]:
    """Standard error if whole groups are independent, and its degrees of freedom; infinite with a single group."""
    cell = 2 * strata + is_forget
    means = np.bincount(cell, weights=differences) / np.maximum(np.bincount(cell), 1)
    influence = weights * (differences - means[cell])
    variance, fewest = 0.0, np.inf
    for side in (True, False):
        sums = np.bincount(groups[is_forget == side], weights=influence[is_forget == side])
        n_groups = np.unique(groups[(is_forget == side) & (weights != 0.0)]).size
        fewest = min(fewest, n_groups)
        variance += float(np.sum(sums**2)) * n_groups / max(n_groups - 1, 1)
    return (np.inf, 1.0) if fewest < 2 else (float(np.sqrt(variance)), fewest - 1.0)


def _permuted(
    differences: Floats,
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp],
    weights: Floats,
    seed: int,
) -> Floats:
    """Sizes, sorted, of the contrasts of random divisions into forgotten and unseen rows, stratum by stratum."""
    drawn = np.zeros(N_PERMUTATIONS)
    for stratum in np.unique(strata[weights != 0.0]):
        rows = strata == stratum
        values = differences[rows]
        n, n_forget = len(values), int(is_forget[rows].sum())
        share = float(weights[rows & is_forget].sum())
        sums = values[_subsets(n, n_forget, derive_seeds(seed, int(stratum))[0])].sum(axis=1)
        drawn += share * (sums / n_forget - (values.sum() - sums) / (n - n_forget))
    return np.sort(np.abs(drawn))


@lru_cache(maxsize=32)
def _subsets(n: int, size: int, seed: int) -> NDArray[np.intp]:
    """Random subsets of one size, one for each permutation."""
    rng = np.random.default_rng(seed)
    if N_PERMUTATIONS * n <= LARGEST_DRAW:
        return np.argpartition(rng.random((N_PERMUTATIONS, n), dtype=np.float32), size - 1, axis=1)[:, :size]
    return np.array([rng.choice(n, size, replace=False, shuffle=False) for _ in range(N_PERMUTATIONS)])
