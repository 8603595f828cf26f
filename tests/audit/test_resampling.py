"""Resamples written as weights against resamples written as rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from mlunlearn.audit.attacks.attack_result import tpr_at_fpr
from mlunlearn.audit.intervals import resampling
from mlunlearn.audit.intervals.resampling import resample_weights, weighted_means, weighted_rate, weighted_roc

scores = arrays(np.float64, st.integers(2, 12), elements=st.integers(-3, 3))


@settings(deadline=None)
@given(scores, scores, st.integers(0, 1000))
def test_roc_of_weights_is_the_roc_of_repeated_rows(members, nonmembers, seed):
    weights = next(resample_weights({"a": len(members), "b": len(nonmembers)}, {}, 5, seed))
    roc = weighted_roc(members, nonmembers, weights["a"], weights["b"], (0.1, 0.34, 1.0))
    for i in range(5):
        m = np.repeat(members, weights["a"][i].astype(int))
        u = np.repeat(nonmembers, weights["b"][i].astype(int))
        truth = np.repeat([1, 0], [len(m), len(u)])
        assert roc.auc[i] == pytest.approx(roc_auc_score(truth, np.concatenate([m, u])))
        for rate, found in zip((0.1, 0.34, 1.0), roc.tpr, strict=True):
            expected = tpr_at_fpr(m, u, rate)
            assert found[i] == pytest.approx(expected) or np.isnan(expected)


def test_means_and_rates_are_those_of_repeated_rows():
    values, weights = np.array([1.0, 2.0, 4.0]), np.array([[1.0, 1.0, 1.0], [3.0, 0.0, 0.0]])
    np.testing.assert_allclose(weighted_means({"x": values}, weights)["x"], [7 / 3, 1.0])
    times = np.array([0.0, 2.0, 1.0])
    np.testing.assert_allclose(weighted_rate(np.array([0.0, 0.5, 1.0]), times, weights), [2 / 3, np.nan])


def test_a_side_without_samples_has_no_auc():
    weights = np.array([[1.0, 1.0], [0.0, 0.0]])
    roc = weighted_roc(np.array([2.0, 3.0]), np.array([0.0, 1.0]), np.ones((2, 2)), weights, rates=(0.5,))
    np.testing.assert_array_equal(roc.auc, [1.0, np.nan])


def test_whole_groups_are_drawn():
    groups = np.array([0, 0, 1, 1, 1, 2])
    (weights,) = resample_weights({"x": 6}, {"x": groups}, 50, seed=0)
    assert (weights["x"][:, 0] == weights["x"][:, 1]).all()
    assert (weights["x"][:, [0, 2, 5]].sum(axis=1) == 3).all()


def test_neither_chunks_nor_other_data_change_a_resample(monkeypatch):
    whole = next(resample_weights({"a": 20, "b": 30}, {}, 10, seed=1))
    monkeypatch.setattr(resampling, "LARGEST_CHUNK", 100)
    parts = [part["a"] for part in resample_weights({"a": 20}, {}, 10, seed=1)]
    assert len(parts) == 2
    np.testing.assert_array_equal(np.concatenate(parts), whole["a"])
