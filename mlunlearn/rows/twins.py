"""Rows with identical inputs: what one of them said is not forgotten while another one is retained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np


class Twins:
    """How many rows of each group of identical ones are held; never changed.

    Parameters
    ----------
    sizes : ndarray of int, shape (n_groups,)
        Held rows of each group.
    """

    def __init__(self, sizes: np.ndarray):
        self._sizes = sizes

    @classmethod
    def among(
        cls, checksums: np.ndarray, by_another_key: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Find the rows that have identical others.

        Parameters
        ----------
        checksums : ndarray of shape (n,), dtype uint64
            Of the inputs of each row.
        by_another_key : callable
            From rows to other checksums of theirs, in case two rows agree in the first by chance.

        Returns
        -------
        Twins
            The groups.
        ndarray of int, shape (n,), or None
            The group of each row, -1 where there is no identical other; None where all are so.
        """
        order = np.argsort(checksums)
        alike = np.diff(checksums[order]) == 0
        if not alike.any():
            return cls(np.zeros(0, dtype=np.int32)), None
        rows = np.sort(order[np.append(alike, False) | np.append(False, alike)])
        _, first, groups = np.unique(checksums[rows], return_index=True, return_inverse=True)
        again = by_another_key(rows)
        identical = again == again[first][groups]
        found = np.full(len(checksums), -1, dtype=np.int32)
        found[rows[identical]] = groups[identical]
        return cls(np.bincount(groups[identical], minlength=len(first)).astype(np.int32)), found

    def count(self, groups: np.ndarray | None) -> int:
        """Count rows of these groups, about to be forgotten together, that leave an identical one behind.

        Parameters
        ----------
        groups : ndarray of int or None
            Group of each of the rows, or -1.

        Returns
        -------
        int
            How many of them.
        """
        if groups is None:
            return 0
        own, asked = np.unique(groups[groups >= 0], return_counts=True)
        return int(asked[self._sizes[own] > asked].sum())

    def without(self, groups: np.ndarray | None) -> Twins:
        """Return what is left when rows of these groups are gone."""
        if groups is None or (groups < 0).all():
            return self
        own, gone = np.unique(groups[groups >= 0], return_counts=True)
        sizes = self._sizes.copy()
        sizes[own] -= gone.astype(np.int32)
        return Twins(sizes)
