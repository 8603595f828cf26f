"""The methods of an audit of graphs by name, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.frozen import FrozenEstimator

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.methods.utu import UtU
from mlunlearn.graph.models.estimators import GraphEstimator

ORIGINAL, RETRAIN, UNLINKED, SPREAD = "Original", "Retrain", "UtU", "Retrain (sd)"

Method = Callable[[FrozenEstimator], GraphUnlearnerMixin]


def named_unlearners(
    methods: Mapping[str, Method] | Sequence[Method], original: GraphEstimator
) -> dict[str, GraphUnlearnerMixin]:
    """Make an unlearner of each method around the original, and one that only unlinks before them.

    Parameters
    ----------
    methods : mapping of str to callable, or sequence of classes
        As in `audit_graph`.
    original : NodeClassifier or LinkPredictor
        The model.

    Returns
    -------
    dict of str to unlearner
        Not fitted.

    Raises
    ------
    ValueError
        If a method is none, or its name is taken.
    """
    named = _named(methods)
    reserved = sorted({ORIGINAL, RETRAIN, UNLINKED, SPREAD} & set(named))
    if reserved:
        raise ValueError(f"these are names of rows that are always there: {reserved}; name the methods otherwise.")
    return {name: _made(name, method, original) for name, method in {UNLINKED: UtU, **named}.items()}


def _named(methods: Any) -> dict[str, Any]:
    if isinstance(methods, Mapping):
        unnamed = [name for name in methods if not isinstance(name, str)]
        if unnamed:
            raise ValueError(f"names of methods must be text, got {unnamed[0]!r}.")
        return dict(methods)
    if not isinstance(methods, (list, tuple)):
        raise ValueError(
            f"methods must be a mapping of names to classes, such as {{'D2DGN': D2DGN}}, or a list of classes, got "
            f"{methods!r}."
        )
    names = [getattr(method, "__name__", None) for method in methods]
    for name, method in zip(names, methods, strict=True):
        if name is None:
            raise ValueError(f"{method!r} has no name; pass a mapping of names to methods.")
        if names.count(name) > 1:
            raise ValueError(f"two methods are called {name!r}; pass a mapping of names to methods.")
    return dict(zip(map(str, names), methods, strict=True))


def _made(name: str, method: Any, original: GraphEstimator) -> GraphUnlearnerMixin:
    kind = type(method).__name__
    if hasattr(method, "unlearn") and not isinstance(method, type):
        raise ValueError(f"{name} is a {kind} already; pass the class, or partial({kind}, ...) with its settings.")
    if not callable(method) or (isinstance(method, type) and not hasattr(method, "unlearn")):
        raise ValueError(
            f"{name} must be a class such as D2DGN, or a function that takes the frozen original and returns an "
            f"unlearner around it, got {method!r}."
        )
    made = method(FrozenEstimator(original))
    if not hasattr(made, "unlearn"):
        raise ValueError(f"{name} gives a {type(made).__name__}, and no unlearner.")
    return made
