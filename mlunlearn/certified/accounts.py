"""What Gaussian noise hides: the accounts of certified removal."""

from __future__ import annotations

import math
from typing import Any

from mlunlearn.parameters import check_positive, check_share


def check_certificate(epsilon: Any, delta: Any, noise: Any) -> None:
    """Refuse a certificate that cannot be.

    Parameters
    ----------
    epsilon : object
        A positive number.
    delta : object
        A number between 0 and 1.
    noise : object
        A positive number.

    Raises
    ------
    ParameterError
        If one of them is something else.

    Examples
    --------
    >>> from mlunlearn.certified import check_certificate
    >>> check_certificate(epsilon=1.0, delta=1e-4, noise=0.01)
    """
    check_positive("epsilon", epsilon)
    check_share("delta", delta, zero=False, one=False)
    check_positive("noise", noise)


def hidden_gradient(noise: float, epsilon: float, delta: float) -> float:
    """Return the longest gradient that a random linear term in the objective hides.

    Parameters
    ----------
    noise : float
        Standard deviation of the term's coefficients.
    epsilon, delta : float
        What is certified.

    Returns
    -------
    float
        ``noise * epsilon / sqrt(2 * log(1.5 / delta))``.

    Notes
    -----
    Theorem 3 of "Certified Data Removal from Machine Learning Models", arXiv:1911.03030.

    Examples
    --------
    >>> from mlunlearn.certified import hidden_gradient
    >>> round(hidden_gradient(noise=1.0, epsilon=1.0, delta=1e-4), 4)
    0.228
    """
    return noise * epsilon / math.sqrt(2 * math.log(1.5 / delta))


def hidden_distance(noise: float, epsilon: float, delta: float) -> float:
    """Return how far apart two models may be for Gaussian noise to hide which one it was added to.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise on every weight.
    epsilon, delta : float
        What is certified.

    Returns
    -------
    float
        ``noise * sqrt(2) * (sqrt(log(1 / delta) + epsilon) - sqrt(log(1 / delta)))``.

    Notes
    -----
    By the Renyi divergences of two Gaussians, ``alpha * rho`` with ``rho = distance**2 / (2 * noise**2)``, which
    give ``epsilon = rho + 2 * sqrt(rho * log(1 / delta))``.

    Examples
    --------
    >>> from mlunlearn.certified import hidden_distance
    >>> round(hidden_distance(noise=0.01, epsilon=1.0, delta=1e-4), 5)
    0.00227
    """
    tail = math.log(1 / delta)
    return noise * math.sqrt(2) * (math.sqrt(tail + epsilon) - math.sqrt(tail))
