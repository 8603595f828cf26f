"""The two-sample test keeps its error rate, and sees what it has to see."""

import numpy as np
import pytest

from mlunlearn.checks.law import ALPHA, N_MODELS, energy_test


def test_the_error_rate_is_kept():
    rng = np.random.default_rng(0)
    p = np.array([energy_test(*rng.normal(size=(2, 10, 4)), n_permutations=99, seed=seed) for seed in range(400)])
    for level in (0.01, 0.05, 0.25):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(p))


def test_p_values_are_not_idly_large():
    rng = np.random.default_rng(1)
    p = [energy_test(*rng.normal(size=(2, 10, 4)), n_permutations=99, seed=seed) for seed in range(400)]
    assert abs(np.mean(p) - 0.5) < 0.05


@pytest.mark.parametrize(
    "change",
    [lambda a: a + 1.0, lambda a: a * 3.0, lambda a: np.where(a[:, :1] > 0, a + 3.0, a)],
    ids=["place", "scale", "shape"],
)
def test_a_difference_is_seen_with_the_models_there_are(change):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, N_MODELS, 6))
    assert energy_test(a, change(b)) <= ALPHA


def test_identical_samples_are_not_told_apart():
    a = np.ones((5, 2))
    assert energy_test(a, a) == 1.0
