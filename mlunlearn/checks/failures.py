"""What happens when something goes wrong: a failure, an interrupt, edited data, a reloaded model."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any
from unittest import SkipTest

import numpy as np

from mlunlearn.checks.data import Problem, put_rows
from mlunlearn.checks.harness import after, check, estimator_inside, learn, predictions, require, watch
from mlunlearn.checks.state import (
    WALL_CLOCK,
    State,
    assert_same_state,
    flatten_state,
    learned_state,
    state_differences,
)
from mlunlearn.checks.taint import holds_bytes
from mlunlearn.exceptions import DataChangedError, DataNotAttachedError
from mlunlearn.receipts import Receipt

N_INTERRUPTS = 8  # spread over a request, besides the last calls of it
LAST_CALLS = 4


class _Sabotage(Exception):
    """What the estimator inside raises when it is told to fail."""


@check
def check_failed_unlearn_changes_nothing(estimator: Any, problem: Problem) -> None:
    """Check that an unlearn that fails or is interrupted leaves the model as it was, neither old nor new by half."""
    rows = problem.draw(6, seed=5)
    model = learn(estimator, problem, n_jobs=1)
    with watch(estimator) as calls:
        expected = learned_state(after(model, rows))
    if not calls:
        raise SkipTest("unlearn does not train the estimator inside")
    before = flatten_state(model)
    for last in sorted({1, (len(calls) + 1) // 2, len(calls)}):
        for error in (_Sabotage, KeyboardInterrupt):

            def fail(n_calls: int, last: int = last, error: type[BaseException] = error) -> None:
                if n_calls == last:
                    raise error

            where = f"{error.__name__} in call {last} of {len(calls)} to the estimator inside"
            try:
                with watch(estimator, fail):
                    model.unlearn(rows)
            except error:
                assert_same_state(flatten_state(model), before, f"unlearn failed with {where} and changed the model.")
            else:
                raise AssertionError(f"unlearn hid {where}; a step that failed must raise.")
    model.unlearn(rows)
    assert_same_state(learned_state(model), expected, "After a failed unlearn, the same request gave another model.")


@check
def check_interrupted_unlearn_is_all_or_nothing(estimator: Any, problem: Problem) -> None:
    """Check that an interrupt at any moment leaves the model before the request or after it, its data included.

    A model that says a row is forgotten and still holds it will not let go of it at the next request either.
    """
    rows = problem.draw(4, seed=12)
    model = learn(estimator, problem, n_jobs=1).unlearn(problem.draw(1, seed=13))
    before, done = _durable_state(after(model)), _durable_state(after(model, rows))
    twin = after(model)
    with _interrupt(twin, at=0) as counted:
        twin.unlearn(rows)
    n_calls = len(counted)
    spread = np.linspace(1, n_calls, N_INTERRUPTS).astype(int)
    for at in np.union1d(spread, np.arange(max(n_calls - LAST_CALLS, 0), n_calls) + 1).tolist():
        twin = after(model)
        with suppress(KeyboardInterrupt), _interrupt(twin, at) as called:
            twin.unlearn(rows)
        state = _durable_state(twin)
        if state_differences(state, before):
            where = f"unlearn was interrupted in {called[-1]} (call {at} of {n_calls})"
            message = f"{where} and left the model neither as it was nor as it should become; commit at one point."
            assert_same_state(state, done, message)


def _durable_state(model: Any) -> State:
    """Everything about a model, its training data included, but when things happened."""
    return flatten_state(model, skip=lambda path, part: isinstance(part, Receipt) or bool(WALL_CLOCK.search(path)))


@contextmanager
def _interrupt(model: Any, at: int) -> Iterator[list[str]]:
    """Raise KeyboardInterrupt in the call number `at` to a function of the packages that the model's class is from."""
    packages = {kind.__module__.split(".")[0] for kind in type(model).__mro__} - {"sklearn", "builtins"}
    called: list[str] = []

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        plain = not frame.f_code.co_flags & CO_GENERATOR  # what is raised as a generator is closed goes nowhere
        if event == "call" and plain and str(frame.f_globals.get("__name__")).split(".")[0] in packages:
            called.append(frame.f_code.co_qualname)
            if len(called) == at:
                raise KeyboardInterrupt

    earlier = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield called
    finally:
        sys.setprofile(earlier)


@check
def check_edited_data_is_noticed(estimator: Any, problem: Problem) -> None:
    """Check that arrays edited since fit cannot slip into the model, which would match no data anybody has."""
    a, b, last = problem.draw(3, seed=6).tolist()
    edited = np.array([last])
    mine = problem.with_rows(edited)
    model = learn(estimator, mine)
    expected = learned_state(after(model, [a, b]))
    put_rows(mine.X, edited, problem.others(edited, lambda values: values + 1.0))
    try:
        model.unlearn([a, b])
    except DataChangedError:
        return
    assert_same_state(learned_state(model), expected, "Data edited after fit went into the model; keep a fingerprint.")


@check
def check_reloaded_model_asks_for_its_data(estimator: Any, problem: Problem) -> None:
    """Check that a pickled model predicts as before, asks for its data, and takes back the right data only."""
    model = learn(estimator, problem)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_state(
        predictions(loaded, problem.probe), predictions(model, problem.probe), "A pickled model predicts otherwise."
    )
    if not hasattr(loaded, "attach_data"):
        raise SkipTest(f"{type(model).__name__} has no attach_data")
    rows, edited = problem.draw(2, seed=7)[:1], problem.draw(2, seed=7)[1:]
    with suppress(DataNotAttachedError):
        loaded.unlearn(rows)
    for what, X, y in [
        ("edited rows", problem.with_rows(edited, X=problem.others(edited, lambda values: values + 1.0)).X, problem.y),
        ("a row too few", problem.X[1:], problem.y[1:]),
    ]:
        before = flatten_state(loaded)
        try:
            loaded.attach_data(X, y)
        except (DataChangedError, ValueError):
            assert_same_state(flatten_state(loaded), before, f"attach_data refused {what}, but kept something.")
        else:
            raise AssertionError(f"attach_data accepted {what}; raise DataChangedError or ValueError.")
    loaded.attach_data(problem.X, problem.y).unlearn(rows)


@check
def check_saved_model_holds_no_rows(estimator: Any, problem: Problem) -> None:
    """Check that a pickled model carries no training rows: copies of it elsewhere would keep them when it forgets."""
    if not np.issubdtype(problem.values.dtype, np.number):
        raise SkipTest("rows are looked for as numbers, and the inputs are none")
    alone = copy.deepcopy(estimator_inside(estimator)).fit(problem.X, problem.y)
    if _n_held(alone, problem):
        raise SkipTest("the estimator inside remembers rows by itself")
    n_held = _n_held(learn(estimator, problem), problem)
    require(
        n_held < len(problem) / 2,  # a few may be equal to a mean of one row
        f"The pickled model holds {n_held} training rows, which the estimator inside does not need; drop them.",
    )


def _n_held(model: Any, problem: Problem) -> int:
    saved = pickle.dumps(model)
    return sum(holds_bytes(saved, row[np.newaxis]) for row in problem.values)
