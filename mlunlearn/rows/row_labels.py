"""Rows named by the labels of the data frame that was given to fit, which no other row can be mistaken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.exceptions import ForgetRequestError, UnknownIdError
from mlunlearn.rows.checksums import combined

LABELLED = (pd.Index, pd.Series, pd.DataFrame)
"""What pandas gives labels to; the place of a value in it says nothing about a row of another frame."""


def labels_of(X: Any) -> pd.Index | None:
    """Return the row labels of a data frame.

    Parameters
    ----------
    X : object
        Training inputs of any kind.

    Returns
    -------
    pandas.Index or None
        None where rows have no labels.
    """
    return _plain(X.index) if isinstance(X, (pd.DataFrame, pd.Series)) else None


def _plain(index: pd.Index) -> pd.Index:
    """Take labels out of their categories: those of other rows may be others."""
    return index.astype(index.categories.dtype) if isinstance(index, pd.CategoricalIndex) else index


def _like(own: pd.Index, asked: pd.Index, name: str) -> pd.Index:
    """Put the levels of labels that are asked for in the order of the frame's own, by their names.

    Parameters
    ----------
    own : pandas.Index
        Labels of the fitted frame.
    asked : pandas.Index
        Other labels.
    name : str
        What they are, for the error.

    Returns
    -------
    pandas.Index
        The same labels, out of their categories. Where a name is missing, the place of a level counts.

    Raises
    ------
    ForgetRequestError
        If the names say that these are labels of something else.
    """
    ours, theirs = list(own.names), list(asked.names)
    if own.nlevels != asked.nlevels or None in ours or None in theirs or ours == theirs:
        return _plain(asked)
    if len(set(ours)) == len(ours) and set(ours) == set(theirs):
        return asked.reorder_levels(ours)
    raise ForgetRequestError(
        f"{name} holds labels of {theirs}, and the rows of the fitted frame have labels of {ours}: the same value may "
        f"name another row. If they are the same labels, give them the names of the frame: index.set_names({ours})."
    )


def sum_of_labels(index: pd.Index | None, positions: np.ndarray) -> np.uint64:
    """Add up checksums of labels and of the positions they stand at.

    Parameters
    ----------
    index : pandas.Index of length n or None
        Labels.
    positions : ndarray of int, shape (n,)
        Positions.

    Returns
    -------
    uint64
        0 where there are no labels.
    """
    if index is None:
        return np.uint64(0)
    hashes = pd.util.hash_pandas_object(index, index=False).to_numpy()
    return combined(hashes, positions.astype(np.uint64)).sum(dtype=np.uint64)


def drop_unused_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Let an index of several levels, or of categories, list the labels of its own rows alone.

    Parameters
    ----------
    frame : pandas.DataFrame or pandas.Series
        Rows taken from a longer frame, whose index still lists the labels of the others.

    Returns
    -------
    same type as frame
        The same rows.
    """
    index = used_alone(frame.index)
    return frame if index is frame.index else frame.set_axis(index)


def used_alone(index: pd.Index) -> pd.Index:
    """Let an index list the levels or categories that it uses, and no others."""
    if isinstance(index, pd.MultiIndex):
        return index.remove_unused_levels()
    return index.remove_unused_categories() if isinstance(index, pd.CategoricalIndex) else index


@dataclass(frozen=True, eq=False)
class RowLabels:
    """Labels of the rows that are retained, and their positions.

    Parameters
    ----------
    index : pandas.Index of length n
        Labels.
    positions : ndarray of int, shape (n,)
        Positions in the data given to `fit`, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from mlunlearn.rows.row_labels import RowLabels
    >>> labels = RowLabels(pd.Index(["ann", "bob", "cy"]), np.arange(3))
    >>> labels.named(pd.Index(["cy", "ann"]), "forget_idx")
    array([2, 0])
    """

    index: pd.Index
    positions: np.ndarray

    def named(self, asked: pd.Index, name: str) -> np.ndarray:
        """Look labels up.

        Parameters
        ----------
        asked : pandas.Index
            Labels.
        name : str
            Name of the argument, for the error.

        Returns
        -------
        ndarray of int
            Positions, in the order of `asked`.

        Raises
        ------
        UnknownIdError
            If no retained row has a label.
        ForgetRequestError
            If several rows have it, or if the labels have other names than those of the frame.
        """
        asked = _like(self.index, asked, name)
        self._refuse_ambiguous(asked, name)
        index, positions = self.index, self.positions
        if not index.is_unique:
            alone = ~index.duplicated(keep=False)
            index, positions = index[alone], positions[alone]
        found = index.get_indexer(asked) if asked.nlevels == index.nlevels else np.full(len(asked), -1)
        unknown = found < 0
        if unknown.any():
            raise UnknownIdError(
                f"{name} names {int(unknown.sum())} row(s) by a label that no retained row of the fitted frame has, "
                f"the first is {asked[unknown].tolist()[0]!r}: it was never a row given to fit, or is forgotten "
                "already. Nothing was forgotten."
            )
        return positions[found]

    def marked(self, mask: pd.Series, n_samples: int, name: str) -> np.ndarray:
        """Align a mask with the rows by its labels.

        Parameters
        ----------
        mask : pandas.Series of bool
            It covers all rows given to `fit` in their order, or every retained row in any order.
        n_samples : int
            Rows given to `fit`.
        name : str
            Name of the argument, for the error.

        Returns
        -------
        ndarray of int
            Positions.

        Raises
        ------
        UnknownIdError
            If a row is marked whose label no retained row has.
        ForgetRequestError
            If a retained row is not in the mask, if labels are not unique and the order is another, or if they have
            other names than those of the frame.
        """
        marks, mask = mask.to_numpy(dtype=bool), mask.set_axis(_like(self.index, mask.index, name))
        if len(mask) == n_samples and self.index.equals(mask.index[self.positions]):
            return np.flatnonzero(marks)
        if self.index.equals(mask.index):
            return self.positions[marks]
        left_out = mask.index.get_indexer_for(self.index) < 0 if mask.index.nlevels == self.index.nlevels else [True]
        if np.any(left_out):
            label = self.index.tolist()[int(np.argmax(left_out))]
            raise ForgetRequestError(
                f"{name} is a mask that has no entry for the row labelled {label!r} of the fitted frame; make it of "
                f"that frame, name the rows by their labels ({name}=mask[mask].index), or, if the mask is in the order "
                f"of the rows given to fit, pass {name}.to_numpy()."
            )
        twice = mask.index[marks].isin(mask.index[~marks])
        if twice.any():
            label = mask.index[marks][twice].tolist()[0]
            raise ForgetRequestError(f"{name} is a mask that says both True and False of the row labelled {label!r}.")
        return self.named(mask.index[marks], name)

    def _refuse_ambiguous(self, asked: pd.Index, name: str) -> None:
        if self.index.is_unique:
            return
        several = asked.isin(self.index[self.index.duplicated()])
        if several.any():
            label = asked[several].tolist()[0]
            raise ForgetRequestError(
                f"{name} is ambiguous: the label {label!r} names {int(self.index.isin([label]).sum())} rows of the "
                "fitted frame. If all of them are meant, pass a mask in the order of the frame X given to fit: "
                "X.index.isin(labels)."
            )


def align_with(X: Any, values: Any, argument: str) -> Any:
    """Put the values of a Series in the order of the rows of a data frame.

    Parameters
    ----------
    X : object
        Training inputs; whatever is no data frame has no labels to align with.
    values : object
        Whatever is no Series is returned as it is.
    argument : str
        Name of the values, for the error.

    Returns
    -------
    object
        One value a row, if they are a Series and `X` is a data frame.

    Raises
    ------
    ValueError
        If a row has no value by its label, if labels are not unique and the order is another, or if they have other
        names.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlunlearn.rows.row_labels import align_with
    >>> frame = pd.DataFrame({"x": [1.0, 2.0]}, index=["b", "a"])
    >>> align_with(frame, pd.Series({"a": "ann", "b": "bob"}), "sample_ids").tolist()
    ['bob', 'ann']
    """
    index = labels_of(X)
    if index is None or not isinstance(values, pd.Series):
        return values
    own = _like(index, values.index, argument)
    if own.equals(index):
        return values
    places = own.get_indexer(index) if own.is_unique and own.nlevels == index.nlevels else np.full(1, -1)
    if (places < 0).any():
        raise ValueError(
            f"{argument} is a Series whose labels are not those of the rows of X; index it like X "
            f"({argument}.loc[X.index]) or, if it is in the order of the rows, pass {argument}.to_numpy()."
        )
    return values.iloc[places]


def resolve_labelled(asked: Any, n_samples: int, name: str, labels: RowLabels | None) -> np.ndarray:
    """Turn what pandas labels into positions, or refuse it: its order may be another than that of the fitted rows.

    Parameters
    ----------
    asked : pandas.Index, pandas.Series or pandas.DataFrame
        Labels, or a boolean mask with labels; everything else is refused.
    n_samples : int
        Rows given to `fit`.
    name : str
        Name of the argument, for the error.
    labels : RowLabels or None
        Labels of the retained rows; None if `fit` was given no data frame.

    Returns
    -------
    ndarray of int
        Positions.

    Raises
    ------
    ForgetRequestError
        If that cannot be done; the message shows the call that can. `UnknownIdError` for unknown labels.
    """
    if isinstance(asked, pd.DataFrame):
        raise ForgetRequestError(f"{name} is a data frame; to name its rows, pass their labels: {name}.index.")
    if isinstance(asked, pd.Series):
        return _marked(asked, n_samples, name, labels)
    if pd.api.types.is_bool_dtype(asked.dtype):
        raise ForgetRequestError(
            f"{name} is a pandas Index of booleans; a mask in the order of the rows given to fit is {name}.to_numpy()."
        )
    if labels is None:
        raise ForgetRequestError(
            f"{name} is a pandas Index, and fit was given no data frame in which to look labels up (or attach_data one "
            f"with other labels). If it holds positions, pass {name}.to_numpy(); to name rows by label, fit on the "
            "data frame."
        )
    return labels.named(asked, name)


def _marked(asked: pd.Series, n_samples: int, name: str, labels: RowLabels | None) -> np.ndarray:
    if not _is_mask(asked):
        raise ForgetRequestError(
            f"{name} is a pandas Series of {asked.dtype}, which may mean its labels or its values. For the rows that "
            f"it is about pass their labels, {name}.index; if its values are positions in the rows given to fit, pass "
            f"{name}.to_numpy()."
        )
    if asked.isna().any():
        label = asked.index[asked.isna()].tolist()[0]
        raise ForgetRequestError(
            f"{name} is a mask in which the entry of the row labelled {label!r} is missing; say True or False "
            f"({name}.fillna(False))."
        )
    if labels is not None:
        return labels.marked(asked, n_samples, name)
    counted = isinstance(asked.index, pd.RangeIndex) and asked.index.equals(pd.RangeIndex(n_samples))
    if not counted:
        raise ForgetRequestError(
            f"{name} is a pandas Series with labels of its own, and fit was given no data frame to align it with (or "
            "attach_data one with other labels). If it is a mask in the order of the rows given to fit, pass "
            f"{name}.to_numpy()."
        )
    return np.flatnonzero(asked.to_numpy(dtype=bool))


def _is_mask(asked: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(asked.dtype):
        return True
    return asked.dtype == object and pd.api.types.infer_dtype(asked, skipna=True) == "boolean"
