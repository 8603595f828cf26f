"""After any requests the model is, bit for bit, the one that never saw those rows."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetRegressor

from mlunlearn import SISAClassifier, SISARegressor
from mlunlearn._testing import ConvNet, small_net
from mlunlearn.checks.state import learned_state, state_differences

CONSTITUENTS = {
    "logistic": LogisticRegression(),
    "logistic, warm start": LogisticRegression(warm_start=True, max_iter=500),
    "sgd": SGDClassifier(),
    "naive bayes": GaussianNB(),
    "tree": DecisionTreeClassifier(),
    "forest": RandomForestClassifier(n_estimators=5),
    "forest, warm start": RandomForestClassifier(n_estimators=7, warm_start=True),
    "boosting": HistGradientBoostingClassifier(max_iter=3),
    "boosting, warm start": HistGradientBoostingClassifier(max_iter=6, warm_start=True, min_samples_leaf=2),
    "mlp with adam": MLPClassifier((8,), solver="adam"),
    "mlp with momentum": MLPClassifier((8,), solver="sgd", momentum=0.9),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "net with dropout": small_net(max_epochs=4),
}
SLICED = {"logistic, warm start", "sgd", "naive bayes", "forest, warm start", "boosting, warm start"} | {
    name for name in CONSTITUENTS if name.startswith(("mlp", "net"))
}


@pytest.fixture(scope="module")
def problem():
    return make_classification(
        n_samples=101, n_features=6, n_informative=5, n_redundant=0, n_classes=3, class_sep=0.7, random_state=0
    )


def sisa(name, **options):
    options = {"n_shards": 4, "n_slices": 3, "max_epochs": 3, "random_state": 0} | options
    return SISAClassifier(CONSTITUENTS[name], **options)


def assert_same(model, reference, X):
    assert state_differences(learned_state(model), learned_state(reference)) == {}
    np.testing.assert_array_equal(model.predict_proba(X), reference.predict_proba(X))


@pytest.mark.parametrize("name", CONSTITUENTS)
def test_slices_are_used_where_the_estimator_can_go_on(name, problem):
    model = sisa(name).fit(*problem)
    assert model.n_slices_ == (3 if name in SLICED else 1)
    assert [len(parts) for parts in model.checkpoints_] == [model.n_slices_] * 4


@pytest.mark.parametrize("name", CONSTITUENTS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_sequence_of_requests_equals_a_fit_without_the_rows(name, problem):
    X, y = problem
    model = sisa(name).fit(X, y)
    rows = np.random.default_rng(1).permutation(101)[:20]
    for request in (rows[:1], [100] if 100 not in rows else rows[1:2], rows[2:9], rows[9:]):
        model.unlearn(np.setdiff1d(request, np.flatnonzero(model.forgotten_)) if len(request) == 1 else request)
        assert_same(model, sisa(name).fit(X, y, exclude=model.forgotten_), X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_emptied_slices_and_an_emptied_shard(problem):
    X, y = problem
    for name in ("sgd", "naive bayes", "mlp with adam", "net with dropout"):
        model = sisa(name).fit(X, y)
        cells = model.allocation_
        model.unlearn(np.flatnonzero((cells.shard == 1) & (cells.slice == 0)))
        model.unlearn(np.flatnonzero((cells.shard == 2) & (cells.slice == 1)))
        model.unlearn(np.flatnonzero((cells.shard == 1) & (cells.slice > 0)))
        assert model.checkpoints_[1] == [None, None, None]
        assert len(model.estimators_) == 3
        assert_same(model, sisa(name).fit(X, y, exclude=model.forgotten_), X)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(st.integers(0, 46), min_size=1, max_size=6, unique=True), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(1, 5),
    st.booleans(),
)
def test_any_requests_any_shape_any_order(requests, n_shards, n_slices, by_id):
    X, y = make_classification(n_samples=47, n_features=4, random_state=2)
    ids = [f"person {row // 2}" for row in range(47)] if by_id else None

    def new():
        return SISAClassifier(SGDClassifier(), n_shards=n_shards, n_slices=n_slices, max_epochs=2, random_state=3)

    model = new().fit(X, y, sample_ids=ids)
    backwards = new().fit(X, y, sample_ids=ids)
    for request in requests:
        model.unlearn(request)
    for request in reversed(requests):
        backwards.unlearn(request)
    at_once = new().fit(X, y, sample_ids=ids).unlearn(np.unique(np.concatenate(requests)))
    reference = new().fit(X, y, sample_ids=ids, exclude=model.forgotten_)
    for other in (backwards, at_once, reference):
        assert_same(model, other, X)


def test_classes_leave(problem):
    X, y = problem
    for name in ("sgd", "naive bayes", "tree", "net with dropout"):
        model = sisa(name).fit(X, y).unlearn(classes=[1])
        assert model.classes_.tolist() == [0, 2]
        assert model.predict_proba(X).shape == (101, 2)
        assert_same(model, sisa(name).fit(X, y, exclude=y == 1), X)


def test_a_shard_that_loses_a_label_is_retrained_from_its_first_slice():
    X, y = make_classification(n_samples=60, random_state=0)
    y[:3] = 2
    model = SISAClassifier(SGDClassifier(), n_shards=2, n_slices=4, random_state=0).fit(X, y)
    rare = [row for row in range(3) if (y[model.allocation_.rows(model.allocation_.shard[row])] == 2).sum() == 1]
    model.unlearn(rare[:1])
    assert model.receipts_[-1].work.details["slices"] == [0]
    reference = SISAClassifier(SGDClassifier(), n_shards=2, n_slices=4, random_state=0).fit(X, y, exclude=rare[:1])
    assert_same(model, reference, X)


def test_regressors(problem):
    X, y = make_regression(n_samples=90, n_features=5, random_state=0)
    for constituent in (SGDRegressor(), small_net(NeuralNetRegressor, module__n_outputs=1, max_epochs=3)):
        new = SISARegressor(constituent, n_shards=3, n_slices=3, max_epochs=3, random_state=0)
        model = SISARegressor(**new.get_params(deep=False)).fit(X, y).unlearn([89, 0, 44]).unlearn([7])
        reference = new.fit(X, y, exclude=[0, 7, 44, 89])
        assert state_differences(learned_state(model), learned_state(reference)) == {}
        np.testing.assert_array_equal(model.predict(X), reference.predict(X))


def test_a_convolutional_net_on_digits():
    X, y = load_digits(return_X_y=True)
    X, y = (X[:600] / 16).astype(np.float32), y[:600]
    net = small_net(module=ConvNet, max_epochs=4)
    model = SISAClassifier(net, n_shards=2, n_slices=3, aggregation="mean", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.8
    model.unlearn([0, 599]).unlearn([17])
    reference = SISAClassifier(net, n_shards=2, n_slices=3, aggregation="mean", random_state=0)
    assert_same(model, reference.fit(X, y, exclude=[0, 17, 599]), X)


def test_the_number_of_processes_changes_nothing(problem):
    X, y = problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # loky may restart a worker
        for name in ("sgd", "net with dropout"):
            alone = sisa(name).fit(X, y).unlearn([3, 50])
            together = sisa(name, n_jobs=2).fit(X, y).unlearn([3, 50])
            assert_same(alone, together, X)


def test_threads_change_nothing(problem):
    from joblib import parallel_config

    X, y = problem
    alone = sisa("net with dropout").fit(X, y).unlearn([3, 50])
    with parallel_config(backend="threading"):
        together = sisa("net with dropout", n_jobs=2).fit(X, y).unlearn([3, 50])
    assert_same(alone, together, X)


def test_one_shard_and_one_slice_is_plain_training(problem):
    X, y = problem
    model = SISAClassifier(LogisticRegression(), n_shards=1).fit(X, y)
    order = model.allocation_.rows(0)
    np.testing.assert_array_equal(model.estimators_[0].coef_, LogisticRegression().fit(X[order], y[order]).coef_)


def test_all_but_one_row_can_be_forgotten(problem):
    X, y = problem
    model = sisa("sgd").fit(X, y)
    for label in (0, 1):
        model.unlearn(classes=label)
    model.unlearn(np.flatnonzero(y == 2)[1:])
    assert model.predict(X).tolist() == [2] * 101
    assert len(model.estimators_) == 1
