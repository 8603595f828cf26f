"""What a request costs beside training: nothing that grows with the rows it does not touch; and what a model saves."""

import copy
import pickle
import threading

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.naive_bayes import GaussianNB

from mlunlearn import SISAClassifier
from mlunlearn.checks.state import flatten_state, learned_state, state_differences
from mlunlearn.sharded import allocation as module
from mlunlearn.sharded.allocation import allocate_by_id, allocate_by_risk, allocate_uniform

N = 400
RNG = np.random.default_rng(0)
ALLOCATIONS = {
    "uniform": allocate_uniform(N, 7, 3, seed=5),
    "by id": allocate_by_id(RNG.integers(0, 2**63, N // 2, dtype=np.uint64).repeat(2), 7, 3),
    "by risk": allocate_by_risk(RNG.uniform(0, 0.1, N), np.arange(N), 0.9, 3, seed=1),
}


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_nothing_is_left_of_a_forgotten_row(name):
    everyone, gone = ALLOCATIONS[name], np.array([0, 8, 9, 399])
    left = everyone.without(gone[:2]).without(gone[2:])
    assert state_differences(flatten_state(left), flatten_state(everyone.without(gone))) == {}
    assert left.shard[gone].tolist() == left.slice[gone].tolist() == [-1] * 4
    assert not np.isin(gone, left.order).any()
    others = np.setdiff1d(np.arange(N), gone)
    for column in ("shard", "slice"):
        np.testing.assert_array_equal(getattr(left, column)[others], getattr(everyone, column)[others])
    np.testing.assert_array_equal(left.order, everyone.order[~np.isin(everyone.order, gone)])
    np.testing.assert_array_equal(left.sizes, everyone.counts(np.isin(np.arange(N), others)))
    np.testing.assert_array_equal(left.sizes, left.counts(slice(None)))
    reloaded = pickle.loads(pickle.dumps(left))
    assert state_differences(flatten_state(reloaded), flatten_state(left)) == {}
    assert copy.deepcopy(left) is left


def test_places_are_looked_up_across_stretches(monkeypatch):
    asked = np.array([0, 63, 64, 200, 399])
    expected = ALLOCATIONS["uniform"].cells(asked)
    monkeypatch.setattr(module, "_STRETCH", 64)
    cut = allocate_uniform(N, 7, 3, seed=5)
    np.testing.assert_array_equal(cut.cells(asked), expected)
    left = cut.without(np.array([64, 200]))
    assert left.cells(asked).tolist() == [
        cut.cells(asked[:1])[0],
        cut.cells(asked[1:2])[0],
        -1,
        -1,
        cut.cells(asked[4:])[0],
    ]
    shared = [before is after for before, after in zip(cut._cells, left._cells, strict=True)]
    assert shared == [True, False, True, False, True, True, True]


def test_a_seed_is_saved_and_not_what_follows_from_it(monkeypatch):
    large = allocate_uniform(300_000, 20, 5, seed=3).without(np.array([7, 70_000]))
    saved = pickle.dumps(large)
    assert len(saved) < 2_000
    assert large.shard[7] == pickle.loads(saved).shard[7] == -1
    by_id = allocate_by_id(RNG.integers(0, 2**63, 300_000, dtype=np.uint64), 20, 5)
    assert len(pickle.dumps(by_id)) < 4.2 * 300_000
    monkeypatch.setattr(module, "_PERMUTATION", 1)  # as if another release drew otherwise
    with pytest.raises(RuntimeError, match="draws another allocation"):
        pickle.loads(saved)


def test_a_request_shares_all_that_it_does_not_touch(monkeypatch):
    from mlunlearn.rows import data

    monkeypatch.setattr(data, "CHUNK_BYTES", 1024)
    X, y = make_classification(2_000, 8, random_state=0)
    model = SISAClassifier(GaussianNB(), n_shards=5, n_slices=4, random_state=0).fit(X, y).unlearn([3])
    chunks, rows, parts = model._data._chunks, model.allocation_._rows, model.checkpoints_
    shard, part = model.allocation_.shard[1234], model.allocation_.slice[1234]
    model.unlearn([1234])
    assert len(chunks) == 125
    assert sum(a is not b for a, b in zip(chunks, model._data._chunks, strict=True)) == 1
    assert [a is b for a, b in zip(rows, model.allocation_._rows, strict=True)] == [k != shard for k in range(5)]
    kept = [
        a is b
        for before, after in zip(parts, model.checkpoints_, strict=True)
        for a, b in zip(before, after, strict=True)
    ]
    assert kept == [k != shard or r < part for k in range(5) for r in range(4)]
    reference = SISAClassifier(GaussianNB(), n_shards=5, n_slices=4, random_state=0).fit(X, y, exclude=[3, 1234])
    assert state_differences(learned_state(model), learned_state(reference)) == {}


def test_the_mask_of_forgotten_rows_cannot_be_edited():
    X, y = make_classification(60, random_state=0)
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, y).unlearn([5])
    with pytest.raises(ValueError, match="read-only"):
        model.forgotten_[6] = True
    with pytest.raises(AttributeError):
        model.forgotten_ = np.ones(60, dtype=bool)
    assert not hasattr(SISAClassifier(GaussianNB()), "forgotten_")


class Waits(ClassifierMixin, BaseEstimator):
    """Lets a request be served while it predicts."""

    meanwhile = staticmethod(lambda: None)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        type(self).meanwhile()
        return np.full(len(X), self.classes_[-1])


def test_a_prediction_is_of_one_state_though_a_request_is_served_meanwhile(monkeypatch):
    X, _ = make_classification(90, random_state=0)
    model = SISAClassifier(Waits(), n_shards=3, weighting="size", random_state=0).fit(X, np.arange(90) % 3)
    expected = model.predict_proba(X)

    def serve():
        monkeypatch.setattr(Waits, "meanwhile", staticmethod(lambda: None))
        thread = threading.Thread(target=lambda: model.unlearn(classes=[1]))
        thread.start()
        thread.join()

    for predict in (model.predict_proba, model.predict):
        model = SISAClassifier(Waits(), n_shards=3, weighting="size", random_state=0).fit(X, np.arange(90) % 3)
        monkeypatch.setattr(Waits, "meanwhile", staticmethod(serve))
        predict = getattr(model, predict.__name__)
        got = predict(X)
        assert model.classes_.tolist() == [0, 2]
        np.testing.assert_array_equal(got, expected if got.ndim == 2 else np.full(90, 2))
