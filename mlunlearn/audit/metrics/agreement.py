"""How close the outputs of two models are: agreement, activation distance, Jensen-Shannon divergence, ZRF.

All functions take class probabilities of two models on the same samples. Two models retrained with
different seeds do not agree perfectly either: print the same figure for such a pair beside every one of
these.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr

from mlunlearn.audit._checks import PROBABILITY_FLOOR, check_proba, check_same_shape

__all__ = ["activation_distance", "completeness", "js_divergence", "zrf"]

NORM_ORDERS = {"l1": 1, "l2": 2}


def completeness(unlearned: ArrayLike, retrained: ArrayLike) -> float:
    """Share of samples on which two models predict the same label.

    Parameters
    ----------
    unlearned, retrained : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted labels, or class probabilities whose largest entry is the prediction.

    Returns
    -------
    float
        In [0, 1], higher is better. The ceiling is the agreement of two retrained models, not 1.

    Raises
    ------
    ValueError
        If the shapes differ, or an array is neither labels nor probabilities.

    References
    ----------
    Cao and Yang, "Towards Making Systems Forget with Machine Unlearning", IEEE Symposium on Security and
    Privacy 2015.

    Examples
    --------
    >>> completeness(["cat", "dog", "dog"], ["cat", "dog", "cat"])
    0.6666666666666666
    >>> completeness([[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]])
    0.5
    """
    ours, theirs = np.asarray(unlearned), np.asarray(retrained)
    check_same_shape(ours, theirs, ("unlearned", "retrained"))
    if ours.ndim == 2:
        ours = check_proba(ours, "unlearned").argmax(axis=1)
        theirs = check_proba(theirs, "retrained").argmax(axis=1)
    elif ours.ndim != 1 or ours.size == 0:
        raise ValueError(f"expected labels (1-D) or probabilities (2-D), not empty, got shape {ours.shape}.")
    return float(np.mean(ours == theirs))


def activation_distance(
    proba_unlearned: ArrayLike, proba_retrained: ArrayLike, *, norm: Literal["l1", "l2"] = "l2"
) -> float:
    """Mean distance between the output probabilities of two models.

    Parameters
    ----------
    proba_unlearned, proba_retrained : array-like of shape (n_samples, n_classes)
        Class probabilities on the same samples, usually the forget set.
    norm : {"l2", "l1"}, default="l2"
        The vector norm. The literature uses both under this name, so say which one a figure is.

    Returns
    -------
    float
        In [0, sqrt(2)] for "l2", in [0, 2] for "l1". Lower is better.

    Raises
    ------
    ValueError
        If the shapes differ, rows are no probabilities, or the norm is unknown.

    Examples
    --------
    >>> activation_distance([[1.0, 0.0]], [[0.0, 1.0]], norm="l1")
    2.0
    """
    if norm not in NORM_ORDERS:
        raise ValueError(f"norm must be one of {sorted(NORM_ORDERS)}, got {norm!r}.")
    p, q = _two_probas(proba_unlearned, proba_retrained)
    return float(np.linalg.norm(p - q, ord=NORM_ORDERS[norm], axis=1).mean())


def js_divergence(proba_unlearned: ArrayLike, proba_retrained: ArrayLike, *, normalized: bool = False) -> float:
    """Jensen-Shannon divergence between the outputs of two models, averaged over samples.

    Parameters
    ----------
    proba_unlearned, proba_retrained : array-like of shape (n_samples, n_classes)
        Class probabilities on the same samples. Zeros are allowed.
    normalized : bool, default=False
        Divide by ``ln 2``, the largest possible value.

    Returns
    -------
    float
        In nats, in [0, ln 2]; in [0, 1] if `normalized`. Lower is better, 0 for identical outputs.

    Raises
    ------
    ValueError
        If the shapes differ or rows are no probabilities.

    Examples
    --------
    >>> js_divergence([[1.0, 0.0]], [[0.0, 1.0]], normalized=True)
    1.0
    """
    p, q = _two_probas(proba_unlearned, proba_retrained)
    value = float(js_per_sample(p, q).mean())
    return value / np.log(2.0).item() if normalized else value


def zrf(
    proba_unlearned: ArrayLike,
    proba_random: ArrayLike,
    *,
    variant: Literal["definition", "official"] = "definition",
) -> float:
    """Zero retrain forgetting: how much the outputs resemble those of a randomly initialised model.

    Parameters
    ----------
    proba_unlearned : array-like of shape (n_samples, n_classes)
        Class probabilities of the unlearned model on the forget set.
    proba_random : array-like of shape (n_samples, n_classes) or (n_inits, n_samples, n_classes)
        The same of untrained models of the same architecture. The score is computed for each initialisation
        and averaged; ten or more give a steady figure.
    variant : {"definition", "official"}, default="definition"
        "definition" is ``1 - mean JS``. "official" is what the authors' code computes: both
        Kullback-Leibler terms have their arguments exchanged and are averaged over classes as well as
        samples, which pushes values towards 1 the more classes there are.

    Returns
    -------
    float
        "definition": in [1 - ln 2, 1]. "official": at most 1, unbounded below, because a zero probability
        makes a term infinite; zeros are raised to the smallest normal float64. The wanted value is that of
        the retrained model; higher is better only when a whole class is forgotten.

    Raises
    ------
    ValueError
        If the shapes do not match, rows are no probabilities, or the variant is unknown.

    References
    ----------
    "Can Bad Teaching Induce Forgetting? Unlearning in Deep Networks using an Incompetent Teacher",
    arXiv:2205.08096.

    Examples
    --------
    >>> zrf([[0.5, 0.5]], [[0.5, 0.5]])
    1.0
    >>> round(zrf([[1.0, 0.0]], [[0.0, 1.0]]), 4)
    0.3069
    """
    if variant not in ("definition", "official"):
        raise ValueError(f"variant must be 'definition' or 'official', got {variant!r}.")
    p = check_proba(proba_unlearned, "proba_unlearned")
    stack = check_proba(proba_random, "proba_random", stack=True)
    stack = stack[np.newaxis] if stack.ndim == 2 else stack
    check_same_shape(p, stack[0], ("proba_unlearned", "each of proba_random"))
    if variant == "definition":
        return float(np.mean([1.0 - js_per_sample(p, q).mean() for q in stack]))
    return float(np.mean([1.0 - exchanged_js_per_entry(p, q).mean() for q in stack]))


def _two_probas(unlearned: ArrayLike, retrained: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p = check_proba(unlearned, "proba_unlearned")
    q = check_proba(retrained, "proba_retrained")
    check_same_shape(p, q, ("proba_unlearned", "proba_retrained"))
    return p, q


def js_per_sample(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of each pair of rows, in nats."""
    # rel_entr(2p, p + q) / 2 is p log(p / m) with m = (p + q) / 2; halving p + q could underflow to 0.
    total = p + q
    divergence = 0.25 * (rel_entr(2.0 * p, total) + rel_entr(2.0 * q, total)).sum(axis=1)
    return np.clip(divergence, 0.0, np.log(2.0))


def exchanged_js_per_entry(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each entry's term of (KL(m || p) + KL(m || q)) / 2, the order in which the authors' code has them."""
    p, q = np.maximum(p, PROBABILITY_FLOOR), np.maximum(q, PROBABILITY_FLOOR)
    m = 0.5 * (p + q)
    return 0.5 * m * (2.0 * np.log(m) - np.log(p) - np.log(q))
