"""Marks that survive arithmetic, and where they are found again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlunlearn.checks.archives import unpacked
from mlunlearn.checks.parts import walk

DIGITS = 9  # characters of a number in a text that tell it from others
NAN_BITS = 0x7FF8_0DE1_E7ED_0000  # a quiet NaN whose payload no arithmetic of its own makes; float32 keeps its head
HUGE = 1e12
CARRIED = 1e-4  # share of a huge mark that a mean or a gradient may dilute it to


@dataclass(frozen=True)
class Needles:
    """What forgotten rows look like in memory and in files.

    Parameters
    ----------
    plain : frozenset of bytes
        Rows, in the usual precisions.
    written : tuple of tuple of bytes
        The numbers of each row as texts; two of a row in one text are a copy of it.
    """

    plain: frozenset[bytes]
    written: tuple[tuple[bytes, ...], ...] = ()

    def are_in(self, content: bytes) -> bool:
        """Tell whether a row is there."""
        if any(needle in content for needle in self.plain):
            return True
        return any(sum(number in content for number in row) >= min(2, len(row)) for row in self.written)


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
        The forgotten rows: their bytes are searched for, in double, single and half precision (``float16`` and
        ``bfloat16``), in bytes that are compressed (zlib, gzip, bzip2, xz, zip and with it ``.npz``), and as text.
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
    needles = needles_of(rows, each_value=mark is not None)
    found = {path: trace(leaf, needles, mark) for path, leaf in walk(obj)}
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
        Whether they do, in double, single or half precision, plain or compressed.
    """
    return _holds(saved, needles_of(rows))


def needles_of(rows: Any, each_value: bool = False) -> Needles:
    """List the bytes that rows consist of in the usual precisions.

    Parameters
    ----------
    rows : array-like of numbers, shape (n_rows, ...)
        The rows.
    each_value : bool, default=False
        Whether single numbers, in double precision, count as well.

    Returns
    -------
    Needles
        What to search for. Shortened rows of eight bytes and less are left out, as chance would find them.
    """
    rows = np.asarray(rows, dtype=np.float64)
    with np.errstate(over="ignore"):
        shortened = [short.tobytes() for row in rows for short in _shortened(row)]
    values = rows.ravel() if each_value else []
    plain = {*(r.tobytes() for r in rows), *(s for s in shortened if len(s) > 8), *(v.tobytes() for v in values)}
    return Needles(frozenset(plain), tuple(filter(None, map(_written, rows))))


def _written(row: np.ndarray) -> tuple[bytes, ...]:
    """Write the numbers of a row as JSON and `repr` do, cut off where other precisions round; none that are short."""
    texts = {repr(abs(value))[:DIGITS] for value in row.ravel().tolist()}
    return tuple(sorted(text.encode() for text in texts if len(text) == DIGITS and "e" not in text))


def _shortened(row: np.ndarray) -> list[np.ndarray]:
    """Write a row in single precision, as float16 and as bfloat16, rounded or cut off; and each in wider numbers."""
    single, half = row.astype(np.float32), row.astype(np.float16)
    bits = single.view(np.uint32)
    brains = [(bits + 0x7FFF + ((bits >> 16) & 1)) >> 16, bits >> 16]
    wide = [single, half.astype(np.float32), *((brain << 16).view(np.float32) for brain in brains)]
    return [half, *(brain.astype(np.uint16) for brain in brains), *wide, *(each.astype(np.float64) for each in wide)]


def _holds(saved: bytes | bytearray, needles: Needles) -> bool:
    return any(needles.are_in(content) for content in unpacked(bytes(saved)))


def trace(leaf: Any, needles: Needles, mark: float | None = None) -> str | None:
    """Say what of forgotten rows a leaf holds.

    Parameters
    ----------
    leaf : object
        Bytes, a text, a number or an array; anything else holds nothing.
    needles : Needles
        See `needles_of`.
    mark : float or None, default=None
        See `find_marks`.

    Returns
    -------
    str or None
        What was found.
    """
    if isinstance(leaf, str):
        leaf = leaf.encode("utf-8", "surrogatepass")
    if isinstance(leaf, (bytes, bytearray)):
        held = leaf
    elif isinstance(leaf, (float, complex, np.ndarray, np.generic)):
        values = np.asarray(leaf)
        held = b"".join({_whole(values).tobytes(), values.tobytes("C"), values.tobytes("F")})
    else:
        return None
    if _holds(held, needles):
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
