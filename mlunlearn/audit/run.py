"""`audit`: hold an unlearned model against models that never saw the data."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit._preparation.oracles import Answers
from mlunlearn.audit._preparation.overlap import count_twins
from mlunlearn.audit._preparation.study import LEAST_REFERENCES, Study, prepare
from mlunlearn.audit.metrics.benchmark import efficiency
from mlunlearn.audit.report import Audit
from mlunlearn.parameters import check_count, check_flag, check_share
from mlunlearn.training.seeds import root_seed

PACKAGES = ("mlunlearn", "numpy", "scikit-learn", "scipy")


def audit(
    model: Any,
    X_test: Any,
    y_test: Any,
    *,
    train: tuple[Any, ...] | None = None,
    forget_idx: Any = None,
    original: Any = None,
    references: Sequence[Any] | None = None,
    unseen: tuple[Any, Any] | None = None,
    non_members: tuple[Any, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    untrained: Sequence[Any] | None = None,
    n_references: int = 5,
    alpha: float = 0.05,
    residue: float = 1.0,
    exchangeable: bool | None = None,
    n_bootstrap: int = 200,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Audit:
    """Decide whether a model is as one retrained without the forgotten rows, and describe how they differ.

    The verdict comes from four statistics that were declared before looking (see Notes), at a stated error rate, with
    the size of the residue that this audit would have found. Everything else is description.

    Parameters
    ----------
    model : estimator
        A fitted model that has forgotten something; left as it is. An unlearner knows which rows. Of any other model
        with ``predict`` (and ``predict_proba``), say it with `train` and `forget_idx`.
    X_test : array-like of shape (n_samples, ...)
        Inputs that no model has learned from.
    y_test : array-like of shape (n_samples,)
        Their targets.
    train : (X, y) or (X, y, sample_weight), default=None
        The data given to `fit`, forgotten rows included; an unlearned model does not hold them any more. Without it
        the retained rows that the model holds have to do, or, for a model that is no unlearner, pass the retained
        rows alone and no `forget_idx`. The statistics that need forgotten rows are then absent, and the audit says so.
    forget_idx : array-like of int, mask or slice, default=None
        For a model that is no unlearner: positions in `train` of the rows it must have forgotten.
    original : estimator or None, default=None
        The model before unlearning, which shows what could have been found. None trains it again on `train` with the
        model's own seed.
    references : sequence of estimators or None, default=None
        At least two models trained without the forgotten rows, each with a seed of its own. None trains
        `n_references` copies of `model`.
    unseen : (X, y) or None, default=None
        Further data that no model has learned from, the non-members of the attacks. None takes the test data, of
        which one half then teaches the attacks that learn, and the other half is judged.
    non_members : (X, y) or None, default=None
        Unseen rows that are like the forgotten ones, where the others are not: of the same persons, or with labels
        that are wrong in the same way. The forgotten rows are then compared with these.
    groups : mapping of str to array-like, default=None
        By "train", "test", "unseen" and "matched" (the rows of `non_members`): the person or source of each row. Tests
        and intervals then take whole persons for what is independent, and attacks keep them together.
    untrained : sequence of estimators or None, default=None
        Classifiers with random weights, for the ZRF metric. None makes ten if `model` trains a torch net; for other
        models the metric is left out.
    n_references : int, default=5
        Retrained models to make. Few of them hardly show what chance is: see Notes. Two are enough only where rows are
        known to be exchangeable.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable, all statistics together.
    residue : float, default=1.0
        Share of the forgotten rows that the audit must be able to find for a favourable verdict. The default asks that
        it could tell a model that still holds all of them.
    exchangeable : bool or None, default=None
        Whether forgotten and unseen rows (of a label) are exchangeable to a model that learned from neither: True if
        they were drawn at random from the same rows, False if they were chosen together, such as neighbours. None
        asks the references, see Notes.
    n_bootstrap : int, default=200
        Bootstrap resamples of the description.
    random_state : int, RandomState instance or None, default=None
        Seeds the references, the attacks and the resamples.
    n_jobs : int or None, default=None
        Models trained at once.
    verbose : int, default=0
        Show progress.

    Returns
    -------
    Audit
        The verdict and the table, to be printed, plotted and saved.

    Raises
    ------
    TypeError
        If `model` does not predict, or is neither a classifier nor a regressor.
    ValueError
        If nothing was forgotten, data do not fit the model or each other, many test rows are training rows, targets are
        missing or of another kind, a model predicts NaN, or references are none: of another recipe or algorithm,
        trained on forgotten rows, or one model twice. All of this is checked before anything is trained.
    DataChangedError
        If `train` is not the data that the model learned from.

    Warns
    -----
    UnlearningWarning
        If single test rows, or other unseen ones, are training rows as well: they are left out, unless training rows
        coincide as often with each other.

    Notes
    -----
    Cost: ``n_references`` fits, one more for the original, and one prediction on all data for every model; then a few
    seconds for attacks and intervals. The models are let go of as soon as they have answered.

    The declared statistics are differences to the references on the same rows, two-sided, corrected by Holm's method:

    - *membership*: the AUC with which the probability of the true class tells forgotten from unseen rows;
    - *agreement*: the distance of predictions to the references over the references' own, on forgotten against unseen
      rows (three references or more);
    - *distance*: the same distance over the references' own, on all of these rows (three references or more);
    - *performance*: the mean probability of the true class on unseen rows, and without forgotten rows on retained ones.

    First it is tested whether forgotten and unseen rows are alike to the references on average, or within labels. If
    not, all statistics compare with the spread between references (Student's test with K - 1 degrees of freedom), and
    attacks against these unseen rows are left out of the printed table; pass `non_members`, or where there are none
    call `mlunlearn.audit.swap_audit`. If they are alike, the
    first two statistics permute rows. That is exact where rows are exchangeable indeed: say `exchangeable` if that is
    known. Else rows may have been chosen together, such as neighbours, and a model errs on all of them at once. So the
    p-value is averaged over the factors by which the standard error may be too small: before the references are seen,
    none with a chance of one half, and else more than x with a chance of 1 / x; then each weighs as much as it
    explains how far references are apart. If these are as far as independent rows explain, differences of 4.4, 4.1,
    3.1 and 2.7 standard errors are found with two, three, five and ten references (5 %; two statistics at two
    references, four at more), and of 2.5 where exchangeability is known. For the performance, or where rows are not
    alike, it is 25, 8.9, 4.3 and 3.1 standard deviations of retrained models.

    Where training does not depend on a seed, as with nearest neighbours, references agree in every answer, and there is
    no spread to compare with. The one declared statistic is then *identity*, the share of all rows that the model
    answers otherwise than they do by more than rounding: one row tells it apart. If the estimator has no
    ``random_state`` (or, as logistic and ridge regression, a solver that uses none) and is no torch net, its p-value is
    0, and two references are enough; that holds unless it draws random numbers that it does not declare. Else K
    references may agree by chance, and the p-value is the largest chance that they do and an exact model differs: 0.25,
    0.125, 0.083, 0.067, 0.057 and 0.049 with two to seven, so that it takes seven at 5 %. With fewer, *membership* is
    tested as well where rows are alike.

    The residue that would have been found comes from the original's own difference, shared out over the forgotten rows,
    at a chance of 80 %.

    The model before unlearning is trained again with other shards if `model` was fitted with ``sample_ids`` or
    ``deletion_probability``; pass `original`, and for the latter `references`, to have the very same recipe.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.audit import audit
    >>> X, y = make_classification(n_samples=600, flip_y=0.2, random_state=0)
    >>> model = Retrain(DecisionTreeClassifier(max_features=4), random_state=0).fit(X[:400], y[:400])
    >>> model.unlearn(range(100)).receipts_[-1].guarantee
    'exact'
    >>> report = audit(model, X[400:], y[400:], train=(X[:400], y[:400]), random_state=0)
    >>> report.verdict.decision
    'as a retrained model'
    >>> report.verdict_on_original.decision
    'distinguishable from one'
    """
    check_settings(n_references, n_bootstrap, alpha, residue, exchangeable)
    seed = root_seed(random_state)
    study = prepare(
        {"the model": model},
        X_test,
        y_test,
        train=train,
        forget_idx=forget_idx,
        original=original,
        references=references,
        unseen=unseen,
        non_members=non_members,
        groups=groups,
        untrained=untrained,
        n_references=n_references,
        seed=seed,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    return Audit.of(
        study.predictions,
        alpha=alpha,
        residue=residue,
        exchangeable=exchangeable,
        n_bootstrap=n_bootstrap,
        random_state=seed,
        about=_about(model, study),
        cost=cost_of(model, study.references),
        not_measured=study.missing,
        ids=_ids(study),
    )


def check_settings(
    n_references: int, n_bootstrap: int, alpha: float, residue: float, exchangeable: bool | None
) -> None:
    """Refuse settings that are out of range.

    Parameters
    ----------
    n_references, n_bootstrap, alpha, residue, exchangeable
        As in `audit`.

    Raises
    ------
    ValueError
        If one is.
    """
    check_count("n_references", n_references, at_least=LEAST_REFERENCES)
    check_count("n_bootstrap", n_bootstrap)
    check_share("alpha", alpha, zero=False, one=False)
    check_share("residue", residue, zero=False)
    if exchangeable is not None:
        check_flag("exchangeable", exchangeable)


def _ids(study: Study) -> dict[str, NDArray[Any]]:
    """Whose rows they are: the groups that were given, or the row's own position."""
    train = study.sources.get("train")
    if train is None:
        return {}
    labels = train.groups if train.groups is not None else np.arange(len(train.y))
    return {part: labels[rows] for part, rows in train.parts.items()}


def _about(model: Any, study: Study) -> dict[str, Any]:
    receipts = getattr(model, "receipts_", [])
    answers = study.answers["the model"]
    return {
        "method": type(model).__name__,
        "estimator": type(getattr(model, "estimator", None)).__name__ if hasattr(model, "estimator") else None,
        "guarantee": getattr(model, "guarantee", None),
        "exactness": getattr(model, "exactness", None),
        "n_forgotten": study.predictions.sizes.get("forget", int(np.sum(getattr(model, "forgotten_", 0)))),
        "n_requests": len(receipts),
        "twins": _twins(receipts, study),
        "seeds": {"unlearned": answers.seed, "references": [reference.seed for reference in study.references]},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _twins(receipts: Any, study: Study) -> int | None:
    """Forgotten rows with an identical retained row: as the data show, or as the receipts say."""
    if study.train is not None and study.train.complete:
        return count_twins(study.train.X, study.train.forgotten)
    known = [getattr(receipt, "twins", None) for receipt in receipts]
    return sum(n for n in known if n is not None) if any(n is not None for n in known) else None


def cost_of(model: Any, references: list[Answers]) -> dict[str, float]:
    """Seconds of all requests together, against those of one training without the forgotten rows.

    Parameters
    ----------
    model : object
        An unlearner has receipts; of another model nothing is known.
    references : list of Answers
        With the times of their fits.

    Returns
    -------
    dict of str to float
        Empty if nothing is known.
    """
    receipts = getattr(model, "receipts_", None)
    if not receipts:
        return {}
    unlearning = sum(receipt.seconds for receipt in receipts)
    cost = {"seconds": unlearning, "retrained_share": sum(receipt.retrained_share for receipt in receipts)}
    retraining = float(np.mean([answers.seconds for answers in references])) if references else float("nan")
    if np.isfinite(retraining) and min(unlearning, retraining) > 0.0:
        cost |= {"seconds_retrain": retraining, **efficiency(unlearning, retraining)}
    return cost
