"""The generators that a process has one of, seeded for a while and then as they were."""

from __future__ import annotations

import random
import sys
from threading import RLock

import numpy as np

TURNS = RLock()
"""There is one of each generator in a process, so threads that train take turns.

The lock stands in the caller's own statement, ``with TURNS, KeptGenerators(), SeededGenerators(0):``, where an
interrupt cannot leave it locked, as it could in here."""


class KeptGenerators:
    """The global generators of numpy, of Python and, where it is loaded, of torch are at the end what they were.

    Notes
    -----
    It stands in the caller's own ``with`` statement, around `SeededGenerators`, which restores the generators too: an
    interrupt that hits the one, at its beginning or at its end, does not hit the other.
    """

    def __enter__(self) -> None:
        torch = sys.modules.get("torch")
        self._torch = None if torch is None else torch.get_rng_state()
        self._numpy, self._python = np.random.get_state(), random.getstate()  # noqa: NPY002

    def __exit__(self, *raised: object) -> None:
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)
        if self._torch is not None:
            sys.modules["torch"].set_rng_state(self._torch)


class SeededGenerators(KeptGenerators):
    """The global generators are seeded for a while.

    Estimators that draw from them are so reproducible, and the caller's own draws do not depend on what was trained.

    Parameters
    ----------
    seed : int
        The seed.

    Notes
    -----
    To be entered under the lock `TURNS`, after `KeptGenerators`: threads of one process train one after the other,
    processes side by side.
    """

    def __init__(self, seed: int):
        self._seed = seed

    def __enter__(self) -> None:
        super().__enter__()
        np.random.seed(self._seed)  # noqa: NPY002
        random.seed(self._seed)
        if self._torch is not None:
            sys.modules["torch"].default_generator.manual_seed(self._seed)
