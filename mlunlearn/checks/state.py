"""What a model has learned: every part of it by name, compared to the last bit."""

from __future__ import annotations

import re
import types
from typing import Any

import numpy as np

from mlunlearn.checks.parts import NUMBERS, PLAIN, Skip, walk
from mlunlearn.receipts import Receipt
from mlunlearn.rows.data import TrainingData
from mlunlearn.state import ForgettingState

State = dict[str, Any]

NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
WALL_CLOCK = re.compile(r"(^|[_.'])(time|dur|seconds)_?('\])?$")
"""Names of measured times, which no two runs share: ``mean_fit_time``, ``refit_time_``, skorch's ``dur``."""
TOLD = 6  # differences an error message spells out


def flatten_state(obj: Any, *, skip: Skip | None = None) -> State:
    """Take a snapshot of everything an object is made of.

    Parameters
    ----------
    obj : object
        A model, or any other object: containers, arrays, sparse matrices, torch modules and optimisers, random
        generators and extension types are looked into.
    skip : callable or None, default=None
        Told the path and the part; parts for which it is true are left out.

    Returns
    -------
    dict
        Path to leaf. Numbers are arrays, copied; what cannot be looked into is represented by the name of its type.

    See Also
    --------
    learned_state : The parts that a fit has to reproduce.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn.checks import flatten_state
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> flatten_state({"model": model})["['model'].classes_"]
    array([0, 1])
    """
    return {path: _frozen(leaf) for path, leaf in walk(obj, skip)}


def learned_state(model: Any) -> State:
    """Take a snapshot of what a fitted unlearner has learned.

    Parameters
    ----------
    model : estimator
        Fitted. Of an unlearner of this package every attribute counts, private ones too; of any other estimator
        those whose names end in an underscore.

    Returns
    -------
    dict
        Path to leaf, without settings (constructor parameters that are plain values), training data, receipts,
        measured times, and the gradients of torch parameters.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.checks import learned_state
    >>> model = Retrain(LogisticRegression(), random_state=0).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    >>> learned_state(model)["estimator_.classes_"]
    array([0, 1])
    """
    params = model.get_params(deep=False)
    ours = isinstance(model, ForgettingState)
    fitted = {name for name in vars(model) if ours or (name.endswith("_") and not name.startswith("_"))}
    settings = {name for name, value in params.items() if isinstance(value, PLAIN)}
    left_out = {*vars(model)} - fitted - {*params} | settings | ({"_data", "_marks", "_label_sum"} if ours else set())
    if "random_state" not in params:
        left_out |= {"seed_"}  # drawn anew at every fit, and of no use to what takes no seed

    def not_learned(path: str, part: Any) -> bool:
        # a frozen distribution of scipy holds the global generator, of which nothing is learned
        timed = WALL_CLOCK.search(path) is not None or path.endswith(".dist._random_state")
        # torch drops gradients from copies, and so do we
        history = path.endswith(("receipts_", ".grad")) or isinstance(part, (TrainingData, Receipt))
        return timed or history or path in left_out

    return flatten_state(model, skip=not_learned)


def _frozen(leaf: Any) -> Any:
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return int(leaf)  # may be wider than any array's integers
    if isinstance(leaf, (np.ndarray, *NUMBERS)):
        return np.array(leaf)
    if isinstance(leaf, (str, bytes, type(None))):
        return leaf
    named = leaf if isinstance(leaf, NAMED) else type(leaf)
    return f"<{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', named.__name__)}>"


def state_differences(got: State, expected: State) -> dict[str, str]:
    """Compare two snapshots to the last bit.

    Parameters
    ----------
    got, expected : dict
        What `flatten_state` or `learned_state` returned.

    Returns
    -------
    dict
        Path to a description, for every leaf that differs in value, type or shape, or is in one of the two alone.
        A NaN equals a NaN of the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.checks import flatten_state, state_differences
    >>> state_differences(flatten_state({"w": np.zeros(3)}), flatten_state({"w": np.array([0.0, -0.0, 1.0])}))
    {"['w']": '2 of 3 values differ, by 1 at most'}
    """
    paths = dict.fromkeys([*expected, *got])
    found = {path: _difference(path, got, expected) for path in paths}
    return {path: how for path, how in found.items() if how}


def _difference(path: str, got: State, expected: State) -> str | None:
    if path not in got or path not in expected:
        return "is missing" if path not in got else "should not be there"
    a, b = got[path], expected[path]
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return None if type(a) is type(b) and a == b else f"is {_short(a)}, expected {_short(b)}"
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"is {a.dtype}{list(a.shape)}, expected {b.dtype}{list(b.shape)}"
    if a.tobytes() == b.tobytes():
        return None
    unequal = (_by_value(a) != _by_value(b)).any(axis=1)
    return f"{unequal.sum()} of {a.size} values differ{_largest_gap(a, b)}"


def _by_value(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(values.tobytes(), dtype=np.uint8).reshape(values.size, -1)


def _largest_gap(a: np.ndarray, b: np.ndarray) -> str:
    if a.dtype.kind not in "fc":
        return ""
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(a - b)
    gaps = gaps[np.isfinite(gaps)]
    return f", by {gaps.max():.3g} at most" if gaps.size else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def assert_same_state(got: State, expected: State, message: str) -> None:
    """Raise if two snapshots differ, and say where.

    Parameters
    ----------
    got, expected : dict
        Snapshots.
    message : str
        What the difference means and what to do; comes first in the error.

    Raises
    ------
    AssertionError
        If a leaf differs.
    """
    differing = state_differences(got, expected)
    if differing:
        lines = [f"  {path or 'the object'}: {how}" for path, how in list(differing.items())[:TOLD]]
        more = [f"  and {len(differing) - TOLD} more"] if len(differing) > TOLD else []
        count = f"{len(differing)} of {len(set(got) | set(expected))} parts of the state differ:"
        raise AssertionError("\n".join([message, count, *lines, *more]))
