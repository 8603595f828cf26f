"""What was asked: positions, ids or classes become sorted row positions, or a clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.exceptions import ForgetRequestError, UnknownIdError
from mlunlearn.rows.ids import IdRegister
from mlunlearn.rows.row_labels import LABELLED, RowLabels, resolve_labelled


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

    @property
    def asks_for_nothing_new(self) -> bool:
        """Whether all that is named was forgotten before."""
        return not len(self.rows)


def resolve_positions(
    forget_idx: Any,
    n_samples: int,
    name: str = "forget_idx",
    *,
    labels: RowLabels | None = None,
    ids: IdRegister | None = None,
) -> np.ndarray:
    """Turn positions, labels, a boolean mask or a slice into ascending positions.

    Parameters
    ----------
    forget_idx : array-like or iterable of int, boolean mask of shape (n_samples,), slice, or labels
        What the caller named. A pandas Index holds labels of the fitted data frame, and a boolean Series is aligned
        with it; everything else that holds integers holds positions. An iterator is read to its end.
    n_samples : int
        Rows given to `fit`.
    name : str, default='forget_idx'
        Name of the argument, for the error.
    labels : RowLabels or None, default=None
        Labels of the retained rows; None if `fit` was given no data frame.
    ids : IdRegister or None, default=None
        Integers that are known ids of other rows are then refused as positions.

    Returns
    -------
    ndarray of int
        Ascending, without repeats.

    Raises
    ------
    ForgetRequestError
        If a position is negative, out of range, repeated or no integer, if a mask has another length or is
        written as integers, if labels or integers may mean other rows, or if nothing is named. `UnknownIdError` for
        unknown labels.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.requests import resolve_positions
    >>> resolve_positions([4, 2], 5), resolve_positions(slice(3, None), 5)
    (array([2, 4]), array([3, 4]))
    """
    if isinstance(forget_idx, LABELLED):
        return _ascending(resolve_labelled(forget_idx, n_samples, name, labels), name)
    if isinstance(forget_idx, slice):
        return _ascending(np.arange(n_samples)[forget_idx], name)
    asked = _as_plain(forget_idx, name)
    if asked.dtype == bool:
        return _ascending(_mask_positions(asked, n_samples, name), name)
    rows = _ascending(_checked_integers(asked, n_samples, name), name)
    if ids is not None:
        ids.refuse_ids_as_positions(rows, name)
    return rows


def _as_plain(asked: Any, name: str) -> np.ndarray:
    """Read integers or booleans as an array of at least one dimension, whatever they are kept in."""
    if isinstance(asked, Mapping):
        raise ForgetRequestError(f"{name} is a {type(asked).__name__}; pass its keys or its values: list({name}).")
    if hasattr(asked, "detach"):
        asked = asked.detach().cpu().numpy()
    if isinstance(asked, pd.api.extensions.ExtensionArray) and asked.isna().any():
        raise ForgetRequestError(f"{name}: the entry at place {int(asked.isna().argmax())} is missing.")
    if isinstance(asked, Iterable) and not isinstance(asked, (str, bytes)) and not hasattr(asked, "__array__"):
        asked = list(asked)
    try:
        values = np.atleast_1d(np.asarray(asked))
    except ValueError:
        raise ForgetRequestError(
            f"{name} holds lists of several lengths, expected one list of row positions."
        ) from None
    if values.dtype == object and values.size:
        values = _from_objects(values, name)
    if values.ndim != 1 and values.size and values.dtype != bool:
        raise ForgetRequestError(f"{name} has shape {values.shape}, expected one dimension: a list of row positions.")
    return values


def _from_objects(values: np.ndarray, name: str) -> np.ndarray:
    kinds = {type(value) for value in values.ravel().tolist()}
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return values.astype(bool)
    if all(issubclass(kind, Integral) and kind is not bool for kind in kinds):
        return values  # some may be larger than any array's integers; they are told so below
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ForgetRequestError(
        f"{name} holds objects of type {found}, expected integers or booleans alone; convert them first "
        "(to name rows by id, use forget_ids)."
    )


def _ascending(rows: np.ndarray, name: str) -> np.ndarray:
    if not len(rows):
        raise ForgetRequestError(f"{name} is empty: nothing was asked to be forgotten.")
    positions, counts = np.unique(rows, return_counts=True)
    if counts.max() > 1:
        raise ForgetRequestError(
            f"{name} names position {positions[counts > 1][0]} more than once; name every row once "
            "(numpy.unique drops the repeats)."
        )
    return positions.astype(np.intp)


def _mask_positions(mask: np.ndarray, n_samples: int, name: str) -> np.ndarray:
    if mask.shape != (n_samples,):
        raise ForgetRequestError(
            f"{name} is a mask of shape {mask.shape}, expected ({n_samples},): one entry for each row given to fit."
        )
    return np.flatnonzero(mask)


def _checked_integers(asked: np.ndarray, n_samples: int, name: str) -> np.ndarray:
    if not asked.size:
        return np.array([], dtype=np.intp)
    if asked.dtype != object and not np.issubdtype(asked.dtype, np.integer):
        raise ForgetRequestError(
            f"{name} has dtype {asked.dtype}, expected integers or a boolean mask; convert it first "
            "(to name rows by id, use forget_ids)."
        )
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
    return asked


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
    listed = _as_list(classes)
    if isinstance(classes, (Mapping, pd.DataFrame)) or any(isinstance(label, (list, dict, set)) for label in listed):
        raise ForgetRequestError(f"classes must be one label or a list of labels, got {classes!r:.60}.")
    named = tuple(dict.fromkeys(listed))
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
    names = names.detach().cpu().numpy() if hasattr(names, "detach") else names
    if isinstance(names, (np.ndarray, np.generic, pd.Series, pd.Index)):
        listed = np.asarray(names).tolist()
        return listed if isinstance(listed, list) else [listed]
    return [names] if isinstance(names, (str, bytes)) or not isinstance(names, Iterable) else list(names)


def names_nothing(named: Any) -> bool:
    """Tell whether rows to leave out were given, but none of them.

    Parameters
    ----------
    named : object
        What `exclude` was.

    Returns
    -------
    bool
        True for empty arrays and lists; a mask without a True and an empty slice are no such thing.
    """
    shape = getattr(named, "shape", None)
    return 0 in shape if shape is not None else hasattr(named, "__len__") and not len(named)
