"""Rows that are there twice: forgotten rows with a retained twin, and test rows that are training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

# Test rows may coincide with training rows where data are coarse, at most twice as often as training rows do.
TWIN_FACTOR = 2.0
LEAST_SHARE = 0.1


def row_hashes(X: Any) -> NDArray[np.uint64] | None:
    """Hash the content of every row.

    Parameters
    ----------
    X : array-like
        Array, data frame, sparse matrix or texts.

    Returns
    -------
    ndarray of uint64, shape (n_rows,), or None
        Equal rows have equal hashes; None for data that cannot be read row by row.
    """
    if sparse.issparse(X):
        X = sparse.csr_matrix(X)
        return np.array([hash((row.indices.tobytes(), row.data.tobytes())) for row in X]).astype(np.uint64)
    if isinstance(X, pd.DataFrame):
        return pd.util.hash_pandas_object(X, index=False).to_numpy()
    if not isinstance(X, np.ndarray) or X.ndim == 0:
        return None
    flat = X.reshape(len(X), -1)
    if flat.dtype.hasobject:
        return pd.util.hash_pandas_object(pd.DataFrame(flat), index=False).to_numpy()
    rows = np.ascontiguousarray(flat.astype(np.float64) + 0.0)  # -0.0 and 0.0 are one value
    words = rows.view(np.uint64)
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 2**63, size=words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = words ^ (words >> np.uint64(29))
    with np.errstate(over="ignore"):
        return (mixed * factors).sum(axis=1, dtype=np.uint64)


def count_twins(X: Any, forgotten: NDArray[np.bool_]) -> int | None:
    """Count forgotten rows whose content a retained row has as well.

    Parameters
    ----------
    X : array-like
        All training rows.
    forgotten : ndarray of bool
        Which are forgotten.

    Returns
    -------
    int or None
        None if rows cannot be read.
    """
    hashes = row_hashes(X)
    return None if hashes is None else int(np.isin(hashes[forgotten], hashes[~forgotten]).sum())


def _alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Bring two sets of rows into one container and the coarser of their dtypes, so that equal rows hash alike."""
    both = [_numbers(X) for X in (first, second)]
    if all(X is not None for X in both):
        floats = [X.dtype.itemsize for X in both if X.dtype.kind == "f"]
        coarsest = np.dtype(f"f{min(floats, default=8)}")
        if any(sparse.issparse(X) for X in both):
            both = [sparse.csr_matrix(X.reshape(X.shape[0], -1)) for X in both]
        first, second = (X.astype(coarsest) for X in both)
    elif isinstance(first, pd.DataFrame) != isinstance(second, pd.DataFrame):
        first, second = (np.asarray(X, dtype=object) for X in (first, second))
    return first, second


def _numbers(X: Any) -> Any:
    """Rows as an array or a sparse matrix of numbers; None if they are something else."""
    if isinstance(X, pd.DataFrame):
        X = X.to_numpy() if all(dtype.kind in "biuf" for dtype in X.dtypes) else None
    numbers = hasattr(X, "dtype") and X.ndim > 0 and X.dtype.kind in "biuf"
    return X if numbers else None


def refuse_training_rows(X_train: Any, X: Any, name: str) -> None:
    """Refuse unseen data that were trained on.

    Parameters
    ----------
    X_train, X : array-like
        Training rows and the others.
    name : str
        Of the others, for the error.

    Raises
    ------
    ValueError
        If rows of `X` are training rows more often than coarse data explain.
    """
    train, other = (row_hashes(rows) for rows in _alike(X_train, X))
    if train is None or other is None:
        return
    seen = float(np.isin(other, train).mean())
    twins = 1.0 - len(np.unique(train)) / len(train)
    if seen > max(LEAST_SHARE, TWIN_FACTOR * twins):
        raise ValueError(
            f"{seen:.0%} of the {name} rows are training rows: models answer them by heart, and nothing can be learned "
            f"from comparing forgotten rows with them. Pass {name} rows that no model has learned from."
        )
