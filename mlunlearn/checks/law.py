"""Equality in distribution, where bits cannot agree, and mere closeness, where nothing is promised exactly."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import as_numbers, check, learn, require

ALPHA = 0.001  # how often an honest model is refused
N_MODELS = 40  # on each side
N_PERMUTATIONS = 9999


def energy_test(a: np.ndarray, b: np.ndarray, n_permutations: int = N_PERMUTATIONS, seed: int = 0) -> float:
    """Test whether two samples come from one distribution, by the energy distance of their ranks and permutations.

    Parameters
    ----------
    a, b : ndarray of shape (n, n_dimensions)
        The samples.
    n_permutations : int, default=9999
        Random splits of all rows to compare the observed one with.
    seed : int, default=0
        Draws the splits.

    Returns
    -------
    float
        P-value: under equality it is at most p with probability at most p, for samples of any size.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.checks.law import energy_test
    >>> rng = np.random.default_rng(0)
    >>> a, b, c = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), rng.normal(2, size=(20, 3))
    >>> energy_test(a, b) > 0.05, energy_test(a, c) < 0.001
    (True, True)
    """
    distances = squareform(pdist(rankdata(np.concatenate([a, b]), axis=0)))
    sides = np.repeat([1.0 / len(a), -1.0 / len(b)], [len(a), len(b)])
    rng = np.random.default_rng(seed)
    splits = np.stack([sides, *(rng.permutation(sides) for _ in range(n_permutations))])
    energy = -np.einsum("ij,jk,ik->i", splits, distances, splits, optimize=True)
    return float((energy >= energy[0] * (1 - 1e-9)).mean())


@check
def check_law_equals_fit_without(estimator: Any, problem: Problem) -> None:
    """Check that models that forgot and models that never saw the rows predict with one distribution over seeds.

    Every fifth row is wrong, as if poisoned, and is forgotten in two requests. An honest model is refused with
    probability 0.001; with fixed seeds the outcome is always the same one. The check is skipped if it is blind: if
    models that forgot nothing pass for models that never saw the rows.
    """
    poisoned, rows = _poisoned(problem)
    asked = problem.X
    before, unlearned, never = [], [], []
    for seed in range(N_MODELS):
        model = learn(estimator, poisoned, random_state=seed)
        before.append(as_numbers(model, asked))
        for batch in np.array_split(rows, 2):
            model.unlearn(batch)
        unlearned.append(as_numbers(model, asked))
        never.append(as_numbers(learn(estimator, poisoned, exclude=rows, random_state=N_MODELS + seed), asked))
    if energy_test(np.stack(before), np.stack(never)) > ALPHA:
        raise SkipTest("chance hides the rows even before they are forgotten; pass data on which forgetting shows")
    p = energy_test(np.stack(unlearned), np.stack(never))
    require(
        p > ALPHA,
        f"Predictions after unlearn are distributed otherwise than after fit(X, y, exclude=forgotten): p = {p:.2g} in "
        f"an energy test on {N_MODELS} models each. Something of the forgotten rows {rows} is left.",
    )


@check
def check_unlearning_moves_towards_retraining(estimator: Any, problem: Problem) -> None:
    """Check that the model is closer to a retrained one after unlearn than before, or it did not forget.

    Every fifth row is wrong, as if poisoned, and is forgotten: the retrained model then differs clearly.
    """
    poisoned, rows = _poisoned(problem)
    before = learn(estimator, poisoned)
    asked = problem.X
    retrained = as_numbers(learn(estimator, poisoned, exclude=rows), asked)
    start = np.abs(as_numbers(before, asked) - retrained).mean()
    if start == 0:
        raise SkipTest("the retrained model predicts as the original does; pass data on which forgetting shows")
    end = np.abs(as_numbers(before.unlearn(rows), asked) - retrained).mean()
    require(
        end < start,
        f"Predictions are {end:.3g} from those of the retrained model after unlearn and were {start:.3g} before: the "
        "default settings do not forget on a toy problem. Look at the sign and the size of the update.",
    )


def _poisoned(problem: Problem) -> tuple[Problem, np.ndarray]:
    """Make every fifth target wrong, and tell in which rows."""
    rows = np.sort(problem.spare(np.random.default_rng(50).permutation(len(problem)), keep=5)[: len(problem) // 5])
    if not problem.labelled:
        return problem.with_rows(rows, y=problem.y[rows] + 4 * problem.y.std()), rows
    labels, codes = np.unique(problem.y, return_inverse=True)
    return problem.with_rows(rows, y=labels[(codes[rows] + 1) % len(labels)]), rows
