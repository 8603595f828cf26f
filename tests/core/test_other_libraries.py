"""Estimators of other libraries: labels they ask for, outputs they give, files they write, input they write into."""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_iris, make_classification
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Checkpoint, LoadInitState, TrainEndCheckpoint

from mlunlearn import Retrain, SISAClassifier, SISARegressor
from mlunlearn._testing import small_net
from mlunlearn.checks.state import learned_state, state_differences

X, Y = load_iris(return_X_y=True)
METHODS = [Retrain, SISAClassifier]
NAMES = np.array(["setosa", "versicolor", "virginica"])


class Column(ClassifierMixin, BaseEstimator):
    """Predicts labels in a column, as CatBoost does with three classes or more."""

    def fit(self, X, y):
        self.tree_ = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
        self.classes_ = self.tree_.classes_
        return self

    def predict(self, X):
        return self.tree_.predict(X)[:, None]


class Numbered(ClassifierMixin, BaseEstimator):
    """Takes labels 0, ..., k - 1 alone, as XGBoost does."""

    def fit(self, X, y, sample_weight=None):
        if not np.array_equal(np.unique(y), np.arange(len(np.unique(y)))):
            raise ValueError(f"Invalid classes inferred from unique values of `y`: {np.unique(y)}.")
        self.tree_ = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y, sample_weight)
        self.classes_ = self.tree_.classes_
        return self

    def predict(self, X):
        return self.tree_.predict(X)

    def predict_proba(self, X):
        return self.tree_.predict_proba(X)


def xgboost():
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=5, max_depth=2)


def lightgbm():
    return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=5, min_child_samples=2, verbose=-1)


def catboost():
    return pytest.importorskip("catboost").CatBoostClassifier(iterations=5, depth=2, verbose=0)


MAKERS = [Column, Numbered, xgboost, lightgbm, catboost]


def assert_exact(model, make, rows, *data):
    never = make().fit(*data, exclude=rows)
    assert state_differences(learned_state(model), learned_state(never)) == {}
    np.testing.assert_array_equal(model.predict(data[0]), never.predict(data[0]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("labels", [Y, NAMES[Y], Y > 0], ids=["numbers", "names", "booleans"])
def test_labels_of_every_kind_are_learned_and_forgotten(maker, method, labels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make():
        return method(maker(), random_state=0)

    model = make().fit(X, labels)
    assert model.predict(X).shape == (150,)
    assert model.score(X, labels) > 0.9
    assert_exact(model.unlearn([3, 77, 149]), make, [3, 77, 149], X, labels)
    lowest = np.flatnonzero(labels == np.unique(labels)[0])
    if len(np.unique(labels)) > 2:
        model = make().fit(X, labels).unlearn(classes=[np.unique(labels)[0]])
        assert set(model.predict(X)) == set(np.unique(labels)[1:])
        assert_exact(model, make, lowest, X, labels)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("maker", [Numbered, xgboost], ids=lambda maker: maker.__name__)
def test_a_shard_without_a_lower_class(maker):
    """The rare class is in one shard of three, so that the other two lack label 0."""
    labels = np.where(np.arange(150) < 2, 0, 1 + Y % 2)
    ids = np.where(labels == 0, 0, np.arange(150))
    for weight in (None, np.linspace(1, 2, 150)):
        model = SISAClassifier(maker(), n_shards=3, random_state=0).fit(X, labels, weight, sample_ids=ids)
        known = [set(np.asarray(shard.classes_).tolist()) for shard in model.estimators_]
        assert sum({0, 1, 2} == one for one in known) == 1
        assert model.predict_proba(X).shape == (150, 3)
        model.unlearn([40, 80])
        never = SISAClassifier(maker(), n_shards=3, random_state=0)
        never.fit(X, labels, weight, sample_ids=ids, exclude=[40, 80])
        assert state_differences(learned_state(model), learned_state(never)) == {}


def test_an_error_that_is_not_about_labels_is_told_as_it_is():
    with pytest.raises(ValueError, match="n_neighbors"):
        Retrain(KNeighborsClassifier(n_neighbors=-1)).fit(X, NAMES[Y])


@pytest.mark.parametrize("method", METHODS)
def test_several_outputs_of_a_classifier_are_refused_before_anything_is_learned(method):
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape \(150, 2\)"):
        method(DecisionTreeClassifier()).fit(X, np.column_stack([Y, Y]))


@pytest.mark.parametrize("method", [Retrain, SISARegressor])
@pytest.mark.parametrize("regressor", [LinearRegression(), PLSRegression()])
def test_regressors_may_predict_in_a_column(method, regressor):
    for y, shape in ((X[:, 0], (150,)), (X[:, :2], (150, 2))):
        assert method(regressor, random_state=0).fit(X[:, 1:], y).predict(X[:, 1:]).shape == shape


class ColumnRegressor(RegressorMixin, BaseEstimator):
    """Predicts a vector in a column."""

    def fit(self, X, y):
        self.linear_ = LinearRegression().fit(X, np.ravel(y))
        return self

    def predict(self, X):
        return self.linear_.predict(X)[:, None]


@pytest.mark.parametrize("method", [Retrain, SISARegressor])
def test_a_vector_comes_back_as_a_vector(method):
    assert method(ColumnRegressor(), random_state=0).fit(X, X[:, 0]).predict(X).shape == (150,)


# ------------------------------------------------------------------ input that is written into


class Centres(TransformerMixin, BaseEstimator):
    """Writes into what it is shown."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        X -= self.mean_
        return X


class Warm(ClassifierMixin, BaseEstimator):
    """Goes on from its last fit and writes into its input."""

    def __init__(self, warm_start=True):
        self.warm_start = warm_start

    def fit(self, X, y):
        X *= 2
        self.classes_, self.sum_ = np.unique(y), getattr(self, "sum_", 0) + X.sum(axis=0)
        return self

    def predict(self, X):
        X *= 0
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("scaler", [StandardScaler(copy=False), Centres()])
@pytest.mark.parametrize("method", METHODS)
def test_writing_into_the_input_reaches_neither_other_shards_nor_the_caller(scaler, method):
    rows, labels = make_classification(n_samples=400, class_sep=2.0, shift=3.0, random_state=0)
    train, test = rows.copy(), rows.copy()

    def make():
        return method(make_pipeline(scaler, LogisticRegression()), random_state=0)

    model = make().fit(train, labels)
    assert model.score(test, labels) > 0.95
    np.testing.assert_array_equal(train, rows)
    np.testing.assert_array_equal(test, rows)
    model.unlearn([5]).unlearn([6])
    assert_exact(model, make, [5, 6], train, labels)


def test_writing_into_the_input_reaches_no_later_slice():
    for make in (
        lambda: SISARegressor(Lasso(alpha=0.1, copy_X=False, warm_start=True), n_shards=1, n_slices=3, random_state=0),
        lambda: SISAClassifier(Warm(), n_shards=1, n_slices=3, random_state=0),
    ):
        late = np.flatnonzero(make().fit(X, Y).allocation_.slice == 2)[:3]
        assert_exact(make().fit(X, Y).unlearn(late), make, late, X, Y)


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (
            lambda folder: make_pipeline(StandardScaler(), LogisticRegression(), memory=folder),
            "memory would keep on disk",
        ),
        (
            lambda folder: make_pipeline(FeatureAgglomeration(memory=folder), LogisticRegression()),
            "featureagglomeration__memory would keep",
        ),
        (lambda folder: small_net(callbacks=[LoadInitState(Checkpoint(dirname=folder))]), "LoadInitState"),
    ],
)
def test_caches_on_disk_are_refused(inside, told, method, tmp_path):
    with pytest.raises(ValueError, match=told):
        method(inside(str(tmp_path))).fit(X, Y)


@pytest.mark.parametrize("option", [{"train_dir": "here"}, {"save_snapshot": True}, {"allow_writing_files": True}])
def test_files_asked_of_catboost_are_refused(option):
    estimator = pytest.importorskip("catboost").CatBoostClassifier(iterations=2, verbose=0, **option)
    with pytest.raises(ValueError, match=f"{next(iter(option))}=.* keep on disk"):
        Retrain(estimator).fit(X, Y)


@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_of_skorch_are_gone_when_training_ends(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    callbacks = [
        Checkpoint(monitor="train_loss_best", dirname=str(folder), load_best=True),
        TrainEndCheckpoint(dirname=str(folder), fn_prefix="last_"),
    ]
    net = small_net(callbacks=callbacks, max_epochs=3, module__n_features=4)
    model = method(net, random_state=0).fit(X, Y).unlearn([4])
    assert (
        state_differences(learned_state(model), learned_state(method(net, random_state=0).fit(X, Y, exclude=[4]))) == {}
    )
    assert os.listdir(tmp_path) == []
    assert callbacks[0].dirname == str(folder)


def test_data_frames_reach_other_libraries_as_they_are():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])

    def make():
        return SISAClassifier(lightgbm(), n_shards=2, random_state=0)

    assert_exact(make().fit(frame, Y).unlearn([3]), make, [3], frame, Y)
