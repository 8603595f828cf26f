"""Equality up to rounding: what ``exactness = "rounding"`` promises, within a tolerance that the class states."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlunlearn.checks.data import Problem
from mlunlearn.checks.exactness import request_sequences
from mlunlearn.checks.harness import after, check, learn, predictions, require
from mlunlearn.checks.state import State, learned_state

SCORES = ("predict_proba", "decision_function")


def tolerance_of(model: Any) -> float:
    """Read what a class states as its rounding error.

    Parameters
    ----------
    model : estimator
        Its class declares ``rounding``.

    Returns
    -------
    float
        The largest difference that is put down to rounding, as a share of the largest number of an attribute or, where
        that is less than one, in absolute terms.

    Raises
    ------
    AssertionError
        If the class states none, or one that is no small positive number.
    """
    stated = getattr(model, "rounding", None)
    number = isinstance(stated, (float, int)) and 0 < stated < 1
    require(
        number,
        f"{type(model).__name__}.rounding is {stated!r}; a class whose exactness is 'rounding' states how far "
        "rounding may lead, as a small positive number such as rounding = 1e-9.",
    )
    return float(stated)  # type: ignore[arg-type]


def beyond_rounding(got: State, expected: State, tolerance: float) -> dict[str, str]:
    """Compare the public numbers of two snapshots, within a tolerance.

    Parameters
    ----------
    got, expected : dict
        Snapshots.
    tolerance : float
        See `tolerance_of`.

    Returns
    -------
    dict
        Path to what differs. Floating-point numbers may differ by the tolerance, everything else not at all. Private
        attributes are left out: what keeps account of rounding depends on the way that was taken.
    """
    paths = [path for path in {**got, **expected} if not path.startswith("_")]
    found = {path: _gap(got.get(path), expected.get(path), tolerance) for path in paths}
    return {path: how for path, how in found.items() if how}


def _gap(got: Any, expected: Any, tolerance: float) -> str | None:
    a, b = np.asarray(got), np.asarray(expected)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return f"is {got!r:.40}, expected {expected!r:.40}"
    if a.dtype.kind not in "fc":
        return None if np.array_equal(a, b) else f"is {got!r:.40}, expected {expected!r:.40}"
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "is not finite in other places"
    finite = np.isfinite(b)
    if not finite.any():
        return None
    allowed = tolerance * max(1.0, float(np.abs(b[finite]).max()))
    gap = float(np.abs(a[finite] - b[finite]).max())
    return f"differs by {gap:.3g}, allowed are {allowed:.3g}" if gap > allowed else None


def _outcome(model: Any, problem: Problem) -> State:
    """Return what was learned, and scores; labels follow from scores, and rounding decides ties."""
    told = predictions(after(model), problem.probe)
    scored = any(path.startswith(f"['{name}']") for path in told for name in SCORES)
    labels = {path for path in told if scored and problem.labelled and path.startswith("['predict']")}
    return {**learned_state(model), **{path: part for path, part in told.items() if path not in labels}}


def _assert_close(model: Any, expected: Any, problem: Problem, message: str) -> None:
    differing = beyond_rounding(_outcome(model, problem), _outcome(expected, problem), tolerance_of(model))
    lines = [f"  {path}: {how}" for path, how in list(differing.items())[:6]]
    require(not differing, "\n".join([message, *lines]))


@check
def check_unlearn_equals_fit_without_up_to_rounding(estimator: Any, problem: Problem) -> None:
    """Check that the model is the one that never saw the rows, but for the rounding that its class states."""
    fitted = learn(estimator, problem)
    for what, requests in request_sequences(problem):
        model = after(fitted, *requests)
        never = learn(estimator, problem, exclude=np.flatnonzero(model.forgotten_))
        message = f"After {what}, the model differs from fit(X, y, exclude=forgotten) by more than rounding:"
        _assert_close(model, never, problem, message)


@check
def check_rounding_does_not_add_up(estimator: Any, problem: Problem) -> None:
    """Check that many requests, row by row, lead no further from a fresh fit than one may: years of them are served."""
    rows = problem.draw(len(problem), seed=33)
    model = after(learn(estimator, problem), *([row] for row in rows.tolist()))
    never = learn(estimator, problem, exclude=rows)
    message = f"After {len(rows)} requests of a row each, rounding has added up; compute anew before it does:"
    _assert_close(model, never, problem, message)


@check
def check_forgotten_rows_leave_rounding_alone(estimator: Any, problem: Problem) -> None:
    """Check that whatever the forgotten rows had said makes no difference beyond rounding."""
    rows = problem.draw(5, seed=34)
    others = problem.with_rows(rows, X=problem.others(rows, lambda values: np.abs(values) * 5.0))
    one, other = (learn(estimator, version).unlearn(rows) for version in (problem, others))
    _assert_close(other, one, problem, f"The model depends on what the rows {rows} held, though it forgot them:")
