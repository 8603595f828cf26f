"""Budgets in passes over rows: how many samples they come to, and which rows a partial pass takes."""

from __future__ import annotations

from collections.abc import Iterator

from mlunlearn.training.seeds import derive_seeds

FEWEST_ROWS = 32
"""Rows of the smallest partial pass over a torch net: fewer give a poor gradient, and no batch statistics."""


def split_passes(n: int, epochs: float, seed: int) -> Iterator[slice]:
    """Cut a budget in epochs into passes over `n` rows, without copying any.

    Parameters
    ----------
    n : int
        Rows, in random order.
    epochs : float
        Budget; at least one row is processed.
    seed : int
        A large random integer; says where the partial pass starts.

    Yields
    ------
    slice
        First a partial pass, a window that may wrap round the end, then the whole ones.

    Examples
    --------
    >>> from mlunlearn.training.passes import split_passes
    >>> sum(part.stop - part.start for part in split_passes(8, 2.5, seed=0))
    20
    """
    whole = int(epochs)
    rest = n_samples_of(n, epochs) - whole * n
    if rest:
        start = seed % n
        yield slice(start, min(start + rest, n))
        if start + rest > n:
            yield slice(0, start + rest - n)
    yield from [slice(0, n)] * whole


def n_samples_of(n: int, epochs: float, fewest: int = 1) -> int:
    """Count the samples that a budget comes to.

    Parameters
    ----------
    n : int
        Rows.
    epochs : float
        Budget; at least one row is processed.
    fewest : int, default=1
        Rows of the smallest partial pass, or all of them where there are fewer. A smaller one is left out or brought
        up to that, whichever is nearer; it is never left out where it is all there is.

    Returns
    -------
    int
        Samples, counted once per pass.

    Examples
    --------
    >>> from mlunlearn.training.passes import n_samples_of
    >>> [n_samples_of(100, epochs, fewest=32) for epochs in (0.01, 1.01, 1.2, 1.6)]
    [32, 100, 132, 160]
    """
    if not n:
        return 0
    samples, fewest = max(round(epochs * n), 1), min(fewest, n)
    whole, rest = divmod(samples, n)
    if not 0 < rest < fewest:
        return samples
    return whole * n + (fewest if 2 * rest >= fewest or not whole else 0)


def pass_seeds(*key: int, epochs: float) -> list[int]:
    """Derive a seed for drawing the partial pass, then one for each pass there can be."""
    return derive_seeds(*key, n=int(epochs) + 3)
