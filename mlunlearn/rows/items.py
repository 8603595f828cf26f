"""Rows that only a torch network learns from, which are selected by position and read as batches; arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from mlunlearn.rows.checksums import checksums_of_rows, combined


class Items:
    """Rows that only a torch network learns from: selected by position, and read as batches."""

    compared_as_a_whole = True
    """Whether checksums are of all that a row holds."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows alone: what a row looks like is only known when it is read."""
        return (len(self),)

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, rows: Any) -> Self:
        """Select rows by place, slice or mask."""
        raise NotImplementedError

    def item(self, place: int) -> Any:
        """Read the inputs of one row.

        Parameters
        ----------
        place : int
            Which of these rows.

        Returns
        -------
        object
            A tensor, an array, a number, or a dictionary of them.
        """
        raise NotImplementedError

    def read(self) -> Any:
        """Read the rows as one batch.

        Returns
        -------
        torch.Tensor or ndarray of shape (n, ...), or dict of them
            Inputs, in the type in which they are kept.
        """
        raise NotImplementedError

    def as_dataset(self) -> Any:
        """Return the rows as models take them that know nothing of `Items`.

        Returns
        -------
        torch.utils.data.Dataset or dict of ndarray
            Without a copy where the rows are all there are.
        """
        raise NotImplementedError

    def checksums(self, key: int = 0) -> np.ndarray:
        """Checksum each row.

        Parameters
        ----------
        key : int, default=0
            Another key gives other checksums.

        Returns
        -------
        ndarray of shape (n,), dtype uint64
            One for each row.
        """
        raise NotImplementedError


class NamedArrays(Items):
    """Arrays with one entry a row, which a network takes by name.

    Parameters
    ----------
    arrays : mapping of str to array-like of shape (n, ...)
        The network is called with them as ``module(**arrays)``.

    Raises
    ------
    ValueError
        If there is none, or their numbers of rows differ.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.rows.items import NamedArrays
    >>> rows = NamedArrays({"tokens": np.arange(6).reshape(3, 2), "length": np.array([2, 1, 2])})
    >>> rows[[2, 0]].read()["tokens"].tolist()
    [[4, 5], [0, 1]]
    """

    def __init__(self, arrays: Mapping[str, Any]):
        self._arrays = {name: as_array(values) for name, values in arrays.items()}
        lengths = {name: len(values) if values.ndim else 0 for name, values in self._arrays.items()}
        if not lengths or len(set(lengths.values())) > 1:
            raise ValueError(f"inputs by name must be arrays with one number of rows, got {lengths}.")

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, rows: Any) -> Self:
        """Copy rows, each array in one memory order; a slice is no copy."""
        if isinstance(rows, slice):
            return type(self)({name: values[rows] for name, values in self._arrays.items()})
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return type(self)({name: values.take(rows, axis=0) for name, values in self._arrays.items()})

    def item(self, place: int) -> Any:
        """Read the inputs of one row.

        Parameters
        ----------
        place : int
            Which of these rows.

        Returns
        -------
        dict of str to ndarray
            By name.
        """
        return {name: values[place] for name, values in self._arrays.items()}

    def read(self) -> Any:
        """Return the rows as one batch.

        Returns
        -------
        dict of str to ndarray of shape (n, ...)
            By name.
        """
        return {name: np.require(values, requirements=["C", "W"]) for name, values in self._arrays.items()}

    def as_dataset(self) -> Any:
        """Return the rows as models take them that know nothing of `Items`.

        Returns
        -------
        dict of str to ndarray
            By name, not copied.
        """
        return dict(self._arrays)

    def checksums(self, key: int = 0) -> np.ndarray:
        """Checksum what every row holds under which name.

        Parameters
        ----------
        key : int, default=0
            Another key gives other checksums.

        Returns
        -------
        ndarray of shape (n,), dtype uint64
            Equal for equal rows.
        """
        names = sorted(self._arrays)
        of_names = checksums_of_rows(np.array([str(names)], dtype=object), key).repeat(len(self))
        return combined(of_names, *(checksums_of_rows(self._arrays[name], key) for name in names))


def as_array(values: Any) -> np.ndarray:
    """Read tensors and anything numpy reads as an array."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
