"""No trace of a forgotten row: what every exact model promises, and all that ``exactness = "influence"`` does."""

from __future__ import annotations

import pickle
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.utils import get_tags

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import check, is_sharded, learn, require, shards_of
from mlunlearn.checks.state import assert_same_state, learned_state
from mlunlearn.checks.taint import HUGE, find_marks, holds_bytes, marked_rows

LESS_HUGE = 1e6  # for estimators that give up on HUGE


def _tainted(estimator: Any, problem: Problem, rows: np.ndarray, mark: float) -> Problem:
    X = marked_rows(mark, problem.values[rows].shape)
    y = None if problem.labelled else marked_rows(LESS_HUGE, problem.y[rows].shape)
    return problem.with_rows(rows, X=X, y=y)


def _rows_to_mark(estimator: Any, problem: Problem) -> np.ndarray:
    """Rows at both ends of the data and, where there are shards, at both ends of the first and the last."""
    ends = [0, len(problem) - 1]
    model = learn(estimator, problem)
    if is_sharded(model):
        shards = [rows for rows in shards_of(model) if len(rows)]
        ends += [*shards[0][[0, -1]], *shards[-1][[0, -1]]]
    return np.unique(problem.spare(list(dict.fromkeys(map(int, ends)))))


@check
def check_no_mark_is_left(estimator: Any, problem: Problem) -> None:
    """Check that nothing reachable from the model, nor its pickle, holds forgotten rows or what was computed of them.

    The rows carry a mark that survives arithmetic, NaN where the estimator takes it and a huge value in any case.
    """
    if not problem.continuous:
        raise SkipTest("marks need inputs that are floating-point numbers")
    rows = _rows_to_mark(estimator, problem)
    takes_nan = get_tags(estimator).input_tags.allow_nan and _scan(estimator, problem, rows, np.nan)
    takes_huge = _scan(estimator, problem, rows, HUGE) or _scan(estimator, problem, rows, LESS_HUGE)
    if not (takes_nan or takes_huge):
        raise SkipTest("the estimator cannot be fitted on rows with a mark")


def _scan(estimator: Any, problem: Problem, rows: np.ndarray, mark: float) -> bool:
    tainted = _tainted(estimator, problem, rows, mark)
    try:
        model = learn(estimator, tainted)
        for batch in np.array_split(rows, 2):  # after the first, some of the marks are still there
            model.unlearn(batch)
    except ValueError:  # overflow: the mark is too huge for this estimator
        return False
    never = find_marks(learn(estimator, tainted, exclude=rows), [], mark=mark)
    marks = [tainted.values[rows], tainted.y[rows]][: 1 if problem.labelled else 2]
    for forgotten in marks:
        found = find_marks(model, forgotten, mark=mark)
        left = [f"  {path}: {how}" for path, how in found.items() if "bytes" in how or path not in never]
        require(not left, "\n".join([f"The model still holds what it was told to forget (rows {rows}):", *left[:6]]))
        saved = holds_bytes(pickle.dumps(model), forgotten)
        require(not saved, f"The pickled model contains the bytes of forgotten rows (among {rows}); save no data.")
    return True


@check
def check_forgotten_rows_have_no_influence(estimator: Any, problem: Problem) -> None:
    """Check that the model is the same whatever the forgotten rows had said: else it still tells something of them."""
    rows = _rows_to_mark(estimator, problem)
    y = None if problem.labelled else np.abs(problem.y[rows]) * 5.0 + 1.0
    others = problem.with_rows(rows, X=problem.others(rows, lambda values: np.abs(values) * 5.0), y=y)
    states = [learned_state(learn(estimator, version).unlearn(rows)) for version in (problem, others)]
    assert_same_state(states[1], states[0], f"The model depends on what the rows {rows} held, though it forgot them.")
