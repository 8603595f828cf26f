"""The contract every unlearner keeps, whatever it guarantees."""

from __future__ import annotations

import copy
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

from mlunlearn.base import UnlearnerMixin
from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import (
    after,
    check,
    estimator_inside,
    learn,
    predictions,
    require,
    start,
    watch,
)
from mlunlearn.checks.state import assert_same_state, flatten_state, learned_state
from mlunlearn.exceptions import DataChangedError, DataNotAttachedError, ForgetRequestError
from mlunlearn.seeds import set_seed

GUARANTEES = ("exact", "certified", "approximate")
EXACTNESS = ("bits", "law", "influence")


@check
def check_promise(estimator: Any, problem: Problem) -> None:
    """Check that the model says what it guarantees; else nobody can tell what a receipt is worth."""
    name, guarantee = type(estimator).__name__, getattr(estimator, "guarantee", None)
    exactness = getattr(estimator, "exactness", None)
    require(guarantee in GUARANTEES, f"{name}.guarantee is {guarantee!r}; declare one of {GUARANTEES} on the class.")
    wanted = EXACTNESS if guarantee == "exact" else (None,)
    require(exactness in wanted, f"{name}.exactness is {exactness!r}, expected one of {wanted} as it is {guarantee}.")


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
    before = flatten_state(model)
    ours = isinstance(model, UnlearnerMixin)
    refusal = ForgetRequestError if ours else (ValueError, TypeError, IndexError, KeyError)
    for what, request in bad_requests(model, problem):
        try:
            model.unlearn(**request)
        except refusal:
            assert_same_state(flatten_state(model), before, f"unlearn refused {what}, but changed the model first.")
        else:
            raise AssertionError(f"unlearn accepted {what}; raise ForgetRequestError before anything changes.")
    try:
        start(estimator).unlearn([0])
    except NotFittedError:
        return
    raise AssertionError("unlearn before fit raised nothing; call check_is_fitted(self) first.")


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
    require(b"person-1" not in pickle.dumps(model), "the pickled model names its persons; store keyed hashes of ids.")
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
    """Check that a forgotten class leaves the model for good: no row of it, no label, no prediction."""
    labels = np.unique(problem.y) if problem.labelled else []
    if not is_classifier(estimator) or len(labels) < 3 or "classes" not in signature(estimator.unlearn).parameters:
        raise SkipTest("needs a classifier of three classes whose unlearn takes classes")
    model = learn(estimator, problem).unlearn(classes=[labels[-1]])
    left = np.flatnonzero(~model.forgotten_)
    require(not (problem.y[left] == labels[-1]).any(), f"rows of the forgotten class {labels[-1]!r} are retained.")
    require(np.array_equal(model.classes_, labels[:-1]), f"classes_ is {model.classes_}, expected {labels[:-1]}.")
    require(not (model.predict(problem.X) == labels[-1]).any(), f"the forgotten class {labels[-1]!r} is predicted.")


# ------------------------------------------------------------------ failures


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
def check_edited_data_is_noticed(estimator: Any, problem: Problem) -> None:
    """Check that arrays edited since fit cannot slip into the model, which would match no data anybody has."""
    a, b, edited = problem.draw(3, seed=6)
    mine = problem.with_rows(problem.draw(1, seed=6))
    model = learn(estimator, mine)
    expected = learned_state(after(model, [a, b]))
    mine.X[edited] += 1.0
    try:
        model.unlearn([a, b])
    except DataChangedError:
        return
    assert_same_state(learned_state(model), expected, "Data edited after fit went into the model; keep a fingerprint.")


@check
def check_reloaded_model_asks_for_its_data(estimator: Any, problem: Problem) -> None:
    """Check that a pickled model predicts as before, holds no data, and takes back the right data only."""
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
        ("edited rows", problem.with_rows(edited, X=problem.X[edited] + 1.0).X, problem.y),
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


# ------------------------------------------------------------------ side effects


@check
def check_arguments_are_left_alone(estimator: Any, problem: Problem) -> None:
    """Check that fit and unlearn change neither the estimator nor the arrays they were given: they are the user's."""
    model = start(estimator)
    given = {"params": model.get_params(deep=False), "X": problem.X, "y": problem.y}
    before = flatten_state(given)
    model.fit(problem.X, problem.y)
    assert_same_state(flatten_state(given), before, "fit changed what it was given; work on a clone and on copies.")
    model.unlearn(problem.draw(3, seed=8))
    assert_same_state(flatten_state(given), before, "unlearn changed what fit was given; work on copies.")


@check
def check_random_states_are_left_alone(estimator: Any, problem: Problem) -> None:
    """Check that the global random generators are untouched; else a request changes the user's next experiment."""
    model = start(estimator)
    for call in (lambda: model.fit(problem.X, problem.y), lambda: model.unlearn(problem.draw(2, seed=9))):
        before = _random_states()
        call()
        message = "A global random generator was used; draw from generators of your own, seeded by random_state."
        assert_same_state(_random_states(), before, message)


def _random_states() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    states = {"numpy.random": np.random.get_state(legacy=False), "random": random.getstate()}  # noqa: NPY002
    return flatten_state(states if torch is None else {**states, "torch": torch.get_rng_state()})


@check
def check_clone_and_refit(estimator: Any, problem: Problem) -> None:
    """Check that nothing of an earlier fit survives clone or fit, forgotten rows and receipts included."""
    fresh = learned_state(learn(estimator, problem))
    used = learn(estimator, problem).unlearn(problem.draw(2, seed=10))
    twin = clone(used)
    require(not hasattr(twin, "forgotten_"), "clone brought fitted attributes along; keep __init__ to its parameters.")
    assert_same_state(learned_state(twin.fit(problem.X, problem.y)), fresh, "A clone learned something else.")
    assert_same_state(learned_state(used.fit(problem.X, problem.y)), fresh, "A second fit remembers the first.")
    require(list(used.receipts_) == [], "the receipts of an earlier fit survived a second one.")


@check
def check_seeds(estimator: Any, problem: Problem) -> None:
    """Check that one seed gives one model and another seed another: no run can be repeated, or averaged, otherwise."""
    model = learn(estimator, problem)
    assert_same_state(
        learned_state(learn(estimator, problem)), learned_state(model), "Two fits with the same random_state differ."
    )
    if "random_state" not in model.get_params(deep=False):
        raise SkipTest(f"{type(model).__name__} takes no random_state")
    if getattr(model, "n_shards_", 1) == 1 and not _draws(estimator_inside(estimator), problem):
        raise SkipTest("the estimator inside does not depend on its seed")
    other = _learned_numbers(learn(estimator, problem, random_state=1))
    require(other != _learned_numbers(model), "random_state=0 and random_state=1 gave the same model; pass it on.")


def _draws(inner: Any, problem: Problem) -> bool:
    twins = [set_seed(copy.deepcopy(inner), seed).fit(problem.X, problem.y) for seed in (0, 1)]
    return _learned_numbers(twins[0]) != _learned_numbers(twins[1])


def _learned_numbers(model: Any) -> list[bytes]:
    leaves = learned_state(model).values()
    return [leaf.tobytes() for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]


@check
def check_n_jobs_changes_no_bit(estimator: Any, problem: Problem) -> None:
    """Check that a model does not depend on how many processes trained it."""
    if "n_jobs" not in estimator.get_params(deep=False):
        raise SkipTest(f"{type(estimator).__name__} takes no n_jobs")
    rows = problem.draw(6, seed=11)
    one, two = (after(learn(estimator, problem, n_jobs=n_jobs), rows) for n_jobs in (1, 2))
    assert_same_state(learned_state(two), learned_state(one), "n_jobs=2 gave another model than n_jobs=1.")
