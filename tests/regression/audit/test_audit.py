"""Distances, attacks and relearn times whose answers are known."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import wasserstein_distance
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor
from torch import nn

from mlunlearn.regression import (
    FineTuneRegressor,
    Relearning,
    StandardizedRegressor,
    anamnesis_index,
    error_attack,
    member_share,
    pointwise_distance,
    prediction_distance,
    regression_report,
    relearn_steps,
    relearn_target,
    sample_errors,
)

VALUES = hnp.arrays(float, st.integers(2, 30), elements=st.floats(-100, 100))


@settings(deadline=None)
@given(VALUES, st.floats(-50, 50), st.floats(0, 10), st.randoms())
def test_wasserstein_distance(p, c, k, random):
    q = np.array(random.sample(p.tolist(), len(p))) + random.random()
    assert prediction_distance(p, p) == 0
    np.testing.assert_allclose(prediction_distance(p + c, p), abs(c), atol=1e-9)
    np.testing.assert_allclose(prediction_distance(k * p, k * q), k * prediction_distance(p, q), atol=1e-9)
    np.testing.assert_allclose(prediction_distance(p, q), np.abs(np.sort(p) - np.sort(q)).mean(), atol=1e-9)
    np.testing.assert_allclose(prediction_distance(p, q[:1]), wasserstein_distance(p, q[:1]), atol=1e-9)
    assert pointwise_distance(p, q) >= prediction_distance(p, q) - 1e-9


def test_distances_of_several_outputs_are_averaged():
    p, q = np.zeros((5, 2)), np.tile([1.0, 3.0], (5, 1))
    assert prediction_distance(p, q) == 2.0
    assert pointwise_distance(p, q) == 2.0


@pytest.mark.parametrize("call", [sample_errors, pointwise_distance])
def test_shapes_that_would_broadcast_are_refused(call):
    with pytest.raises(ValueError, match="sample by sample"):
        call(np.zeros(4), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="no distance"):
        prediction_distance(np.zeros((4, 2)), np.zeros((4, 1)))


def test_errors_of_samples():
    assert sample_errors([[0.0, 0.0]], [[1.0, 3.0]]).tolist() == [2.0]
    assert sample_errors([[0.0, 0.0]], [[1.0, 3.0]], "squared").tolist() == [5.0]


def test_attacks_on_one_distribution_find_nothing(rng):
    a, b, c = np.abs(rng.normal(size=(3, 600)))
    assert abs(error_attack(a, b).auc - 0.5) < 3 * np.sqrt(1201 / (12 * 600**2))
    assert 0.0 <= member_share(a, b, c) <= 1.0


def test_attacks_on_separated_errors_find_everything():
    known, new = np.linspace(0, 0.1, 60), np.linspace(1, 1.1, 60)
    assert error_attack(known, new).auc == 1.0
    assert member_share(known, new, known) == 1.0
    assert member_share(known, new, new) == 0.0


def test_the_report_measures_against_all_retrained_models(rng):
    X, y = np.zeros((100, 1)), rng.normal(size=100)
    constant = {v: DummyRegressor(strategy="constant", constant=v).fit(X, y) for v in (0.0, 1.0, 2.0, 4.0)}
    forget = np.arange(100) < 30
    table = regression_report(
        {"original": constant[4.0], "the same": constant[0.0]},
        [constant[0.0], constant[1.0], constant[2.0]],
        X=X,
        y=y,
        forget=forget,
        X_test=X,
        y_test=y,
        test_forget=forget,
        seconds={"original": 2.0},
    )
    assert table.loc["retrained again", "w1"] == pytest.approx(4 / 3)  # pairs are 1, 2 and 1 apart
    assert table.loc["retrained again", "w1_sd"] == pytest.approx(np.std([1, 2, 1], ddof=1))
    assert table.loc["original", "w1"] == 3.0
    assert table.loc["original", "w1_sd"] == pytest.approx(1.0)
    assert table.loc["the same", "w1"] == 1.0
    by_hand = np.abs(4 - y[:30]) - np.mean([np.abs(v - y[:30]) for v in (0.0, 1.0, 2.0)], axis=0)
    assert table.loc["original", "excess"] == pytest.approx(by_hand.mean())
    assert table.loc["original", "seconds"] == 2.0
    np.testing.assert_allclose(table["auc"], 0.5)
    np.testing.assert_allclose(table.loc["retrained", "retain"], np.abs(y[30:]).mean())


def test_the_report_says_nothing_about_test_bands_without_rows(rng):
    X, y = np.zeros((50, 1)), rng.normal(size=50)
    models = [DummyRegressor().fit(X, y)] * 3
    table = regression_report(
        {}, models, X=X, y=y, forget=np.arange(50) < 20, X_test=X, y_test=y, test_forget=np.zeros(50, bool)
    )
    assert table[["test_forget", "auc", "member_share"]].isna().all(axis=None)


@pytest.mark.parametrize("forget", [np.arange(3), [True, False]])
def test_forgotten_rows_are_given_as_a_mask(forget):
    with pytest.raises(ValueError, match="forget must be a boolean mask of shape"):
        regression_report({}, [None] * 3, X=None, y=np.zeros(5), forget=forget, X_test=None, y_test=[0.0])


def test_one_pair_of_retrained_models_is_not_enough():
    with pytest.raises(ValueError, match="three retrained models, got 2"):
        regression_report({}, [None, None], X=None, y=[0], forget=[True], X_test=None, y_test=[0])


@pytest.mark.parametrize("scenario", ["random", "band"])
def test_the_headline_sees_what_the_distance_of_predictions_cannot(scenario):
    """A model that did nothing, and a fresh retrained one, against others; noise is learned by heart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 5))
    y = X @ np.arange(5) + rng.normal(0, 5, 900)
    tree = DecisionTreeRegressor(max_features=2, min_samples_leaf=3)
    forget = np.arange(500) < 60 if scenario == "random" else y[:500] <= np.quantile(y[:500], 0.15)
    alike = None if scenario == "random" else y[500:] <= y[:500][forget].max()
    n_references = 7 if scenario == "random" else 3

    def fit(rows, seed):
        return clone(tree).set_params(random_state=seed).fit(X[:500][rows], y[:500][rows])

    models = {"original": fit(forget | ~forget, 0), "exact": fit(~forget, 9)}
    references = [fit(~forget, s) for s in range(1, n_references + 1)]
    table = regression_report(
        models, references, X=X[:500], y=y[:500], forget=forget, X_test=X[500:],
        y_test=y[500:], test_forget=alike,
    )  # fmt: skip
    floor, spread = table.loc["retrained again", "excess"], table.loc["retrained again", "excess_sd"]
    assert floor == pytest.approx(0.0, abs=1e-12)  # by construction: each against the others
    assert table.loc["original", "excess"] < -2 * spread
    assert table.loc["original", "calibrated_auc"] > 0.7
    assert table.loc["original", "verdict"] == "distinguishable from one"
    assert table.loc["exact", "verdict"] != "distinguishable from one"  # wrong once in 20 seeds; this is one
    if scenario == "random":
        w1 = table["w1"]
        assert w1["original"] < w1["retrained again"] + 3 * table.loc["retrained again", "w1_sd"]


@pytest.fixture(scope="module")
def relearned(diabetes):
    X, y = diabetes
    gone = y <= 90
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    original = StandardizedRegressor(net, random_state=0).fit(X, y)
    never = StandardizedRegressor(net, random_state=1).fit(X[~gone], y[~gone])
    return X, y, gone, original, never


def digest(model):
    values = model.net_.module_.state_dict().values()
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in values)).hexdigest()


def test_relearn_times(relearned):
    X, y, gone, original, never = relearned
    before = digest(original), digest(never)
    target = relearn_target(original, X[gone], y[gone])
    times = [
        relearn_steps(m, X, y, X[gone], y[gone], target_error=target, lr=3e-3, n_steps=300, seeds=range(2))
        for m in (original, never, never)
    ]
    assert times[0].steps == (0, 0)
    assert times[1] == times[2]
    assert times[1].mean > 0
    assert anamnesis_index(times[1], times[2]) == 1.0
    assert anamnesis_index(times[0], times[1]) == 0.0
    assert (digest(original), digest(never)) == before


def test_relearning_that_is_cut_off_says_so(relearned):
    X, y, gone, _, never = relearned
    cut = relearn_steps(never, X, y, X[gone], y[gone], target_error=0.0, n_steps=3, seeds=range(2))
    assert cut == Relearning((3, 3), (True, True))
    assert np.isnan(anamnesis_index(cut, cut))
    assert anamnesis_index(cut, Relearning((2, 2), (False, False))) == np.inf
    assert np.isnan(anamnesis_index(cut, Relearning((0, 0), (False, False))))


def test_unlearners_relearn_too(diabetes, mlp):
    X, y = diabetes
    model = FineTuneRegressor(mlp, n_steps=5, random_state=0).fit(X, y).unlearn([0])
    assert relearn_steps(model, X, y, X[:9], y[:9], target_error=1e9, seeds=[0]).steps == (0,)


def test_a_regressor_without_a_seed_is_judged_by_equality():
    X, y = load_diabetes(return_X_y=True)
    forget = np.arange(300) < 90
    never = [Ridge().fit(X[90:300], y[90:300]) for _ in range(4)]
    models = {
        "original": Ridge().fit(X[:300], y[:300]),
        "exact": never.pop(),
        "part": Ridge().fit(X[89:300], y[89:300]),
    }

    table = regression_report(models, never, X=X[:300], y=y[:300], forget=forget, X_test=X[300:], y_test=y[300:])

    decisions = table.loc[["original", "exact", "part"], "verdict"].tolist()
    assert decisions == ["distinguishable from one", "as a retrained model", "distinguishable from one"]
