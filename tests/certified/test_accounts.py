"""What noise hides: against the exact curve of the Gaussian mechanism."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mlunlearn.certified import check_certificate, hidden_distance, hidden_gradient


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-3, 10), st.floats(0.01, 8), st.floats(1e-9, 0.1))
def test_noise_hides_what_it_says(noise, epsilon, delta):
    """Against the exact curve of the Gaussian mechanism, arXiv:1805.06530: never above delta."""
    distance = hidden_distance(noise, epsilon, delta)

    def exact_delta(distance):
        a, b = distance / (2 * noise), epsilon * noise / distance
        return norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b)

    assert exact_delta(distance) <= delta
    if epsilon > 0.5 and delta < 1e-3:  # where it is used, not far below either
        assert exact_delta(2 * distance) > delta


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-3, 10), st.floats(0.01, 0.99), st.floats(1e-9, 0.1))
def test_a_linear_term_hides_what_it_says(noise, epsilon, delta):
    """For epsilon up to 1 the theorem's constant is that of the classic Gaussian mechanism, which errs upwards."""
    gradient = hidden_gradient(noise, epsilon, delta)
    assert gradient * math.sqrt(2 * math.log(1.5 / delta)) == pytest.approx(noise * epsilon)
    a, b = gradient / (2 * noise), epsilon * noise / gradient
    assert norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b) <= delta


@pytest.mark.parametrize("wrong", [{"noise": 0.0}, {"epsilon": -1.0}, {"delta": 1.0}, {"delta": 0.0}, {"noise": "1"}])
def test_what_is_no_certificate_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        check_certificate(**{"epsilon": 1.0, "delta": 1e-4, "noise": 1.0, **wrong})
