"""Membership inference with a classifier: can an attacker tell forgotten samples from samples never seen?

Every attack takes arrays and returns an `AttackResult`. None of the figures means anything alone: run the
same attack on the original model (nothing unlearned) and on the retrained one (nothing left to find).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.utils import check_random_state

from mlunlearn.audit._checks import check_finite_array, check_scores
from mlunlearn.audit.attacks._splits import benchmark_splits, joined_groups, trimmed_rows
from mlunlearn.audit.attacks.attack_result import AttackResult, Tally, balanced_accuracy, collect_result, decided_once
from mlunlearn.audit.metrics.signals import entropy

__all__ = ["entropy_attack", "loss_attack", "loss_spread_attack", "svc_attack"]


def loss_attack(
    loss_forget: ArrayLike,
    loss_unseen: ArrayLike,
    *,
    trim: Literal["both", "forget"] = "both",
    forget_groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
) -> AttackResult:
    """Logistic regression on the loss: the attack of the face unlearning benchmarks.

    Parameters
    ----------
    loss_forget : array-like of shape (n_forget,)
        Loss of each forget sample, without augmentation (`mlunlearn.audit.metrics.signals.cross_entropy`).
    loss_unseen : array-like of shape (n_unseen,)
        Loss of each sample that was never trained on.
    trim : {"both", "forget"}, default="both"
        Which side may be cut to the size of the other before the attack is fitted. "forget" is the published
        protocol, which never cuts the unseen side: with few forget samples the attack then scores well by
        calling everything unseen. Where there are at least as many forget samples the two are the same.
    forget_groups, unseen_groups : array-like of shape (n_forget,) and (n_unseen,), optional
        The person or source of each sample. If given, the splits of the published protocol are replaced by
        ten folds (fewer if there are fewer groups) that keep every group together; without them an attack
        on dependent samples profits from having seen the same person. Give both or neither.

    Returns
    -------
    AttackResult
        `accuracy`, `tpr` and `fpr` are means over the held-out splits, in which `accuracy` counts samples,
        not sides. AUC and the rates at low FPR use the negated loss of all samples; the direction is not
        fitted.

    Raises
    ------
    ValueError
        If losses are not one finite number per sample, there are too few samples or groups, or only one of
        the two group arrays is given.

    Notes
    -----
    Published protocol: the forget losses are shuffled with seed 42 and cut to the number of unseen ones; a
    logistic regression with the library's default settings on the raw loss; accuracy over ten stratified
    random splits with a tenth held out, seed 0.

    A forget set whose losses have the same mean but another spread can be found or missed by luck of the
    threshold; `loss_spread_attack` looks at that.

    References
    ----------
    "Towards Machine Unlearning Benchmarks: Forgetting the Personal Identities in Facial Recognition Systems",
    arXiv:2311.02240.

    Examples
    --------
    >>> import numpy as np
    >>> memorised, unseen = np.zeros(200), np.full(200, np.log(8))
    >>> result = loss_attack(memorised, unseen)
    >>> result.accuracy, result.auc
    (1.0, 1.0)
    """
    forget, unseen = check_scores(loss_forget, "loss_forget"), check_scores(loss_unseen, "loss_unseen")
    decided = _logistic_decisions(forget, unseen, trim, forget_groups, unseen_groups)
    return collect_result("loss", -forget, -unseen, **decided)


def loss_spread_attack(
    loss_forget: ArrayLike,
    loss_unseen: ArrayLike,
    *,
    trim: Literal["both", "forget"] = "both",
    forget_groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
) -> AttackResult:
    """Attack on the distance of the loss from the median: finds a forget set with unusual spread.

    Parameters
    ----------
    loss_forget : array-like of shape (n_forget,)
        Loss of each forget sample.
    loss_unseen : array-like of shape (n_unseen,)
        Loss of each sample that was never trained on.
    trim : {"both", "forget"}, default="both"
        As in `loss_attack`.
    forget_groups, unseen_groups : array-like of shape (n_forget,) and (n_unseen,), optional
        As in `loss_attack`.

    Returns
    -------
    AttackResult
        The score is ``|loss - median|``, with the median of the unseen losses. An AUC above 0.5 means that
        forget losses are spread wider than unseen ones, below 0.5 that they are closer together; the
        direction is not fitted. `accuracy`, `tpr` and `fpr` come from a logistic regression on that score, in
        the manner of `loss_attack`.

    Raises
    ------
    ValueError
        As in `loss_attack`.

    Examples
    --------
    >>> import numpy as np
    >>> unseen = np.linspace(0.9, 1.1, 200)
    >>> forget = np.concatenate([np.linspace(0, 0.5, 100), np.linspace(1.5, 2, 100)])
    >>> loss_spread_attack(forget, unseen).auc
    1.0
    """
    forget, unseen = check_scores(loss_forget, "loss_forget"), check_scores(loss_unseen, "loss_unseen")
    centre = np.median(unseen)
    forget, unseen = np.abs(forget - centre), np.abs(unseen - centre)
    decided = _logistic_decisions(forget, unseen, trim, forget_groups, unseen_groups)
    return collect_result("loss spread", forget, unseen, **decided)


def svc_attack(
    retain: ArrayLike,
    test: ArrayLike,
    forget: ArrayLike,
    unseen: ArrayLike | None = None,
    *,
    kernel: Literal["rbf", "linear"] = "rbf",
    balanced: bool = True,
    max_per_side: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Support vector classifier that learns from retain and test samples who looks like a member.

    Parameters
    ----------
    retain : array-like of shape (n_retain,) or (n_retain, n_features)
        Features of samples that were trained on and kept: the members the classifier learns from. See
        `mlunlearn.audit.metrics.signals.membership_features`.
    test : array-like of shape (n_test,) or (n_test, n_features)
        The same of samples never trained on: the non-members it learns from.
    forget : array-like of shape (n_forget,) or (n_forget, n_features)
        The same of the forget set, which is judged.
    unseen : array-like of shape (n_unseen,) or (n_unseen, n_features), optional
        Further samples never trained on, to measure false positives. Without them a random half of `test`
        is kept out of the fit for that purpose.
    kernel : {"rbf", "linear"}, default="rbf"
        Kernel of the classifier. C is 3 and gamma is "auto".
    balanced : bool, default=True
        Draw equally many retain and test samples for the fit.
    max_per_side : int, optional
        Largest number of samples drawn from each side for the fit, whose time grows with the square.
    random_state : int, RandomState or None, default=0
        Seed of the draws.

    Returns
    -------
    AttackResult
        `efficacy` is the share of the forget set taken for non-members, the figure printed in the
        literature. It should equal that of the retrained model; that more is better is a common misreading.

    Raises
    ------
    ValueError
        If features are not finite, differ in number, or a side is empty.

    Notes
    -----
    With ``kernel="linear"``, ``max_per_side=4500`` and features of the *original* model as `retain` and
    `test` this is an attacker who was prepared before the unlearning.

    References
    ----------
    "Unlearning Comparator: A Visual Analytics System for Comparative Evaluation of Machine Unlearning
    Methods", arXiv:2508.12730 (linear variant).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> confident, unsure = rng.uniform(0.9, 1, (300, 1)), rng.uniform(0.1, 0.6, (300, 1))
    >>> result = svc_attack(confident[:200], unsure, forget=confident[200:])
    >>> result.efficacy, result.accuracy
    (0.0, 1.0)
    """
    sides = _feature_sides(retain, test, forget, unseen)
    rng = check_random_state(random_state)
    fit_test, scored = sides["test"], sides.get("unseen")
    if scored is None:
        fit_test, scored = _halves(fit_test, rng)
    fit_retain, fit_test = _fit_rows(sides["retain"], fit_test, balanced, max_per_side, rng)
    labels = np.repeat([1, 0], [len(fit_retain), len(fit_test)])
    classifier = SVC(C=3.0, kernel=kernel, gamma="auto").fit(np.concatenate([fit_retain, fit_test]), labels)
    scores = [classifier.decision_function(side) for side in (sides["forget"], scored)]
    called = decided_once(scores[0] > 0.0), decided_once(scores[1] > 0.0)
    tpr, fpr = (float(share.mean()) for share, _ in called)
    return collect_result(
        "svc",
        *scores,
        accuracy=balanced_accuracy(tpr, fpr),
        tpr=tpr,
        fpr=fpr,
        decisions=called,
    )


def entropy_attack(
    proba_retain: ArrayLike,
    proba_test: ArrayLike,
    proba_forget: ArrayLike,
    proba_unseen: ArrayLike | None = None,
    *,
    max_per_side: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Membership attack of the bad-teaching evaluation: a classifier on the output entropy alone.

    Parameters
    ----------
    proba_retain, proba_test, proba_forget : array-like of shape (n_samples, n_classes)
        Class probabilities on retain, test and forget samples; each its own number of samples.
    proba_unseen : array-like of shape (n_samples, n_classes), optional
        The same on further samples never trained on, to measure false positives. Without them half of
        `proba_test` is kept out of the fit; the published fit uses all of it.
    max_per_side : int, optional
        Largest number of samples drawn from each side for the fit.
    random_state : int, RandomState or None, default=0
        Seed of the draws.

    Returns
    -------
    AttackResult
        `tpr` is the published figure: the share of the forget set taken for members (lower is better). As
        published, the fit uses all retain and test samples, however unequal their numbers, and so leans
        towards the larger side.

    Raises
    ------
    ValueError
        If rows are no probabilities.

    References
    ----------
    "Can Bad Teaching Induce Forgetting? Unlearning in Deep Networks using an Incompetent Teacher",
    arXiv:2205.08096.

    Examples
    --------
    >>> import numpy as np
    >>> confident, unsure = np.tile([0.99, 0.01], (50, 1)), np.tile([0.6, 0.4], (50, 1))
    >>> entropy_attack(confident, unsure, proba_forget=unsure).tpr
    0.0
    """
    unseen = None if proba_unseen is None else entropy(proba_unseen)
    result = svc_attack(
        entropy(proba_retain),
        entropy(proba_test),
        entropy(proba_forget),
        unseen,
        balanced=False,
        max_per_side=max_per_side,
        random_state=random_state,
    )
    return replace(result, name="entropy")


def _logistic_decisions(
    forget: NDArray[np.float64],
    unseen: NDArray[np.float64],
    trim: str,
    forget_groups: ArrayLike | None,
    unseen_groups: ArrayLike | None,
) -> dict[str, Any]:
    """Mean held-out accuracy, TPR and FPR of a logistic regression on one feature, and its single decisions."""
    if trim not in ("both", "forget"):
        raise ValueError(f"trim must be 'both' or 'forget', got {trim!r}.")
    groups = joined_groups(forget_groups, unseen_groups, forget.size, unseen.size)
    forget_rows, unseen_rows = trimmed_rows(forget.size, unseen.size, trim)
    rows = np.concatenate([forget.size + unseen_rows, forget_rows])
    feature = np.concatenate([forget, unseen])[rows, np.newaxis]
    is_member = rows < forget.size
    groups = None if groups is None else groups[rows]
    figures, tally = [], Tally(forget.size + unseen.size)
    for train, held_out in benchmark_splits(is_member, groups):
        attack = LogisticRegression().fit(feature[train], is_member[train])
        called, truth = attack.predict(feature[held_out]), is_member[held_out]
        tally.add(rows[held_out], called)
        figures.append((np.mean(called == truth), called[truth].mean(), called[~truth].mean()))
    accuracy, tpr, fpr = np.mean(figures, axis=0).tolist()
    decisions = tally.decisions(slice(forget.size)), tally.decisions(slice(forget.size, None))
    return {"accuracy": accuracy, "tpr": tpr, "fpr": fpr, "decisions": decisions}


def _feature_sides(
    retain: ArrayLike, test: ArrayLike, forget: ArrayLike, unseen: ArrayLike | None
) -> dict[str, NDArray[np.float64]]:
    """The given sides as matrices with one row per sample and the same features."""
    given = {"retain": retain, "test": test, "forget": forget}
    if unseen is not None:
        given["unseen"] = unseen
    sides = {name: check_finite_array(values, name, ndim=(1, 2)) for name, values in given.items()}
    sides = {name: x[:, np.newaxis] if x.ndim == 1 else x for name, x in sides.items()}
    widths = {name: x.shape[1] for name, x in sides.items()}
    if len(set(widths.values())) != 1:
        raise ValueError(f"all sides must have the same features, got numbers of columns {widths}.")
    return sides


def _halves(x: NDArray[np.float64], rng: np.random.RandomState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(x) < 2:
        raise ValueError("test has one sample; two are needed to keep half of it out of the fit, or pass unseen.")
    order = rng.permutation(len(x))
    return x[order[: len(x) // 2]], x[order[len(x) // 2 :]]


def _fit_rows(
    retain: NDArray[np.float64],
    test: NDArray[np.float64],
    balanced: bool,
    max_per_side: int | None,
    rng: np.random.RandomState,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random retain and test samples for the fit."""
    if max_per_side is not None and max_per_side < 1:
        raise ValueError(f"max_per_side must be at least 1 or None, got {max_per_side!r}.")
    cap = max(len(retain), len(test)) if max_per_side is None else max_per_side
    if balanced:
        cap = min(cap, len(retain), len(test))
    retain = retain[rng.permutation(len(retain))[:cap]]
    return retain, test[rng.permutation(len(test))[:cap]]
