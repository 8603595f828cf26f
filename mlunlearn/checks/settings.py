"""Settings that make no sense: refused before anything is trained."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any
from unittest import SkipTest

from mlunlearn._compat import Interval, StrOptions, make_constraint
from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import check, estimator_inside, learn, require, watch

UNBOUNDED = {"random_state", "n_jobs", "verbose"}
"""Parameters for which scikit-learn gives negative numbers a meaning, or which change no model."""
CANDIDATES: tuple[Any, ...] = (-5, 0, 0.5, float("nan"), "typo")
PARAMETER = re.compile(r"^(\w+(?:, \w+)*) : (.+)$", flags=re.MULTILINE)
CHOICES = re.compile(r"\{[^}]*'[^}]*\}")

Setting = tuple[str, Any]


@check
def check_nonsense_is_refused_before_training(estimator: Any, problem: Problem) -> None:
    """Check that settings which cannot make sense are refused by name, and before any training is paid for.

    Asked are estimators that say what makes sense: those that declare ``_parameter_constraints`` as scikit-learn's do,
    and those whose constructor is this package's, whose documentation names the type or the choices of every parameter.
    Each wrong value stands alone beside valid ones, and the error has to be a ValueError or a TypeError that names
    the parameter.
    """
    asked = list(nonsense(estimator))
    if not asked:
        raise SkipTest(f"{type(estimator).__name__} has no setting of which it declares what makes sense")
    answers = [_answer(estimator, problem, name, value) for name, value in asked]
    wrong = [f"  {answer}" for answer in answers if answer]
    require(not wrong, "\n".join(["Settings that make no sense must be refused by name before training:", *wrong]))


def nonsense(estimator: Any) -> Iterator[Setting]:
    """Name settings of an estimator that cannot make sense.

    Parameters
    ----------
    estimator : estimator
        Read for what it declares.

    Yields
    ------
    str
        Parameter.
    object
        A value that its declaration rules out.
    """
    names = set(estimator.get_params(deep=False)) - UNBOUNDED
    declared = getattr(estimator, "_parameter_constraints", {})
    documented = _documented(type(estimator))
    for name in sorted(names):
        if name in declared:
            yield from ((name, value) for value in _ruled_out(declared[name]))
        elif name in documented:
            yield from ((name, value) for value in _senseless(documented[name]))


def _ruled_out(constraints: Any) -> list[Any]:
    """List candidates that satisfy none of the constraints, where they speak of numbers or of choices."""
    if not isinstance(constraints, list) or not any(isinstance(c, (Interval, StrOptions)) for c in constraints):
        return []
    known = [make_constraint(constraint) for constraint in constraints]
    return [value for value in CANDIDATES if not any(constraint.is_satisfied_by(value) for constraint in known)]


def _documented(kind: type) -> dict[str, str]:
    """Read the types that the documentation of one of our classes gives its parameters."""
    signs = next(each for each in kind.__mro__ if "__init__" in vars(each))
    if signs.__module__.partition(".")[0] != "mlunlearn":
        return {}
    text = (inspect.getdoc(signs) or "").partition("Parameters\n")[2].partition("Attributes\n")[0]
    return {name: said for names, said in PARAMETER.findall(text) for name in names.split(", ")}


def _senseless(said: str) -> list[Any]:
    """List values that a documented type rules out: our numbers are counts, rates, shares and strengths."""
    if CHOICES.match(said):
        return ["typo"]
    if re.match(r"(int|float)\b", said):
        return [-5, float("nan"), "typo"]
    return []


def _answer(estimator: Any, problem: Problem, name: str, value: Any) -> str | None:
    """Fit with one setting that makes no sense, and say what is wrong with the answer."""
    setting = f"{name}={value!r}"
    try:
        estimator_inside(estimator)
    except SkipTest:
        return _refusal(estimator, problem, name, value)
    with watch(estimator) as calls:
        answer = _refusal(estimator, problem, name, value)
    return answer or (f"{setting} was refused after the estimator inside was trained" if calls else None)


def _refusal(estimator: Any, problem: Problem, name: str, value: Any) -> str | None:
    setting = f"{name}={value!r}"
    try:
        learn(estimator, problem, **{name: value})
    except (ValueError, TypeError) as error:
        return None if name in str(error) else f"{setting} gave an error that does not name {name}: {error}"
    except Exception as error:  # whatever is raised instead is the finding
        return f"{setting} gave {error!r}"
    return f"{setting} was accepted by fit"
