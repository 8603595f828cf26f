"""SWAP: the whole pipeline a second time, with forgotten and unseen rows exchanged, for rows that nothing matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from mlunlearn.audit._preparation.inputs import (
    PASS_TRAIN,
    as_rows,
    check_model,
    forgotten_rows,
    labelled_source,
    read_train,
)
from mlunlearn.audit._preparation.oracles import check_can_retrain
from mlunlearn.audit._preparation.study import prepare
from mlunlearn.audit.attacks.swap import swap_advantage
from mlunlearn.audit.intervals.contrast import Difference, contrast_weights, over_models, ranks_within
from mlunlearn.audit.judge import Judge
from mlunlearn.audit.predictions import ByData
from mlunlearn.parameters import check_count
from mlunlearn.rows.data import take_rows
from mlunlearn.training.seeds import derive_seeds, root_seed, set_seed

__all__ = ["SwapAudit", "swap_audit"]


@dataclass(frozen=True)
class SwapAudit:
    """What remains of an attack's advantage when forgotten and unseen rows exchange roles.

    Parameters
    ----------
    advantage, swapped_advantage : float
        Signed, 2 AUC - 1, of telling forgotten from unseen rows: of the audited model, and of the second pipeline,
        which learned from unseen rows in the place of the forgotten ones and was asked to forget them.
    reference_advantages : tuple of float
        Those of retrained models, of the forgotten rows of the audited model.
    difference : Difference
        The sum of the two advantages; 0 is as retrained. Tested with the spread of the references.

    Examples
    --------
    >>> from mlunlearn.audit import SwapAudit
    >>> from mlunlearn.audit.intervals.contrast import Difference
    >>> SwapAudit(-0.8, 0.9, (-0.81, -0.79), Difference(0.1, 0.02, 1.0, 0.1)).remaining
    0.05
    """

    advantage: float
    swapped_advantage: float
    reference_advantages: tuple[float, ...]
    difference: Difference

    @property
    def remaining(self) -> float:
        """Half the size of the sum, in [0, 1]; best is 0."""
        return round(float(swap_advantage(self.advantage, self.swapped_advantage)), 12)

    def __str__(self) -> str:
        """Say it in one sentence."""
        return (
            f"Of the advantages {self.advantage:+.3f} and, with roles exchanged, {self.swapped_advantage:+.3f} there "
            f"remains {self.remaining:.3f} (p {self.difference.p_value:.3f}; 0 for a retrained model)."
        )


def swap_audit(
    model: Any,
    X_test: Any,
    y_test: Any,
    *,
    train: tuple[Any, ...],
    n_references: int = 5,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> SwapAudit:
    """Audit a model whose forgotten rows are unlike all unseen rows: train, and unlearn, with the two exchanged.

    Where forgotten rows differ from unseen ones even to retrained models, as with wrong labels, an attack tells them
    apart whether they were forgotten or not. If the roles are exchanged, that part of its advantage changes sign, and
    what was learned from the rows does not.

    Parameters
    ----------
    model : unlearner
        A fitted model that has forgotten something, whose recipe can be run again.
    X_test : array-like of shape (n_samples, ...)
        Inputs that no model has learned from, at least as many as were forgotten.
    y_test : array-like of shape (n_samples,)
        Their targets.
    train : (X, y) or (X, y, sample_weight)
        The data given to `fit`, forgotten rows included.
    n_references : int, default=5
        Retrained models, at least two.
    random_state : int, RandomState instance or None, default=None
        Draws the unseen rows, and seeds the second pipeline and the references.
    n_jobs : int or None, default=None
        Models trained at once.
    verbose : int, default=0
        Show progress.

    Returns
    -------
    SwapAudit
        What remains, tested.

    Raises
    ------
    TypeError
        If `model` is no unlearner.
    ValueError
        As `mlunlearn.audit.audit`; or if there are fewer unseen than forgotten rows.

    Notes
    -----
    Cost: a second fit with its request, `n_references` fits and one of the model before. The unseen rows stand in the
    places of the forgotten ones, with their ids and weights. The test is Student's with K - 1 degrees of freedom: if
    the model is as a retrained one, both pipelines are two more references.

    References
    ----------
    "Towards Reliable Empirical Machine Unlearning Evaluation: A Cryptographic Game Perspective", arXiv:2404.11577
    (formula not verified).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.audit import swap_audit
    >>> X, y = make_classification(n_samples=600, flip_y=0.2, random_state=0)
    >>> y[:100] = 1 - y[:100]  # wrong labels
    >>> model = Retrain(DecisionTreeClassifier(max_features=4), random_state=0).fit(X[:400], y[:400])
    >>> model = model.unlearn(range(100))
    >>> result = swap_audit(model, X[400:], y[400:], train=(X[:400], y[:400]), random_state=0)
    >>> result.advantage < -0.3, result.difference.p_value > 0.05
    (True, True)
    """
    if not hasattr(model, "unlearn"):
        raise TypeError(f"swap_audit runs fit and unlearn again; a {type(model).__name__} has no unlearn.")
    check_count("n_references", n_references, at_least=2)
    check_model(model)
    check_can_retrain(model)
    data = read_train(model, train, forgotten_rows(model, train, None))
    if data is None or not data.complete:
        raise ValueError(f"swap_audit needs the forgotten rows; {PASS_TRAIN}.")
    unseen = labelled_source(X_test, y_test, "test")
    places = np.flatnonzero(data.forgotten)
    if len(unseen.y) < len(places):
        raise ValueError(
            f"{len(places)} rows were forgotten, and there are {len(unseen.y)} unseen ones to exchange them with; pass "
            "at least as many."
        )
    seed = root_seed(random_state)
    own, draw = derive_seeds(seed, 3, n=2)
    chosen = np.sort(np.random.default_rng(draw).choice(len(unseen.y), len(places), replace=False))
    order = np.arange(len(data.forgotten))
    order[places] = len(order) + chosen
    X = take_rows(_stacked(as_rows(data.X), unseen.X), order)
    y = take_rows(np.concatenate([np.asarray(data.y), unseen.y]), order)
    options = {"sample_weight": data.weight, "sample_ids": data.ids}
    second = set_seed(clone(model), own).fit(X, y, **{k: v for k, v in options.items() if v is not None})
    second.unlearn(places)
    study = prepare(
        {"the model": model, "the second pipeline": second},
        take_rows(unseen.X, chosen),
        unseen.y[chosen],
        train=train,
        forget_idx=None,
        original=None,
        references=None,
        unseen=None,
        non_members=None,
        groups=None,
        untrained=(),
        n_references=n_references,
        seed=seed,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    judge = Judge(study.predictions, seed=seed)
    first = _advantage(judge, study.said["the model"])
    swapped = -_advantage(judge, study.said["the second pipeline"])
    theirs = np.array([_advantage(judge, said) for said in study.predictions.references])
    return SwapAudit(first, swapped, tuple(theirs.tolist()), _tested(first + swapped, theirs))


def _advantage(judge: Judge, said: ByData) -> float:
    """2 AUC - 1 of forgotten against unseen rows."""
    scores = [judge.signal(said, data) for data in ("forget", "test")]
    is_forget = np.repeat([True, False], [len(part) for part in scores])
    together = np.zeros(len(is_forget), dtype=np.intp)
    return float(2.0 * contrast_weights(is_forget, together) @ ranks_within(np.concatenate(scores), together))


def _tested(remaining: float, theirs: NDArray[np.float64]) -> Difference:
    """Test the difference of two models by the spread of further ones."""
    spread = (theirs - theirs.mean()) * np.sqrt(2.0 / (1.0 + 1.0 / len(theirs)))
    return over_models(remaining, spread, 0.0)


def _stacked(first: Any, second: Any) -> Any:
    """Two sets of rows in the first one's container."""
    if isinstance(first, pd.DataFrame):
        return pd.concat([first, second])
    return sparse.vstack([first, second]).tocsr() if sparse.issparse(first) else np.concatenate([first, second])
