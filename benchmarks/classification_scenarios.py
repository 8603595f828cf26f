"""Tasks and requests of the benchmark of classifiers: what is learned, what is asked for, and what must be gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import Trained
from mlunlearn.nets import TorchClassifier
from mlunlearn.scenarios import (
    Patch,
    backdoor,
    class_confusion,
    class_rows,
    label_noise,
    memorised_rows,
    random_rows,
)

SCENARIOS = ("class", "random", "mislabelled", "backdoor", "memorised", "confusion")
DISCOVERED = 0.1

Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """Data, and how a network learns them.

    Parameters
    ----------
    name, note : str
        Name of the results file, and what was run.
    train, test, held_out : tuple (X, y)
        Rows to train on, rows for figures, and rows with which methods may calibrate themselves.
    net : callable
        Makes an untrained skorch net.
    forgotten_class : int
        The class of the scenario of that name.
    pair : tuple of int
        Classes that are confused.
    patch : Patch
        The trigger of the backdoor.
    n_references : int, default=3
        Retrained models of each scenario.
    device : str, default='cpu'
        Where the network is trained.
    """

    name: str
    note: str
    train: Data
    test: Data
    held_out: Data
    net: Callable[[], Any]
    forgotten_class: int
    pair: tuple[int, int]
    patch: Patch
    n_references: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Scenario:
    """A request, and the data on which it is made.

    Parameters
    ----------
    train : tuple (X, y)
        Rows that the original model learned.
    asked : ndarray of bool, shape (n_samples,)
        Rows that are handed to ``unlearn``.
    gone : ndarray of bool, shape (n_samples,)
        Rows without which the references are trained.
    matched : tuple (X, y) or None, default=None
        Unseen rows of the kind of those that are forgotten; None where test rows are.
    corrected : tuple (X, y) or None, default=None
        Unseen rows of that kind with their true labels.
    classes : tuple of int, default=()
        Classes that are asked for by name.
    concerned : tuple of int, default=()
        Classes whose test rows the request is about, where it is about some alone.
    own_data : bool, default=False
        Whether the original model is one of this scenario alone.
    """

    train: Data
    asked: np.ndarray
    gone: np.ndarray
    matched: Data | None = None
    corrected: Data | None = None
    classes: tuple[int, ...] = ()
    concerned: tuple[int, ...] = ()
    own_data: bool = False


def scenarios(task: Task, seed: int, scores: Callable[[], np.ndarray]) -> dict[str, Callable[[], Scenario]]:
    """Make the scenarios of a seed, each when it is wanted."""
    (X, y), (X_test, y_test) = task.train, task.test
    n = len(y)

    def of_class() -> Scenario:
        mask, there = class_rows(y, task.forgotten_class), y_test == task.forgotten_class
        unseen, own = (X_test[there], y_test[there]), (task.forgotten_class,)
        return Scenario(task.train, mask, mask, unseen, classes=own, concerned=own)

    def plain(mask: np.ndarray) -> Scenario:
        return Scenario(task.train, mask, mask)

    def mislabelled() -> Scenario:
        wrong, elsewhere = label_noise(y, 0.1, random_state=seed), label_noise(y_test, 1.0, random_state=seed)
        corrected = (X_test, y_test)
        return Scenario((X, wrong.y), wrong.forget, wrong.manipulated, (X_test, elsewhere.y), corrected, own_data=True)

    def poisoned() -> Scenario:
        wrong = backdoor(X, y, task.forgotten_class, max(n // 40, 10), patch=task.patch, random_state=seed)
        others = y_test != task.forgotten_class
        marked = task.patch.on(X_test[others])
        return Scenario(
            (wrong.X, wrong.y),
            wrong.discovered(DISCOVERED, random_state=seed).forget,
            wrong.manipulated,
            (marked, np.full(len(marked), task.forgotten_class)),
            (marked, y_test[others]),
            own_data=True,
        )

    def confused() -> Scenario:
        first, second = task.pair
        size = int(min((y == first).sum(), (y == second).sum()))
        wrong = class_confusion(y, first, second, size, X=X, random_state=seed)
        there = np.isin(y_test, task.pair)
        swapped = np.where(y_test[there] == first, second, first)
        return Scenario(
            (wrong.X, wrong.y),
            wrong.discovered(DISCOVERED, random_state=seed).forget,
            wrong.manipulated,
            (X_test[there], swapped),
            (X_test[there], y_test[there]),
            concerned=task.pair,
            own_data=True,
        )

    return {
        "class": of_class,
        "random": lambda: plain(random_rows(n, 0.1, random_state=seed)),
        "mislabelled": mislabelled,
        "backdoor": poisoned,
        "memorised": lambda: plain(memorised_rows(scores(), "high", n // 10, random_state=seed)),
        "confusion": confused,
    }


def memorisation(task: Task, seed: int, trained: Trained) -> np.ndarray:
    """By how much more two models that saw a row believe its label than two that saw the other half."""
    X, y = task.train
    seen, unseen = np.zeros(len(y)), np.zeros(len(y))
    for split in range(2):
        half = random_rows(len(y), 0.5, random_state=1000 * seed + split)
        for number, rows in enumerate((half, ~half)):
            make = partial(fit, task, (X[rows], y[rows]), 100 + 10 * seed + number)
            model, _ = trained(f"half {split} {number}", make)
            believed = model.predict_proba(X)[np.arange(len(y)), y]
            seen[rows] += believed[rows] / 2
            unseen[~rows] += believed[~rows] / 2
    return seen - unseen


def fit(task: Task, data: Data, seed: int) -> TorchClassifier:
    """Train a network."""
    return TorchClassifier(task.net(), random_state=seed).fit(*data)
