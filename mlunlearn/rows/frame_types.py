"""Columns of a data frame in the types that they had at fit."""

from __future__ import annotations

from typing import Any

import pandas as pd


def types_of(values: Any) -> pd.Series | None:
    """Name the types of the columns of a frame, without the values that a categorical type lists.

    Parameters
    ----------
    values : object
        Whatever is no frame has none.

    Returns
    -------
    pandas.Series of str or None
        By column.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlunlearn.rows.frame_types import types_of
    >>> types_of(pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})).tolist()
    ['int64', 'float64']
    """
    return values.dtypes.map(str) if isinstance(values, pd.DataFrame) else None


def retyped(now: pd.Series | None, known: pd.Series | None) -> str:
    """Tell which columns have other types than they had.

    Parameters
    ----------
    now, known : pandas.Series of str or None
        As `types_of` names them.

    Returns
    -------
    str
        Empty where all are alike, or cannot be compared.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlunlearn.rows.frame_types import retyped
    >>> retyped(pd.Series({"a": "object", "b": "bool"}), pd.Series({"a": "int64", "b": "bool"}))
    "column 'a' was int64 at fit and is object"
    """
    if now is None or known is None or len(now) != len(known):
        return ""
    pairs = zip(now.index, known, now, strict=True)
    return ", ".join(f"column {name!r} was {was} at fit and is {found}" for name, was, found in pairs if was != found)


def in_types(values: Any, known: pd.Series | None) -> Any:
    """Read rows of a frame in the types that its columns had: erasing whole numbers makes them floats.

    Parameters
    ----------
    values : object
        Whatever is no frame is returned as it is.
    known : pandas.Series or None
        Types of the columns, as ``DataFrame.dtypes`` or `types_of` gives them.

    Returns
    -------
    same type as values
        The same object where the types are these, or where the values do not fit them.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlunlearn.rows.frame_types import in_types
    >>> frame = pd.DataFrame({"a": [1, 2]})
    >>> in_types(frame.astype(float), frame.dtypes)["a"].tolist()
    [1, 2]
    """
    if known is None or not isinstance(values, pd.DataFrame) or len(known) != values.shape[1]:
        return values
    if values.dtypes.equals(known) or values.dtypes.map(str).equals(known):
        return values
    columns = [values.iloc[:, place] for place in range(len(known))]
    try:
        return pd.concat([column.astype(dtype) for column, dtype in zip(columns, known, strict=True)], axis=1)
    except (TypeError, ValueError):
        return values
