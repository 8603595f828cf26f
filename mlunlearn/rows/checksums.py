"""Checksums of rows: what each row holds, in 64 bits, whatever kind of data it stands in.

They catch accidental edits and find identical rows; they are no protection against somebody who looks for collisions.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

_WORDS = 2**14  # read at once: they stay in the processor's cache
_ODD = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
_KEY = 0xC0FFEE  # of the factors, which must be the same in every process


def checksum(values: Any, start: int = 0) -> int:
    """Checksum whole arrays, the order of rows included.

    Parameters
    ----------
    values : ndarray, sparse matrix, data frame or None
        What to read; about 4 GB/s for numeric arrays.
    start : int, default=0
        Checksum to continue from.

    Returns
    -------
    int
        32 bits.
    """
    if values is None:
        return start
    if sparse.issparse(values):
        for part in (values.indptr, values.indices, values.data):
            start = checksum(part, start)
        return start
    if isinstance(values, (pd.DataFrame, pd.Series)):
        return checksum(pd.util.hash_pandas_object(values, index=False).to_numpy(), start)
    values = np.asarray(values)
    if values.dtype.hasobject:
        values = pd.util.hash_array(values.ravel(), categorize=False)
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, start)


def checksums_of_rows(values: Any, key: int = 0) -> np.ndarray:
    """Checksum each row; about 1 GB/s for numeric arrays.

    Parameters
    ----------
    values : ndarray, sparse matrix, data frame or anything numpy reads, with n rows
        The rows. Of numbers the bits count, so that the same numbers in another type differ; but 0.0 and -0.0 are
        alike, and so are zeros that a sparse row stores and those that it leaves out. Rows of another kind bring a
        method ``checksums(key)``.
    key : int, default=0
        Another key gives other checksums, equal for equal rows all the same.

    Returns
    -------
    ndarray of shape (n,), dtype uint64
        Equal for equal rows, whatever stands beside them; different for different ones but for once in 2**64.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.rows.checksums import checksums_of_rows
    >>> a, b, c = checksums_of_rows(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    if sparse.issparse(values):
        return _of_entries(values.tocsr(), key)
    if isinstance(values, (pd.DataFrame, pd.Series)):
        turned = _without_minus_zero(values.iloc[:, ::-1] if key and values.ndim == 2 else values)
        hashed = pd.util.hash_pandas_object(_in_words(turned), index=False).to_numpy().astype(np.uint64)
        return _of_words(hashed[:, np.newaxis], key)
    if hasattr(values, "checksums"):
        return values.checksums(key)
    values = np.asarray(values)
    if values.dtype.hasobject:
        hashed = pd.util.hash_array(_texts(values.ravel()), categorize=False).astype(np.uint64)
        return _of_words(hashed.reshape(len(values), -1), key)
    return _of_words(values, key)


def _in_words(values: Any) -> Any:
    """Write what is no text in columns of objects as texts; the same object where there is none."""
    if values.ndim == 1:
        objects = values.to_numpy() if values.dtype == object else None
        texts = objects if objects is None else _texts(objects)
        return values if texts is objects else pd.Series(texts, dtype=object, name=values.name)
    columns = [values.iloc[:, place] for place in range(values.shape[1])]
    written = [_in_words(column) for column in columns]
    if all(new is old for new, old in zip(written, columns, strict=True)):
        return values
    return pd.concat([column.set_axis(values.index) for column in written], axis=1)


def _texts(values: np.ndarray) -> np.ndarray:
    """Write what is no text as text: pandas hashes such objects by what stands beside them."""
    if pd.api.types.infer_dtype(values, skipna=False) in ("string", "empty"):
        return values
    written = np.empty(len(values), dtype=object)
    written[:] = [value if isinstance(value, str) else _told(value) for value in values]
    return written


def _told(value: Any) -> str:
    """Write a value so that no text is like it: arrays with all they hold, whatever is missing in one way."""
    if isinstance(value, np.ndarray):
        return f"\0{value.tolist()}"
    return "\0" if np.ndim(value) == 0 and pd.isna(value) else f"\0{value}"


def _without_minus_zero(values: Any) -> Any:
    """Write 0.0 for -0.0 in the columns of floats that hold it; the same object where none does."""
    if values.ndim == 1:
        return values + 0.0 if _has_minus_zero(values) else values
    columns = [values.iloc[:, place] for place in range(values.shape[1])]
    if not any(map(_has_minus_zero, columns)):
        return values
    return pd.concat([_without_minus_zero(column) for column in columns], axis=1)


def _has_minus_zero(values: pd.Series) -> bool:
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind != "f":
        return False
    numbers = values.to_numpy()
    return bool((np.signbit(numbers) & (numbers == 0)).any())


def combined(*checksums: np.ndarray | None) -> np.ndarray:
    """Combine several checksums of the same rows, in an order that counts.

    Parameters
    ----------
    *checksums : ndarray of shape (n,), dtype uint64, or None
        None is passed over.

    Returns
    -------
    ndarray of shape (n,), dtype uint64
        One for each row.
    """
    first, *others = [part for part in checksums if part is not None]
    total = first.copy()
    for part in others:
        total *= _ODD[:1]
        total += part
        _mix(total)
    return total


def _of_words(values: np.ndarray, key: int) -> np.ndarray:
    """Sum the words of a row, each mixed and times a factor of its own."""
    sums = np.zeros(len(values), dtype=np.uint64)
    width = int(np.prod(values.shape[1:])) * values.dtype.itemsize
    if not width or not len(values):
        return sums
    word = next(size for size in (8, 4, 2, 1) if width % size == 0)
    factors = _factors(width // word, key)
    step = max(1, _WORDS // len(factors))
    for start in range(0, len(values), step):
        rows = np.ascontiguousarray(values[start : start + step])
        rows = rows + 0.0 if rows.dtype.char in "efdFD" else rows  # -0.0 becomes 0.0
        words = rows.reshape(len(rows), -1).view(np.uint8).view(f"u{word}").astype(np.uint64)
        sums[start : start + step] = _mix(words, rounds=1) @ factors
    return _mix(sums)


def _of_entries(values: Any, key: int) -> np.ndarray:
    """Sum the stored entries of a sparse row, whatever their order."""
    if not values.has_canonical_format or not values.data.all():
        values = values.copy()
        values.sum_duplicates()
        values.eliminate_zeros()
    columns = values.indices.astype(np.uint64)
    entries = combined(_of_words(columns, key), _of_words(values.data, key))
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entries, dtype=np.uint64)])
    return _mix(running[values.indptr[1:]] - running[values.indptr[:-1]])


@lru_cache(maxsize=32)
def _factors(n: int, key: int) -> np.ndarray:
    """Odd numbers without a pattern."""
    words = np.random.SeedSequence(_KEY, spawn_key=(key,)).generate_state(n, dtype=np.uint64)
    return words | np.uint64(1)


def _mix(words: np.ndarray, rounds: int = 2) -> np.ndarray:
    """Let every bit of a word depend on many others, one to one and in place."""
    for factor in _ODD[1 : 1 + rounds]:
        words ^= words >> np.uint64(32)
        words *= factor
    words ^= words >> np.uint64(29)
    return words
