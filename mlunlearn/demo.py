"""The demonstration: train, forget in several requests, prove it bit for bit, time it, and audit it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from mlunlearn.audit import Audit, audit
from mlunlearn.audit.printing import HOW_TO_READ
from mlunlearn.sharded import SISAClassifier
from mlunlearn.verification import verify

ROWS_PER_WRITER = 9

Say = Callable[[str], None]


def run(output: Path, *, seed: int = 0, say: Say) -> Audit:
    """Run the demonstration on handwritten digits.

    Parameters
    ----------
    output : Path
        Folder for the audit's table and figure; made if need be.
    seed : int, default=0
        Seed of the data split, the model and the audit.
    say : callable
        Told what happens, line by line.

    Returns
    -------
    Audit
        The audit at the end.

    Raises
    ------
    RuntimeError
        If the unlearned model is not, bit for bit, the one that never saw the rows.
    """
    X, X_test, y, y_test, writers, wrong = _digits(seed)
    alike, X_test, y_test = _unseen_like_forgotten(
        X_test, y_test, share=len(wrong) / (len(wrong) + 2 * ROWS_PER_WRITER)
    )
    say(f"1. Train on {len(X):,} handwritten digits, {len(wrong)} of them with a wrong label: 5 shards of 5 slices.")
    model = SISAClassifier(
        MLPClassifier((64,)), n_shards=5, n_slices=5, aggregation="mean", max_epochs=150, random_state=seed, verbose=1
    )
    fit = _timed(lambda: model.fit(X, y, sample_ids=writers))
    say(f"   {fit:.1f} s, test accuracy {model.score(X_test, y_test):.3f}\n")
    original = copy.deepcopy(model)

    say("2. Forget: one row; all rows of two writers; the rows that turned out to have a wrong label.")
    requests: list[dict[str, Any]] = [
        {"forget_idx": [17]},
        {"forget_ids": ["writer 3", "writer 40"]},
        {"forget_idx": wrong},
    ]
    spent = [_timed(partial(model.unlearn, **request)) for request in requests]
    for receipt in model.receipts_:
        say(f"   {receipt}")
    say("")

    say("3. Prove it: train a model that never saw those rows, and compare every number in it.")
    proof = verify(model, X, y)
    if not proof:
        raise RuntimeError(f"the unlearned model is not the one that never saw the rows: {proof}")
    say(f"   {proof}")
    one, two, every = (f"{seconds:.1f} s" for seconds in spent)
    say(f"   The requests took {one}, {two} and {every}; the wrong labels stand in every shard.\n")

    say("4. Audit: can it be told from models that never saw the rows, trained with other seeds?")
    model.set_params(verbose=0)
    report = audit(
        model, X_test, y_test, train=(X, y), original=original, non_members=alike, random_state=seed, verbose=1
    )
    say(f"   The model that has forgotten is {report.verdict}")
    if report.verdict_on_original is not None:
        say(f"   The model before is {report.verdict_on_original}")
    say(f"   ({report.comparison})\n")
    say(f"5. {HOW_TO_READ}")
    report.save(output)
    say(f"   The figure, all statistics and the numbers behind them are in {output}/ (open audit.png first).")
    return report


def _digits(seed: int) -> tuple[Any, ...]:
    """Digits, with made-up writers who wrote nine rows each, and some wrong labels, which have to be memorised."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=seed)
    wrong = np.random.default_rng(seed).permutation(len(y))[: len(y) // 20]
    y[wrong] = (y[wrong] + 1) % 10
    writers = np.array([f"writer {row // ROWS_PER_WRITER}" for row in range(len(y))])
    return X, X_test, y, y_test, writers, wrong


def _unseen_like_forgotten(X: Any, y: Any, share: float) -> tuple[tuple[Any, Any], Any, Any]:
    """Take every other unseen digit out, and give as many of them a wrong label as the forgotten ones have."""
    alike = y[::2].copy()
    wrong = np.arange(round(share * len(alike)))
    alike[wrong] = (alike[wrong] + 1) % 10
    return (X[::2], alike), X[1::2], y[1::2]


def _timed(call: Callable[[], Any]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started
