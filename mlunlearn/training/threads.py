"""One thread while models train."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=2)
def _threadpools(torch_loaded: bool) -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one thread, because the number of threads changes the last bits of sums.

    Several models are trained at once by ``n_jobs`` processes instead. The number is one of the whole process: to be
    entered under the lock `mlunlearn.training.generators.TURNS`, or the thread that is done first would give another
    one, which still trains, all threads back.
    """
    torch = sys.modules.get("torch")
    with _threadpools(torch is not None).limit(limits=1):
        if torch is None:
            yield
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
