"""Checks of a method's parameters, made before any training: errors name the parameter, its value and what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any


class ParameterError(ValueError, TypeError):
    """A parameter that makes no sense: of the wrong type, or out of range."""


def check_count(name: str, value: Any, *, at_least: int = 1, optional: bool = False) -> None:
    """Refuse what is not a whole number, or too small a one.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        Its value.
    at_least : int, default=1
        The smallest number that makes sense.
    optional : bool, default=False
        Whether None is taken, too.

    Raises
    ------
    ParameterError
        If it is no whole number (True and 3.0 are none), or smaller.

    Examples
    --------
    >>> from mlunlearn.parameters import check_count
    >>> check_count("n_steps", 20)
    >>> check_count("n_steps", -5, optional=True)
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: n_steps must be a whole number of at least 1, or None, got -5.
    """
    expected = f"a whole number of at least {at_least}"
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        raise ParameterError(_message(name, value, expected, optional))


def check_positive(name: str, value: Any, *, zero: bool = False, optional: bool = False) -> None:
    """Refuse what is not a finite number above zero.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        Its value.
    zero : bool, default=False
        Whether zero is taken, too.
    optional : bool, default=False
        Whether None is taken, too.

    Raises
    ------
    ParameterError
        If it is no number, negative, zero where that is not taken, infinite or NaN.

    Examples
    --------
    >>> from mlunlearn.parameters import check_positive
    >>> check_positive("lr", 1e-3)
    >>> check_positive("lr", 0.0)
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: lr must be a number above 0, got 0.0.
    """
    expected = "a number of at least 0" if zero else "a number above 0"
    if optional and value is None:
        return
    _require_number(name, value, expected, optional)
    if not isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ParameterError(_message(name, value, expected, optional))


def check_share(name: str, value: Any, *, zero: bool = True, one: bool = True, optional: bool = False) -> None:
    """Refuse what is not a number between 0 and 1.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        Its value.
    zero, one : bool, default=True
        Whether the ends are taken.
    optional : bool, default=False
        Whether None is taken, too.

    Raises
    ------
    ParameterError
        If it is no number, lies outside, or is NaN.

    Examples
    --------
    >>> from mlunlearn.parameters import check_share
    >>> check_share("keep", 0.6)
    >>> check_share("keep", 0, zero=False)
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: keep must be a number between 0 (excluded) and 1, got 0.
    """
    expected = f"a number between 0{'' if zero else ' (excluded)'} and 1{'' if one else ' (excluded)'}"
    if optional and value is None:
        return
    _require_number(name, value, expected, optional)
    if not (0 < value < 1 or (zero and value == 0) or (one and value == 1)):
        raise ParameterError(_message(name, value, expected, optional))


def check_choice(name: str, value: Any, choices: Sequence[Any], *, optional: bool = False) -> None:
    """Refuse what is not one of the values there are.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        Its value.
    choices : sequence
        What it may be.
    optional : bool, default=False
        Whether None is taken, too.

    Raises
    ------
    ParameterError
        If it is something else.

    Examples
    --------
    >>> from mlunlearn.parameters import check_choice
    >>> check_choice("attention", "unit", ("unit", "official"))
    >>> check_choice("attention", "both", ("unit", "official"))
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: attention must be one of 'unit', 'official', got 'both'.
    """
    if optional and value is None:
        return
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ParameterError(_message(name, value, f"one of {', '.join(map(repr, choices))}", optional))


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Parameters
    ----------
    name : str
        The parameter's name.
    value : object
        Its value.

    Raises
    ------
    ParameterError
        If it is something else, such as 1 or "no".

    Examples
    --------
    >>> from mlunlearn.parameters import check_flag
    >>> check_flag("decay", True)
    >>> check_flag("decay", "no")
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: decay must be True or False, got 'no'.
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise ParameterError(_message(name, value, "True or False", optional=False))


def check_words(params: Mapping[str, Any]) -> None:
    """Refuse parameters that make no sense, of those whose names mean the same in every method.

    Parameters
    ----------
    params : mapping from str to object
        A method's parameters. ``max_epochs``, ``n_steps`` and ``batch_size`` are whole numbers, ``lr`` and ``budget``
        are positive; all but ``lr`` may be None. ``weight_decay`` is at least 0, ``momentum`` a share below 1, and
        ``autocast`` a flag. Other names are left to the method.

    Raises
    ------
    ParameterError
        Of the first that makes no sense.

    Examples
    --------
    >>> from mlunlearn.parameters import check_words
    >>> check_words({"lr": 0.1, "n_steps": None, "keep": 7})
    >>> check_words({"lr": 0.0})
    Traceback (most recent call last):
    mlunlearn.parameters.ParameterError: lr must be a number above 0, got 0.0.
    """
    for name in ("max_epochs", "n_steps", "batch_size"):
        check_count(name, params.get(name), optional=True)
    if "lr" in params:
        check_positive("lr", params["lr"])
    check_positive("budget", params.get("budget"), optional=True)
    check_positive("weight_decay", params.get("weight_decay"), zero=True, optional=True)
    check_share("momentum", params.get("momentum"), one=False, optional=True)
    check_flag("autocast", params.get("autocast", False))


def _require_number(name: str, value: Any, expected: str, optional: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ParameterError(_message(name, value, expected, optional))


def _message(name: str, value: Any, expected: str, optional: bool) -> str:
    return f"{name} must be {expected}{', or None' if optional else ''}, got {value!r}."
