"""Bootstrap resamples as weights, so that a figure of many resamples is one matrix product.

A resample of n samples is written as n counts: how often each was drawn. Every figure of the audit is a function of
such weights; the figure itself has weight 1 everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlunlearn.training.seeds import derive_seeds

# Entries of the weight matrices that are held at a time; a chunk of resamples is made no larger.
LARGEST_CHUNK = 2_000_000

Floats = NDArray[np.float64]
Weights = dict[str, Floats]  # by data: one row a resample, one column a sample


class RocFigures(NamedTuple):
    """AUC and true positive rates of every resample.

    Parameters
    ----------
    auc : ndarray of shape (n_resamples,)
        Area under the ROC curve.
    tpr : tuple of ndarray of shape (n_resamples,)
        Share of members found at each of the false positive rates that were asked for.
    """

    auc: Floats
    tpr: tuple[Floats, ...]


def number_of_units(n_samples: int, groups: NDArray[np.intp] | None) -> int:
    """Count what a bootstrap draws: samples, or groups of them."""
    return n_samples if groups is None else int(groups.max()) + 1


def weights_of_all(sizes: Mapping[str, int]) -> Weights:
    """Return the weights of the data as they are, in the form of a single resample."""
    return {name: np.ones((1, n)) for name, n in sizes.items()}


def resample_weights(
    sizes: Mapping[str, int], groups: Mapping[str, NDArray[np.intp]], n_resamples: int, seed: int
) -> Iterator[Weights]:
    """Draw bootstrap resamples of several data sets, in chunks of bounded size.

    Parameters
    ----------
    sizes : mapping of str to int
        Samples of each data set.
    groups : mapping of str to ndarray of int
        Group of each sample, counted from 0, of those data sets whose samples are dependent. Whole groups are drawn.
    n_resamples : int
        Number of resamples.
    seed : int
        Seed; the resamples of one data set do not depend on which others there are.

    Yields
    ------
    dict of str to ndarray of shape (chunk, n_samples)
        How often each sample was drawn.

    Examples
    --------
    >>> from mlunlearn.audit.intervals.resampling import resample_weights
    >>> (weights,) = resample_weights({"test": 4}, {}, n_resamples=3, seed=0)
    >>> weights["test"].sum(axis=1)
    array([4., 4., 4.])
    """
    chunk = max(1, min(n_resamples, LARGEST_CHUNK // max(1, sum(sizes.values()))))
    draws = {name: np.random.default_rng(derive_seeds(seed, *name.encode())) for name in sizes}
    for start in range(0, n_resamples, chunk):
        n_rows = min(chunk, n_resamples - start)
        yield {name: _counts(n, groups.get(name), n_rows, draws[name]) for name, n in sizes.items()}


def _counts(n_samples: int, groups: NDArray[np.intp] | None, n_rows: int, rng: np.random.Generator) -> Floats:
    n_units = number_of_units(n_samples, groups)
    counts = np.empty((n_rows, n_units))
    for row in range(n_rows):
        counts[row] = np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)
    return counts if groups is None else counts[:, groups]


def weighted_means(values: Mapping[str, Floats], weights: Floats) -> dict[str, Floats]:
    """Mean of each column of values in every resample."""
    names = list(values)
    if not names:
        return {}
    means = weights @ np.column_stack([values[name] for name in names]) / weights.sum(axis=1, keepdims=True)
    return dict(zip(names, means.T, strict=True))


def weighted_rate(called: Floats, times: Floats, weights: Floats) -> Floats:
    """Share of positive decisions in every resample; NaN where none was made."""
    made = weights @ times
    return np.divide(weights @ (called * times), made, out=np.full(len(made), np.nan), where=made > 0)


def weighted_roc(
    members: Floats, nonmembers: Floats, member_weights: Floats, nonmember_weights: Floats, rates: tuple[float, ...]
) -> RocFigures:
    """AUC and TPR at low FPR of every resample, with ties counted as `mlunlearn.audit.tpr_at_fpr` does.

    Parameters
    ----------
    members, nonmembers : ndarray of shape (n_members,) and (n_nonmembers,)
        Scores, higher for more likely members.
    member_weights, nonmember_weights : ndarray of shape (n_resamples, n_members) and (n_resamples, n_nonmembers)
        How often each sample counts.
    rates : tuple of float
        Allowed false positive rates.

    Returns
    -------
    RocFigures
        One number for every resample; the AUC is NaN where a side has no sample.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit.intervals.resampling import weighted_roc
    >>> once = np.ones((1, 4))
    >>> roc = weighted_roc(np.array([3.0, 4, 5, 6]), np.array([0.0, 1, 2, 3.5]), once, once, rates=(0.25,))
    >>> roc.auc, roc.tpr[0]
    (array([0.9375]), array([1.]))
    """
    found, accused = _from_the_top(members, nonmembers, member_weights, nonmember_weights)
    n_members, n_nonmembers = found[:, -1:], accused[:, -1:]
    before = np.concatenate([np.zeros_like(n_members), found[:, :-1]], axis=1)
    steps = np.diff(accused, axis=1, prepend=0.0)
    pairs = (n_members * n_nonmembers)[:, 0]
    above = (steps * 0.5 * (found + before)).sum(axis=1)
    auc = np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    shares = found / n_members
    tpr = []
    for rate in rates:
        allowed = np.floor(rate * n_nonmembers + 1e-9)
        last = (accused <= allowed).sum(axis=1)
        tpr.append(np.where(last > 0, shares[np.arange(len(last)), last - 1], 0.0))
    return RocFigures(auc, tuple(tpr))


def _from_the_top(
    members: Floats, nonmembers: Floats, member_weights: Floats, nonmember_weights: Floats
) -> tuple[Floats, Floats]:
    """Weight of members and of non-members that score at least as high as each distinct score, highest first."""
    _, place = np.unique(-np.concatenate([members, nonmembers]), return_inverse=True)
    n_scores = int(place.max()) + 1
    sides = ((place[: len(members)], member_weights), (place[len(members) :], nonmember_weights))
    found, accused = (_sums_by_place(where, weights, n_scores).cumsum(axis=1) for where, weights in sides)
    return found, accused


def _sums_by_place(place: NDArray[np.intp], weights: Floats, n_places: int) -> Floats:
    order = np.argsort(place, kind="stable")
    occupied, starts = np.unique(place[order], return_index=True)
    sums = np.zeros((len(weights), n_places))
    sums[:, occupied] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums
