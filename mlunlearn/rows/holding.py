"""Where rows are held, and how much room one of them takes."""

from __future__ import annotations

from mmap import mmap
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse


def is_on_disk(X: Any) -> bool:
    """Tell whether an array is a file, however it was sliced.

    Parameters
    ----------
    X : object
        Training inputs of any kind.

    Returns
    -------
    bool
        True for memory maps and what shares their memory.
    """
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return isinstance(X, mmap)


def bytes_of_a_row(X: Any) -> int:
    """Estimate what a row takes in memory.

    Parameters
    ----------
    X : ndarray, sparse matrix or data frame
        The rows.

    Returns
    -------
    int
        Bytes, at least one; eight for every cell of a frame.
    """
    if sparse.issparse(X):
        return max((X.data.nbytes + X.indices.nbytes) // X.shape[0], 1)
    if isinstance(X, pd.DataFrame):
        return max(8 * X.shape[1], 1)
    return max(X.nbytes // len(X), 1)
