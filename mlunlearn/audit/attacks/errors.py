"""The errors of a regressor on single rows, and the attack that looks at nothing else."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlunlearn.audit._checks import check_scores
from mlunlearn.audit.attacks._scored import scored_attack
from mlunlearn.audit.attacks._splits import joined_labels
from mlunlearn.audit.attacks.attack_result import AttackResult

__all__ = ["error_attack", "row_differences", "sample_errors", "target_kinds"]

Loss = Literal["absolute", "squared"]
# Rows never seen that a range of targets must hold to be a kind of its own.
LEAST_OF_A_KIND = 10


def row_differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Differences of two arrays of values, row by row.

    Parameters
    ----------
    a, b : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Values for the same rows.

    Returns
    -------
    ndarray of the same shape
        ``a - b``.

    Raises
    ------
    ValueError
        If the shapes differ, which would broadcast to all pairs, or if there are no rows.

    Examples
    --------
    >>> from mlunlearn.audit import row_differences
    >>> row_differences([1, 2], [0, 4]).tolist()
    [1.0, -2.0]
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2) or not len(a):
        raise ValueError(f"arrays of shapes {a.shape} and {b.shape} cannot be compared sample by sample.")
    return a - b


def sample_errors(y: ArrayLike, prediction: ArrayLike, loss: Loss = "absolute") -> NDArray[np.float64]:
    """Error of each sample, averaged over its outputs.

    Parameters
    ----------
    y, prediction : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values.
    loss : {'absolute', 'squared'}, default='absolute'
        In the units of `y`, or their square.

    Returns
    -------
    ndarray of shape (n_samples,)
        Errors. Their mean weighs every sample the same.

    Raises
    ------
    ValueError
        If the shapes differ, which would broadcast to all pairs.

    Examples
    --------
    >>> from mlunlearn.audit import sample_errors
    >>> sample_errors([1.0, 2.0], [1.5, 0.0]).tolist()
    [0.5, 2.0]
    """
    gap = row_differences(y, prediction)
    gap = np.abs(gap) if loss == "absolute" else gap**2
    return gap.reshape(len(gap), -1).mean(axis=1)


def target_kinds(
    y_forget: ArrayLike, y_unseen: ArrayLike, n_kinds: int = 5
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort rows by the range their target lies in, so that forgotten rows meet unseen ones of their own kind.

    Parameters
    ----------
    y_forget : array-like of shape (n_forget,) or (n_forget, n_outputs)
        Targets of the forgotten rows; of several outputs the mean counts.
    y_unseen : array-like of shape (n_unseen,) or (n_unseen, n_outputs)
        Targets of rows never trained on.
    n_kinds : int, default=5
        Largest number of ranges. They hold about equally many forgotten rows each, and at least ten unseen ones.

    Returns
    -------
    forget : ndarray of int, shape (n_forget,)
        Range of each forgotten row, from 0.
    unseen : ndarray of int, shape (n_unseen,)
        Range of each unseen row; -1 for those outside everything that was forgotten.

    Notes
    -----
    Where a band of the target was forgotten, unseen rows from elsewhere tell the attack which rows lie in the band
    and nothing about membership. Where rows were forgotten at random hardly any unseen row lies outside.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import target_kinds
    >>> forget, unseen = target_kinds(np.arange(10.0), np.arange(-5.0, 35.0), n_kinds=1)
    >>> forget.tolist(), int((unseen < 0).sum())
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 30)
    """
    values = [np.asarray(y, dtype=np.float64) for y in (y_forget, y_unseen)]
    forget, unseen = (y.reshape(len(y), -1).mean(axis=1) for y in values)
    inside = (unseen >= forget.min()) & (unseen <= forget.max())
    for n in range(n_kinds, 0, -1):
        edges = np.unique(np.quantile(forget, np.linspace(0, 1, n + 1)))[1:-1]
        of_forget, of_unseen = (np.searchsorted(edges, y, side="right") for y in (forget, unseen))
        if np.bincount(of_unseen[inside], minlength=len(edges) + 1).min() >= LEAST_OF_A_KIND:
            break
    return of_forget, np.where(inside, of_unseen, -1)


def error_attack(
    errors_forget: ArrayLike,
    errors_unseen: ArrayLike,
    *,
    kinds_forget: ArrayLike | None = None,
    kinds_unseen: ArrayLike | None = None,
    forget_groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Attack membership through the error: forgotten rows may fit better than unseen ones of the same kind.

    Parameters
    ----------
    errors_forget : array-like of shape (n_forget,)
        `sample_errors` on the forgotten training rows, without augmentation: absolute or squared residuals, which
        give the same figures where there is one output.
    errors_unseen : array-like of shape (n_unseen,)
        The same on rows never trained on. After a band deletion take rows of the same band, or pass `kinds_forget`
        and `kinds_unseen`; otherwise the attack finds the band and not the membership.
    kinds_forget, kinds_unseen : array-like of shape (n_forget,) and (n_unseen,), optional
        What the rows are alike in, such as `target_kinds`. A row is then compared with unseen rows of its own kind
        alone. Give both or neither.
    forget_groups, unseen_groups : array-like of shape (n_forget,) and (n_unseen,), optional
        The person or source of each row; a group then never lies in both halves. Give both or neither.
    random_state : int, RandomState or None, default=0
        Seed of the halvings that choose thresholds.

    Returns
    -------
    AttackResult
        Its AUC is 0.5 where forgotten rows look like unseen ones. `accuracy`, `tpr` and `fpr` are those of a threshold
        (one for each kind) chosen on one half of the rows and applied to the other, over twenty halvings. With kinds,
        scores are shares of unseen rows of the same kind whose errors are larger, so that an AUC is a mean over pairs
        of one kind.

    Raises
    ------
    ValueError
        If errors are not one finite number a row, if there are fewer than two rows on a side, if kinds or groups are
        given for one side only, or if a forgotten row has no unseen row of its kind.

    References
    ----------
    Threshold: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models",
    arXiv:2003.10595. Error of a regressor as the signal: "Deep Regression Unlearning", arXiv:2210.08196.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import error_attack
    >>> result = error_attack(np.zeros(50), np.ones(50))
    >>> result.auc, result.accuracy
    (1.0, 1.0)
    """
    forget, unseen = check_scores(errors_forget, "errors_forget"), check_scores(errors_unseen, "errors_unseen")
    kinds = np.zeros(forget.size + unseen.size, dtype=np.intp)
    if (kinds_forget is None) != (kinds_unseen is None):
        raise ValueError("kinds are given for one side only; give them for both sides or for none.")
    if kinds_forget is not None and kinds_unseen is not None:
        joined = joined_labels(kinds_forget, kinds_unseen, forget.size, unseen.size, ("kinds_forget", "kinds_unseen"))
        kinds = np.unique(joined, return_inverse=True)[1]
    of_forget, of_unseen = kinds[: forget.size], kinds[forget.size :]
    missing = np.setdiff1d(of_forget, of_unseen)
    if missing.size:
        n = int(np.isin(of_forget, missing).sum())
        raise ValueError(f"{n} forgotten rows have no unseen row of their kind to be compared with; use fewer kinds.")
    shown = None
    if kinds_forget is not None:
        shown = tuple(_within_kinds(*side, unseen, of_unseen) for side in ((forget, of_forget), (unseen, of_unseen)))
    return scored_attack(
        "error",
        -forget,
        -unseen,
        kinds=(of_forget, of_unseen),
        groups=(forget_groups, unseen_groups),
        shown=shown,
        random_state=random_state,
    )


def _within_kinds(
    errors: NDArray[np.float64], kinds: NDArray[np.intp], unseen: NDArray[np.float64], of_unseen: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Share of unseen rows of the same kind with larger errors, equal ones counted half."""
    shares = np.empty(errors.size)
    for kind in np.unique(kinds):
        rows, others = kinds == kind, np.sort(unseen[of_unseen == kind])
        smaller, not_larger = (np.searchsorted(others, errors[rows], side) for side in ("left", "right"))
        shares[rows] = 1.0 - (smaller + not_larger) / (2.0 * others.size)
    return shares
