"""Columns of a data frame in the types that they had at fit."""

from __future__ import annotations

from typing import Any

import pandas as pd


def in_types(values: Any, known: pd.Series | None) -> Any:
    """Read rows of a frame in the types that its columns had: erasing whole numbers makes them floats.

    Parameters
    ----------
    values : object
        Whatever is no frame is returned as it is.
    known : pandas.Series or None
        Types of the columns, as ``DataFrame.dtypes`` gives them.

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
    if values.dtypes.equals(known):
        return values
    columns = [values.iloc[:, place] for place in range(len(known))]
    try:
        return pd.concat([column.astype(dtype) for column, dtype in zip(columns, known, strict=True)], axis=1)
    except (TypeError, ValueError):
        return values
