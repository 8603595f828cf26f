"""Looking into objects of any kind: what are they made of, down to numbers and texts?"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from copyreg import dispatch_table
from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd

Parts = list[tuple[str, Any]]
Skip = Callable[[str, Any], bool]

NUMBERS = (bool, int, float, complex, np.generic)
PLAIN = (bool, int, float, complex, str, bytes, type(None), type, types.ModuleType)


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


@parts_of.register
def _(obj: pd.DataFrame) -> Parts:
    columns = [(f"[{name!r}]", _column(obj.iloc[:, place])) for place, name in enumerate(obj.columns)]
    numbers = obj.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)  # rows in one piece
    return [(".index", obj.index), (".columns", obj.columns), (".attrs", obj.attrs), (".numbers", numbers), *columns]


@parts_of.register
def _(obj: pd.Series) -> Parts:  # its caches, and those of an index, are filled by whoever reads them
    return [(".values", _column(obj)), (".index", obj.index), (".attrs", obj.attrs)]


@parts_of.register
def _(obj: pd.Index) -> Parts:
    return [("", obj.to_numpy())]


def _column(values: pd.Series) -> Any:
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


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
        except (TypeError, ValueError):  # a lock, an open file, a pointer: nothing learned could be read from it
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


def leaves_once(obj: Any, skip: Skip, seen: dict[int, Any]) -> Iterator[tuple[str, Any]]:
    """Visit everything that can be reached from an object, each part once however many ways lead there.

    Parameters
    ----------
    obj : object
        Where to start. Unlike `walk`, this looks into the defaults of functions and into their caches.
    skip : callable
        Told the path and the part; parts for which it is true are left out.
    seen : dict
        What was visited before, by id; grows.

    Yields
    ------
    str
        Path, such as ``[0].coef_``.
    object
        The leaf there.
    """
    waiting: list[tuple[str, Any]] = [("", obj)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, types.ModuleType) or id(part) in seen or skip(path, part):
            continue
        seen[id(part)] = part  # kept, so that no other object gets its id meanwhile
        parts = _remembered(part) or parts_of(part)
        if not parts:
            yield path, part
        waiting += [(f"{path}{name}", inner) for name, inner in parts]


def _remembered(obj: Any) -> Parts:
    """Name what functions remember besides what `parts_of` tells: default values, and results in a cache."""
    if isinstance(obj, types.FunctionType):
        defaults = [*enumerate(obj.__defaults__ or ()), *(obj.__kwdefaults__ or {}).items()]
        return [*parts_of(obj), *((f".default[{name!r}]", value) for name, value in defaults)]
    if isinstance(obj, (classmethod, staticmethod)):
        return [("", obj.__func__)]
    if isinstance(obj, property):
        return [("", function) for function in (obj.fget, obj.fset) if function is not None]
    if isinstance(obj, functools._lru_cache_wrapper):
        return [(".cache", part) for part in gc.get_referents(obj) if not isinstance(part, type)]
    return []


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
