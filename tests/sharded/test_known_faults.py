"""Faults that released SISA code is known for, one test each: none of them can occur here."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from mlunlearn import SISAClassifier, UnknownIdError
from mlunlearn._testing import small_net
from mlunlearn.checks.state import flatten_state, learned_state, state_differences

X, Y = make_classification(n_samples=107, n_features=6, random_state=0)  # shards and slices are uneven


def sgd(**options):
    return SISAClassifier(SGDClassifier(), **{"n_shards": 4, "n_slices": 5, "random_state": 0, **options})


def test_trailing_rows_are_learned_and_forgotten_like_any_other():
    """Fault: rows after the last whole slice are learned, but forgetting one of them retrains nothing."""
    model = sgd().fit(X, Y)
    for shard in range(4):
        last = model.allocation_.rows(shard)[-1]
        before = flatten_state(model.checkpoints_[shard][-1])
        model.unlearn([last])
        assert model.receipts_[-1].work.samples > 0
        assert state_differences(flatten_state(model.checkpoints_[shard][-1]), before) != {}
    assert state_differences(learned_state(model), learned_state(sgd().fit(X, Y, exclude=model.forgotten_))) == {}


def test_no_checkpoint_of_a_forgotten_row_survives():
    """Fault: checkpoints and recovery files of the old models stay on disk and in the cache."""
    spoiled = X.copy()
    spoiled[50] = 1e30  # leaves its mark on every mean it enters
    model = SISAClassifier(GaussianNB(), n_shards=4, n_slices=5, random_state=0).fit(spoiled, Y)
    old = {id(part) for parts in model.checkpoints_ for part in parts}
    shard, part = model.allocation_.shard[50], model.allocation_.slice[50]
    assert max(np.abs(m.theta_).max() for m in model.checkpoints_[shard][part:]) > 1e6
    model.unlearn([50])
    weights = np.concatenate([m.theta_.ravel() for parts in model.checkpoints_ for m in parts])
    assert np.abs(weights).max() < 1e6
    assert spoiled[50].tobytes() not in pickle.dumps(model)
    kept = [id(m) for m in model.checkpoints_[shard] if id(m) in old]
    assert len(kept) == part


def test_two_runs_with_one_seed_are_equal_and_with_two_seeds_are_not():
    """Fault: no seeds, so that two runs on equal data differ."""
    for make in (sgd, lambda **o: SISAClassifier(small_net(max_epochs=2), n_shards=2, n_slices=2, **o)):
        one, two, other = (make(random_state=seed).fit(X, Y) for seed in (1, 1, 2))
        assert state_differences(learned_state(one), learned_state(two)) == {}
        assert state_differences(learned_state(one), learned_state(other)) != {}


@pytest.mark.parametrize("solver", [{"solver": "adam"}, {"solver": "sgd", "learning_rate": "invscaling"}])
def test_a_resumed_optimiser_remembers_its_moments(solver):
    """Fault: moments are carried from slice to slice in memory, but not stored, so that a resumed run differs."""
    make = lambda: SISAClassifier(MLPClassifier((8,), **solver), n_shards=2, n_slices=4, max_epochs=4, random_state=0)  # noqa: E731
    model = make().fit(X, Y)
    late = np.flatnonzero(model.allocation_.slice == 3)[:2]
    model = pickle.loads(pickle.dumps(model)).attach_data(X, Y).unlearn(late)
    assert model.receipts_[-1].work.details["slices"] == [3] * len(model.receipts_[-1].work.details["shards"])
    assert state_differences(learned_state(model), learned_state(make().fit(X, Y, exclude=late))) == {}


def test_other_settings_never_meet_old_checkpoints():
    """Fault: the cache's key leaves out hyper-parameters and epochs."""
    model = sgd().fit(X, Y)
    model.set_params(estimator__alpha=1.0, max_epochs=3).fit(X, Y)
    assert (
        state_differences(
            learned_state(model), learned_state(sgd(max_epochs=3).set_params(estimator__alpha=1.0).fit(X, Y))
        )
        == {}
    )


def test_batches_are_cut_from_the_retained_rows():
    """Fault: batches are cut by position at fit, so that deletions leave short or empty ones."""
    net = small_net(max_epochs=2, batch_size=4)
    model = SISAClassifier(net, n_shards=2, n_slices=2, random_state=0).fit(X, Y)
    batch = model.allocation_.rows(0)[:8]
    model.unlearn(batch)
    reference = SISAClassifier(net, n_shards=2, n_slices=2, random_state=0).fit(X, Y, exclude=batch)
    assert state_differences(learned_state(model), learned_state(reference)) == {}


def test_unequal_shards_are_made_saved_and_served():
    """Fault: the non-uniform partitioner fails, and unequal shards cannot be saved."""
    risk = np.linspace(0.001, 0.3, 107)
    model = sgd(max_requests=1.0).fit(X, Y, deletion_probability=risk)
    sizes = model.allocation_.counts(slice(None)).sum(axis=1)
    assert sizes.max() > 2 * sizes.min()
    reloaded = pickle.loads(pickle.dumps(model)).attach_data(X, Y).unlearn([0, 106])
    reference = sgd(max_requests=1.0).fit(X, Y, deletion_probability=risk, exclude=[0, 106])
    assert state_differences(learned_state(reloaded), learned_state(reference)) == {}


def test_requests_that_match_nothing_are_errors():
    """Fault: requests are real numbers that match no record, and are taken as served."""
    model = sgd().fit(X, Y, sample_ids=np.arange(107))
    with pytest.raises(ValueError, match="expected integers"):
        model.unlearn([17.3, 4.2])
    with pytest.raises(UnknownIdError):
        model.unlearn(forget_ids=[1000])


def test_probabilities_can_be_averaged_and_a_fit_repeated():
    """Fault: soft outputs and a second run under the same label both fail."""
    model = SISAClassifier(GaussianNB(), n_shards=4, n_slices=5, aggregation="mean", random_state=0).fit(X, Y)
    first = model.predict_proba(X)
    np.testing.assert_allclose(first.sum(axis=1), 1)
    np.testing.assert_array_equal(model.fit(X, Y).predict_proba(X), first)


@pytest.mark.parametrize("constituent", [SGDClassifier(), small_net()])
def test_every_slice_trains_however_small_the_budget(constituent):
    """Fault: with 16 slices and one epoch only one slice is ever trained on."""
    model = SISAClassifier(constituent, n_shards=2, n_slices=16, max_epochs=1, random_state=0).fit(X, Y)
    for parts in model.checkpoints_:
        for before, after in pairwise(parts):
            assert state_differences(flatten_state(after), flatten_state(before)) != {}


def test_rows_of_a_first_request_do_not_come_back_with_the_second():
    """Fault: row lists are not updated, so that the second request retrains on the rows of the first."""
    model = sgd().fit(X, Y)
    shard = model.allocation_.rows(2)
    model.unlearn(shard[-1:]).unlearn(shard[:1])
    reference = sgd().fit(X, Y, exclude=shard[[0, -1]])
    assert state_differences(learned_state(model), learned_state(reference)) == {}


class Keeps(ClassifierMixin, BaseEstimator):
    """Remembers its last input, as lazy learners do."""

    def partial_fit(self, X, y, classes=None):
        self.classes_, self.X_ = classes, X
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_a_checkpoint_that_keeps_its_input_keeps_no_later_slice():
    model = SISAClassifier(Keeps(), n_shards=1, n_slices=2, random_state=0).fit(X, Y)
    last = model.allocation_.rows(0)[-1]
    model.unlearn([last])
    first = model.checkpoints_[0][0].X_
    assert len(first) == 54
    assert first.base is None or X[last].tobytes() not in first.base.tobytes()


def test_receipts_count_what_was_trained_and_nothing_else():
    rare = np.repeat([0, 1], [100, 7])
    constant = SISAClassifier(GaussianNB(), n_shards=20, random_state=0).fit(X, rare)
    mixed = [len(np.unique(rare[constant.allocation_.rows(k)])) == 2 for k in range(20)]
    row = next(row for row in range(100) if not mixed[constant.allocation_.shard[row]])
    work = constant.unlearn([row]).receipts_[-1].work
    assert work.samples == 0
    assert work.full == sum(len(constant.allocation_.rows(k)) for k in range(20) if mixed[k])
