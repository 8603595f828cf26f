"""Equality with a model that never saw the rows: what ``exactness = "bits"`` promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import (
    after,
    check,
    is_sharded,
    learn,
    need_shards,
    predictions,
    require,
    rows_shown,
    shards_of,
    watch,
)
from mlunlearn.checks.state import State, assert_same_state, learned_state

Requests = list[np.ndarray]


def assert_never_saw(model: Any, estimator: Any, problem: Problem, requests: str) -> None:
    """Raise unless a model equals, bit for bit, one that was fitted without the rows it has forgotten."""
    never = learn(estimator, problem, exclude=np.flatnonzero(model.forgotten_))
    advice = "Restart from a state that no forgotten row went into, and learn the rest with the same seeds."
    message = f"After {requests}, the model differs from fit(X, y, exclude=forgotten). {advice}"
    assert_same_state(learned_state(model), learned_state(never), message)
    predicted, expected = (predictions(after(twin), problem.probe) for twin in (model, never))
    assert_same_state(predicted, expected, message)


def request_sequences(problem: Problem) -> Iterator[tuple[str, Requests]]:
    """Yield sequences of requests: single rows, then batches in random order, some of which repeat rows."""
    yield "forgetting the first row", [problem.spare([0])]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(problem.draw(8, seed=20 + seed))
        first, second, third = np.split(rows, np.sort(rng.choice(np.arange(1, 8), 2, replace=False)))
        yield f"random requests (sequence {seed})", [first, np.union1d(first[:1], second), third]


@check
def check_unlearn_equals_fit_without(estimator: Any, problem: Problem) -> None:
    """Check that nothing distinguishes the model from one that never saw the rows, whatever was asked in what order."""
    fitted = learn(estimator, problem)
    for what, requests in request_sequences(problem):
        assert_never_saw(after(fitted, *requests), estimator, problem, what)


@check
def check_remainder_rows(estimator: Any, problem: Problem) -> None:
    """Check the last rows of the data and of every shard: those that an integer division leaves over."""
    model = learn(estimator, problem)
    last = problem.spare(np.unique([len(problem) - 1, *(rows[-1] for rows in shards_of(model) if len(rows))]))
    for row in last.tolist():
        model.unlearn([row])
    assert_never_saw(model, estimator, problem, f"forgetting the rows {last} that come last")


@check
def check_emptied_slices(estimator: Any, problem: Problem) -> None:
    """Check slices and a shard that lose every row, which a history of requests arrives at some day."""
    model = learn(estimator, problem)
    need_shards(model)
    n_shards, n_slices = model.n_shards_, model.n_slices_
    for shard, parts in ((0, [0]), (1 % n_shards, [n_slices - 1]), (n_shards - 1, range(n_slices))):
        rows = shards_of(model)[shard]
        rows = rows[np.isin(model.allocation_.slice[rows], parts)]
        rows = rows[~model.forgotten_[rows]]
        forgotten = np.flatnonzero(model.forgotten_)
        if len(rows) and len(problem.spare([*forgotten, *rows])) == len(forgotten) + len(rows):
            what = f"emptying slices {list(parts)} of {n_slices} of shard {shard}"
            assert_never_saw(model.unlearn(rows), estimator, problem, what)


@check
def check_order_of_requests(estimator: Any, problem: Problem) -> None:
    """Check that {a} then {b}, {b} then {a} and {a, b} at once give one model: people do not agree whose turn it is."""
    fitted = learn(estimator, problem)
    rows = problem.spare([*shards_of(fitted)[0][[0, -1]], *problem.draw(2, seed=30)])
    rows = np.array(list(dict.fromkeys(rows.tolist())))
    a, b = rows[::2], rows[1::2]
    at_once = learned_state(after(fitted, np.concatenate([a, b])))
    for first, second in ((a, b), (b, a)):
        message = f"Forgetting rows {first} and then {second} differs from forgetting all of them at once."
        assert_same_state(learned_state(after(fitted, first, second)), at_once, message)


@check
def check_every_row_is_learned_until_it_is_forgotten(estimator: Any, problem: Problem) -> None:
    """Check which rows the estimator inside is shown: all the retained ones at fit, and no forgotten one ever again."""
    first, second = np.array_split(problem.draw(8, seed=31), 2)
    with watch(estimator) as calls:
        model = learn(estimator, problem, exclude=first, n_jobs=1)
    shown = rows_shown(calls, problem)
    back = first[shown[first] > 0]
    require(not len(back), f"fit(exclude=) showed the excluded rows {back} to the estimator.")
    unseen = np.setdiff1d(np.flatnonzero(shown == 0), np.union1d(first, _of_one_class(model, problem)))
    if len(unseen) and shown.any() and not _draws_rows(model, shown):
        raise AssertionError(f"fit never showed rows {unseen} to the estimator: they are dropped, not learned.")
    model = learn(estimator, problem, n_jobs=1).unlearn(first)
    with watch(estimator) as calls:
        model.unlearn(second)
    shown = rows_shown(calls, problem)
    back = np.flatnonzero(model.forgotten_ & (shown > 0))
    require(not len(back), f"unlearn showed forgotten rows {back} to the estimator; update the lists of rows it reads.")


def _of_one_class(model: Any, problem: Problem) -> np.ndarray:
    """Rows of shards with a single class, where there is nothing to train."""
    if not (problem.labelled and is_sharded(model)):
        return np.array([], dtype=int)
    alone = [rows for rows in shards_of(model) if len(np.unique(problem.y[rows[~model.forgotten_[rows]]])) < 2]
    return np.concatenate([*alone, np.array([], dtype=int)])


def _draws_rows(model: Any, shown: np.ndarray) -> bool:
    """Tell whether the budget is less than a pass for each slice, so that rows are drawn by chance."""
    passes = shown.sum() / (shown > 0).sum()
    return shown.max() > 1 and passes < (getattr(model, "n_slices_", 1) + 1) / 2


@check
def check_process_restart(estimator: Any, problem: Problem) -> None:
    """Check that a model saved in one process and reloaded in another forgets to the same bits."""
    first, second = np.array_split(problem.draw(6, seed=32), 2)
    model = learn(estimator, problem).unlearn(first)
    there = Parallel(n_jobs=2, backend="loky")
    [(state, process)] = there([delayed(_unlearn_elsewhere)(model, problem, second)])
    require(process != os.getpid(), "the model was not sent to another process.")
    message = "A model reloaded in another process forgot to other bits. Save all that training depends on."
    assert_same_state(state, learned_state(model.unlearn(second)), message)


def _unlearn_elsewhere(model: Any, problem: Problem, rows: np.ndarray) -> tuple[State, int]:
    if hasattr(model, "attach_data"):
        model.attach_data(problem.X, problem.y)
    return learned_state(model.unlearn(rows)), os.getpid()
