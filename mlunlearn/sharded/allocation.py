"""Which shard and slice a row belongs to: decided once, from a seed or from ids, never from what the row says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_PERMUTATION = 0xA110C  # names the draw among those of a fit's root seed


@dataclass(frozen=True)
class Allocation:
    """The shard and the slice of every row given to `fit`.

    Parameters
    ----------
    shard : ndarray of int, shape (n_samples,)
        Shard of each row.
    slice : ndarray of int, shape (n_samples,)
        Slice of each row within its shard; slice 0 is learned first.
    n_shards, n_slices : int
        How many of each.
    """

    shard: np.ndarray
    slice: np.ndarray
    n_shards: int
    n_slices: int

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.shard * self.n_slices + self.slice, kind="stable")

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.shard[self._order], np.arange(self.n_shards + 1))

    def rows(self, shard: int) -> np.ndarray:
        """Positions of a shard's rows, slice by slice, ascending within a slice."""
        return self._order[self._starts[shard] : self._starts[shard + 1]]

    def counts(self, retained: np.ndarray) -> np.ndarray:
        """Count the rows of a mask by shard and slice, shape (n_shards, n_slices)."""
        cells = (self.shard * self.n_slices + self.slice)[retained]
        return np.bincount(cells, minlength=self.n_shards * self.n_slices).reshape(self.n_shards, self.n_slices)


def allocate_uniform(n_samples: int, n_shards: int, n_slices: int, seed: int) -> Allocation:
    """Deal rows out at random into equal shards, and each shard into equal slices.

    Parameters
    ----------
    n_samples, n_shards, n_slices : int
        Sizes; shards differ by one row at most, and so do the slices of a shard.
    seed : int
        Root seed of the fit.

    Returns
    -------
    Allocation
        Every row is in one shard and one slice; none is left over.

    Examples
    --------
    >>> from mlunlearn.sharded.allocation import allocate_uniform
    >>> allocate_uniform(7, 2, 2, seed=0).counts(slice(None))
    array([[2, 2],
           [2, 1]])
    """
    order = _shuffled(n_samples, seed)
    shard, place = np.empty(n_samples, dtype=np.intp), np.empty(n_samples, dtype=np.intp)
    shard[order] = np.arange(n_samples) % n_shards
    place[order] = np.arange(n_samples) // n_shards
    return Allocation(shard, _cut(shard, place, n_shards, n_slices), n_shards, n_slices)


def allocate_by_id(hashes: np.ndarray, n_shards: int, n_slices: int) -> Allocation:
    """Let the hash of a row's id decide, so that no other row matters and an id stays in one slice.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n_samples,)
        Keyed hashes of the ids.
    n_shards, n_slices : int
        How many; their sizes are binomial.

    Returns
    -------
    Allocation
        Equal hashes are together.
    """
    shard = hashes % np.uint64(n_shards)
    part = hashes // np.uint64(n_shards) % np.uint64(n_slices)
    return Allocation(shard.astype(np.intp), part.astype(np.intp), n_shards, n_slices)


def allocate_by_risk(
    probability: np.ndarray, units: np.ndarray, max_requests: float, n_slices: int, seed: int
) -> Allocation:
    """Fill shards so that each expects fewer deletion requests than a constant.

    Records are taken in ascending order of their deletion probability; a shard is closed when one more record would
    bring its expected number of requests to `max_requests`. Stable records so share few large shards, volatile ones
    many small shards, and within a shard the volatile ones come last, where forgetting them repeats least.

    Parameters
    ----------
    probability : ndarray of float, shape (n_units,)
        Probability that each unit (record or id) is asked to be forgotten.
    units : ndarray of int, shape (n_samples,)
        Unit of each row.
    max_requests : float
        Bound on the expected requests of a shard.
    n_slices : int
        Slices a shard, equal in units.
    seed : int
        Root seed of the fit; orders units of equal probability.

    Returns
    -------
    Allocation
        The number of shards follows from the bound.

    References
    ----------
    .. [1] Bourtoule et al., "Machine Unlearning", arXiv 1912.03817, section VIII, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.sharded.allocation import allocate_by_risk
    >>> risk = np.array([0.01] * 8 + [0.4] * 3)
    >>> allocate_by_risk(risk, np.arange(11), max_requests=0.5, n_slices=2, seed=0).shard
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])
    """
    shuffled = _shuffled(len(probability), seed)
    order = shuffled[np.argsort(probability[shuffled], kind="stable")]
    shard, place = np.empty(len(order), dtype=np.intp), np.empty(len(order), dtype=np.intp)
    current, expected, size = 0, 0.0, 0
    for unit in order:
        if size and expected + probability[unit] >= max_requests:
            current, expected, size = current + 1, 0.0, 0
        shard[unit], place[unit] = current, size
        expected, size = expected + probability[unit], size + 1
    part = _cut(shard, place, current + 1, n_slices)
    return Allocation(shard[units], part[units], current + 1, n_slices)


def _shuffled(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng([_PERMUTATION, seed]).permutation(n)


def _cut(shard: np.ndarray, place: np.ndarray, n_shards: int, n_slices: int) -> np.ndarray:
    """Cut each shard, ordered by `place`, into slices that differ by one at most, the longer ones first."""
    sizes = np.bincount(shard, minlength=n_shards)[shard]
    short, longer = sizes // n_slices, sizes % n_slices
    in_longer = place < longer * (short + 1)
    return np.where(in_longer, place // (short + 1), longer + (place - longer * (short + 1)) // np.maximum(short, 1))
