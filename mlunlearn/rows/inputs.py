"""What a caller passes for inputs and targets, before it is validated."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d

from mlunlearn.rows.dataset_rows import DatasetRows, rows_of
from mlunlearn.rows.items import Items
from mlunlearn.training.estimators import takes_items


def itemwise(model: Any, X: Any) -> Any:
    """Read a dataset, or arrays by name, as rows, and refuse them where no network would read them.

    Parameters
    ----------
    model : unlearner
        It has an estimator, or reads the rows itself.
    X : object
        What a caller passed for inputs.

    Returns
    -------
    Items or same as X
        Anything else is returned as it is.

    Raises
    ------
    ValueError
        If the estimator wants to see all rows at once.
    """
    X = rows_of(X)
    if isinstance(X, Items) and not takes_items(getattr(model, "estimator", None)):
        given = "a Dataset" if isinstance(X, DatasetRows) else "arrays by name"
        inner = getattr(model, "estimator", model)
        raise ValueError(
            f"{type(model).__name__} was given {given}, and {type(inner).__name__} wants to see all rows as one array. "
            "Pass an array, or pass a torch module or skorch net as the estimator. They go through no pipeline: let "
            "the items be what the network takes."
        )
    return X


def is_text(X: Any) -> bool:
    """Tell whether rows are texts."""
    if isinstance(X, (list, tuple)) and X:
        return isinstance(X[0], str)
    return isinstance(X, np.ndarray) and X.ndim == 1 and X.size > 0 and isinstance(X[0], str)


def detached(values: Any) -> Any:
    """Read torch tensors as arrays; leave everything else alone."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def as_selectable(values: Any) -> Any:
    """Read lists and tensors as arrays, of which rows can be taken."""
    return np.asarray(values) if isinstance(values, (list, tuple)) else detached(values)


def check_target(y: Any, *, multi_output: bool, numeric: bool) -> np.ndarray:
    """Validate targets; those that must be numbers become float64 where they are none."""
    y = np.asarray(y) if multi_output else y
    y = y if multi_output and y.ndim == 2 else column_or_1d(y, warn=True)
    if numeric and y.dtype.kind not in "fiub":
        y = y.astype(np.float64)
    assert_all_finite(y, input_name="y")
    return y
