"""One number per sample that a membership attack looks at: loss, confidence, entropy, margin.

Logarithms of zero are avoided by raising probabilities to the smallest normal float64 (about 2e-308).
Scores are therefore finite, at most about 708 in size, and their order is kept. Probabilities that a
softmax in single precision has already rounded to 0 or 1 cannot be told apart any more: pass float64, or
use `margin` on the logits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, logsumexp

from mlunlearn.audit._checks import (
    PROBABILITY_FLOOR,
    check_codes,
    check_finite_array,
    check_proba,
    check_unit_entries,
)

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "entropy",
    "logit_scaled_confidence",
    "margin",
    "membership_features",
    "modified_entropy",
]

Feature = Literal["correctness", "confidence", "entropy", "modified_entropy", "probabilities"]


def cross_entropy(proba: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Cross-entropy loss of each sample.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    y : array-like of int, shape (n_samples,)
        True class of each sample as a column position of `proba`.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        ``-ln p_y``, at least 0.

    Raises
    ------
    ValueError
        If rows are no probabilities or labels are no column positions.

    Examples
    --------
    >>> cross_entropy([[1.0, 0.0], [0.5, 0.5]], [0, 1]).round(4)
    array([0.    , 0.6931])
    """
    p = check_proba(proba, "proba")
    true = _true_class(p, check_codes(y, p, "y"))
    return 0.0 - _safe_log(true)


def binary_cross_entropy(proba: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Binary cross-entropy of each sample of a multi-label task, averaged over its labels.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_labels)
        Probability that each label is 1 (sigmoid outputs; rows need not sum to 1).
    y : array-like of shape (n_samples, n_labels)
        True labels, 0 or 1.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        At least 0.

    Raises
    ------
    ValueError
        If the shapes differ or an entry is out of range.

    Examples
    --------
    >>> binary_cross_entropy([[1.0, 0.5]], [[1, 0]]).round(4)
    array([0.3466])
    """
    p = np.minimum(check_unit_entries(proba, "proba", ndim=(2,)), 1.0)
    bits = np.asarray(y)
    if bits.shape != p.shape or not np.isin(bits, (0, 1)).all():
        raise ValueError(f"y must hold 0 and 1 in the shape of proba {p.shape}, got shape {bits.shape}.")
    of_truth = np.where(bits == 1, _safe_log(p), _safe_log1m(p))
    return 0.0 - of_truth.mean(axis=1)


def entropy(proba: ArrayLike) -> NDArray[np.float64]:
    """Shannon entropy of each sample's output, in nats.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        In [0, ln n_classes].

    Raises
    ------
    ValueError
        If rows are no probabilities.

    Examples
    --------
    >>> entropy([[1.0, 0.0], [0.5, 0.5]]).round(4)
    array([0.    , 0.6931])
    """
    return entr(check_proba(proba, "proba")).sum(axis=1)


def modified_entropy(proba: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Entropy that takes the true label into account: small only for confident *correct* outputs.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    y : array-like of int, shape (n_samples,)
        True class of each sample as a column position of `proba`.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        ``-(1 - p_y) ln p_y - sum_{k != y} p_k ln(1 - p_k)``, at least 0. Low values point to members.

    Raises
    ------
    ValueError
        If rows are no probabilities or labels are no column positions.

    References
    ----------
    Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models", arXiv:2003.10595.

    Examples
    --------
    >>> modified_entropy([[1.0, 0.0], [0.5, 0.5]], [0, 0]).round(4)
    array([0.    , 0.6931])
    """
    p = check_proba(proba, "proba")
    codes = check_codes(y, p, "y")
    rows = np.arange(len(p))
    of_others = p * _safe_log1m(p)
    of_others[rows, codes] = 0.0
    true = p[rows, codes]
    return 0.0 - (1.0 - true) * _safe_log(true) - of_others.sum(axis=1)


def logit_scaled_confidence(proba: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Logit of the probability of the true class, computed stably.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    y : array-like of int, shape (n_samples,)
        True class of each sample as a column position of `proba`.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        ``ln p_y - ln(1 - p_y)``, within about -708 and 708. High values point to members.

    Raises
    ------
    ValueError
        If rows are no probabilities or labels are no column positions.

    See Also
    --------
    margin : The same quantity from logits, more precise for confident models.

    Notes
    -----
    ``1 - p_y`` is taken as the sum of the other probabilities, which keeps its digits when ``p_y`` is
    nearly 1.

    References
    ----------
    "Membership Inference Attacks From First Principles", arXiv:2112.03570.

    Examples
    --------
    >>> logit_scaled_confidence([[0.75, 0.25], [0.5, 0.5]], [0, 1]).round(4)
    array([1.0986, 0.    ])
    """
    p = check_proba(proba, "proba")
    codes = check_codes(y, p, "y")
    others = p.copy()
    others[np.arange(len(p)), codes] = 0.0
    return _safe_log(_true_class(p, codes)) - _safe_log(others.sum(axis=1))


def margin(logits: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Margin of the true class over all others: its logit minus the log-sum-exp of the others.

    Parameters
    ----------
    logits : array-like of shape (n_samples, n_classes)
        Scores before the softmax.
    y : array-like of int, shape (n_samples,)
        True class of each sample as a column position of `logits`.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        Equal to `logit_scaled_confidence` of the softmax of `logits`, without its limits.

    Raises
    ------
    ValueError
        If logits are not finite or have fewer than two columns, or labels are no column positions.

    Examples
    --------
    >>> margin([[2.0, 0.0], [900.0, 0.0]], [0, 0])
    array([  2., 900.])
    """
    z = check_finite_array(logits, "logits", ndim=(2,))
    if z.shape[1] < 2:
        raise ValueError("logits have one column; give one column per class (for a binary model 0 and z).")
    codes = check_codes(y, z, "y")
    others = z.copy()
    others[np.arange(len(z)), codes] = -np.inf
    return _true_class(z, codes) - logsumexp(others, axis=1)


def membership_features(proba: ArrayLike, y: ArrayLike, feature: Feature) -> NDArray[np.float64]:
    """Build the inputs of a membership classifier from a model's outputs.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    y : array-like of int, shape (n_samples,)
        True class of each sample as a column position of `proba`.
    feature : {"correctness", "confidence", "entropy", "modified_entropy", "probabilities"}
        Whether the prediction is right (0 or 1), the probability of the true class, `entropy`,
        `modified_entropy`, or the whole row of probabilities.

    Returns
    -------
    ndarray of float64, shape (n_samples, 1), or (n_samples, n_classes) for "probabilities"
        The features, for example for `mlunlearn.audit.attacks.membership.svc_attack`.

    Raises
    ------
    ValueError
        If the feature is unknown, rows are no probabilities or labels are no column positions.

    Examples
    --------
    >>> membership_features([[0.75, 0.25], [0.5, 0.5]], [0, 1], "confidence")
    array([[0.75],
           [0.5 ]])
    """
    p = check_proba(proba, "proba")
    codes = check_codes(y, p, "y")
    if feature == "probabilities":
        return p
    if feature == "correctness":
        column = (p.argmax(axis=1) == codes).astype(np.float64)
    elif feature == "confidence":
        column = _true_class(p, codes)
    elif feature == "entropy":
        column = entropy(p)
    elif feature == "modified_entropy":
        column = modified_entropy(p, codes)
    else:
        raise ValueError(
            "feature must be 'correctness', 'confidence', 'entropy', 'modified_entropy' or 'probabilities', "
            f"got {feature!r}."
        )
    return column[:, np.newaxis]


def _true_class(values: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    return values[np.arange(len(values)), codes]


def _safe_log(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(p, PROBABILITY_FLOOR))


def _safe_log1m(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of 1 - p, precise for small p and finite for p = 1."""
    return np.where(p < 1.0, np.log1p(-np.minimum(p, np.nextafter(1.0, 0.0))), np.log(PROBABILITY_FLOOR))
