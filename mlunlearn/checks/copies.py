"""Copies of forgotten rows outside the model: in modules, in classes, in files."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any
from unittest import SkipTest
from uuid import uuid4

import numpy as np

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import check, learn, require, start
from mlunlearn.checks.parts import leaves_once
from mlunlearn.checks.taint import Needles, needles_of, trace

DEEPEST = 3  # folders inside each other that are searched for new files
MOST_BYTES = 2**26  # of a file

Stamp = tuple[int, int]


@check
def check_no_copy_is_left(estimator: Any, problem: Problem) -> None:
    """Check that no copy of a forgotten row is left: not in the model, and not in what fit and unlearn left elsewhere.

    Searched are the model, the global variables and class attributes of the packages that its classes come from, and
    the files that were written to the working directory and to the directory for temporary files. Rows are found in
    double, single and half precision, in what is compressed, and written as text; ids are found as they were given.
    """
    if not problem.continuous:
        raise SkipTest("copies of rows can be told from other data where inputs are floating-point numbers")
    rows = problem.draw(8, seed=51)
    mine = _unlike_any_other(problem, rows)
    before = _files()
    model = learn(estimator, mine)
    for batch in np.array_split(rows, 2):
        model.unlearn(batch)
    needles = needles_of(mine.values[rows])
    del mine
    found = [*_in_files(before, needles), *_in_memory(model, needles), *_named(estimator, problem, rows)]
    message = f"Copies of forgotten rows (among {rows}) are left after unlearn; drop them, or keep them by reference:"
    require(not found, "\n".join([message, *(f"  {each}" for each in found[:6])]))


def _named(estimator: Any, problem: Problem, rows: np.ndarray) -> Iterator[str]:
    """Yield where ids of forgotten rows are, from another fit that is given some."""
    if "sample_ids" not in signature(estimator.fit).parameters:
        return
    token = uuid4().hex
    names = [f"{token}-{row}" for row in range(len(problem))]
    before = _files()
    model = start(estimator).fit(problem.X, problem.y, sample_ids=list(names)).unlearn(rows)
    needles = Needles(frozenset(), ((token.encode(),),))
    del names
    for place in (*_in_files(before, needles), *_in_memory(model, needles)):
        yield place.replace("the bytes of a forgotten row", "an id")


def _unlike_any_other(problem: Problem, rows: np.ndarray) -> Problem:
    """Change the rows a little, otherwise in every run: what other processes hold of the same problem is not theirs."""
    rng = np.random.default_rng()
    values = problem.values[rows]
    return problem.with_rows(rows, X=values * (1 + rng.uniform(0.002, 0.01, size=values.shape)))


# ------------------------------------------------------------------ memory


def _in_memory(model: Any, needles: Needles) -> Iterator[str]:
    """Yield where copies are: in the model, in modules, in classes."""
    classes = [kind for kind in type(model).__mro__ if kind is not object]
    packages = {kind.__module__.partition(".")[0] for kind in classes} - set(THIRD_PARTIES)
    seen: dict[int, Any] = {}
    search = partial(leaves_once, seen=seen, skip=partial(_foreign, packages=packages))
    for name, part in [("model", model), *_owned(classes, packages)]:
        for path, leaf in search(part):
            found = trace(leaf, needles)
            if found:
                yield f"{name}{'.' * bool(path and path[0] not in '.[')}{path} {found}"


THIRD_PARTIES = ("builtins", "abc", "sklearn", "numpy", "scipy", "pandas", "torch", "skorch", "joblib", "typing")
CONTAINERS = ("builtins", "collections", "functools", "types", "_thread", "_thread._local", "weakref")


def _owned(classes: list[type], packages: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of the classes, and those of all modules of their packages."""
    for kind in classes:
        if kind.__module__.partition(".")[0] in packages:
            yield from ((f"{kind.__qualname__}.{name}", part) for name, part in list(vars(kind).items()))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and isinstance(module, types.ModuleType):
            for variable, part in list(vars(module).items()):
                yield f"{name}.{variable}", part
                if isinstance(part, type) and part.__module__.partition(".")[0] in packages:
                    yield from ((f"{name}.{variable}.{key}", value) for key, value in list(vars(part).items()))


def _foreign(path: str, part: Any, packages: set[str]) -> bool:
    """Tell whether an object is of a kind that neither the packages nor the usual libraries for data define."""
    home = type(part).__module__.partition(".")[0]
    return home not in packages and home not in THIRD_PARTIES and home not in CONTAINERS


# ------------------------------------------------------------------- files


def _files() -> dict[Path, Stamp]:
    """List the files in the working directory and in that for temporary files, with what changes when they do."""
    return {file: stamp for folder in {Path.cwd(), Path(tempfile.gettempdir())} for file, stamp in _within(folder)}


def _within(folder: Path, depth: int = DEEPEST) -> Iterator[tuple[Path, Stamp]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # another user's, or gone
        return
    for entry in entries:
        try:
            if entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield Path(entry.path), (status.st_mtime_ns, status.st_size)
            elif depth and entry.is_dir(follow_symlinks=False):
                yield from _within(Path(entry.path), depth - 1)
        except OSError:
            continue


def _in_files(before: dict[Path, Stamp], needles: Needles) -> Iterator[str]:
    for file, stamp in _files().items():
        if before.get(file) == stamp:
            continue
        try:
            with file.open("rb") as opened:
                content = opened.read(MOST_BYTES)
        except OSError:
            continue
        if trace(content, needles):
            yield f"the file {file} holds the bytes of a forgotten row"
