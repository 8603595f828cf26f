"""What was asked: positions, ids or classes become sorted row positions, or a clear error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.exceptions import ForgetRequestError, UnknownIdError


@dataclass(frozen=True)
class ForgetRequest:
    """A request in the form every method takes.

    Parameters
    ----------
    rows : ndarray of int
        Ascending positions to forget, none of them forgotten before.
    already : ndarray of int
        Ascending positions that had been forgotten before.
    classes : tuple
        Classes the request named.
    of : str, default='rows'
        What is counted: rows of a table, or the nodes, edges or features of a graph.
    """

    rows: np.ndarray
    already: np.ndarray
    classes: tuple[Any, ...] = ()
    of: str = "rows"


def hash_ids(ids: Any, seed: int) -> np.ndarray:
    """Replace ids by keyed 64-bit hashes, so that a model never stores whose data it saw.

    Parameters
    ----------
    ids : array-like of shape (n,)
        Integers or strings; equal ids have equal hashes on every machine and in every version.
    seed : int
        The key.

    Returns
    -------
    ndarray of shape (n,), dtype uint64
        The hashes.

    Raises
    ------
    ValueError
        If an id is missing, or if ids are neither integers nor strings.

    Examples
    --------
    >>> from mlunlearn.requests import hash_ids
    >>> a, b, c = hash_ids(["ann", "bob", "ann"], seed=0)
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    codes, names = pd.factorize(np.asarray(ids), use_na_sentinel=True)
    if (codes < 0).any():
        raise ValueError(f"sample_ids: the id of row {int(np.argmin(codes))} is missing; give every row an id.")
    kinds = {type(name) for name in names if not isinstance(name, (str, int, np.integer))}
    if kinds:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"sample_ids must be integers or strings, found {found}; convert them first.")
    key = int(seed).to_bytes(8, "little")
    digests = [hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest() for name in names]
    hashes = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    return hashes[codes]


def check_sample_ids(ids: Any, n_samples: int, seed: int) -> np.ndarray:
    """Check the ids given to `fit` and hash them.

    Parameters
    ----------
    ids : array-like of shape (n_samples,)
        One id a row.
    n_samples : int
        Rows given to `fit`.
    seed : int
        The key of the hashes.

    Returns
    -------
    ndarray of shape (n_samples,), dtype uint64
        The hashes.

    Raises
    ------
    ValueError
        If the length differs or an id is missing or of another type.
    """
    ids = np.asarray(ids)
    if ids.shape != (n_samples,):
        raise ValueError(f"sample_ids has shape {ids.shape}, expected ({n_samples},): one id for each row of X.")
    return hash_ids(ids, seed)


def resolve_positions(forget_idx: Any, n_samples: int, name: str = "forget_idx") -> np.ndarray:
    """Turn positions, a boolean mask or a slice into ascending positions.

    Parameters
    ----------
    forget_idx : array-like of int, boolean mask of shape (n_samples,), or slice
        What the caller named.
    n_samples : int
        Rows given to `fit`.
    name : str, default='forget_idx'
        Name of the argument, for the error.

    Returns
    -------
    ndarray of int
        Ascending, without repeats.

    Raises
    ------
    ForgetRequestError
        If a position is negative, out of range, repeated or no integer, if a mask has another length or is
        written as integers, or if nothing is named.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.requests import resolve_positions
    >>> resolve_positions([4, 2], 5), resolve_positions(slice(3, None), 5)
    (array([2, 4]), array([3, 4]))
    """
    if isinstance(forget_idx, slice):
        asked = np.arange(n_samples)[forget_idx]
    else:
        if isinstance(forget_idx, (set, frozenset)):
            forget_idx = sorted(forget_idx)
        asked = np.atleast_1d(np.asarray(forget_idx))
        asked = _mask_positions(asked, n_samples, name) if asked.dtype == bool else asked
    if asked.size == 0:
        raise ForgetRequestError(f"{name} is empty: nothing was asked to be forgotten.")
    if asked.ndim != 1:
        raise ForgetRequestError(f"{name} has shape {asked.shape}, expected one dimension: a list of row positions.")
    if not np.issubdtype(asked.dtype, np.integer):
        raise ForgetRequestError(
            f"{name} has dtype {asked.dtype}, expected integers or a boolean mask; convert it first "
            "(to name rows by id, use forget_ids)."
        )
    return _checked_integers(asked, n_samples, name)


def _mask_positions(mask: np.ndarray, n_samples: int, name: str) -> np.ndarray:
    if mask.shape != (n_samples,):
        raise ForgetRequestError(
            f"{name} is a mask of shape {mask.shape}, expected ({n_samples},): one entry for each row given to fit."
        )
    return np.flatnonzero(mask)


def _checked_integers(asked: np.ndarray, n_samples: int, name: str) -> np.ndarray:
    where = f"positions count from 0 in the data given to fit ({n_samples} rows)"
    if asked.min() < 0:
        raise ForgetRequestError(f"{name} holds the negative position {asked[asked < 0][0]}; {where}.")
    if len(asked) == n_samples > 2 and asked.max() <= 1:
        raise ForgetRequestError(
            f"{name} has one 0 or 1 for each row given to fit: it looks like a mask written as integers, and would "
            "be read as rows 0 and 1. Pass it as booleans: mask.astype(bool)."
        )
    if asked.max() >= n_samples:
        raise ForgetRequestError(f"{name} holds {asked[asked >= n_samples][0]}, which is out of range; {where}.")
    positions, counts = np.unique(asked, return_counts=True)
    if counts.max() > 1:
        raise ForgetRequestError(
            f"{name} names position {positions[counts > 1][0]} more than once; name every row once "
            "(numpy.unique drops the repeats)."
        )
    return positions.astype(np.intp)


def resolve_ids(forget_ids: Any, hashes: np.ndarray | None, seed: int) -> np.ndarray:
    """Find all rows that belong to the named ids.

    Parameters
    ----------
    forget_ids : str, int or iterable of them
        Ids as given to ``fit(..., sample_ids=...)``.
    hashes : ndarray of shape (n_samples,) or None
        The hashed ids of the rows.
    seed : int
        The key of the hashes.

    Returns
    -------
    ndarray of int
        Ascending positions.

    Raises
    ------
    ForgetRequestError
        If the model was fitted without ids, or nothing is named.
    UnknownIdError
        If an id is not among those given to `fit`.
    """
    if hashes is None:
        raise ForgetRequestError(
            "forget_ids needs ids, and fit was given none; pass fit(..., sample_ids=...) or name rows by forget_idx."
        )
    names = _as_list(forget_ids)
    if not names:
        raise ForgetRequestError("forget_ids is empty: nothing was asked to be forgotten.")
    wanted = hash_ids(names, seed)
    unknown = ~np.isin(wanted, hashes)
    if unknown.any():
        first = names[int(np.argmax(unknown))]
        raise UnknownIdError(
            f"forget_ids holds {int(unknown.sum())} id(s) that fit was not given, the first is {first!r}; "
            "nothing was forgotten."
        )
    return np.flatnonzero(np.isin(hashes, wanted))


def resolve_classes(classes: Any, known: Iterable[Any]) -> tuple[Any, ...]:
    """Check that every named class is one the model was fitted on.

    Parameters
    ----------
    classes : label or iterable of labels
        Classes to forget.
    known : iterable of labels
        Classes of the model, and those it has forgotten.

    Returns
    -------
    tuple
        The named classes, each once.

    Raises
    ------
    ForgetRequestError
        If nothing is named.
    UnknownIdError
        If a class is not known.
    """
    named = tuple(dict.fromkeys(_as_list(classes)))
    if not named:
        raise ForgetRequestError("classes is empty: nothing was asked to be forgotten.")
    known = list(known)
    unknown = [label for label in named if label not in known]
    if unknown:
        raise UnknownIdError(
            f"classes names {unknown[0]!r}, which is not a class of this model ({', '.join(map(str, known))}); "
            "nothing was forgotten."
        )
    return named


def _as_list(names: Any) -> list[Any]:
    if isinstance(names, (str, bytes)) or (np.ndim(names) == 0 and not isinstance(names, Iterable)):
        return [names]
    return list(np.asarray(names).tolist() if isinstance(names, (np.ndarray, pd.Series, pd.Index)) else names)
