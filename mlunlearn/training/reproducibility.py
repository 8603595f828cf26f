"""Whether an estimator gives the same bits twice, which exactness to the bit rests on.

Seeds reach every ``random_state``, splitter, torch net and global generator. What is made of parts of libraries that
draw from nothing else is known to repeat itself; anything else is trained twice on few rows and compared.
"""

from __future__ import annotations

import copy
import re
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from mlunlearn.exceptions import UnlearningWarning
from mlunlearn.rows.data import Block

KNOWN = {"builtins", "collections", "mlunlearn", "numpy", "pandas", "scipy", "sklearn", "skorch", "torch"}
"""Libraries whose estimators draw from what is seeded alone, and leave their input as it is where ``copy`` is true."""
FEWEST, MOST, SHARE = 32, 256, 50  # rows of a trial: a fiftieth of what there is, within bounds

_STEP = re.compile(r"(\[\d+\])\[1\]")
_TRIAL: ContextVar[bool] = ContextVar("trial", default=False)


def on_trial() -> bool:
    """Tell whether what is being trained is a trial, thrown away when it has been compared."""
    return _TRIAL.get()


# ------------------------------------------------------------------ what is known


def from_known_libraries(estimator: Any) -> bool:
    """Tell whether an estimator consists of parts of known libraries, down to its functions and modules.

    Parameters
    ----------
    estimator : estimator
        Not fitted.

    Returns
    -------
    bool
        False if any part, however deep, is of a class or function from elsewhere, or is on a device other than the CPU.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from mlunlearn.training.reproducibility import from_known_libraries
    >>> from_known_libraries(make_pipeline(FunctionTransformer(), LogisticRegression()))
    True
    >>> from_known_libraries(make_pipeline(FunctionTransformer(Fraction), LogisticRegression()))
    False
    """
    waiting, seen = [estimator], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if not _is_known(part):
            return False
        waiting += _parts(part)
    return True


def rows_for(estimator: Any, X: Any) -> Any:
    """Return rows to show to an estimator: a copy for one of another library, which may write into them.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    X : ndarray, sparse matrix or data frame
        The rows.

    Returns
    -------
    same type as X
        `X` itself for estimators of known libraries.
    """
    return X if from_known_libraries(estimator) else copy.copy(X)


def _is_known(part: Any) -> bool:
    if isinstance(part, types.GeneratorType):
        return False
    named = part if isinstance(part, (type, types.FunctionType, types.BuiltinFunctionType)) else type(part)
    library = (named.__module__ or "builtins").partition(".")[0].lstrip("_")
    on_cpu = str(getattr(part, "device", None) or "cpu").startswith("cpu")
    return library in KNOWN and on_cpu


def _parts(part: Any) -> list[Any]:
    if isinstance(part, (list, tuple, set, frozenset)):
        return list(part)
    if isinstance(part, dict):
        return list(part.values())
    if isinstance(part, types.MethodType):
        return [part.__self__, part.__func__]
    if isinstance(part, (type, types.FunctionType, types.BuiltinFunctionType, np.ndarray)):
        return []
    if hasattr(part, "get_params"):
        return list(part.get_params(deep=False).values())
    return list(getattr(part, "__dict__", {}).values())


# ------------------------------------------------------------------ what is tried


def irreproducible_parts(train: Callable[[Block], Any], block: Block) -> tuple[str, ...]:
    """Train twice on few rows and name the estimators that came out different.

    Parameters
    ----------
    train : callable
        Makes a fitted estimator, or None, of rows. Called twice with the same rows, or with more of them where it
        cannot learn from so few.
    block : Block
        Rows to take a few of: a fiftieth, at least 32 and at most 256, with as many of each class as there are.

    Returns
    -------
    tuple of str
        Where each is in the fitted estimator, and its class; empty if nothing differs.
    """
    size = min(max(FEWEST, min(MOST, len(block) // SHARE)), len(block))
    order = _classes_in_turn(block.y)
    with _trial():
        while True:
            rows = np.sort(order[:size])
            try:
                return _differing(train(block.take(rows)), train(block.take(rows)), block.take(rows).X)
            except Exception:  # whatever it raises on so few rows says nothing of a fit on all of them
                if size == len(block):
                    return ()  # nor can the fit itself succeed, and it says why
            size = min(4 * size, len(block))


def warn_irreproducible(parts: tuple[str, ...], method: str) -> None:
    """Tell the user that a model is not exact to the bit, and which part is to blame.

    Parameters
    ----------
    parts : tuple of str
        What `irreproducible_parts` returned.
    method : str
        Name of the method.

    Warns
    -----
    UnlearningWarning
        If there are any.
    """
    if parts:
        warnings.warn(
            f"{method} is not exact to the bit with this estimator: trained twice on the same rows with the same "
            f"seeds, it gave two results. Not reproducible: {', '.join(parts)}. Forgotten rows still leave no trace in "
            "any parameter, but the model is not bit for bit the one that fit(X, y, exclude=rows) gives. Give the part "
            "a random_state parameter and draw from nothing else.",
            UnlearningWarning,
            stacklevel=4,
        )


@contextmanager
def _trial() -> Iterator[None]:
    token = _TRIAL.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _TRIAL.reset(token)


def _classes_in_turn(y: Any) -> np.ndarray:
    """Order rows so that any number of the first ones holds as many of each class as possible."""
    n = len(y)
    if y.ndim != 1 or y.dtype.kind == "f":
        return np.arange(n)
    _, codes = np.unique(y, return_inverse=True)
    by_class = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    turn = np.empty(n, dtype=np.intp)
    turn[by_class] = np.arange(n) - starts[codes[by_class]]
    return np.argsort(turn, kind="stable")


def _differing(first: Any, second: Any, X: Any) -> tuple[str, ...]:
    from mlunlearn.checks.state import flatten_state, state_differences

    estimators: dict[str, BaseEstimator] = {"": first}

    def seen(path: str, part: Any) -> bool:
        if isinstance(part, BaseEstimator):
            estimators[path] = part
        return _passing(path)

    states = [flatten_state(first, skip=seen), flatten_state(second, skip=lambda path, part: _passing(path))]
    paths = list(state_differences(*states))
    if not paths:
        answers = [flatten_state(_answers(model, X)) for model in (first, second)]
        return (_told("", first, states[0]),) if state_differences(*answers) else ()
    owners = {max((place for place in estimators if _leads_to(place, path)), key=len) for path in paths}
    inner = [
        place for place in estimators if place in owners and not any(_leads_to(place, o) for o in owners - {place})
    ]
    unknown = [place for place in inner if not from_known_libraries(estimators[place])]
    return tuple(_told(place, estimators[place], states[0]) for place in unknown or inner)


def _passing(path: str) -> bool:
    """Tell whether a part is a measured time or a gradient, which no model is made of."""
    from mlunlearn.checks.state import WALL_CLOCK

    return path.endswith(".grad") or WALL_CLOCK.search(path) is not None


def _leads_to(place: str, path: str) -> bool:
    return not place or path == place or path.startswith((f"{place}.", f"{place}["))


def _answers(model: Any, X: Any) -> dict[str, Any]:
    methods = ("predict_proba", "decision_function", "predict")
    return {name: getattr(model, name)(copy.copy(X)) for name in methods if hasattr(model, name)}


def _told(place: str, estimator: Any, state: dict[str, Any]) -> str:
    """Name an estimator by its place, a step of a pipeline by the name that it has there."""

    def named(found: re.Match[str]) -> str:
        name = state.get(f"{place[: found.end(1)]}[0]")
        return f"['{name}']" if isinstance(name, str) else found[0]

    kind = type(estimator).__name__
    return f"{_STEP.sub(named, place)} ({kind})" if place else kind
