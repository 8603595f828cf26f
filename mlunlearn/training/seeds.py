"""Seeds: one root per fit, every other one derived from it by name, never by what else is in the data."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

LARGEST_SEED = 2**31 - 1
GENERATORS = 0x6E6E  # names the seed of the global generators among those of a training
_SPLITTERS = 0x5B117  # names the seeds of splitters among those derived from an estimator's seed


def root_seed(random_state: Any) -> int:
    """Turn a ``random_state`` parameter into the integer all seeds of a fit derive from.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState or None
        As in scikit-learn; an integer is returned as it is.

    Returns
    -------
    int
        A non-negative integer.

    Raises
    ------
    ValueError
        If it is a negative integer.
    """
    if isinstance(random_state, Integral):
        if random_state < 0:
            raise ValueError(f"random_state must be None, a RandomState or an integer from 0 on, got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(LARGEST_SEED))


def derive_seeds(root: int, *key: int, n: int = 1) -> list[int]:
    """Derive `n` independent seeds from a root and the name of what they are for.

    Parameters
    ----------
    root : int
        The root seed of the fit.
    *key : int
        What the seeds are for, such as shard and stage.
    n : int, default=1
        How many seeds.

    Returns
    -------
    list of int
        Seeds in ``[0, 2**31 - 1)``; the same for the same root and key, whatever else was drawn.

    Examples
    --------
    >>> from mlunlearn.training.seeds import derive_seeds
    >>> derive_seeds(0, 3, 1) == derive_seeds(0, 3, 1) != derive_seeds(0, 1, 3)
    True
    """
    words = np.random.SeedSequence(root, spawn_key=key).generate_state(n, dtype=np.uint64)
    return [int(word % LARGEST_SEED) for word in words]


def seed_parameters(estimator: BaseEstimator) -> Sequence[str]:
    """Name every ``random_state`` parameter of an estimator, those of nested estimators included."""
    names = sorted(estimator.get_params(deep=True))
    return [name for name in names if name == "random_state" or name.endswith("__random_state")]


def set_seed(estimator: BaseEstimator, seed: int, names: Sequence[str] | None = None) -> BaseEstimator:
    """Set every ``random_state`` of an estimator, nested ones included, from one seed.

    Splitters that would draw from a generator of their own, such as ``cv=KFold(shuffle=True)``, are seeded as well.

    Parameters
    ----------
    estimator : estimator
        Changed in place.
    seed : int
        The seed; the i-th ``random_state`` in alphabetical order gets the i-th seed derived from it.
    names : sequence of str or None, default=None
        What `seed_parameters` says, for those who call often.

    Returns
    -------
    estimator
        The same object.
    """
    if names is None:
        names = seed_parameters(estimator)
        _seed_splitters(estimator, seed)
    if list(names) == ["random_state"]:
        estimator.random_state = seed
    elif names:
        estimator.set_params(**dict(zip(names, derive_seeds(seed, n=len(names)), strict=True)))
    return estimator


def _seed_splitters(estimator: BaseEstimator, seed: int) -> None:
    params = estimator.get_params(deep=True)
    found = {id(params[name]): params[name] for name in sorted(params) if _draws_splits(params[name])}
    for splitter, own in zip(found.values(), derive_seeds(seed, _SPLITTERS, n=len(found)), strict=True):
        splitter.random_state = own


def _draws_splits(value: Any) -> bool:
    """Tell whether a parameter is a splitter that shuffles without a seed; one that has an integer keeps it."""
    if not callable(getattr(value, "split", None)) or not hasattr(value, "random_state"):
        return False
    return getattr(value, "shuffle", True) and not isinstance(value.random_state, Integral)
