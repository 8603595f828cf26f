"""Marks that survive arithmetic, and where they are found again."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mlunlearn.checks.parts import walk

NAN_BITS = 0x7FF8_0DE1_E7ED_0000  # a quiet NaN whose payload no arithmetic of its own makes; float32 keeps its head
HUGE = 1e12
CARRIED = 1e-4  # share of a huge mark that a mean or a gradient may dilute it to


def marked_rows(mark: float, shape: tuple[int, ...]) -> np.ndarray:
    """Fill rows with a mark.

    Parameters
    ----------
    mark : float
        NaN, or a huge value.
    shape : tuple of int
        Shape of the rows.

    Returns
    -------
    ndarray
        NaNs of one distinctive payload, or values about as large as the mark, each another.
    """
    if np.isnan(mark):
        return np.full(shape, NAN_BITS, dtype=np.uint64).view(np.float64)
    return mark * (1 + np.arange(np.prod(shape)).reshape(shape) / 1009)


def find_marks(obj: Any, rows: Any, *, mark: float | None = None) -> dict[str, str]:
    """Find what is left of forgotten rows in everything that can be reached from an object.

    Parameters
    ----------
    obj : object
        A model, for instance; its private attributes, the arrays its arrays are views of, and its training data are
        searched as well.
    rows : array-like of numbers, shape (n_rows, ...)
        The forgotten rows: their bytes are searched for, as double and as single precision.
    mark : float or None, default=None
        What the rows were filled with: NaN, or a huge value. Then NaN and infinities, or numbers of its order of
        magnitude, are reported as well.

    Returns
    -------
    dict
        Path to what was found there; empty where nothing is left.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.checks import find_marks
    >>> X = np.array([[0.25, 0.5], [1.75, 1e12]])
    >>> find_marks({"kept": X[:1], "sum": X.sum()}, X[1:], mark=1e12)
    {"['kept']": 'holds the bytes of a forgotten row', "['sum']": 'carries the mark: 1e+12'}
    """
    needles = _needles(rows, each_value=mark is not None)
    found = {path: _trace(leaf, needles, mark) for path, leaf in walk(obj)}
    return {path: how for path, how in found.items() if how}


def holds_bytes(saved: bytes, rows: Any) -> bool:
    """Tell whether saved bytes contain any of the rows.

    Parameters
    ----------
    saved : bytes
        A pickle, a file.
    rows : array-like of numbers, shape (n_rows, ...)
        The forgotten rows.

    Returns
    -------
    bool
        Whether they do, in double or single precision.
    """
    return any(needle in saved for needle in _needles(rows))


def _needles(rows: Any, each_value: bool = False) -> set[bytes]:
    rows = np.asarray(rows, dtype=np.float64)
    single = [row.astype(np.float32).tobytes() for row in rows]
    values = rows.ravel() if each_value else []
    return {*(row.tobytes() for row in rows), *(row for row in single if len(row) > 8), *(v.tobytes() for v in values)}


def _trace(leaf: Any, needles: set[bytes], mark: float | None) -> str | None:
    if isinstance(leaf, (bytes, bytearray)):
        held = leaf
    elif isinstance(leaf, (float, complex, np.ndarray, np.generic)):
        values = np.asarray(leaf)
        held = _whole(values).tobytes()
    else:
        return None
    if any(needle in held for needle in needles):
        return "holds the bytes of a forgotten row"
    if mark is None or isinstance(leaf, (bytes, bytearray)) or values.dtype.kind not in "fc":
        return None
    carried = values[_carries(values, mark)]
    return f"carries the mark: {carried[0]:.6g}" if carried.size else None


def _carries(values: np.ndarray, mark: float) -> np.ndarray:
    if np.isnan(mark):
        return np.isnan(values)
    return ~np.isfinite(values) | (np.abs(values) >= mark * CARRIED)


def _whole(values: np.ndarray) -> np.ndarray:
    """Return all the memory that an array is a view of."""
    while isinstance(values.base, np.ndarray):
        values = values.base
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values.base, torch.Tensor):
        storage = values.base.untyped_storage()
        return torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return values
