"""The declared statistics: tested differences between one model and its references, as plain functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.intervals.contrast import (
    contrast_weights,
    dispersion,
    over_models,
    over_rows,
    ranks_within,
)
from mlunlearn.audit.intervals.overdispersion import Overdispersion
from mlunlearn.audit.statistic import Statistic

__all__ = ["Statistic", "agreement_statistic", "distance_statistic", "level_statistic", "membership_statistic"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Which rows a statistic compares: forgotten ones first, unseen ones after them.

    Parameters
    ----------
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten or unseen.
    strata : ndarray of int, shape (n_rows,)
        Rows are compared within these.
    groups : ndarray of int or None
        Person or source of each row.
    exchangeable : bool or None
        Whether forgotten and unseen rows of a stratum are alike to models that learned from neither. If so, rows are
        permuted; if not, only the difference between references says what chance is. None: alike on average, and
        references show whether they are independent.
    """

    is_forget: NDArray[np.bool_]
    strata: NDArray[np.intp]
    groups: NDArray[np.intp] | None
    exchangeable: bool | None


def membership_statistic(
    ours: Floats,
    theirs: Floats,
    is_forget: NDArray[np.bool_],
    *,
    original: Floats | None = None,
    strata: NDArray[np.intp] | None = None,
    groups: NDArray[np.intp] | None = None,
    exchangeable: bool | None = True,
    random_state: int = 0,
) -> Statistic:
    """Compare how well forgotten rows are told from unseen ones by one score: AUC minus that of the references.

    Parameters
    ----------
    ours : ndarray of shape (n_rows,) or (n_models, n_rows)
        Score of each row under the audited model, or under several of one method: higher for more likely members,
        such as the probability of the true class, or minus an absolute error.
    theirs : ndarray of shape (n_references, n_rows)
        The same under models that learned from neither, at least two.
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten (True) or never trained on (False).
    original : ndarray of shape (n_rows,) or None, default=None
        The same under the model before unlearning, which shows how members look.
    strata : ndarray of int or None, default=None
        Labels; rows are then compared within these.
    groups : ndarray of int or None, default=None
        Person or source of each row.
    exchangeable : bool, default=True
        Whether forgotten and unseen rows (of a stratum) are alike to a model that learned from neither. If not, only
        the difference between the references says what chance is, and it takes more of them.
    random_state : int, default=0
        Seed of the permutations.

    Returns
    -------
    Statistic
        Signed; 0 is as retrained. Positive: members are still recognised.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import membership_statistic
    >>> theirs = np.tile([0.2, 0.4, 0.6, 0.8], (2, 1))
    >>> forget = np.array([True, False, True, False])
    >>> membership_statistic(np.array([0.9, 0.1, 0.9, 0.1]), theirs, forget).value
    1.0
    """
    rows = _rows(is_forget, strata, groups, exchangeable)
    own = _ranks(np.atleast_2d(ours), rows).mean(axis=0)
    others = _ranks(theirs, rows)
    statistic = _contrast(
        "membership: AUC, forgotten against unseen",
        own,
        others,
        rows,
        member=None if original is None else _ranks([original], rows)[0],
        n_ours=len(np.atleast_2d(ours)),
        inflation=1.0,
        random_state=random_state,
    )
    return replace(
        statistic,
        reference=statistic.reference + 0.5,
        larger="the forgotten rows are still recognised",
        smaller="the forgotten rows stand out as suppressed",
    )


def agreement_statistic(
    to_theirs: Floats,
    among: Floats,
    is_forget: NDArray[np.bool_],
    *,
    original: Floats | None = None,
    strata: NDArray[np.intp] | None = None,
    groups: NDArray[np.intp] | None = None,
    exchangeable: bool | None = True,
    random_state: int = 0,
) -> Statistic:
    """Compare the distance of predictions to the references with the references' distance to each other.

    Parameters
    ----------
    to_theirs : ndarray of shape (n_references, n_rows)
        Distance between the predictions of the audited model and of each reference.
    among : ndarray of shape (n_references, n_references, n_rows)
        Distance between those of every two references; symmetric, at least three references.
    is_forget : ndarray of bool, shape (n_rows,)
        Forgotten (True) or never trained on (False).
    original : ndarray of shape (n_references, n_rows) or None, default=None
        Distance between the model before unlearning and each reference.
    strata : ndarray of int or None, default=None
        As in `membership_statistic`.
    groups : ndarray of int or None, default=None
        As in `membership_statistic`.
    exchangeable : bool or None, default=True
        As in `membership_statistic`.
    random_state : int, default=0
        As in `membership_statistic`.

    Returns
    -------
    Statistic
        Excess distance on forgotten rows over the excess on unseen rows; 0 is as retrained.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import agreement_statistic
    >>> among = 0.1 * (1 - np.eye(3))[:, :, np.newaxis] * np.ones(4)
    >>> to_theirs = np.tile([0.5, 0.5, 0.1, 0.1], (3, 1))
    >>> statistic = agreement_statistic(to_theirs, among, np.array([True, True, False, False]))
    >>> round(statistic.difference.estimate, 3)
    0.4
    """
    rows = _rows(is_forget, strata, groups, exchangeable)
    n_references = len(among)
    others = among.sum(axis=1) / (n_references - 1)
    statistic = _contrast(
        "agreement: distance to references, forgotten over unseen",
        to_theirs.mean(axis=0),
        others,
        rows,
        member=None if original is None else original.mean(axis=0),
        n_ours=1,
        inflation=_inflation(n_references),
        random_state=random_state,
    )
    return replace(
        statistic,
        larger="its predictions on the forgotten rows are further from retrained models than these are from each other",
        smaller="its predictions on the forgotten rows are closer to retrained models than these are to each other",
    )


def distance_statistic(to_theirs: Floats, among: Floats) -> Statistic:
    """Compare the distance to the references, over all rows, with the references' distance to each other.

    A model of another recipe, or one that has lost what it learned, is far from retrained models everywhere: the
    contrast of forgotten and unseen rows in `agreement_statistic` does not show that.

    Parameters
    ----------
    to_theirs : ndarray of shape (n_references, n_rows)
        Distance between the predictions of the audited model and of each reference.
    among : ndarray of shape (n_references, n_references, n_rows)
        Distance between those of every two references; symmetric, at least three references.

    Returns
    -------
    Statistic
        Mean excess distance, tested over models; 0 is as retrained.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import distance_statistic
    >>> among = 0.1 * (1 - np.eye(3))[:, :, np.newaxis] * np.ones(4)
    >>> round(distance_statistic(np.full((3, 4), 0.4), among).difference.estimate, 3)
    0.3
    """
    n_references, inflation = len(among), _inflation(len(among))
    others = among.sum(axis=1) / (n_references - 1)
    means = others.mean(axis=1)
    spread = means.mean() + (means - means.mean()) * np.sqrt(inflation)
    floor = float(np.sum(np.var(others, axis=0, ddof=1))) / others.shape[1] ** 2 * inflation
    return Statistic(
        "distance: to the references, all judged rows",
        over_models(float(np.mean(to_theirs)), spread, floor),
        float(means.mean()),
        larger="its predictions are further from retrained models than these are from each other, on all rows",
        smaller="its predictions are closer to retrained models than these are to each other, on all rows",
    )


def level_statistic(
    ours: Floats,
    theirs: Floats,
    *,
    name: str = "performance: mean score, unseen",
    larger: str = "its score on unseen rows is higher than that of retrained models",
    smaller: str = "its score on unseen rows is lower than that of retrained models",
) -> Statistic:
    """Compare the mean of a score with that of the references.

    Parameters
    ----------
    ours : ndarray of shape (n_rows,) or (n_models, n_rows)
        Score of each row under the audited model, or under several of one method.
    theirs : ndarray of shape (n_references, n_rows)
        The same under the references, at least two.
    name : str, default="performance: mean score, unseen"
        What it is.
    larger : str, default="its score on unseen rows is higher than that of retrained models"
        What a positive difference means.
    smaller : str, default="its score on unseen rows is lower than that of retrained models"
        What a negative one means.

    Returns
    -------
    Statistic
        Tested over models: its chance is that of the seeds.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import level_statistic
    >>> theirs = np.array([[0.8, 0.9], [0.9, 0.8], [0.9, 0.9]])
    >>> level_statistic(np.array([0.1, 0.2]), theirs).direction
    'its score on unseen rows is lower than that of retrained models'
    """
    own = np.atleast_2d(np.asarray(ours, dtype=float))
    others = np.asarray(theirs, dtype=float)
    floor = float(np.sum(np.var(others, axis=0, ddof=1))) / others.shape[1] ** 2
    means = others.mean(axis=1)
    difference = over_models(float(own.mean()), means, floor, len(own))
    return Statistic(name, difference, float(means.mean()), larger=larger, smaller=smaller)


def _rows(
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp] | None,
    groups: NDArray[np.intp] | None,
    exchangeable: bool | None,
) -> Rows:
    is_forget = np.asarray(is_forget, dtype=bool)
    strata = np.zeros(len(is_forget), dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    return Rows(is_forget, strata, groups, exchangeable)


def _inflation(n_references: int) -> float:
    """By how much independent mean distances vary more than those within the references, which share their models."""
    return ((n_references - 1) / max(n_references - 2, 1)) ** 2


def _ranks(scores: Floats | list[Floats], rows: Rows) -> Floats:
    return np.array([ranks_within(np.asarray(of_model, dtype=float), rows.strata) for of_model in scores])


def _contrast(
    name: str,
    ours: Floats,
    theirs: Floats,
    rows: Rows,
    *,
    member: Floats | None,
    n_ours: int,
    inflation: float,
    random_state: int,
) -> Statistic:
    """Test forgotten against unseen rows, over rows where they are alike and over models where not."""
    weights = contrast_weights(rows.is_forget, rows.strata)
    mean = theirs.mean(axis=0)
    if rows.exchangeable is not False:
        beyond = None
        if rows.exchangeable is None:
            ratio = dispersion(theirs, rows.is_forget, rows.strata, rows.groups)
            beyond = Overdispersion.seen(ratio, len(theirs) - 1)
        difference = over_rows(ours - mean, rows.is_forget, rows.strata, rows.groups, random_state, beyond)
    else:
        values = theirs @ weights
        spread = values.mean() + (values - values.mean()) * np.sqrt(inflation)
        floor = float(weights**2 @ np.var(theirs, axis=0, ddof=1)) * inflation
        difference = over_models(float(ours @ weights), spread, floor, n_ours)
    statistic = Statistic(name, difference, float(mean @ weights))
    if member is None:
        return statistic
    effect = member - mean
    of_forget = np.where(rows.is_forget, weights, 0.0)
    scatter = float(of_forget**2 @ effect**2)
    return replace(statistic, member_effect=float(effect @ weights), member_variance=scatter)
