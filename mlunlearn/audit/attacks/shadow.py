"""Membership inference learned from a shadow of the attacked model, for which the attacker knows who was in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import check_random_state

from mlunlearn.audit._checks import check_finite_array
from mlunlearn.audit.attacks._scored import scored_attack
from mlunlearn.audit.attacks.attack_result import AttackResult
from mlunlearn.audit.attacks.errors import row_differences

__all__ = ["residual_features", "shadow_attack"]


def residual_features(y: ArrayLike, prediction: ArrayLike) -> NDArray[np.float64]:
    """Arrange what a regressor says of a row for an attacker that learns.

    Parameters
    ----------
    y, prediction : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values.

    Returns
    -------
    ndarray of shape (n_samples, 4)
        Size of the residual, the residual with its sign, the largest residual of all outputs, and the prediction; all
        but the third are means over outputs.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from mlunlearn.audit import residual_features
    >>> residual_features([1.0, 2.0], [1.5, 0.0]).tolist()
    [[0.5, 0.5, 0.5, 1.5], [2.0, -2.0, 2.0, 0.0]]
    """
    residual = -row_differences(y, prediction)
    residual = residual.reshape(len(residual), -1)
    said = np.asarray(prediction, dtype=np.float64).reshape(len(residual), -1)
    size = np.abs(residual)
    return np.column_stack([size.mean(axis=1), residual.mean(axis=1), size.max(axis=1), said.mean(axis=1)])


def shadow_attack(
    shadow_in: ArrayLike,
    shadow_out: ArrayLike,
    forget: ArrayLike,
    unseen: ArrayLike,
    *,
    forget_groups: ArrayLike | None = None,
    unseen_groups: ArrayLike | None = None,
    max_per_side: int | None = 5000,
    random_state: int | np.random.RandomState | None = 0,
) -> AttackResult:
    """Learn on shadow models who was in, and judge the forgotten rows of the attacked model by it.

    Parameters
    ----------
    shadow_in : array-like of shape (n_in, n_features)
        Features of rows that shadow models were trained on, as those models answer: `residual_features`, or
        `mlunlearn.audit.membership_features` of a classifier. Rows of several shadow models stand below each other.
    shadow_out : array-like of shape (n_out, n_features)
        The same of rows that they were not trained on.
    forget : array-like of shape (n_forget, n_features)
        The same of the forgotten rows, as the attacked model answers.
    unseen : array-like of shape (n_unseen, n_features)
        The same of rows that the attacked model never saw and the attacker did not learn from.
    forget_groups, unseen_groups : array-like of shape (n_forget,) and (n_unseen,), optional
        The person or source of each row. Give both or neither.
    max_per_side : int or None, default=5000
        Largest number of rows to learn from on either side, drawn at random.
    random_state : int, RandomState or None, default=0
        Seed of the draws, of the attacker and of the halvings.

    Returns
    -------
    AttackResult
        Scores are the attacker's log odds of membership. AUC is 0.5 for a model that saw neither side.

    Raises
    ------
    ValueError
        If features are not finite, differ in number, or a side has fewer than two rows.

    Notes
    -----
    A shadow model is one that the attacker trained with the recipe of the attacked model on data of their own. In an
    audit the retrained references serve: retained rows are in, test rows are out, and none has seen a forgotten row.

    The attacker is scikit-learn's histogram gradient boosting, with both sides of equal weight. Below 20 rows a leaf
    it learns nothing and every score is the same.

    References
    ----------
    "Membership Inference Attacks against Machine Learning Models", arXiv:1610.05820.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import shadow_attack
    >>> known, new = np.linspace(0, 1, 100)[:, None], np.linspace(2, 3, 100)[:, None]
    >>> shadow_attack(known, new, forget=known[:50], unseen=new[:50]).auc
    1.0
    """
    given = {"shadow_in": shadow_in, "shadow_out": shadow_out, "forget": forget, "unseen": unseen}
    sides = {name: check_finite_array(values, name, ndim=(2,)) for name, values in given.items()}
    if len({x.shape[1] for x in sides.values()}) != 1:
        widths = {name: x.shape[1] for name, x in sides.items()}
        raise ValueError(f"all sides must have the same features, got numbers of columns {widths}.")
    rng = check_random_state(random_state)
    seeds = rng.randint(2**31 - 1, size=2)
    learned = [sides[name][rng.permutation(len(sides[name]))[:max_per_side]] for name in ("shadow_in", "shadow_out")]
    attacker = HistGradientBoostingClassifier(
        max_iter=30,
        max_bins=64,
        max_leaf_nodes=8,
        early_stopping=False,
        class_weight="balanced",
        random_state=int(seeds[0]),
    ).fit(np.concatenate(learned), np.repeat([1, 0], [len(part) for part in learned]))
    scores = [attacker.decision_function(sides[name]) for name in ("forget", "unseen")]
    return scored_attack(
        "shadow", scores[0], scores[1], groups=(forget_groups, unseen_groups), random_state=int(seeds[1])
    )
