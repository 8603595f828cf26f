"""What estimators would write to disk, where no request to forget reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator


def keep_off_disk(estimator: BaseEstimator, method: str) -> BaseEstimator:
    """Refuse caches and snapshots, and switch off files that an estimator writes unasked.

    Parameters
    ----------
    estimator : estimator
        A copy that may be changed.
    method : str
        Name of the method, for the error.

    Returns
    -------
    estimator
        The same object. CatBoost inside it writes no folder, where nothing was said about files.

    Raises
    ------
    ValueError
        If something inside keeps on disk what rows taught it, or starts from a file whose rows are unknown.
    """
    for place, part in _parts(estimator):
        params = part.get_params(deep=False)
        if params.get("memory") is not None:
            raise ValueError(
                f"{_at(place, 'memory')} would keep on disk what forgotten rows taught the steps, out of the reach of "
                f"{method}; set memory=None. The model is the same without a cache."
            )
        for name in ("param_grid", "param_distributions"):
            _refuse_in_grids(params.get(name), place, method)
        if type(part).__module__.partition(".")[0] == "catboost":
            _silence_catboost(part, place, params, method)
        for callback in _callbacks(params.get("callbacks")):
            if type(callback).__name__ == "LoadInitState":
                raise ValueError(
                    f"{method} cannot know which rows the file has seen that LoadInitState reads; leave the callback "
                    "out, or pass a module instance with the initial weights."
                )
    return estimator


def _refuse_in_grids(grids: Any, place: str, method: str) -> None:
    """Look through what a search tries: settings and whole estimators that would be refused outside of it."""
    for grid in grids if isinstance(grids, (list, tuple)) else [grids]:
        for name, values in grid.items() if isinstance(grid, dict) else ():
            tried = values if isinstance(values, (list, tuple)) else ()
            last = name.rpartition("__")[2].lower()
            if last == "memory" and any(value is not None for value in tried):
                raise ValueError(
                    f"the search {place or 'inside ' + method} tries {name}, a cache that would keep on disk what "
                    "forgotten rows taught the steps; take it out of the grid."
                )
            if last in ("copy", "copy_x") and any(value is False for value in tried):
                raise ValueError(
                    f"the search {place or 'inside ' + method} tries {name}=False, which writes into rows that others "
                    "read; take it out of the grid."
                )
            for value in tried:
                if hasattr(value, "get_params") and not isinstance(value, type):
                    keep_off_disk(value, method)


def _silence_catboost(part: Any, place: str, params: dict[str, Any], method: str) -> None:
    for name in ("allow_writing_files", "save_snapshot", "snapshot_file", "train_dir"):
        if params.get(name):
            raise ValueError(
                f"{_at(place, name)}={params[name]!r} lets CatBoost keep on disk what forgotten rows taught it, out of "
                f"the reach of {method}; leave it out."
            )
    part.set_params(allow_writing_files=False)


def _parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    yield "", estimator
    for name, value in estimator.get_params(deep=True).items():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield name, value


def _at(place: str, name: str) -> str:
    return f"{place}__{name}" if place else name


def _callbacks(callbacks: Any) -> list[Any]:
    if not isinstance(callbacks, (list, tuple)):
        return []
    return [part[1] if isinstance(part, tuple) else part for part in callbacks]
