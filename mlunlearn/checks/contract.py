"""The contract every unlearner keeps, whatever it guarantees."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError

from mlunlearn.base import UnlearnerMixin
from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import (
    after,
    check,
    learn,
    predictions,
    require,
    start,
)
from mlunlearn.checks.parts import walk
from mlunlearn.checks.rounding import tolerance_of
from mlunlearn.checks.state import assert_same_state, flatten_state, learned_state, state_differences
from mlunlearn.exceptions import ForgetRequestError

GUARANTEES = ("exact", "certified", "approximate")
EXACTNESS = ("bits", "rounding", "law", "influence")


@check
def check_promise(estimator: Any, problem: Problem) -> None:
    """Check that the model says what it guarantees; else nobody can tell what a receipt is worth."""
    name, guarantee = type(estimator).__name__, getattr(estimator, "guarantee", None)
    exactness = getattr(estimator, "exactness", None)
    require(guarantee in GUARANTEES, f"{name}.guarantee is {guarantee!r}; declare one of {GUARANTEES} on the class.")
    wanted = EXACTNESS if guarantee == "exact" else (None,)
    require(exactness in wanted, f"{name}.exactness is {exactness!r}, expected one of {wanted} as it is {guarantee}.")
    if exactness == "rounding":
        tolerance_of(estimator)


# ------------------------------------------------------------------ requests


def bad_requests(model: Any, problem: Problem) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name requests that cannot be served, in the arguments that the model's `unlearn` takes."""
    n = len(problem)
    takes = signature(model.unlearn).parameters
    asked: dict[str, Any] = {
        "a negative position": [-1],
        "a position past the end": [0, n],
        "positions that are no integers": [0.0, 1.5],
        "a mask that is too short": np.arange(n - 1) == 0,
        "a mask that is too long": np.arange(n + 1) == 0,
        "a mask written as integers": (np.arange(n) == 3).astype(int),
        "two dimensions": [[0, 1]],
        "an empty list": [],
        "a mask without a True": np.zeros(n, dtype=bool),
        "every row": np.arange(n),
    }
    yield from ((what, {"forget_idx": rows}) for what, rows in asked.items())
    yield "no argument", {}
    if "forget_ids" in takes:
        yield "ids, though fit was given none", {"forget_ids": [0]}
        yield "two arguments", {"forget_idx": [0], "forget_ids": [0]}
    if "classes" in takes:
        yield "a class that does not exist", {"classes": ["no such class"]}
        yield "no class", {"classes": []}
    if problem.labelled and isinstance(model, UnlearnerMixin):
        yield "the last rows of a class", {"forget_idx": np.flatnonzero(problem.y == problem.y[0])}


@check
def check_bad_requests_change_nothing(estimator: Any, problem: Problem) -> None:
    """Check that what cannot be served is refused before anything changes, never served by half or in another sense."""
    model = learn(estimator, problem).unlearn(problem.draw(1, seed=1))
    wrong = [_answered_wrongly(after(model), request, what) for what, request in bad_requests(model, problem)]
    try:
        start(estimator).unlearn([0])
    except NotFittedError:
        pass
    except Exception as error:
        wrong.append(f"unlearn before fit raised {error!r} instead of NotFittedError; call check_is_fitted(self) first")
    else:
        wrong.append("unlearn before fit raised nothing; call check_is_fitted(self) first")
    found = [f"  {each}" for each in wrong if each]
    require(
        not found,
        "\n".join(["Requests that cannot be served must raise ForgetRequestError before anything changes:", *found]),
    )


def _answered_wrongly(model: Any, request: dict[str, Any], what: str) -> str | None:
    """Make a request that cannot be served, and say what is wrong with the answer."""
    before = flatten_state(model)
    ours = isinstance(model, UnlearnerMixin)
    refusals = ForgetRequestError if ours else (ValueError, TypeError, IndexError, KeyError)
    try:
        model.unlearn(**request)
    except refusals:
        changed = state_differences(flatten_state(model), before)
        return f"unlearn refused {what}, but changed {', '.join(list(changed)[:3])} first" if changed else None
    except Exception as error:  # whatever is raised instead is the finding
        return f"unlearn met {what} with {error!r}"
    return f"unlearn accepted {what}"


@check
def check_repeats_are_skipped(estimator: Any, problem: Problem) -> None:
    """Check that asking twice is harmless and that the receipts say so; people do ask twice."""
    a, b, c, d = problem.draw(4, seed=2).tolist()
    model = learn(estimator, problem).unlearn([a, b, c]).unlearn([d, c])
    receipt = model.receipts_[-1]
    require(
        receipt.rows.tolist() == [d] and receipt.already.tolist() == [c],
        f"of [{d}, {c}] the receipt says rows={receipt.rows} and already={receipt.already}, expected [{d}] and [{c}]: "
        f"{c} had been forgotten before.",
    )
    before = learned_state(model)
    model.unlearn([a, d])
    assert_same_state(learned_state(model), before, "A request that names forgotten rows alone changed the model.")
    require(not len(model.receipts_[-1].rows), "rows are recorded as forgotten a second time.")


@check
def check_receipts(estimator: Any, problem: Problem) -> None:
    """Check that every request leaves one true receipt; without it nobody can prove that a request was served."""
    batches = np.array_split(problem.draw(5, seed=3), 3)
    model = learn(estimator, problem)
    require(list(model.receipts_) == [], "a fitted model that forgot nothing has receipts already.")
    for served, rows in enumerate(batches, start=1):
        model.unlearn(rows)
        n_forgotten = sum(map(len, batches[:served]))
        require(len(model.receipts_) == served, f"{len(model.receipts_)} receipts after {served} requests.")
        receipt = model.receipts_[-1]
        require(np.array_equal(receipt.rows, rows), f"the receipt names rows {receipt.rows}, asked were {rows}.")
        require(
            hasattr(receipt.work, "samples") and hasattr(receipt.work, "full"),
            f"the receipt's work is {receipt.work!r}; return Work(samples, full) from _unlearn.",
        )
        require(receipt.guarantee == model.guarantee, f"guarantee {receipt.guarantee!r}, expected {model.guarantee!r}.")
        require(
            receipt.n_retained == len(problem) - n_forgotten,
            f"the receipt says {receipt.n_retained} rows are retained, expected {len(problem) - n_forgotten}.",
        )
        require(receipt.seconds >= 0, f"the receipt says {receipt.seconds} seconds.")


@check
def check_positions_stay_valid(estimator: Any, problem: Problem) -> None:
    """Check that positions mean rows given to fit after any number of requests, or others' rows would be forgotten."""
    rows = problem.draw(6, seed=4)
    model = learn(estimator, problem)
    expected = np.zeros(len(problem), dtype=bool)
    for row in rows.tolist():
        require(model.unlearn([row]) is model, "unlearn must return self.")
        expected[row] = True
        forgotten = np.asarray(model.forgotten_)
        require(
            forgotten.dtype == bool and np.array_equal(forgotten, expected),
            f"forgotten_ names rows {np.flatnonzero(forgotten)}, asked for one by one were {np.flatnonzero(expected)}.",
        )
    predictions(model, problem.probe)


@check
def check_forms_of_a_request(estimator: Any, problem: Problem) -> None:
    """Check that a list, an array, a mask and a slice of the same rows mean the same, to unlearn and to exclude."""
    mask = np.zeros(len(problem), dtype=bool)
    mask[2:4] = True
    forms = {"a list": [3, 2], "an int32 array": np.array([2, 3], np.int32), "a mask": mask, "a slice": slice(2, 4)}
    fitted = learn(estimator, problem)
    unlearned, excluded = None, None
    for what, form in forms.items():
        states = learned_state(after(fitted, form)), learned_state(learn(estimator, problem, form))
        unlearned, excluded = unlearned or states[0], excluded or states[1]
        assert_same_state(states[0], unlearned, f"unlearn took {what} for other rows than a list.")
        assert_same_state(states[1], excluded, f"fit(exclude=) took {what} for other rows than a list.")


@check
def check_forget_by_id(estimator: Any, problem: Problem) -> None:
    """Check that all rows of an id go, and that the model stores no id in the clear."""
    if "sample_ids" not in signature(estimator.fit).parameters:
        raise SkipTest("fit takes no sample_ids")
    ids = np.array([f"person-{row % 23}" for row in range(len(problem))])
    model = start(estimator).fit(problem.X, problem.y, sample_ids=ids)
    named = [path for path, leaf in walk(model) if "person-" in str(leaf)]
    require(not named, f"the model stores the ids it was given in {named[:3]}; store keyed hashes of ids.")
    before = flatten_state(model)
    try:
        model.unlearn(forget_ids=["person-1", "nobody"])
    except ForgetRequestError:
        assert_same_state(flatten_state(model), before, "unlearn refused an unknown id, but changed the model first.")
    else:
        raise AssertionError("unlearn accepted an id that fit was not given; raise UnknownIdError.")
    model.unlearn(forget_ids="person-1")
    forgotten, expected = np.flatnonzero(model.forgotten_), np.flatnonzero(ids == "person-1")
    require(np.array_equal(forgotten, expected), f"rows {forgotten} are forgotten, the id's are {expected}.")


@check
def check_forget_a_class(estimator: Any, problem: Problem) -> None:
    """Check that a forgotten class leaves an exact model for good: no row of it, no label, no prediction.

    An approximate or certified method keeps its outputs and ``classes_``, as masking an output forgets nothing; it is
    asked for the rows alone.
    """
    labels, takes = np.unique(problem.y), signature(estimator.unlearn).parameters
    if not is_classifier(estimator) or len(labels) < 3 or "classes" not in takes:
        raise SkipTest("needs a classifier of three classes whose unlearn takes classes")
    model = learn(estimator, problem).unlearn(classes=[labels[-1]])
    left = np.flatnonzero(~model.forgotten_)
    require(not (problem.y[left] == labels[-1]).any(), f"rows of the forgotten class {labels[-1]!r} are retained.")
    if model.guarantee != "exact":
        return
    require(np.array_equal(model.classes_, labels[:-1]), f"classes_ is {model.classes_}, expected {labels[:-1]}.")
    require(not (model.predict(problem.X) == labels[-1]).any(), f"the forgotten class {labels[-1]!r} is predicted.")
