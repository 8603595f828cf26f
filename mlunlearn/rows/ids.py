"""Ids of records, persons and sources, kept as keyed hashes that name nobody without the key."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.exceptions import ForgetRequestError, UnknownIdError
from mlunlearn.receipts import read_only
from mlunlearn.rows.hashing import as_names, checked_key, digest, hash_names, keyed


@dataclass(frozen=True, eq=False, repr=False)
class IdRegister:
    """The keyed hashes of all ids, in an order in which they are found without reading all of them.

    Never changed: forgetting returns another register.

    Parameters
    ----------
    n_samples : int
        Rows given to `fit`.
    sorted_hashes : ndarray of uint64, shape (n,)
        Hashes of the rows whose ids are known, ascending.
    rows : ndarray of int, shape (n,)
        Their positions, in that order.
    integers : bool
        Whether an id is an integer, so that positions may be mistaken for ids.
    seed : int or None
        The seed that the key follows from; None for a key that is kept elsewhere.
    check : int
        What the key makes of a fixed message, by which it is recognised.
    mac : hmac.HMAC or None
        The key; None in a model that was reloaded, until the key is attached.

    Notes
    -----
    A key of its own is never saved; without it the hashes say nothing, and they stay for the forgotten rows as well, so
    that asking twice is recognised. A key that follows from the seed is known to everybody who has the model, so the
    hashes of forgotten rows are removed.

    Examples
    --------
    >>> from mlunlearn.rows.ids import IdRegister
    >>> register = IdRegister.of(["ann", "bob", "ann"], seed=0)
    >>> register.rows_of(["ann"])
    array([0, 2])
    """

    n_samples: int
    sorted_hashes: np.ndarray
    rows: np.ndarray
    integers: bool
    seed: int | None
    check: int
    mac: hmac.HMAC | None

    # ------------------------------------------------------------- making

    @classmethod
    def of(cls, ids: Any, seed: int, key: bytes | None = None, n_bytes: int = 8) -> IdRegister:
        """Hash the ids of all rows.

        Parameters
        ----------
        ids : array-like of shape (n_samples,)
            Integers or strings.
        seed : int
            Root seed of the fit.
        key : bytes or None, default=None
            A key of its own; None derives it from the seed.
        n_bytes : int, default=8
            Bytes of a hash.

        Returns
        -------
        IdRegister
            All rows are in it.

        Raises
        ------
        ValueError
            If an id is missing or of another type, or if two ids have one hash.
        """
        codes, names = pd.factorize(as_names(ids, "sample_ids"))
        mac, own = _key(seed, key)
        hashes = hash_names(names.tolist(), mac, n_bytes)
        if len(np.unique(hashes)) < len(names):
            raise ValueError(
                "two different sample_ids have the same hash, so that one would be forgotten with the other; fit with "
                + ("another id_key." if own else "another random_state.")
            )
        integers = any(not isinstance(name, str) for name in names.tolist())
        return cls._sorted(hashes[codes], integers, None if own else seed, mac)

    @classmethod
    def _sorted(cls, hashes: np.ndarray, integers: bool, seed: int | None, mac: hmac.HMAC | None) -> IdRegister:
        order = np.argsort(hashes, kind="stable")
        check = 0 if mac is None else digest(b"check", mac)
        rows = order.astype(np.min_scalar_type(len(hashes)))
        return cls(len(hashes), read_only(hashes[order]), read_only(rows), integers, seed, check, mac)

    def under(self, seed: int, key: bytes | None = None) -> IdRegister:
        """Take over the rows that belong together, for another fit on the same rows.

        Parameters
        ----------
        seed : int
            Root seed of that fit.
        key : bytes or None, default=None
            A key that it was given.

        Returns
        -------
        IdRegister
            With the same hashes if the key is the same, and others otherwise. A row whose id is not known any more is
            on its own.
        """
        if key is None and self.seed is None:
            return self
        mac, own = _key(seed, key)
        hashes = self.hashes
        unknown = np.ones(self.n_samples, dtype=bool)
        unknown[self.rows] = False
        for row in np.flatnonzero(unknown).tolist():
            hashes[row] = digest(b"row %d" % row, mac)
        if own or self.seed != seed:
            codes, units = pd.factorize(hashes)
            hashes = hash_names(units, mac)[codes]
        return self._sorted(hashes, self.integers, None if own else seed, mac)

    # ------------------------------------------------------------ reading

    @property
    def hashes(self) -> np.ndarray:
        """Hashes by row; 0 where the id is not known any more."""
        hashes = np.zeros(self.n_samples, dtype=np.uint64)
        hashes[self.rows] = self.sorted_hashes
        return hashes

    def __len__(self) -> int:
        return self.n_samples

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Show the hashes as ids, to estimators that know of no register."""
        return self.hashes if dtype is None else self.hashes.astype(dtype)

    def __getitem__(self, rows: np.ndarray) -> IdRegister:
        """Return the register of some rows, in this order."""
        hashes = self.hashes[rows]
        known = np.flatnonzero(hashes)
        order = known[np.argsort(hashes[known], kind="stable")]
        return replace(self, n_samples=len(hashes), sorted_hashes=read_only(hashes[order]), rows=read_only(order))

    def __repr__(self) -> str:
        key = "the seed" if self.seed is not None else "a key of its own"
        return f"<IdRegister of {self.n_samples} rows under {key}>"

    # -------------------------------------------------------- looking up

    def rows_of(self, forget_ids: Any) -> np.ndarray:
        """Find all rows that belong to the named ids.

        Parameters
        ----------
        forget_ids : str, int or iterable of them
            Ids as given to ``fit(..., sample_ids=...)``.

        Returns
        -------
        ndarray of int
            Ascending positions.

        Raises
        ------
        ForgetRequestError
            If nothing or no id is named, or if the key is not attached.
        UnknownIdError
            If an id is not among those given to `fit`, or not any more.
        """
        try:
            names = as_names([forget_ids] if _is_one(forget_ids) else forget_ids, "forget_ids")
        except ValueError as error:
            raise ForgetRequestError(str(error).replace("of row", "at place")) from None
        if not len(names):
            raise ForgetRequestError("forget_ids is empty: nothing was asked to be forgotten.")
        first, last = self._found(names.tolist(), "looked up")
        unknown = first == last
        if unknown.any():
            gone = " (An id that is forgotten already is not known any more.)" if self.seed is not None else ""
            raise UnknownIdError(
                f"forget_ids holds {int(unknown.sum())} id(s) that fit was not given, the first is "
                f"{names.tolist()[int(unknown.argmax())]!r}; nothing was forgotten.{gone}"
            )
        found = [self.rows[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return np.unique(np.concatenate(found)).astype(np.intp)

    def refuse_ids_as_positions(self, positions: np.ndarray, name: str) -> None:
        """Refuse integers that are ids of other rows than those at these positions.

        Parameters
        ----------
        positions : ndarray of int
            What was asked for.
        name : str
            Name of the argument, for the error.

        Raises
        ------
        ForgetRequestError
            If they may be meant as ids.
        """
        if not self.integers:
            return
        first, last = self._found(positions.tolist(), "told from positions")
        places = np.minimum(first, len(self.rows) - 1)
        meant_otherwise = (last - first > 1) | ((last - first == 1) & (self.rows[places] != positions))
        if meant_otherwise.any():
            number = int(positions[meant_otherwise][0])
            raise ForgetRequestError(
                f"{name} is ambiguous: {number} is a position, and among the integer sample_ids it is the id of "
                f"other rows. To forget by id, write unlearn(forget_ids=[{number}]); to forget by position, pass a "
                f"boolean mask with one entry for each row given to fit, or a slice: unlearn(slice({number}, "
                f"{number + 1}))."
            )

    def _found(self, names: list[Any], what: str) -> tuple[np.ndarray, np.ndarray]:
        """Return where the hashes of names start and end among all."""
        if self.mac is None:
            raise ForgetRequestError(
                f"ids cannot be {what} without their key, which is never saved with a model; call "
                "model.attach_key(key) with the id_key given to fit. A boolean mask or a slice needs no key."
            )
        wanted = hash_names(names, self.mac)
        return tuple(np.searchsorted(self.sorted_hashes, wanted, side) for side in ("left", "right"))  # type: ignore

    # ---------------------------------------------------------- forgetting

    def without(self, rows: np.ndarray) -> IdRegister:
        """Forget the ids of rows, unless they are hidden by a key that is kept elsewhere.

        Parameters
        ----------
        rows : ndarray of int
            Positions that are forgotten.

        Returns
        -------
        IdRegister
            In which nothing follows from those ids.
        """
        if self.seed is None or not len(rows):
            return self
        gone = np.zeros(self.n_samples, dtype=bool)
        gone[rows] = True
        keep = ~gone[self.rows]
        return replace(self, sorted_hashes=read_only(self.sorted_hashes[keep]), rows=read_only(self.rows[keep]))

    # ----------------------------------------------------------------- key

    def with_key(self, key: bytes) -> IdRegister:
        """Attach the key to the hashes of a reloaded model.

        Parameters
        ----------
        key : bytes
            The ``id_key`` given to `fit`.

        Returns
        -------
        IdRegister
            Which can be asked by id again.

        Raises
        ------
        ValueError
            If it is another key, or if these ids have no key of their own.
        """
        if self.seed is not None:
            raise ValueError("these ids have no key of their own: fit was given no id_key, and no key is needed.")
        mac = keyed(checked_key(key))
        if digest(b"check", mac) != self.check:
            raise ValueError("this is not the id_key given to fit; with another key no id would be found.")
        return replace(self, mac=mac)

    def __getstate__(self) -> dict[str, Any]:
        """A key is never saved."""
        return {**vars(self), "mac": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A key that follows from the seed is there again."""
        vars(self).update(state)
        if self.seed is not None:
            vars(self)["mac"], _ = _key(self.seed, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> IdRegister:
        """Copies in memory share what is never changed, and keep the key."""
        return self


def register_ids(ids: Any, n_samples: int, seed: int, key: bytes | None) -> IdRegister:
    """Check the ids given to `fit` and hash them.

    Parameters
    ----------
    ids : array-like of shape (n_samples,), or IdRegister
        One id a row; or the ids of another model that was fitted on the same rows.
    n_samples : int
        Rows given to `fit`.
    seed : int
        Root seed of the fit.
    key : bytes or None
        The key, or None to derive it from the seed.

    Returns
    -------
    IdRegister
        The hashes.

    Raises
    ------
    ValueError
        If the length differs, an id is missing or of another type, or the key is none.
    """
    key = None if key is None else checked_key(key)
    known = ids if isinstance(ids, IdRegister) else as_names(ids, "sample_ids")
    if len(known) != n_samples:
        raise ValueError(f"sample_ids has shape ({len(known)},), expected ({n_samples},): one id for each row of X.")
    return known.under(seed, key) if isinstance(known, IdRegister) else IdRegister.of(known, seed, key)


def _key(seed: int, key: bytes | None) -> tuple[hmac.HMAC, bool]:
    """Return a key, and whether it is one of its own."""
    return keyed(b"mlunlearn ids %d" % seed if key is None else key), key is not None


def _is_one(ids: Any) -> bool:
    return isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable) or getattr(ids, "shape", None) == ()
