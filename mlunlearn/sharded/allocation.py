"""Which shard and slice a row belongs to: decided once, from a seed or from ids, never from what the row says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Self

import numpy as np

from mlunlearn.rows.checksums import checksum

_PERMUTATION = 0xA110C  # names the draw among those of a fit's root seed
_STRETCH = 2**16  # positions that are looked up, and copied, together


class Allocation:
    """The shard and the slice of every row that is retained; never changed.

    Parameters
    ----------
    order : ndarray of int
        Positions in training order: shard by shard, slice by slice, in random order within a slice.
    sizes : ndarray of int, shape (n_shards, n_slices)
        How many of them are in each slice.
    n_samples : int
        Rows given to `fit`.
    seed : int or None, default=None
        What `order` and `sizes` follow from, if they follow from a seed alone. Then the seed is saved and not they.

    Notes
    -----
    Of a forgotten row nothing is kept: among rows that are ordered by the hashes of their ids, a place tells a hash.

    Examples
    --------
    >>> from mlunlearn.sharded.allocation import allocate_uniform
    >>> allocation = allocate_uniform(6, n_shards=2, n_slices=3, seed=0)
    >>> sorted(allocation.rows(0).tolist() + allocation.rows(1).tolist())
    [0, 1, 2, 3, 4, 5]
    >>> int(allocation.without(np.array([4])).shard[4])
    -1
    """

    def __init__(self, order: np.ndarray, sizes: np.ndarray, n_samples: int, seed: int | None = None):
        self.n_shards, self.n_slices = sizes.shape
        self.sizes = sizes
        self._n_samples, self._seed = n_samples, seed
        order = order.astype(np.int32 if n_samples < 2**31 else np.int64)
        self._rows = [part.copy() for part in np.split(order, np.cumsum(sizes.sum(axis=1))[:-1])]
        cells = np.full(n_samples, -1, dtype=np.int32)
        cells[order] = np.repeat(np.arange(sizes.size), sizes.ravel())
        self._cells = [cells[start : start + _STRETCH].copy() for start in range(0, n_samples, _STRETCH)]

    @property
    def shard(self) -> np.ndarray:
        """Shard of each row given to `fit`; -1 for those that are forgotten."""
        return np.concatenate(self._cells).astype(np.intp) // self.n_slices

    @property
    def slice(self) -> np.ndarray:
        """Slice of each row within its shard; slice 0 is learned first; -1 for those that are forgotten."""
        cells = np.concatenate(self._cells).astype(np.intp)
        return np.where(cells < 0, -1, cells % self.n_slices)

    @property
    def order(self) -> np.ndarray:
        """Positions of the retained rows in training order."""
        return np.concatenate(self._rows).astype(np.intp)

    def rows(self, shard: int) -> np.ndarray:
        """Look up which retained rows a shard holds.

        Parameters
        ----------
        shard : int
            Number of the shard.

        Returns
        -------
        ndarray of int
            Positions in training order.
        """
        return self._rows[shard].astype(np.intp)

    def cells(self, positions: np.ndarray) -> np.ndarray:
        """Number the slices of all shards in one row, and look rows up.

        Parameters
        ----------
        positions : ndarray of int
            Ascending positions of rows.

        Returns
        -------
        ndarray of int
            ``shard * n_slices + slice`` of each; -1 for those that are forgotten.
        """
        found = [self._cells[number][some - number * _STRETCH] for number, some in _by_stretch(positions)]
        return np.concatenate([*found, np.zeros(0, dtype=np.int32)])

    def counts(self, retained: Any) -> np.ndarray:
        """Count rows by shard and slice.

        Parameters
        ----------
        retained : ndarray of bool, shape (n_samples,), or slice
            Which rows to count; forgotten ones are not.

        Returns
        -------
        ndarray of int, shape (n_shards, n_slices)
            The counts.
        """
        cells = np.concatenate(self._cells)[retained]
        return np.bincount(cells[cells >= 0], minlength=self.sizes.size).reshape(self.sizes.shape)

    def without(self, positions: np.ndarray) -> Allocation:
        """Return the allocation of the other rows.

        Parameters
        ----------
        positions : ndarray of int
            Ascending positions of retained rows.

        Returns
        -------
        Allocation
            Shares all shards but those that hold one of the rows.
        """
        left = type(self).__new__(type(self))
        vars(left).update(vars(self), _rows=list(self._rows), _cells=list(self._cells))
        cells = self.cells(positions)
        left.sizes = self.sizes - np.bincount(cells, minlength=self.sizes.size).reshape(self.sizes.shape)
        shards = cells // self.n_slices
        for shard in np.unique(shards).tolist():
            rows = self._rows[shard]
            left._rows[shard] = rows[~np.isin(rows, positions[shards == shard], assume_unique=True)]
        for number, some in _by_stretch(positions):
            left._cells[number] = self._cells[number].copy()
            left._cells[number][some - number * _STRETCH] = -1
        return left

    def __getstate__(self) -> dict[str, Any]:
        """A seed instead of what follows from it; and never what follows from what."""
        if self._seed is None:
            order = np.concatenate(self._rows)
            return {"order": order, "sizes": self.sizes, "n_samples": self._n_samples}
        return {
            "drawn": (self._n_samples, self.n_shards, self.n_slices, self._seed),
            "forgotten": np.flatnonzero(np.concatenate(self._cells) < 0),
            "checksum": checksum(self.order),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Draw again what was not saved."""
        if "drawn" not in state:
            self.__init__(**state)  # type: ignore[misc]
            return
        vars(self).update(vars(allocate_uniform(*state["drawn"]).without(state["forgotten"])))
        if checksum(self.order) != state["checksum"]:
            raise RuntimeError(
                f"numpy {np.__version__} draws another allocation of rows to shards from the same seed than the "
                "release that this model was saved with; load it with that release."
            )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _by_stretch(positions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    numbers = positions // _STRETCH
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(positions)]):
        yield int(numbers[start]), positions[start:stop]


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
    return Allocation(order, _even_slices(np.array(sizes), n_slices), n_samples, seed)


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
    cells = shard.astype(np.intp) * n_slices + part.astype(np.intp)
    sizes = np.bincount(cells, minlength=n_shards * n_slices).reshape(n_shards, n_slices)
    return Allocation(np.lexsort((rest, cells)), sizes, len(hashes))


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
    unit_sizes = _even_slices(_fill(probability[ranked], max_requests), n_slices)
    place, cells = np.empty(len(ranked), dtype=np.intp), np.empty(len(ranked), dtype=np.intp)
    place[ranked] = np.arange(len(ranked))
    cells[ranked] = np.repeat(np.arange(unit_sizes.size), unit_sizes.ravel())
    sizes = np.bincount(cells[units], minlength=unit_sizes.size).reshape(unit_sizes.shape)
    return Allocation(np.argsort(place[units], kind="stable"), sizes, len(units))


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


def _even_slices(sizes: np.ndarray, n_slices: int) -> np.ndarray:
    """Cut shards of these sizes into slices that differ by one, the longer ones first."""
    short, longer = np.divmod(sizes, n_slices)
    return short[:, None] + (np.arange(n_slices) < longer[:, None])
