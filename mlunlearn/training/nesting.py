"""Models of this package inside each other: threads of the inner one do not wait for the turn of the outer one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from joblib import parallel_config
from joblib.parallel import LokyBackend, MultiprocessingBackend, SequentialBackend, get_active_backend

APART = (LokyBackend, MultiprocessingBackend, SequentialBackend)
"""Ways to run tasks that are not threads of this process; each process has its own turns."""


def no_threads_inside(estimator: Any) -> AbstractContextManager[Any]:
    """Train what takes turns one after the other, where joblib would spread it over threads of this process.

    Threads that train take turns, because the generators of a process are seeded for one of them at a time. The thread
    that has the turn would wait for the threads that it starts, and they for their turn, for ever.

    Parameters
    ----------
    estimator : estimator
        What is about to be trained by the thread that has the turn.

    Returns
    -------
    context manager
        Of no effect where tasks run in processes of their own, and for an estimator without parts of this package.
    """
    backend, _ = get_active_backend()
    if isinstance(backend, APART) or not any(map(_takes_turns, [estimator, *_inside(estimator)])):
        return nullcontext()
    return parallel_config(backend="sequential")


def _inside(estimator: Any) -> list[Any]:
    return list(estimator.get_params(deep=True).values()) if hasattr(estimator, "get_params") else []


def _takes_turns(part: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "mlunlearn" for kind in type(part).__mro__)
