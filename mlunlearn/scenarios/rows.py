"""Rows that are right and to be forgotten: by chance, by class, or by how much of them was memorised."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from mlunlearn.parameters import check_choice, check_count, check_share
from mlunlearn.scenarios.drawing import Mask, draw, known_names, read_labels, shared


def random_rows(n_samples: int, share: float = 0.1, *, random_state: Any = None) -> Mask:
    """Mark a random share of the rows.

    Parameters
    ----------
    n_samples : int
        Rows there are.
    share : float, default=0.1
        Share to forget, between 0 and 1; at least one row is forgotten and one kept.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        For ``unlearn``. Rows to forget and test rows then follow one distribution, and a model that forgot nothing
        may pass for retrained.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or there are fewer than two rows.

    Examples
    --------
    >>> from mlunlearn.scenarios import random_rows
    >>> int(random_rows(50, 0.1, random_state=0).sum())
    5
    """
    check_share("share", share, zero=False, one=False)
    check_count("n_samples", n_samples, at_least=2)
    n_forget = min(max(round(share * n_samples), 1), n_samples - 1)
    return draw(np.ones(n_samples, dtype=bool), n_forget, check_random_state(random_state))


def random_rows_of_classes(y: ArrayLike, classes: Any, share: float = 0.4, *, random_state: Any = None) -> Mask:
    """Mark a random share of the rows of some classes, each by itself.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    classes : label or sequence of labels
        Classes to draw from; all rows of the others are kept.
    share : float, default=0.4
        Share of the rows of each class, rounded; at least one is forgotten and one kept.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        For ``unlearn``.

    Raises
    ------
    ValueError
        If a class is unknown or has fewer than two rows, or the share is not between 0 and 1.

    References
    ----------
    "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", arXiv:2404.00506, removes 40 per cent
    of each of the last five of ten classes.

    Examples
    --------
    >>> from mlunlearn.scenarios import random_rows_of_classes
    >>> random_rows_of_classes([0, 1, 1, 0, 1, 1], 1, share=0.5, random_state=0).sum()
    np.int64(2)
    """
    check_share("share", share, zero=False, one=False)
    y = read_labels(y)
    random, mask = check_random_state(random_state), np.zeros(len(y), dtype=bool)
    for name in known_names(classes, y, "y"):
        own = y == name
        if own.sum() < 2:
            raise ValueError(f"class {name!r} has one row; there must be one to forget and one to keep.")
        mask |= draw(own, min(max(round(share * own.sum()), 1), own.sum() - 1), random)
    return mask


def class_rows(y: ArrayLike, classes: Any) -> Mask:
    """Mark all rows of some classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    classes : label or sequence of labels
        Classes to forget.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        The rows that ``unlearn(classes=classes)`` forgets.

    Raises
    ------
    ValueError
        If a class is unknown, or none is left.

    Examples
    --------
    >>> from mlunlearn.scenarios import class_rows
    >>> class_rows(["cat", "dog", "cat"], "cat")
    array([ True, False,  True])
    """
    y = read_labels(y)
    mask = np.isin(y, known_names(classes, y, "y"))
    if mask.all():
        raise ValueError("classes lists every class; nothing would be left.")
    return mask


def subclass_rows(y: ArrayLike, fine: ArrayLike, names: Any) -> Mask:
    """Mark all rows of some fine classes, of a model that tells coarse ones apart.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels that the model predicts.
    fine : array-like of shape (n_samples,)
        Finer labels, which it never sees.
    names : label or sequence of labels
        Fine classes to forget.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        For ``unlearn``. A retrained model may still know the rows by what their coarse class has in common.

    Raises
    ------
    ValueError
        If a fine class is unknown, or a coarse class would lose all its rows.

    Examples
    --------
    >>> from mlunlearn.scenarios import subclass_rows
    >>> subclass_rows(["vehicle", "vehicle", "plant"], ["rocket", "tank", "oak"], "rocket")
    array([ True, False, False])
    """
    y, fine = read_labels(y), read_labels(fine, "fine")
    if len(y) != len(fine):
        raise ValueError(f"fine has {len(fine)} labels for the {len(y)} rows of y; give one for each row.")
    mask = np.isin(fine, known_names(names, fine, "fine"))
    lost = np.setdiff1d(y, y[~mask])
    if len(lost):
        raise ValueError(f"class {lost.tolist()[0]!r} would lose all its rows; take class_rows to forget a class.")
    return mask


def memorised_rows(
    scores: ArrayLike,
    part: Literal["low", "mid", "high", "mixed"] = "high",
    n_rows: int | None = None,
    *,
    random_state: Any = None,
) -> Mask:
    """Mark rows by how much of them was memorised.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Memorisation of each row, such as how much more often models that saw it predict its label.
    part : {'low', 'mid', 'high', 'mixed'}, default='high'
        Which third of the rows, in the order of their scores; the last takes as many from each.
    n_rows : int or None, default=None
        Rows drawn from it; None takes the whole third, and of mixed ones as many as a third has.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        For ``unlearn``. Ties fall to the one or the other third by the order of the rows.

    Raises
    ------
    ValueError
        If a score is not finite, or there are fewer rows than are to be drawn.

    References
    ----------
    "What Makes Unlearning Hard and What to Do About It", arXiv:2406.01257, draws 3,000 rows of each third.

    Examples
    --------
    >>> from mlunlearn.scenarios import memorised_rows
    >>> memorised_rows([0.9, 0.0, 0.5], "low")
    array([False,  True, False])
    """
    check_choice("part", part, ("low", "mid", "high", "mixed"))
    check_count("n_rows", n_rows, optional=True)
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 3 or not np.isfinite(scores).all():
        raise ValueError(f"scores must be at least three finite numbers, one for each row, got shape {scores.shape}.")
    thirds = dict(zip(("low", "mid", "high"), np.array_split(np.argsort(scores, kind="stable"), 3), strict=True))
    n = len(thirds["high"]) if n_rows is None else n_rows
    random, mask = check_random_state(random_state), np.zeros(len(scores), dtype=bool)
    wanted = {part: n} if part != "mixed" else dict(zip(thirds, shared(n, 3), strict=True))
    for name, size in wanted.items():
        third = thirds[name]
        if part != "mixed" and n_rows is None:
            size = len(third)
        if size > len(third):
            raise ValueError(f"n_rows={n_rows} asks for {size} rows of the {name} third, which has {len(third)}.")
        mask[random.permutation(third)[:size]] = True
    return mask
