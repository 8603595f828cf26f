"""Isolation, allocation, aggregation and cost, each against the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from mlunlearn import Retrain, SISAClassifier, SISARegressor
from mlunlearn._testing import ConvNet
from mlunlearn.checks.state import flatten_state, learned_state, state_differences
from mlunlearn.sharded.aggregation import weighted_mean
from mlunlearn.sharded.allocation import allocate_by_risk, allocate_uniform


@pytest.fixture(scope="module")
def problem():
    return make_classification(n_samples=103, n_features=5, n_classes=3, n_informative=4, n_redundant=0, random_state=0)


def test_changing_a_row_changes_its_shard_from_its_slice_on(problem):
    X, y = problem
    new = SISAClassifier(SGDClassifier(), n_shards=4, n_slices=3, random_state=0)
    before = SISAClassifier(**new.get_params(deep=False)).fit(X, y)
    for row in (0, 51, 102):
        changed = X.copy()
        changed[row] += 1.0
        after = new.fit(changed, y)
        shard, part = before.allocation_.shard[row], before.allocation_.slice[row]
        for k in range(4):
            for r in range(3):
                differs = (
                    state_differences(flatten_state(before.checkpoints_[k][r]), flatten_state(after.checkpoints_[k][r]))
                    != {}
                )
                assert differs == (k == shard and r >= part)


@given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 7), st.integers(0, 5))
def test_uniform_shards_hold_every_row_once_and_are_even(n, n_shards, n_slices, seed):
    allocation = allocate_uniform(n, n_shards, n_slices, seed)
    rows = np.concatenate([allocation.rows(k) for k in range(n_shards)])
    assert sorted(rows.tolist()) == list(range(n))
    counts = allocation.counts(slice(None))
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert all(np.ptp(row) <= 1 for row in counts)
    for k in range(n_shards):
        assert (allocation.shard[allocation.rows(k)] == k).all()
        assert (np.diff(allocation.slice[allocation.rows(k)]) >= 0).all()


def test_ids_decide_the_shard_whatever_else_is_there(problem):
    X, y = problem
    ids = np.array([f"person {i // 2}" for i in range(103)])
    new = SISAClassifier(GaussianNB(), n_shards=5, n_slices=2, random_state=0)
    everyone = new.fit(X, y, sample_ids=ids).allocation_
    some = np.random.default_rng(0).permutation(103)[:60]
    fewer = SISAClassifier(GaussianNB(), n_shards=5, n_slices=2, random_state=0)
    fewer = fewer.fit(X[some], y[some], sample_ids=ids[some]).allocation_
    np.testing.assert_array_equal(everyone.shard[some], fewer.shard)
    np.testing.assert_array_equal(everyone.slice[some], fewer.slice)
    for name in np.unique(ids):
        assert len({(s, r) for s, r in zip(everyone.shard[ids == name], everyone.slice[ids == name], strict=True)}) == 1


def test_ids_are_dealt_out_evenly():
    """Chi-square test of 4,000 ids over 20 shards; a fair deal fails it once in a thousand keys."""
    from scipy.stats import chisquare

    from mlunlearn.rows.hashing import hash_names, keyed

    shards = hash_names(range(4000), keyed(b"sixteen bytes or more")) % np.uint64(20)
    assert chisquare(np.bincount(shards.astype(int), minlength=20)).pvalue > 1e-3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=80), st.floats(0.05, 1.0), st.integers(1, 4))
def test_shards_by_risk_follow_the_algorithm(risk, bound, n_slices):
    risk = np.array(risk)
    allocation = allocate_by_risk(risk, np.arange(len(risk)), bound, n_slices, seed=0)
    assert sorted(np.concatenate([allocation.rows(k) for k in range(allocation.n_shards)])) == list(range(len(risk)))
    highest_before = -1.0
    for k in range(allocation.n_shards):
        own = risk[allocation.rows(k)]
        assert (np.diff(own) >= 0).all()  # volatile rows come last
        assert own.min() >= highest_before  # shards in ascending risk
        assert len(own) == 1 or own.sum() < bound + 1e-12
        if k + 1 < allocation.n_shards:
            assert own.sum() + risk[allocation.rows(k + 1)].min() >= bound - 1e-12
        highest_before = own.max()


def test_deletion_probabilities_shape_the_shards_and_stay_exact(problem):
    X, y = problem
    risk = np.where(np.arange(103) < 80, 0.001, 0.2)
    new = SISAClassifier(SGDClassifier(), n_slices=2, max_requests=0.5, weighting="size", random_state=0)
    model = SISAClassifier(**new.get_params(deep=False)).fit(X, y, deletion_probability=risk)
    sizes = model.allocation_.counts(slice(None)).sum(axis=1)
    assert sizes[0] >= 80
    assert sizes[1:].max() <= 3
    model.unlearn([2, 90, 102])
    reference = new.fit(X, y, deletion_probability=risk, exclude=[2, 90, 102])
    assert state_differences(learned_state(model), learned_state(reference)) == {}


def test_missing_classes_are_aligned_and_votes_are_votes():
    X = np.arange(12.0)[:, None]
    y = np.array(["a", "a", "a", "b", "b", "b", "c", "c", "c", "c", "a", "b"])
    model = SISAClassifier(DecisionTreeClassifier(), n_shards=6, aggregation="vote", random_state=1).fit(X, y)
    assert min(len(shard.classes_) for shard in model.estimators_) < 3
    expected = np.array([[np.mean([m.predict([x])[0] == c for m in model.estimators_]) for c in "abc"] for x in X])
    np.testing.assert_allclose(model.predict_proba(X), expected)
    assert model.predict(X).tolist() == [np.array(list("abc"))[row.argmax()] for row in expected]


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), "mean"),
        (SGDClassifier(), "vote"),
        (SGDClassifier(loss="log_loss"), "mean"),
        (make_pipeline(StandardScaler(), GaussianNB()), "mean"),
    ],
)
def test_the_mean_is_taken_where_there_are_probabilities(problem, estimator, expected):
    X, y = problem
    auto, chosen = (
        SISAClassifier(estimator, n_shards=3, aggregation=aggregation, random_state=0).fit(X, y)
        for aggregation in ("auto", expected)
    )
    assert auto.aggregation_ == expected
    np.testing.assert_array_equal(auto.predict_proba(X), chosen.predict_proba(X))


def test_the_mean_ranks_better_than_votes():
    """Votes of five shards have six values, so most pairs are ties; the mean orders them."""
    X, y = make_classification(n_samples=3000, n_features=10, flip_y=0.3, random_state=0)
    areas = {
        aggregation: roc_auc_score(
            y[1500:],
            SISAClassifier(LogisticRegression(), aggregation=aggregation, random_state=0)
            .fit(X[:1500], y[:1500])
            .predict_proba(X[1500:])[:, 1],
        )
        for aggregation in ("auto", "vote")
    }
    assert areas["auto"] > areas["vote"] + 0.01


def test_the_mean_is_the_mean_of_probabilities(problem):
    X, y = problem
    model = SISAClassifier(LogisticRegression(), n_shards=3, aggregation="mean", random_state=0).fit(X, y)
    expected = np.mean([shard.predict_proba(X) for shard in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-15)


@given(st.permutations(range(6)))
def test_the_order_of_shards_does_not_matter_to_the_last_bit(order):
    rng = np.random.default_rng(0)
    predictions, weights = list(rng.random((6, 4, 3))), rng.random(6)
    np.testing.assert_array_equal(
        weighted_mean(predictions, weights), weighted_mean([predictions[i] for i in order], weights[list(order)])
    )


def test_samples_reprocessed_agree_with_the_cost_formula():
    """Mean over all rows is the expectation itself: e0 n (2/3 + 1/(3R)), up to uneven slices and rounding."""
    X, y = make_classification(n_samples=400, random_state=0)
    for n_slices in (1, 2, 5, 10):
        model = SISAClassifier(SGDClassifier(), n_shards=4, n_slices=n_slices, max_epochs=6, random_state=0).fit(X, y)
        before = model.allocation_
        cells = zip(before.shard, before.slice, strict=True)
        costs = [sum(model._spent[shard][part:]) for shard, part in cells]
        expected = 100 if n_slices == 1 else 6 * 100 * (2 / 3 + 1 / (3 * n_slices))
        assert np.mean(costs) == pytest.approx(expected, rel=0.01)
        receipt = model.unlearn([11]).receipts_[-1]
        assert receipt.work.details["shards"] == [before.shard[11]]
        assert receipt.work.samples == pytest.approx(costs[11], abs=2 * model.max_epochs)


def test_the_budget_does_not_depend_on_the_number_of_slices():
    X, y = make_classification(n_samples=300, random_state=0)
    for n_slices in (2, 3, 10, 50):
        model = SISAClassifier(SGDClassifier(), n_shards=3, n_slices=n_slices, max_epochs=8, random_state=0).fit(X, y)
        passes = sum(map(sum, model._spent)) / 300
        assert passes == pytest.approx(8, rel=0.02)


def test_bad_parameters_are_refused(problem):
    X, y = problem
    for options, message in (
        ({"n_shards": 0}, "n_shards must be"),
        ({"n_shards": True}, "n_shards must be a whole number of at least 1, got True"),
        ({"max_requests": -1}, r"max_requests must be a number between 0 \(excluded\) and 1, or None, got -1"),
        ({"max_requests": 2}, "max_requests must be"),
        ({"max_epochs": "a"}, "max_epochs must be a number above 0, or None, got 'a'"),
        ({"random_state": -1}, "random_state must be .* from 0 on, got -1"),
        ({"n_slices": 1.5}, "n_slices must be"),
        ({"max_epochs": 0}, "max_epochs must be"),
        ({"aggregation": "median"}, "aggregation must be"),
        ({"weighting": "votes"}, "weighting must be"),
        ({"n_shards": 104}, "n_samples=103"),
    ):
        with pytest.raises(ValueError, match=message):
            SISAClassifier(GaussianNB(), **options).fit(X, y)
    with pytest.raises(ValueError, match="no predict_proba"):
        SISAClassifier(SGDClassifier(), aggregation="mean").fit(X, y)
    with pytest.raises(ValueError, match="deletion_probability must be"):
        SISAClassifier(GaussianNB()).fit(X, y, deletion_probability=np.full(103, 2.0))


@pytest.mark.parametrize("method", [SISAClassifier, SISARegressor, Retrain])
@pytest.mark.parametrize("given", [None, 3, "svm", LogisticRegression])
def test_what_is_no_estimator_is_refused(problem, method, given):
    with pytest.raises(TypeError, match=r"takes an? (scikit-learn )?estimator|pass the model"):
        method(given).fit(*problem)


def test_estimators_for_the_other_task_are_refused(problem):
    X, y = problem
    with pytest.raises(ValueError, match="SISAClassifier needs a classifier, and Ridge is a regressor; use SISARegr"):
        SISAClassifier(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="SISARegressor needs a regressor, and GaussianNB is a classifier; use SISACl"):
        SISARegressor(GaussianNB()).fit(X, X[:, 0])


@pytest.mark.parametrize("method", [SISAClassifier, Retrain])
def test_missing_values_are_left_to_an_estimator_that_takes_them(problem, method):
    X, y = problem
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    imputing = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    model = method(imputing, random_state=0).fit(X, y).unlearn([3])
    never = method(imputing, random_state=0).fit(X, y, exclude=[3])
    np.testing.assert_array_equal(model.predict(X), never.predict(X))
    columns = ColumnTransformer([("fill", SimpleImputer(), [0, 1, 2, 3, 4])])
    method(make_pipeline(columns, GaussianNB()), random_state=0).fit(X, y).predict(X)
    with pytest.raises(ValueError, match="NaN"):
        method(LogisticRegression()).fit(X, y)


@pytest.mark.parametrize("method", [SISAClassifier, Retrain])
@pytest.mark.parametrize("scaled", [False, True])
def test_metadata_routing_changes_nothing(problem, method, scaled):
    X, y = problem
    weight = np.linspace(0.5, 1.5, len(y))

    def make(final):
        return method(make_pipeline(Normalizer(), final) if scaled else final, random_state=0)

    plain = make(LogisticRegression()).fit(X, y, weight).unlearn([3])
    with config_context(enable_metadata_routing=True):
        routed = make(LogisticRegression().set_fit_request(sample_weight=True)).fit(X, y, weight).unlearn([3])
        np.testing.assert_array_equal(plain.predict_proba(X), routed.predict_proba(X))
        if scaled:
            with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set as requested"):
                make(LogisticRegression()).fit(X, y, weight)


def test_metadata_routing_changes_no_net(problem):
    X, y = problem
    net = NeuralNetClassifier(ConvNet, module__n_outputs=3, criterion=nn.CrossEntropyLoss, max_epochs=1)
    X = np.tile(X, 13)[:, :64]

    def make():
        return SISAClassifier(net, n_shards=2, n_slices=2, random_state=0).fit(X, y).unlearn([3])

    plain = make()
    with config_context(enable_metadata_routing=True):
        np.testing.assert_array_equal(plain.predict_proba(X), make().predict_proba(X))


def test_frozen_estimators_are_refused(problem):
    from sklearn.frozen import FrozenEstimator

    X, y = problem
    with pytest.raises(ValueError, match="FrozenEstimator"):
        SISAClassifier(FrozenEstimator(GaussianNB().fit(X, y))).fit(X, y)


def test_vector_targets():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))
    model = SISARegressor(Ridge(), n_shards=3, random_state=0).fit(X, Y).unlearn([5])
    reference = SISARegressor(Ridge(), n_shards=3, random_state=0).fit(X, Y, exclude=[5])
    assert model.predict(X).shape == (60, 2)
    np.testing.assert_array_equal(model.predict(X), reference.predict(X))
