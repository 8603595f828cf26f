"""The deleted row is read off two exact models: known answers from the algebra of ridge regression."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mlunlearn import Retrain
from mlunlearn.audit.reconstruction import reconstruct_row

N, D, ALPHA = 400, 12, 2.0


def population(n, seed):
    """Correlated features and a noisy linear target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) @ (np.eye(D) + 0.3 * np.ones((D, D)) / D) + np.arange(D) / D
    return X, X @ np.linspace(-1, 1, D) + rng.normal(size=n)


def weights(model):
    inner = model.estimator_
    return np.append(inner.coef_, inner.intercept_) if inner.fit_intercept else inner.coef_


def before_and_after(X, y, rows, fit_intercept=True):
    model = Retrain(Ridge(alpha=ALPHA, fit_intercept=fit_intercept)).fit(X, y)
    before = weights(model)
    return before, weights(model.unlearn(rows))


def cosine(a, b):
    return abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("row", [0, 7, N - 1])
def test_the_deleted_row_itself_is_found(row):
    X, y = population(N, seed=0)
    found = reconstruct_row(*before_and_after(X, y, [row]), X, alpha=ALPHA)
    np.testing.assert_allclose(found, X[row], rtol=1e-6, atol=1e-8)
    others = [cosine(found, X[other]) for other in range(N) if other != row]
    assert cosine(found, X[row]) > max(others)


def test_without_an_intercept_the_direction_is_found():
    X, y = population(N, seed=1)
    found = reconstruct_row(*before_and_after(X, y, [3], fit_intercept=False), X, alpha=ALPHA, fit_intercept=False)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert cosine(found, X[3]) > 1 - 1e-9


def test_the_residual_scales_what_is_found():
    """H (w - w') = x (y - x'w'), checked against the numbers of the two models."""
    X, y = population(N, seed=2)
    before, after = before_and_after(X, y, [5], fit_intercept=False)
    hessian = X.T @ X + ALPHA * np.eye(D)
    np.testing.assert_allclose(hessian @ (before - after), X[5] * (y[5] - X[5] @ after), rtol=1e-6, atol=1e-9)


def found_from_public_rows(seed, n_deleted):
    """Largest similarity of what is found to one of the deleted rows, their mean being known to everybody."""
    X, y = population(N, seed)
    public, _ = population(20 * N, seed + 10_000)
    rows = np.random.default_rng(seed).choice(N, size=n_deleted, replace=False)
    found = reconstruct_row(*before_and_after(X, y, rows), public, alpha=ALPHA, n_samples=N)
    centre = public.mean(axis=0)
    return max(cosine(found - centre, row - centre) for row in X[rows])


def test_public_rows_stand_in_for_those_of_the_fit():
    similar = [found_from_public_rows(seed, 1) for seed in range(30)]
    chance = [cosine(*np.random.default_rng(seed).normal(size=(2, D))) for seed in range(30)]
    assert np.median(similar) > 0.9
    assert np.median(chance) < 0.4


def test_batches_weaken_the_attack():
    """Of k rows the attack finds one mixture: the best of them is no longer found, though it may choose among k."""
    medians = [np.median([found_from_public_rows(seed, k) for seed in range(30)]) for k in (1, 4, 32)]
    assert medians[0] > 0.9
    assert medians[0] > medians[1] > medians[2]
    assert medians[2] < 0.75


def test_what_cannot_be_told_is_an_error():
    X, y = population(50, seed=3)
    before, after = before_and_after(X, y, [0])
    with pytest.raises(ValueError, match="the two models are the same"):
        reconstruct_row(before, before, X)
    with pytest.raises(ValueError, match=r"do not belong to rows of shape \(12,\).*intercept last"):
        reconstruct_row(before[:-1], after[:-1], X)
