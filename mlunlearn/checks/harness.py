"""What the checks share: models to check, requests to make, and an eye on the estimator inside."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol
from unittest import SkipTest
from unittest.mock import patch

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from mlunlearn.checks.data import Problem, as_problem
from mlunlearn.checks.state import State, flatten_state
from mlunlearn.training.estimators import as_estimator
from mlunlearn.training.reproducibility import on_trial
from mlunlearn.training.seeds import seed_parameters

LEARNING = ("fit", "partial_fit")


class Check(Protocol):
    """A check as users call it."""

    __name__: str

    def __call__(self, estimator: Any, data: Any = None) -> None:
        """Raise AssertionError if the estimator breaks the promise, SkipTest if it does not make it."""


def check(body: Callable[[Any, Problem], None]) -> Check:
    """Make a check of a function: silence what the estimator warns of, and make a problem where none is given."""

    @wraps(body)
    def checked(estimator: Any, data: Any = None) -> None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            body(estimator, as_problem(estimator, data))

    del checked.__wrapped__  # the signature is that of `checked`
    return checked


def require(condition: Any, message: str) -> None:
    """Raise AssertionError with `message` unless the condition holds."""
    if not condition:
        raise AssertionError(message)


# ------------------------------------------------------------------ models


def start(estimator: Any, **params: Any) -> Any:
    """Clone an estimator, seeded; of `params` those are set that it has."""
    model = clone(estimator)
    known = model.get_params()
    seeds = ["random_state"] if "random_state" in known else seed_parameters(model)
    model.set_params(**{name: 0 for name in seeds if not isinstance(known[name], (int, np.integer))})
    return model.set_params(**{name: value for name, value in params.items() if name in known})


def learn(estimator: Any, problem: Problem, exclude: Any = None, **params: Any) -> Any:
    """Fit a seeded clone on the problem, without the rows in `exclude`."""
    options = {} if exclude is None else {"exclude": exclude}
    return start(estimator, **params).fit(problem.X, problem.y, **options)


def after(model: Any, *requests: Any) -> Any:
    """Return a copy of a model that has served requests, one after the other."""
    twin = copy.deepcopy(model)
    for request in requests:
        twin.unlearn(request)
    return twin


def predictions(model: Any, X: Any) -> State:
    """Return everything a model predicts for some rows."""
    methods = [name for name in ("predict", "predict_proba", "decision_function") if hasattr(model, name)]
    return flatten_state({name: getattr(model, name)(X) for name in methods})


def as_numbers(model: Any, X: Any) -> np.ndarray:
    """Predict in the most telling form a model has, one flat vector of numbers."""
    for name in ("predict_proba", "decision_function"):
        if hasattr(model, name):
            return np.asarray(getattr(model, name)(X), dtype=float).ravel()
    predicted = np.asarray(model.predict(X))
    if is_classifier(model):
        predicted = predicted[:, None] == model.classes_
    return predicted.astype(float).ravel()


def is_sharded(model: Any) -> bool:
    """Tell whether a fitted model shows its shards and their checkpoints."""
    return hasattr(model, "allocation_") and hasattr(model, "checkpoints_")


def shards_of(model: Any) -> list[np.ndarray]:
    """Positions of each shard's rows in training order, or one list of all rows."""
    if not is_sharded(model):
        return [np.arange(len(model.forgotten_))]
    return [model.allocation_.rows(shard) for shard in range(model.n_shards_)]


def need_shards(model: Any) -> None:
    """Skip the check of a model without shards."""
    if not is_sharded(model):
        raise SkipTest(f"{type(model).__name__} has no allocation_ and checkpoints_")


# ------------------------------------------------------------------ the estimator inside


@dataclass(frozen=True)
class Shown:
    """One call that showed rows to the estimator inside."""

    X: Any
    samples: int


def estimator_inside(estimator: Any) -> Any:
    """Return the estimator that an unlearner trains copies of; skip the check if it shows none."""
    if isinstance(estimator, Pipeline):
        return estimator_inside(estimator.steps[-1][1])
    inner = getattr(estimator, "estimator", None)
    if inner is None:
        raise SkipTest(f"{type(estimator).__name__} has no estimator inside to watch")
    return as_estimator(inner, "classifier" if is_classifier(estimator) else "regressor")


@contextmanager
def watch(estimator: Any, then: Callable[[int], None] = lambda n_calls: None) -> Iterator[list[Shown]]:
    """Note each time that rows are shown to a copy of the estimator inside, in this process.

    Parameters
    ----------
    estimator : estimator
        The unlearner.
    then : callable
        Told the number of calls so far at the end of each, when the copy has learned; what it raises ends the call.

    Yields
    ------
    list of Shown
        Grows with every call.
    """
    inner = estimator_inside(estimator)
    calls: list[Shown] = []
    depth = 0

    def watched(method: str) -> Callable[..., Any]:
        learns = getattr(type(inner), method)

        @wraps(learns)
        def spy(self: Any, X: Any, *args: Any, **options: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                result = learns(self, X, *args, **options)
            finally:
                depth -= 1
            if depth == 0 and not on_trial():
                n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
                calls.append(Shown(X, max(round(n_rows * options.get("epochs", 1)), 1)))
                then(len(calls))
            return result

        return spy

    with ExitStack() as stack:
        for method in LEARNING:
            if hasattr(inner, method):
                stack.enter_context(patch.object(type(inner), method, watched(method)))
        yield calls


def rows_shown(calls: list[Shown], problem: Problem) -> np.ndarray:
    """Count how often each row of the problem was shown."""
    place = {_content(row): position for position, row in enumerate(problem.values)}
    counts = np.zeros(len(problem), dtype=int)
    for call in calls:
        for row in np.asarray(call.X, dtype=problem.values.dtype):
            if _content(row) in place:
                counts[place[_content(row)]] += 1
    return counts


def _content(row: np.ndarray) -> Any:
    return tuple(row.ravel()) if row.dtype.hasobject else row.tobytes()
