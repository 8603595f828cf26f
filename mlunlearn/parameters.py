"""Checks of numeric and named parameters, with one wording."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def check_count(name: str, value: Any, minimum: int = 1) -> None:
    """Refuse what is no whole number of at least `minimum`; True is no number.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.
    minimum : int, default=1
        Least count.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not _is_number(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}.")


def check_positive(name: str, value: Any) -> None:
    """Refuse what is no finite number above zero.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not _is_number(value, Real) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, got {value!r}.")


def check_share(name: str, value: Any) -> None:
    """Refuse what is no number above zero and at most one.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not _is_number(value, Real) or not 0 < value <= 1:
        raise ValueError(f"{name} must be a number above 0 and at most 1, got {value!r}.")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse what is none of the choices.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was given.
    choices : sequence
        What may be given.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if value not in choices:
        told = [repr(choice) for choice in choices]
        raise ValueError(f"{name} must be {', '.join(told[:-1])} or {told[-1]}, got {value!r}.")
