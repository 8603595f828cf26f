"""Are forgotten and unseen rows alike to a model that learned from neither? Asked of the references first of all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from mlunlearn.audit.intervals.contrast import contrast_weights, dispersion, over_rows, ranks_within
from mlunlearn.audit.verdict import holm

__all__ = ["Comparability", "comparability"]

Floats = NDArray[np.float64]
# Level at which a difference between forgotten and unseen rows is taken to be there.
LEVEL = 0.05
# Level at which references are said to differ by more than chance between rows. It decides nothing but these words.
DISPERSION_LEVEL = 0.2
N_DRAWS = 1999


@dataclass(frozen=True)
class Comparability:
    """How forgotten and unseen rows may be compared.

    Parameters
    ----------
    auc : float
        With which the mean score of the references tells forgotten rows from unseen ones; 0.5 if they are alike.
    p_score, p_labels : float
        Two-sided, of equal scores under the references and of equal shares of the labels; NaN where not tested.
    strata : ndarray of int, shape (n_rows,)
        Rows are compared within these: all together, or by label.
    n_unmatched : int
        Forgotten rows whose label no unseen row has; left out of the comparison.
    exchangeable : bool
        Whether rows of a stratum are alike and independent, as far as can be seen, or as was said.
    p_dispersion : float, default=nan
        One-sided, of references that differ from each other by no more than chance between rows explains.
    declared : bool, default=False
        Whether `exchangeable` was said by the caller, and not found.
    values : bool, default=False
        Whether the labels are ranges of a target that is a value.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import comparability
    >>> scores = np.random.default_rng(0).uniform(size=(3, 300))
    >>> comparability(scores, np.arange(300) < 100).exchangeable
    True
    """

    auc: float
    p_score: float
    p_labels: float
    strata: NDArray[np.intp]
    n_unmatched: int
    exchangeable: bool
    p_dispersion: float = float("nan")
    declared: bool = False
    values: bool = False

    @property
    def alike(self) -> bool:
        """Whether forgotten and unseen rows have the same scores under the references, on average."""
        tested = [self.p_score] if self.by_label or np.isnan(self.p_labels) else [self.p_score, self.p_labels]
        matched = self.n_unmatched == 0 or self.by_label
        return self.exchangeable or (matched and min(holm(tested)) > LEVEL)

    @property
    def how(self) -> bool | None:
        """As the statistics take it: what was said; else not exchangeable, or None if rows are alike on average."""
        return self.exchangeable if self.declared else (None if self.alike else False)

    @property
    def by_label(self) -> bool:
        """Whether rows are compared within labels."""
        return bool(self.strata.any())

    def __str__(self) -> str:
        """Say it in one or two sentences."""
        label, targets, strata = "a label", "labels", "labels"
        if self.values:
            label, targets, strata = "a target in a range", "targets", "ranges of the target"
        unmatched = f" {self.n_unmatched} of them have {label} that no unseen row has." if self.n_unmatched else ""
        if self.exchangeable and not self.by_label:
            return f"Forgotten and unseen rows are alike to retrained models (AUC {self.auc:.3f})."
        if self.exchangeable:
            return f"Forgotten and unseen rows have other {targets}; they are compared within {strata}.{unmatched}"
        if self.alike or self.declared:
            why = (
                "It was said that forgotten and unseen rows are not exchangeable"
                if self.declared
                else "References differ from each other on these rows by more than chance between rows explains"
            )
            chance = (
                "chance is the spread between references" if self.how is False else "what is chance is wider by that"
            )
            within = f" Rows are compared within {strata}." if self.by_label else ""
            return f"{why}: {chance} (AUC {self.auc:.3f}).{within}{unmatched}"
        return (
            f"Forgotten rows differ from unseen ones even for retrained models (AUC {self.auc:.3f}): attacks against "
            "these unseen rows say nothing of unlearning; pass non_members=(X, y) that are like the forgotten rows, or "
            f"exchange the two with swap_audit.{unmatched}"
        )


def comparability(
    reference_scores: ArrayLike,
    is_forget: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    groups: NDArray[np.intp] | None = None,
    exchangeable: bool | None = None,
    random_state: int = 0,
) -> Comparability:
    """Test whether forgotten and unseen rows differ under the references, and match them by label if that helps.

    Parameters
    ----------
    reference_scores : array-like of shape (n_references, n_rows)
        Score of each row under models that learned from none of them.
    is_forget : array-like of bool, shape (n_rows,)
        Forgotten (True) or unseen (False).
    labels : array-like of shape (n_rows,) or None, default=None
        Their labels, if they have any.
    groups : ndarray of int or None, default=None
        Person or source of each row.
    exchangeable : bool or None, default=None
        Whether rows (of a label) are exchangeable, if that is known, such as from how they were drawn; None tests it.
    random_state : int, default=0
        Seed of the permutations.

    Returns
    -------
    Comparability
        How to compare them.

    Notes
    -----
    The tests of equal scores and of equal labels together are at 5 % (Holm). If labels or scores differ, rows are
    matched by label and the scores are tested again, within labels. Rows that are alike on average need not be
    independent: on rows that were chosen together, such as neighbours, every model has an error of its own that all
    of them share. References then differ from each other by more than chance between rows explains. Whether they do is
    tested here at a level of 20 %, which decides nothing but what is said; the statistics take account of it by degrees
    (see `mlunlearn.audit.membership_statistic`).

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import comparability
    >>> scores = np.concatenate([np.full((2, 50), 0.1), np.full((2, 50), 0.9)], axis=1)
    >>> found = comparability(scores, np.arange(100) < 50)
    >>> found.auc, found.exchangeable
    (0.0, False)
    """
    found = _compared(reference_scores, is_forget, labels, groups, random_state)
    return found if exchangeable is None else replace(found, exchangeable=bool(exchangeable), declared=True)


def _compared(
    reference_scores: ArrayLike,
    is_forget: ArrayLike,
    labels: ArrayLike | None,
    groups: NDArray[np.intp] | None,
    random_state: int,
) -> Comparability:
    mask = np.asarray(is_forget, dtype=bool)
    scores = np.asarray(reference_scores, dtype=float)
    rng = np.random.default_rng(random_state)
    together = np.zeros(len(mask), dtype=np.intp)
    auc, p_score = _score_test(scores, mask, together, groups, random_state)
    if labels is None:
        p_dispersion = _dispersion_test(scores, mask, together, groups)
        exchangeable = p_score > LEVEL and p_dispersion > DISPERSION_LEVEL
        return Comparability(auc, p_score, float("nan"), together, 0, exchangeable, p_dispersion)
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    p_labels = _label_test(codes, mask, groups, rng)
    if min(holm([p_score, p_labels])) > LEVEL:
        p_dispersion = _dispersion_test(scores, mask, together, groups)
        exchangeable = p_dispersion > DISPERSION_LEVEL
        return Comparability(auc, p_score, p_labels, together, 0, exchangeable, p_dispersion)
    weights = contrast_weights(mask, codes)
    n_unmatched = int((mask & (weights == 0.0)).sum())
    auc, p_within = _score_test(scores, mask, codes, groups, random_state)
    matched = n_unmatched < mask.sum()
    strata = codes if matched else together
    p_dispersion = _dispersion_test(scores, mask, strata, groups)
    exchangeable = matched and p_within > LEVEL and p_dispersion > DISPERSION_LEVEL
    return Comparability(auc, p_within, p_labels, strata, n_unmatched, exchangeable, p_dispersion)


def _dispersion_test(
    scores: Floats, is_forget: NDArray[np.bool_], strata: NDArray[np.intp], groups: NDArray[np.intp] | None
) -> float:
    """P-value of Cochran's Q: references whose ranks differ by no more than chance between rows explains."""
    df = len(scores) - 1
    ranks = np.array([ranks_within(of_model, strata) for of_model in scores])
    return float(chi2.sf(df * dispersion(ranks, is_forget, strata, groups), df))


def _score_test(
    scores: Floats,
    is_forget: NDArray[np.bool_],
    strata: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
    seed: int,
) -> tuple[float, float]:
    """AUC of the mean rank of the references, and the p-value of its being one half."""
    ranks = np.mean([ranks_within(of_model, strata) for of_model in scores], axis=0)
    difference = over_rows(ranks, is_forget, strata, groups, seed)
    return 0.5 + difference.estimate, difference.p_value


def _label_test(
    codes: NDArray[np.intp], is_forget: NDArray[np.bool_], groups: NDArray[np.intp] | None, rng: np.random.Generator
) -> float:
    """Permutation p-value of the chi-squared statistic of labels on both sides; not tested where rows are dependent."""
    counts = np.bincount(codes)
    if groups is not None or len(counts) < 2:
        return 1.0
    expected = counts * is_forget.mean()
    observed = np.bincount(codes[is_forget], minlength=len(counts))
    drawn = rng.multivariate_hypergeometric(counts, int(is_forget.sum()), size=N_DRAWS)
    largest = np.sum((observed - expected) ** 2 / expected)
    return float((1 + np.sum(np.sum((drawn - expected) ** 2 / expected, axis=1) >= largest - 1e-9)) / (N_DRAWS + 1))
