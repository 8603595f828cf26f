"""The generators that a process has one of, seeded for a while and then as they were."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np

TURNS = RLock()
"""There is one of each generator in a process, so threads that train take turns.

The lock stands in the caller's own statement, ``with TURNS, seeded_generators(0):``, where an interrupt cannot leave it
locked, as it could in here."""


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy, of Python and, where it is loaded, of torch; restore them at the end.

    Estimators that draw from them are so reproducible, and the caller's own draws do not depend on what was trained.

    Parameters
    ----------
    seed : int
        The seed.

    Notes
    -----
    To be entered under the lock `TURNS`: threads of one process train one after the other, processes side by side.
    """
    with seeded_numpy_and_python(seed):
        torch = sys.modules.get("torch")
        if torch is None:
            yield
            return
        before = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(seed)
            yield
        finally:
            torch.set_rng_state(before)


@contextmanager
def seeded_numpy_and_python(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy and of Python, and restore them at the end.

    Parameters
    ----------
    seed : int
        The seed.
    """
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        _put_back(*before)


def _put_back(numpy_state: Any, python_state: Any) -> None:
    """Restore the generators; an interrupt is raised when that is done."""
    interrupt = None
    for _ in range(MOST_INTERRUPTS):
        try:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
