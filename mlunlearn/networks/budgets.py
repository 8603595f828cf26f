"""How many gradient steps a budget is."""

from __future__ import annotations

from mlunlearn.parameters import check_positive

_AT_LEAST = 60


def default_steps(n_samples: int, batch_size: int, epochs: int, at_least: int) -> int:
    """Turn a published budget in epochs into steps that do not vanish on small data.

    Parameters
    ----------
    n_samples : int
        Rows of a pass.
    batch_size : int
        Rows of a step.
    epochs : int
        The published number of passes.
    at_least : int
        Steps below which a budget is no training at all.

    Returns
    -------
    int
        The larger of the two.

    Examples
    --------
    >>> from mlunlearn.networks.budgets import default_steps
    >>> default_steps(12_200, 256, epochs=2, at_least=50), default_steps(309, 256, epochs=2, at_least=100)
    (96, 100)
    """
    return max(epochs * -(-n_samples // batch_size), at_least)


def steps_within(budget: float, n_samples: int, batch_size: int, epochs: int) -> int:
    """Turn a share of a training into steps.

    Parameters
    ----------
    budget : float
        Share of the samples that training on these rows reads.
    n_samples : int
        Rows of a pass.
    batch_size : int
        Rows of a step.
    epochs : int
        Passes of the training.

    Returns
    -------
    int
        At least 60: fewer do not bring an untrained network anywhere.

    Raises
    ------
    ValueError
        If the share is not positive.

    Examples
    --------
    >>> from mlunlearn.networks.budgets import steps_within
    >>> steps_within(0.2, 10_000, 50, epochs=10), steps_within(0.2, 300, 50, epochs=10)
    (400, 60)
    """
    check_positive("budget", budget)
    return max(round(budget * epochs * n_samples / batch_size), _AT_LEAST)
