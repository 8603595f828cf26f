"""Labels that are there, and rows drawn by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]


def read_labels(y: ArrayLike, name: str = "y") -> NDArray[Any]:
    """Read one label for each row, or refuse what is something else."""
    y = np.asarray(y)
    if y.ndim != 1 or not len(y):
        raise ValueError(f"{name} must hold one label for each row, got shape {y.shape}.")
    return y


def known_names(names: Any, y: NDArray[Any], where: str) -> list[Any]:
    """Read names of classes, and refuse those that are not there."""
    wanted: list[Any] = [names] if np.ndim(names) == 0 else list(names)
    there = set(y.tolist())
    unknown = [name for name in wanted if name not in there]
    if unknown or not len(wanted):
        raise ValueError(f"{where} has no class {unknown[0]!r}." if unknown else "no class is named.")
    return wanted


def draw(mask: Mask, n: int, random: np.random.RandomState) -> Mask:
    """Mark some of the marked rows by chance."""
    drawn = np.zeros(len(mask), dtype=bool)
    drawn[random.permutation(np.flatnonzero(mask))[:n]] = True
    return drawn


def shared(n: int, parts: int) -> list[int]:
    """Cut a number into almost equal ones, the larger ones first."""
    return [len(part) for part in np.array_split(np.arange(n), parts)]
