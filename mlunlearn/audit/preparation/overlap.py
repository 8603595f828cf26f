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
    train, other = row_hashes(X_train), row_hashes(X)
    if train is None or other is None:
        return
    seen = float(np.isin(other, train).mean())
    twins = 1.0 - len(np.unique(train)) / len(train)
    if seen > max(LEAST_SHARE, TWIN_FACTOR * twins):
        raise ValueError(
            f"{seen:.0%} of the {name} rows are training rows: models answer them by heart, and nothing can be learned "
            f"from comparing forgotten rows with them. Pass {name} rows that no model has learned from."
        )
