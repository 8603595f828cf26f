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
    order : ndarray of int, shape (n_samples,)
        Positions in training order: shard by shard, slice by slice, in random order within a slice.
    n_shards, n_slices : int
        How many of each.

    Examples
    --------
    >>> from mlunlearn.sharded.allocation import allocate_uniform
    >>> allocation = allocate_uniform(6, n_shards=2, n_slices=3, seed=0)
    >>> sorted(allocation.rows(0).tolist() + allocation.rows(1).tolist())
    [0, 1, 2, 3, 4, 5]
    """

    shard: np.ndarray
    slice: np.ndarray
    order: np.ndarray
    n_shards: int
    n_slices: int

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(np.bincount(self.shard, minlength=self.n_shards))])

    def rows(self, shard: int) -> np.ndarray:
        """Look up which rows a shard holds.

        Parameters
        ----------
        shard : int
            Number of the shard.

        Returns
        -------
        ndarray of int
            Positions in training order.
        """
        return self.order[self._ends[shard] : self._ends[shard + 1]]

    def counts(self, retained: np.ndarray) -> np.ndarray:
        """Count rows by shard and slice.

        Parameters
        ----------
        retained : ndarray of bool, shape (n_samples,), or slice
            Which rows to count.

        Returns
        -------
        ndarray of int, shape (n_shards, n_slices)
            The counts.
        """
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
    deck = _shuffled(n_samples, seed)
    order = np.concatenate([deck[shard::n_shards] for shard in range(n_shards)])
    sizes = [len(range(shard, n_samples, n_shards)) for shard in range(n_shards)]
    return _cut(order, np.array(sizes), n_slices)


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
    rest, shard = np.divmod(hashes, np.uint64(n_shards))
    rest, part = np.divmod(rest, np.uint64(n_slices))
    order = np.lexsort((rest, part, shard))
    return Allocation(shard.astype(np.intp), part.astype(np.intp), order, n_shards, n_slices)


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
    deck = _shuffled(len(probability), seed)
    ranked = deck[np.argsort(probability[deck], kind="stable")]
    by_unit = _cut(ranked, _fill(probability[ranked], max_requests), n_slices)
    place = np.empty(len(ranked), dtype=np.intp)
    place[ranked] = np.arange(len(ranked))
    order = np.argsort(place[units], kind="stable")
    return Allocation(by_unit.shard[units], by_unit.slice[units], order, by_unit.n_shards, n_slices)


def _shuffled(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng([_PERMUTATION, seed]).permutation(n)


def _fill(probability: np.ndarray, max_requests: float) -> np.ndarray:
    """Sizes of shards filled in this order, each expecting fewer requests than `max_requests` if it has two units."""
    sizes, expected = [0], 0.0
    for p in probability.tolist():
        if sizes[-1] and expected + p >= max_requests:
            sizes.append(0)
            expected = 0.0
        sizes[-1] += 1
        expected += p
    return np.array(sizes)


def _cut(order: np.ndarray, sizes: np.ndarray, n_slices: int) -> Allocation:
    """Cut an order into shards of the given sizes, and each into slices that differ by one, the longer ones first."""
    short, longer = np.divmod(sizes, n_slices)
    slice_sizes = short[:, None] + (np.arange(n_slices) < longer[:, None])
    shard, part = np.empty(len(order), dtype=np.intp), np.empty(len(order), dtype=np.intp)
    shard[order] = np.repeat(np.arange(len(sizes)), sizes)
    part[order] = np.repeat(np.tile(np.arange(n_slices), len(sizes)), slice_sizes.ravel())
    return Allocation(shard, part, order, len(sizes), n_slices)
