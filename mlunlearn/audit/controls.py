"""The budget-matched controls of a comparison: training from scratch, and continued training of the original."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from mlunlearn.audit._preparation.oracles import Answers, ask, check_can_retrain
from mlunlearn.audit._preparation.study import Study
from mlunlearn.rows.data import take_rows
from mlunlearn.training.estimators import as_estimator
from mlunlearn.training.seeds import derive_seeds, set_seed

FROM_SCRATCH, CONTINUED = "from scratch", "continued"


def train_controls(
    models: Mapping[str, Any], original: Any, study: Study, seed: int
) -> tuple[dict[str, Answers], list[str]]:
    """Train both controls for every budget that a method reports.

    Parameters
    ----------
    models : mapping of str to model
        The methods.
    original : model or None
        The model before unlearning; needed to continue training.
    study : Study
        Training data and questions.
    seed : int
        Seeds the controls.

    Returns
    -------
    answers : dict of str to Answers
        By name of the control, and of the method if budgets differ.
    notes : list of str
        Which controls are missing, and why.
    """
    if study.train is None:
        return {}, ["The controls are missing: there are no training data."]
    budgets = {name: budget for name, model in models.items() if (budget := _budget(model))}
    if not budgets:
        return {}, ["The controls are missing: no method reports how many samples it read."]
    answers: dict[str, Answers] = {}
    notes: list[str] = []
    inner = as_estimator(_inner(next(iter(models.values()))))
    for number, (name, share) in enumerate(budgets.items()):
        suffix = "" if len(set(budgets.values())) == 1 else f" (budget of {name})"
        if suffix == "" and answers:
            break
        scratch, continued = derive_seeds(seed, 3, number, n=2)
        problem = _try_from_scratch(inner, share, study, scratch)
        if isinstance(problem, Answers):
            answers[FROM_SCRATCH + suffix] = problem
        else:
            notes.append(f"The control 'from scratch'{suffix} is missing: {problem}")
        problem = _try_continued(original, share, study, continued)
        if isinstance(problem, Answers):
            answers[CONTINUED + suffix] = problem
        else:
            notes.append(f"The control 'continued'{suffix} is missing: {problem}")
    return answers, list(dict.fromkeys(notes))


def _budget(model: Any) -> float:
    """Samples read, as a share of one full fit on the retained rows."""
    return float(sum(receipt.retrained_share for receipt in getattr(model, "receipts_", [])))


def _inner(model: Any) -> Any:
    """The estimator that learns, inside whatever unlearns."""
    params = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    return params["estimator"] if params.get("estimator") is not None else model


def _try_from_scratch(inner: Any, share: float, study: Study, seed: int) -> Answers | str:
    """Fit a fresh copy on a random share of the retained rows: as many samples a pass as the budget allows."""
    try:
        check_can_retrain(inner)
        unfitted = set_seed(clone(inner), seed)
    except (TypeError, ValueError):
        return "its estimator came trained, or cannot be copied."
    train = study.train
    assert train is not None
    rows = np.flatnonzero(~train.forgotten)
    n_rows = min(len(rows), round(share * len(rows)))
    chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:n_rows])
    y = np.asarray(train.y)
    if n_rows < 2 or (y.ndim == 1 and len(np.unique(y[chosen])) < min(2, len(np.unique(y)))):
        return f"{n_rows} rows are too few to train on."
    started = perf_counter()
    unfitted.fit(take_rows(train.X, chosen), take_rows(y, chosen))
    return ask(unfitted, study.sources, perf_counter() - started, FROM_SCRATCH)


def _try_continued(original: Any, share: float, study: Study, seed: int) -> Answers | str:
    """Train the original on, over retained rows, until it has read as many samples as the budget allows."""
    trained = getattr(original, "estimator_", original)
    if trained is None:
        return "pass original=, the model before unlearning."
    if not hasattr(trained, "partial_fit"):
        return f"{type(trained).__name__} cannot continue training (it has no partial_fit)."
    train = study.train
    assert train is not None
    copied, y = copy.deepcopy(trained), np.asarray(train.y)
    rows = np.flatnonzero(~train.forgotten)
    left = round(share * len(rows) * _passes(trained))
    rng = np.random.default_rng(seed)
    started = perf_counter()
    while left > 0:
        chosen = rng.permutation(rows)[:left]
        copied.partial_fit(take_rows(train.X, chosen), take_rows(y, chosen))
        left -= len(chosen)
    return ask(copied, study.sources, perf_counter() - started, CONTINUED)


def _passes(trained: Any) -> int:
    """Passes over the rows that one fit takes, as far as the estimator says."""
    return int(getattr(trained, "n_iter_", 0) or getattr(trained, "max_epochs", 1) or 1)
