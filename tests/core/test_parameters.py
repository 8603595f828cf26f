"""Checks of parameters: what is taken, what is refused, and what the error says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlunlearn.parameters import check_choice, check_count, check_flag, check_positive, check_share

NOT_NUMBERS = ["3", None, True, [1], 1j]


@given(st.integers(-50, 50), st.integers(-5, 5))
def test_counts(value, least):
    if value >= least:
        check_count("n", value, at_least=least)
        check_count("n", np.int64(value), at_least=least)
    else:
        with pytest.raises(ValueError, match=f"^n must be a whole number of at least {least}, got {value}.$"):
            check_count("n", value, at_least=least)


@given(st.floats())
def test_numbers(value):
    inside, positive = 0 <= value <= 1, 0 < value < np.inf
    for check, options, taken in (
        (check_positive, {}, positive),
        (check_positive, {"zero": True}, positive or value == 0),
        (check_share, {}, inside),
        (check_share, {"zero": False}, inside and value != 0),
        (check_share, {"one": False}, inside and value != 1),
    ):
        if taken:
            check("lr", value, **options)
            check("lr", np.float64(value), **options)
        else:
            with pytest.raises(ValueError, match=r"^lr must be a number .*, got .*\.$"):
                check("lr", value, **options)


@pytest.mark.parametrize("check", [check_count, check_positive, check_share])
@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_no_number(check, value):
    with pytest.raises(TypeError, match=r"^lr must be a .* got "):
        check("lr", value)


def test_a_fraction_is_no_count():
    with pytest.raises(TypeError, match="whole number"):
        check_count("n", 3.0)


@pytest.mark.parametrize(
    ("check", "more"), [(check_count, ()), (check_positive, ()), (check_share, ()), (check_choice, (("a",),))]
)
def test_none_is_taken_where_it_is_allowed(check, more):
    check("n", None, *more, optional=True)
    with pytest.raises(ValueError, match=", or None, got -1"):
        check("n", -1, *more, optional=True)


def test_choices():
    check_choice("kind", "a", ("a", "b"))
    for wrong in ("c", 1, None, True):
        with pytest.raises(ValueError, match=r"^kind must be one of 'a', 1\.0, got "):
            check_choice("kind", wrong, ("a", 1.0))


def test_flags():
    check_flag("decay", False)
    check_flag("decay", np.bool_(True))
    for wrong in (0, 1, None, "yes"):
        with pytest.raises(TypeError, match=r"^decay must be True or False, got "):
            check_flag("decay", wrong)
