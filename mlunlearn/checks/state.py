"""What a model is made of: every learned part of it by name, compared to the last bit."""

from __future__ import annotations

import re
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from copyreg import dispatch_table
from functools import singledispatch
from typing import Any

import numpy as np

from mlunlearn.base import UnlearnerMixin
from mlunlearn.data import TrainingData
from mlunlearn.receipts import Receipt

State = dict[str, Any]
Parts = list[tuple[str, Any]]

NUMBERS = (bool, int, float, complex, np.generic)
PLAIN = (bool, int, float, complex, str, bytes, type(None), type, types.ModuleType)
NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
WALL_CLOCK = re.compile(r"(^|[_.'])(time|dur|seconds)_?('\])?$")
"""Names of measured times, which no two runs share: ``mean_fit_time``, ``refit_time_``, skorch's ``dur``."""
TOLD = 6  # differences an error message spells out


# ------------------------------------------------------------------ parts of an object


@singledispatch
def parts_of(obj: Any) -> Parts:
    """Name the parts of an object of any kind.

    Parameters
    ----------
    obj : object
        Anything.

    Returns
    -------
    list of (str, object)
        What to append to the object's path, and the part; empty for a leaf.

    Notes
    -----
    Attributes are read past a ``__getstate__`` of the class, which may hide some. Extension types, which have none,
    are asked how they are pickled.
    """
    parts = _torch_parts(obj)
    return _attributes(obj) + _pickled_parts(obj) if parts is None else parts


for _kind in PLAIN:
    parts_of.register(_kind, lambda obj: [])


@parts_of.register(np.generic)
def _(obj: np.generic) -> Parts:
    return parts_of(np.asarray(obj)) if obj.dtype.names else []


@parts_of.register
def _(obj: np.ndarray) -> Parts:
    if obj.dtype.names:  # field by field: the padding between fields holds whatever was in memory
        return [(f"[{name!r}]", obj[name]) for name in obj.dtype.names]
    return _items(obj.ravel()) if obj.dtype.hasobject else []


@parts_of.register
def _(obj: Mapping) -> Parts:
    found = _attributes(obj)
    for place, (key, value) in enumerate(obj.items()):
        plain = isinstance(key, (str, *NUMBERS, tuple, type(None)))
        found += [(f"[{key!r}]", value)] if plain else [(f"[key {place}]", key), (f"[value {place}]", value)]
    return found


@parts_of.register(list)
@parts_of.register(tuple)
@parts_of.register(deque)
def _(obj: Any) -> Parts:
    return _attributes(obj) + _items(obj)


@parts_of.register(set)
@parts_of.register(frozenset)
def _(obj: Any) -> Parts:
    return _items(sorted(obj, key=repr))


@parts_of.register(bytearray)
@parts_of.register(memoryview)
def _(obj: Any) -> Parts:
    return [("[bytes]", np.frombuffer(obj, dtype=np.uint8))]


@parts_of.register
def _(obj: types.FunctionType) -> Parts:
    captured = zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=True)
    return [(f".{name}", part) for name, cell in captured for part in _content(cell)] + _attributes(obj)


def _content(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not assigned yet
        return []


@parts_of.register(types.MethodType)
@parts_of.register(types.BuiltinMethodType)
def _(obj: Any) -> Parts:
    return [] if isinstance(obj.__self__, types.ModuleType | None) else [(".__self__", obj.__self__)]


@parts_of.register
def _(obj: np.random.RandomState) -> Parts:
    return [(".state", obj.get_state(legacy=False))]


@parts_of.register
def _(obj: np.random.Generator) -> Parts:
    return [(".state", obj.bit_generator.state)]


def _items(values: Any) -> Parts:
    return [(f"[{place}]", value) for place, value in enumerate(values)]


def _attributes(obj: Any) -> Parts:
    state = object.__getstate__(obj)
    kinds = state if isinstance(state, tuple) else (state,)
    return [(f".{name}", value) for kind in kinds for name, value in (kind or {}).items()]


def _pickled_parts(obj: Any) -> Parts:
    kind = type(obj)
    if kind in dispatch_table:
        reduced = dispatch_table[kind](obj)
    elif kind.__reduce__ is object.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__:
        return []
    else:
        try:
            reduced = obj.__reduce_ex__(4)
        except TypeError:  # a lock, an open file: nothing learned is in there that could be read
            return []
    if isinstance(reduced, str):
        return []
    return [(name, part) for name, part in zip((".new", ".state"), reduced[1:3], strict=False) if part is not None]


def _torch_parts(obj: Any) -> Parts | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(obj, torch.Tensor):
        parts = [("", tensor_values(obj)), (".grad", obj.grad if obj.is_leaf else None)]
        return [(name, part) for name, part in parts if part is not None]
    if isinstance(obj, torch.optim.Optimizer):  # the rest is bookkeeping, which copies of an optimiser lack
        return [(f".{name}", part) for name, part in obj.__getstate__().items()]
    return [(".state", obj.get_state())] if isinstance(obj, torch.Generator) else None


def tensor_values(tensor: Any) -> np.ndarray:
    """Read a torch tensor of any kind as an array.

    Parameters
    ----------
    tensor : torch.Tensor
        Dense or sparse, on any device.

    Returns
    -------
    ndarray
        Its values; bfloat16 as float32, which holds them exactly.
    """
    tensor = tensor.detach().cpu()
    tensor = tensor.to_dense() if tensor.layout != sys.modules["torch"].strided else tensor
    tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    return tensor.resolve_conj().resolve_neg().numpy()


Skip = Callable[[str, Any], bool]


def walk(obj: Any, skip: Skip | None = None) -> Iterator[tuple[str, Any]]:
    """Visit everything that can be reached from an object.

    Parameters
    ----------
    obj : object
        Where to start.
    skip : callable or None, default=None
        Told the path and the part; parts for which it is true are left out with all that hangs on them.

    Yields
    ------
    str
        Path, such as ``checkpoints_[0][1].coef_``.
    object
        The leaf there: an object without parts of its own, or one that contains itself.
    """
    yield from _walk(obj, "", skip or (lambda path, part: False), set())


def _walk(obj: Any, path: str, skip: Skip, above: set[int]) -> Iterator[tuple[str, Any]]:
    parts = [] if id(obj) in above else parts_of(obj)
    if not parts:
        yield path, obj
        return
    above.add(id(obj))
    for name, part in parts:
        inner = f"{path}{name}".removeprefix(".")
        if not skip(inner, part):
            yield from _walk(part, inner, skip, above)
    above.discard(id(obj))


# ------------------------------------------------------------------ states


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
        Fitted. Of an `UnlearnerMixin` every attribute counts, private ones too; of any other estimator those whose
        names end in an underscore.

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
    ours = isinstance(model, UnlearnerMixin)
    fitted = {name for name in vars(model) if ours or (name.endswith("_") and not name.startswith("_"))}
    settings = {name for name, value in params.items() if isinstance(value, PLAIN)}
    left_out = {*vars(model)} - fitted - {*params} | settings

    def not_learned(path: str, part: Any) -> bool:
        timed = WALL_CLOCK.search(path) is not None
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
