"""Accuracies of an unlearned model, and its gaps to the retrained one.

Every function takes plain numbers or arrays and knows nothing about models. Unless a function says otherwise,
"unlearned" is the model under audit and "retrained" the one trained from scratch without the forget set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit._checks import check_accuracies, check_fraction, check_number

__all__ = [
    "accuracy",
    "accuracy_gap",
    "accuracy_retention",
    "average_gap",
    "group_accuracy",
    "sape",
    "tow",
]

TOW_GROUPS = ("forget", "retain", "test")


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of correct labels; for several labels per sample, the mean over the labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True labels.
    y_pred : array-like of the same shape
        Predicted labels.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, the arrays are empty or have more than two dimensions.

    Notes
    -----
    With two dimensions this is the mean of the per-output accuracies, the utility of multi-label face
    benchmarks. `sklearn.metrics.accuracy_score` would count a sample as correct only if all its labels are.
    For top-k accuracy use `sklearn.metrics.top_k_accuracy_score`.

    Examples
    --------
    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    0.75
    >>> accuracy([[0, 1], [1, 1]], [[0, 1], [1, 0]])
    0.75
    """
    return float(_correct(y_true, y_pred).mean())


def group_accuracy(y_true: ArrayLike, y_pred: ArrayLike, groups: ArrayLike) -> dict[Any, float]:
    """Accuracy within each group of samples.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted labels.
    groups : array-like of shape (n_samples,)
        The group of each sample: forget, retain and test; a class (pass `y_true`); a person.

    Returns
    -------
    dict
        Group to accuracy in [0, 1], in sorted order of the groups. A group without samples has no entry.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> group_accuracy([0, 1, 1, 0], [0, 1, 0, 0], ["forget", "retain", "retain", "retain"])
    {'forget': 1.0, 'retain': 0.6666666666666666}
    """
    correct = _correct(y_true, y_pred)
    labels = np.asarray(groups)
    if labels.shape != correct.shape:
        raise ValueError(f"groups must have shape {correct.shape}, one per sample, got {labels.shape}.")
    names, codes = np.unique(labels, return_inverse=True)
    means = np.bincount(codes, weights=correct) / np.bincount(codes)
    return dict(zip(names.tolist(), means.tolist(), strict=True))


def accuracy_gap(unlearned: float, retrained: float, *, signed: bool = False) -> float:
    """Distance between an accuracy of the unlearned model and that of the retrained one.

    Parameters
    ----------
    unlearned, retrained : float
        Accuracies on the same samples, in [0, 1].
    signed : bool, default=False
        Return unlearned minus retrained. On the forget set a positive value means that something is still
        known (under-forgetting), a negative one that too much was destroyed (over-forgetting).

    Returns
    -------
    float
        In [0, 1], or in [-1, 1] if `signed`. Best is 0.

    Raises
    ------
    ValueError
        If an accuracy lies outside [0, 1].

    Examples
    --------
    >>> accuracy_gap(0.5, 0.75)
    0.25
    >>> accuracy_gap(0.5, 0.75, signed=True)
    -0.25
    """
    gap = check_fraction(unlearned, "unlearned") - check_fraction(retrained, "retrained")
    return gap if signed else abs(gap)


def average_gap(unlearned: Mapping[str, float], retrained: Mapping[str, float]) -> float:
    """Mean absolute gap to the retrained model over several accuracies.

    Parameters
    ----------
    unlearned, retrained : mapping of str to float
        Accuracies in [0, 1] under the same keys, usually forget, retain, test and the accuracy of a
        membership inference attack.

    Returns
    -------
    float
        In [0, 1]. Best is 0. An average hides which part is off: report the single gaps beside it.

    Raises
    ------
    ValueError
        If the two mappings have different keys or a value lies outside [0, 1].

    Examples
    --------
    >>> average_gap({"forget": 0.75, "test": 0.5}, {"forget": 0.5, "test": 0.5})
    0.125
    """
    ours, reference = check_accuracies(unlearned, "unlearned"), check_accuracies(retrained, "retrained")
    if ours.keys() != reference.keys():
        differing = sorted(ours.keys() ^ reference.keys())
        raise ValueError(f"unlearned and retrained must have the same keys; only one has {differing}.")
    return math.fsum(abs(ours[key] - reference[key]) for key in ours) / len(ours)


def sape(a: float, b: float) -> float:
    """Symmetric absolute percentage error between two figures.

    Parameters
    ----------
    a, b : float
        The same measurement on two models.

    Returns
    -------
    float
        ``100 * |a - b| / (|a| + |b|)``, in [0, 100]. Best is 0; two zeros are equal and give 0.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.

    Examples
    --------
    >>> sape(0.25, 0.75)
    50.0
    """
    first, second = check_number(a, "a"), check_number(b, "b")
    size = abs(first) + abs(second)
    return 100.0 * (abs(first - second) / size) if size > 0.0 else 0.0


def tow(unlearned: Mapping[str, float], retrained: Mapping[str, float]) -> float:
    """Tug-of-war score: the product of one minus the accuracy gaps on forget, retain and test data.

    Parameters
    ----------
    unlearned, retrained : mapping of str to float
        Accuracies in [0, 1]. Both need the keys ``"forget"``, ``"retain"`` and ``"test"``; others are
        ignored.

    Returns
    -------
    float
        In [0, 1]. Best is 1, reached when all three accuracies equal those of the retrained model. Read it
        against the score of a second retrained model, which is rarely 1.

    Raises
    ------
    ValueError
        If a key is missing or a value lies outside [0, 1].

    References
    ----------
    "What makes unlearning hard and what to do about it", arXiv:2406.01257.

    Examples
    --------
    >>> retrained = {"forget": 0.5, "retain": 1.0, "test": 0.5}
    >>> tow({"forget": 1.0, "retain": 1.0, "test": 0.5}, retrained)
    0.5
    """
    ours, reference = check_accuracies(unlearned, "unlearned"), check_accuracies(retrained, "retrained")
    for name, values in (("unlearned", ours), ("retrained", reference)):
        missing = [key for key in TOW_GROUPS if key not in values]
        if missing:
            raise ValueError(f"{name} lacks {missing}; tow needs the accuracies of {list(TOW_GROUPS)}.")
    return float(np.prod([1.0 - abs(ours[key] - reference[key]) for key in TOW_GROUPS]))


def accuracy_retention(unlearned: float, retrained: float) -> float:
    """Ratio of the unlearned model's accuracy to the retrained model's.

    Parameters
    ----------
    unlearned, retrained : float
        Accuracies on the same samples, in [0, 1].

    Returns
    -------
    float
        At least 0; 1 means nothing was lost. NaN if `retrained` is 0, as after forgetting a whole class,
        where no ratio exists.

    Raises
    ------
    ValueError
        If an accuracy lies outside [0, 1].

    Examples
    --------
    >>> accuracy_retention(0.25, 0.5)
    0.5
    """
    ours, reference = check_fraction(unlearned, "unlearned"), check_fraction(retrained, "retrained")
    return ours / reference if reference > 0.0 else float("nan")


def _correct(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Share of correct labels of each sample."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != pred.shape:
        raise ValueError(f"y_true and y_pred must have the same shape, got {true.shape} and {pred.shape}.")
    if true.ndim not in (1, 2) or true.size == 0:
        raise ValueError(f"labels must be 1-D or 2-D and not empty, got shape {true.shape}.")
    correct = (true == pred).astype(np.float64)
    return correct if correct.ndim == 1 else correct.mean(axis=1)
