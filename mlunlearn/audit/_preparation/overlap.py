"""Rows that are there twice: forgotten rows with a retained twin, and test rows that are training rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mlunlearn.exceptions import UnlearningWarning

# Test rows may coincide with training rows where data are coarse, at most twice as often as training rows do. Beyond
# that, up to this share of them is taken for a slip, and left out.
TWIN_FACTOR = 2.0
LARGEST_SHARE = 0.1


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


def never_trained_on(X_train: Any, X: Any, name: str) -> NDArray[np.bool_]:
    """Say which unseen rows may be used: not those that were trained on, unless coarse data explain that.

    Parameters
    ----------
    X_train, X : array-like
        Training rows and the others.
    name : str
        Of the others, for the error.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        Rows of `X` to use: all where rows cannot be read, or where training rows coincide with each other as often, so
        that forgotten rows have twins as unseen ones have.

    Raises
    ------
    ValueError
        If more than a tenth of the rows of `X` are training rows, and more often than coarse data explain.

    Warns
    -----
    UnlearningWarning
        If there are such rows, with their number and what is done with them.
    """
    train, other = (row_hashes(rows) for rows in _alike(X_train, X))
    everything = np.ones(np.shape(X)[0], dtype=bool)
    if train is None or other is None:
        return everything
    twins = np.isin(other, train)
    explained = TWIN_FACTOR * (1.0 - len(np.unique(train)) / len(train))
    if twins.mean() > max(LARGEST_SHARE, explained):
        raise ValueError(
            f"{twins.mean():.0%} of the {name} rows are training rows: models answer them by heart, and nothing can be "
            f"learned from comparing forgotten rows with them. Pass {name} rows that no model has learned from."
        )
    if not twins.any():
        return everything
    natural = twins.mean() <= explained
    kept = "they stay, since training rows coincide as often with each other" if natural else "they are left out"
    warnings.warn(
        f"{twins.sum()} of {len(twins)} {name} rows are training rows as well; {kept}.",
        UnlearningWarning,
        stacklevel=5,
    )
    return everything if natural else ~twins
