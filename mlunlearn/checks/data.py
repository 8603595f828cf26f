"""Small problems to check an estimator on, chosen by its tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import SkipTest

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from mlunlearn.rows.data import take_rows

N_SAMPLES = 67  # a prime: no number of shards and slices divides it, so there are always remainder rows
N_FEATURES = 5
N_CLASSES = 3
MIN_SPARE = 15  # rows that can be forgotten with some of every class left


@dataclass(frozen=True)
class Problem:
    """Rows to learn from and, at the head of them, rows to predict for.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...) or data frame of shape (n_samples, n_features)
        Inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    labelled : bool
        Whether `y` holds labels.
    """

    X: Any
    y: np.ndarray
    labelled: bool

    def __len__(self) -> int:
        return len(self.X)

    @property
    def probe(self) -> Any:
        """Rows to compare predictions on."""
        return self.X[:20]

    @property
    def values(self) -> np.ndarray:
        """Inputs as one array; of objects where the columns of a frame are of several kinds."""
        return np.asarray(self.X)

    @property
    def continuous(self) -> bool:
        """Whether inputs are floating-point numbers, so that any number may stand in them."""
        return self.values.dtype.kind == "f"

    def spare(self, rows: Any, keep: int = 2) -> np.ndarray:
        """Return the rows that can all be forgotten with `keep` rows of every class left, in the order given."""
        rows = np.asarray(rows, dtype=np.intp)
        if not self.labelled:
            return rows[: len(self) - keep]
        labels, codes, counts = np.unique(self.y, return_inverse=True, return_counts=True)
        taken = np.zeros(len(labels), dtype=int)
        chosen = []
        for row in rows.tolist():
            if counts[codes[row]] - taken[codes[row]] > keep:
                taken[codes[row]] += 1
                chosen.append(row)
        return np.array(chosen, dtype=np.intp)

    def draw(self, n_rows: int, seed: int) -> np.ndarray:
        """Draw rows to forget, ascending."""
        return np.sort(self.spare(np.random.default_rng(seed).permutation(len(self)))[:n_rows])

    def with_rows(self, rows: np.ndarray, X: Any = None, y: Any = None) -> Problem:
        """Return the problem with other values in some rows."""
        changed = replace(self, X=self.X.copy(), y=self.y.copy())
        if X is not None:
            put_rows(changed.X, rows, X)
        if y is not None:
            changed.y[rows] = y
        return changed

    def others(self, rows: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return other inputs for some rows: changed numbers or, where any number will not do, those of other rows."""
        if self.continuous:
            return change(self.values[rows])
        differs = [(self.values != self.values[row]).reshape(len(self), -1).any(axis=1) for row in rows.tolist()]
        return take_rows(self.X, np.array([np.flatnonzero(other)[0] for other in differs]))


def put_rows(X: Any, rows: np.ndarray, values: Any) -> None:
    """Write values into rows of an array or of a data frame, in place.

    Parameters
    ----------
    X : ndarray or data frame
        Changed.
    rows : ndarray of int
        Positions of the rows.
    values : ndarray or data frame
        One row for each.
    """
    if not isinstance(X, pd.DataFrame):
        X[rows] = values
        return
    for place in range(X.shape[1]):  # column by column, so that each keeps its kind
        column = values[:, place] if isinstance(values, np.ndarray) else values.iloc[:, place].to_numpy()
        X.iloc[rows, place] = column


def make_problem(estimator: Any) -> Problem:
    """Generate a problem that an estimator can learn in a moment.

    Parameters
    ----------
    estimator : estimator
        Read for its tags and, where it has them, ``n_shards`` and ``n_slices``.

    Returns
    -------
    Problem
        Overlapping classes for a classifier, a noisy linear target otherwise.

    Raises
    ------
    SkipTest
        If the estimator takes no tables of numbers.
    """
    tags = get_tags(estimator)
    if not tags.input_tags.two_d_array:
        raise SkipTest(f"no problem is generated for the inputs of {type(estimator).__name__}; pass data=(X, y)")
    rng = np.random.default_rng(0)
    n_shards = getattr(estimator, "n_shards", 1)
    n_samples = max(N_SAMPLES, 6 * n_shards + 1 if isinstance(n_shards, int) else 0)
    X = rng.normal(size=(n_samples, N_FEATURES))
    labelled = not is_regressor(estimator)
    if labelled:
        multi_class = tags.classifier_tags is None or tags.classifier_tags.multi_class
        y = rng.permutation(np.arange(n_samples) % (N_CLASSES if multi_class else 2))
        X += np.eye(N_CLASSES, N_FEATURES)[y]
    else:
        y = X @ rng.normal(size=N_FEATURES) + 0.5 * rng.normal(size=n_samples)
    X = np.abs(X) if tags.input_tags.positive_only else X
    y = np.exp(y) if tags.target_tags.positive_only else y
    y = y if tags.target_tags.single_output else np.column_stack([y, y[::-1]])
    return Problem(X, y, labelled)


def as_problem(estimator: Any, data: Any) -> Problem:
    """Read ``data=(X, y)`` as a problem, or make one.

    Parameters
    ----------
    estimator : estimator
        What is checked.
    data : tuple of array-likes, Problem or None
        Inputs and targets. A data frame stays one.

    Returns
    -------
    Problem
        The problem.

    Raises
    ------
    ValueError
        If there are too few rows to forget some.
    """
    if isinstance(data, Problem):
        return data
    if data is None:
        return make_problem(estimator)
    X, y = data[0] if isinstance(data[0], pd.DataFrame) else np.asarray(data[0]), np.asarray(data[1])
    problem = Problem(X, y, is_classifier(estimator))
    if len(problem.spare(np.arange(len(problem)))) < MIN_SPARE:
        raise ValueError(f"data must have {MIN_SPARE} rows besides two of every class; got {len(problem)} rows.")
    return problem
