"""What is asked to be forgotten: bands of the target, and groups. Each is a boolean mask over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Closed = Literal["both", "left", "right", "neither"]


@dataclass(frozen=True)
class Band:
    """A range of targets, to be forgotten in training rows and told apart in test rows by the same rule.

    Parameters
    ----------
    lower, upper : float or None, default=None
        Ends of the range; None is no end. At least one is given.
    closed : {'both', 'left', 'right', 'neither'}, default='both'
        Which ends belong to it.

    Examples
    --------
    >>> from mlunlearn.regression import Band
    >>> Band(upper=30).rows([20, 30, 40])
    array([ True,  True, False])
    >>> Band(upper=2, closed="left").rows([1.9, 2.0])
    array([ True, False])
    """

    lower: float | None = None
    upper: float | None = None
    closed: Closed = "both"

    def __post_init__(self) -> None:
        if self.lower is None and self.upper is None:
            raise ValueError("a band needs at least one end: Band(upper=30) or Band(lower=60).")
        if self.closed not in ("both", "left", "right", "neither"):
            raise ValueError(f"closed must be 'both', 'left', 'right' or 'neither', got {self.closed!r}.")
        low, high = self._ends()
        if np.isnan(low) or np.isnan(high) or low > high or (low == high and self.closed != "both"):
            raise ValueError(f"the band from {self.lower} to {self.upper}, closed {self.closed!r}, holds no number.")

    def _ends(self) -> tuple[float, float]:
        return (
            -np.inf if self.lower is None else float(self.lower),
            np.inf if self.upper is None else float(self.upper),
        )

    def rows(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Mark the rows inside.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            May mark none or all, as happens in test sets.
        """
        y = _one_target(y)
        low, high = self._ends()
        above = y >= low if self.closed in ("both", "left") else y > low
        below = y <= high if self.closed in ("both", "right") else y < high
        return above & below

    def forget(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Mark the training rows to forget.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            For ``unlearn``.

        Raises
        ------
        ValueError
            If the band holds no training row, or every one.
        """
        inside = self.rows(y)
        if not inside.any() or inside.all():
            found = "no training row" if not inside.any() else "every training row"
            y = np.asarray(y)
            raise ValueError(f"{self} holds {found}; targets lie between {y.min():g} and {y.max():g}.")
        return inside

    @classmethod
    def low(cls, y: ArrayLike, share: float = 0.2) -> Self:
        """Return the band of the lowest targets.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.
        share : float, default=0.2
            Share of rows, at least; ties are taken along.

        Returns
        -------
        Band
            Removal leaves the retrained model to extrapolate downwards.
        """
        return cls(upper=_quantile(y, share, share, "higher"))

    @classmethod
    def middle(cls, y: ArrayLike, share: float = 0.2) -> Self:
        """Return the band around the median.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.
        share : float, default=0.2
            Share of rows, about; ties are taken along.

        Returns
        -------
        Band
            Removal leaves the retrained model to interpolate, which it does well: the hardest to see in errors.
        """
        return cls(_quantile(y, 0.5 - share / 2, share, "higher"), _quantile(y, 0.5 + share / 2, share, "lower"))

    @classmethod
    def high(cls, y: ArrayLike, share: float = 0.2) -> Self:
        """Return the band of the highest targets.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.
        share : float, default=0.2
            Share of rows, at least; ties are taken along.

        Returns
        -------
        Band
            Removal leaves the retrained model to extrapolate upwards.
        """
        return cls(lower=_quantile(y, 1 - share, share, "lower"))


def group_rows(groups: ArrayLike, names: Any) -> NDArray[np.bool_]:
    """Mark all rows of some persons, customers or firms.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        Whose each row is.
    names : label or sequence of labels
        Whom to forget.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        For ``unlearn``; ``fit(..., sample_ids=groups)`` and ``unlearn(forget_ids=names)`` say the same.

    Raises
    ------
    ValueError
        If a name is unknown, or nobody is left.

    Examples
    --------
    >>> from mlunlearn.regression import group_rows
    >>> group_rows(["ann", "bob", "ann"], "ann")
    array([ True, False,  True])
    """
    groups = np.asarray(groups)
    wanted: Sequence[Any] = [names] if np.ndim(names) == 0 else list(names)
    unknown = [name for name in wanted if name not in set(groups.tolist())]
    if unknown or not len(wanted):
        raise ValueError(f"groups has no {unknown[0]!r}." if unknown else "names is empty.")
    mask = np.isin(groups, wanted)
    if mask.all():
        raise ValueError("names lists every group; nothing would be left.")
    return mask


def _one_target(y: ArrayLike) -> NDArray[np.float64]:
    y = np.asarray(y, dtype=np.float64)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"a band needs one target a row, got shape {y.shape}; choose one: band.rows(y[:, 0]).")
    if np.isnan(y).any():
        raise ValueError("y contains NaN: whether such a row lies in a band is unknown.")
    return y


def _quantile(y: ArrayLike, at: float, share: float, method: Literal["higher", "lower"]) -> float:
    _check_share(share)
    return float(np.quantile(_one_target(y), at, method=method))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, got {share!r}.")
