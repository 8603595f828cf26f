"""Pipelines: what learns from rows is inside the unlearner, or forgets, or is refused."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from mlunlearn import Retrain, SISAClassifier, UnlearningPipeline, make_unlearning_pipeline
from mlunlearn.checks.state import learned_state, state_differences

X, Y = load_iris(return_X_y=True)


class Centering(TransformerMixin, BaseEstimator):
    """A scaler that can forget: it keeps a sum and a count."""

    def fit(self, X, y=None, exclude=()):
        keep = np.ones(len(X), bool)
        keep[list(exclude)] = False
        self.rows_ = {int(i): X[i].copy() for i in np.flatnonzero(keep)}
        return self._learn()

    def unlearn(self, rows):
        self.rows_ = {i: x for i, x in self.rows_.items() if i not in set(rows.tolist())}
        return self._learn()

    def _learn(self):
        self.mean_ = np.mean(list(self.rows_.values()), axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


def sisa(**options):
    return SISAClassifier(LogisticRegression(max_iter=1000), n_shards=3, random_state=0, **options)


PIPELINES = {
    "stateless": lambda: make_unlearning_pipeline(Normalizer(), FunctionTransformer(np.log1p), sisa()),
    "passthrough": lambda: UnlearningPipeline([("nothing", "passthrough"), ("sisa", sisa())]),
    "forgetting": lambda: make_unlearning_pipeline(Normalizer(), Centering(), sisa()),
    "inside": lambda: SISAClassifier(make_pipeline(StandardScaler(), LogisticRegression()), random_state=0),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_forgetting_equals_never_having_seen(name):
    model = PIPELINES[name]().fit(X, Y)
    model.unlearn([3, 60]).unlearn([100]).unlearn(classes=[0])
    reference = PIPELINES[name]().fit(X, Y, exclude=(Y == 0) | np.isin(np.arange(150), [60, 100]))
    np.testing.assert_array_equal(model.predict_proba(X), reference.predict_proba(X))
    inner, expected = (m[-1] if isinstance(m, UnlearningPipeline) else m for m in (model, reference))
    assert state_differences(learned_state(inner), learned_state(expected)) == {}
    assert model.classes_.tolist() == [1, 2]
    assert [len(receipt.rows) for receipt in model.receipts_] == [2, 1, 49]


def test_a_scaler_outside_would_have_remembered():
    """What the refusal protects from: the same model with the scaler outside differs from the honest one."""
    outside = StandardScaler().fit(X).transform(X)
    dishonest = sisa().fit(outside, Y).unlearn([41, 117])
    honest = PIPELINES["inside"]().set_params(n_shards=3).fit(X, Y, exclude=[41, 117])
    assert np.abs(dishonest.predict_proba(outside) - honest.predict_proba(X)).max() > 0


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ([StandardScaler(), sisa()], TypeError, "StandardScaler.*cannot forget them. Put it inside the unlearner"),
        ([Normalizer(), LogisticRegression()], TypeError, "LogisticRegression, which has no unlearn"),
    ],
)
def test_steps_that_would_remember_are_refused(steps, error, message):
    with pytest.raises(error, match=message):
        make_unlearning_pipeline(*steps).fit(X, Y)


def test_a_cache_is_refused(tmp_path):
    with pytest.raises(ValueError, match="memory must be None"):
        make_unlearning_pipeline(Normalizer(), sisa()).set_params(memory=str(tmp_path)).fit(X, Y)


def test_what_was_passed_in_is_not_touched():
    steps = [("unit", Normalizer()), ("sisa", sisa())]
    UnlearningPipeline(list(steps)).fit(X, Y).unlearn([3])
    assert not hasattr(steps[1][1], "checkpoints_")


def test_a_failure_in_the_last_step_leaves_the_pipeline_as_it_was(monkeypatch):
    model = PIPELINES["forgetting"]().fit(X, Y)
    before = pickle.dumps(model)

    def fail(*args, **kwargs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(LogisticRegression, "fit", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        model.unlearn([3])
    monkeypatch.undo()
    assert pickle.dumps(model) == before
    assert model.unlearn([3]).forgotten_.sum() == 1


def test_reload_and_attach():
    model = PIPELINES["stateless"]().fit(X, Y).unlearn([3])
    reloaded = pickle.loads(pickle.dumps(model)).attach_data(X, Y).unlearn([4])
    np.testing.assert_array_equal(reloaded.predict_proba(X), model.unlearn([4]).predict_proba(X))


def test_ids_and_weights_go_through():
    ids = np.arange(150) // 2
    weight = np.linspace(0.5, 2, 150)
    model = PIPELINES["stateless"]().fit(X, Y, weight, sample_ids=ids).unlearn(forget_ids=[7])
    assert np.flatnonzero(model.forgotten_).tolist() == [14, 15]
    reference = PIPELINES["stateless"]().fit(X, Y, weight, sample_ids=ids, exclude=[14, 15])
    np.testing.assert_array_equal(model.predict_proba(X), reference.predict_proba(X))


def test_retrain_serves_as_the_last_step():
    model = make_unlearning_pipeline(Normalizer(), Retrain(LogisticRegression(), random_state=0)).fit(X, Y).unlearn([3])
    assert (model.guarantee, model.exactness) == ("exact", "bits")
