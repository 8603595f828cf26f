"""Names of people and records, and the keyed hashes that stand for them."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

SHORTEST_KEY = 16
"""Bytes of an id key: a shorter one can be found by trying."""


def keyed(key: bytes) -> hmac.HMAC:
    """Take a key into HMAC-SHA256, from which it cannot be read, printed or saved.

    Parameters
    ----------
    key : bytes
        The key.

    Returns
    -------
    hmac.HMAC
        To be copied for every message.
    """
    return hmac.new(key, digestmod="sha256")


def hash_names(names: Iterable[Any], mac: hmac.HMAC, n_bytes: int = 8) -> np.ndarray:
    """Hash integers and strings under a key; 1 and "1" have different hashes.

    Parameters
    ----------
    names : iterable of int or str
        What to hash.
    mac : hmac.HMAC
        The key; see `keyed`.
    n_bytes : int, default=8
        Bytes of HMAC-SHA256 to keep.

    Returns
    -------
    ndarray of shape (n,), dtype uint64
        The hashes, the same on every machine and in every version.

    Examples
    --------
    >>> from mlunlearn.rows.ids import hash_names, keyed
    >>> one, text, again = hash_names([1, "1", 1], keyed(b"a key of 16 byte"))
    >>> bool(one == again), bool(one == text)
    (True, False)
    """
    return np.fromiter((max(digest(_message(name), mac, n_bytes), 1) for name in names), dtype=np.uint64)


def _message(name: Any) -> bytes:
    return b"s" + name.encode("utf-8", "surrogatepass") if isinstance(name, str) else b"i%d" % int(name)


def digest(message: bytes, mac: hmac.HMAC, n_bytes: int = 8) -> int:
    """Hash one message under a key.

    Parameters
    ----------
    message : bytes
        What to hash.
    mac : hmac.HMAC
        The key; see `keyed`.
    n_bytes : int, default=8
        Bytes of HMAC-SHA256 to keep.

    Returns
    -------
    int
        They, read as a number.
    """
    mac = mac.copy()
    mac.update(message)
    return int.from_bytes(mac.digest()[:n_bytes], "little")


def as_names(ids: Any, argument: str) -> np.ndarray:
    """Read ids as an array of integers or strings, and refuse all others.

    Parameters
    ----------
    ids : array-like or iterable of int or str
        Numbers and texts may be mixed and stay apart.
    argument : str
        Name of the argument, for the error.

    Returns
    -------
    ndarray of shape (n,)
        Integers, strings, or objects that are either.

    Raises
    ------
    ValueError
        If an id is missing or of another type, or if `ids` has several columns.

    Examples
    --------
    >>> from mlunlearn.rows.ids import as_names
    >>> as_names([1, "1"], "sample_ids")
    array([1, '1'], dtype=object)
    """
    if isinstance(ids, (str, bytes)):
        raise ValueError(f"{argument} is one text, {ids!r:.40}; pass a list with the id of each row.")
    if isinstance(ids, pd.DataFrame):
        raise ValueError(f"{argument} is a data frame; pass the one column that holds the ids.")
    ids = ids.detach().cpu().numpy() if hasattr(ids, "detach") else ids
    if hasattr(ids, "shape") and len(ids.shape) > 1:
        raise ValueError(f"{argument} has shape {ids.shape}, expected one dimension of ids.")
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iuU":
        return ids
    names = [name.item() if isinstance(name, np.generic) else name for name in ids]
    for place, name in enumerate(names):
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise ValueError(f"{argument}: the id of row {place} {_what_is_wrong(name)}")
    return np.fromiter(names, dtype=object, count=len(names))


def _what_is_wrong(name: Any) -> str:
    if name is None or name is pd.NA or name is pd.NaT or (isinstance(name, float) and name != name):
        return "is missing; give every row an id."
    advice = {
        float: "whole numbers are made integers by astype(int)",
        bool: "a truth value names nobody",
        tuple: "join its parts to one string",
        bytes: "decode it",
    }.get(type(name), "convert it")
    return f"is a {type(name).__name__}, but ids are integers or strings; {advice}."


def checked_key(key: Any) -> bytes:
    """Return a key that was passed, or refuse it.

    Parameters
    ----------
    key : object
        What was passed.

    Returns
    -------
    bytes
        The key.

    Raises
    ------
    ValueError
        If it is no bytes, or too short.
    """
    if not isinstance(key, bytes) or len(key) < SHORTEST_KEY:
        what = f"{len(key)} bytes" if isinstance(key, bytes) else f"a {type(key).__name__}"
        raise ValueError(
            f"id_key must be at least {SHORTEST_KEY} random bytes, got {what}; make one: secrets.token_bytes(32)."
        )
    return key
