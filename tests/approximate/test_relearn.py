"""Relearn: what resembles the forgotten rows, and what is dropped with them."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from mlunlearn._testing import small_net
from mlunlearn.approximate import RelearnClassifier, RestartClassifier, ShrinkPerturbClassifier
from mlunlearn.approximate.relearn import AT_LEAST, _plausible
from mlunlearn.approximate.resemblance import Embedded, leanings, told_apart
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


def embedded(rng, n, centre, label=0):
    return Embedded(torch.tensor(rng.normal(size=(n, 3)) + centre), np.full(n, label))


def both(first, second):
    return Embedded(torch.cat([first.values, second.values]), np.concatenate([first.labels, second.labels]))


def test_leanings_are_mean_distances_to_the_other_rows_of_the_label():
    rng = np.random.default_rng(0)
    forgotten = both(embedded(rng, 4, 0), embedded(rng, 3, 5, label=1))
    retained = both(embedded(rng, 5, 1), embedded(rng, 6, 4, label=1))
    found = leanings(forgotten, retained)
    for part, mine, sign in zip((forgotten, retained), found, (1, -1), strict=True):
        other = retained if part is forgotten else forgotten
        for place, (row, label) in enumerate(zip(part.values, part.labels, strict=True)):
            same = [other.values[k] for k in np.flatnonzero(other.labels == label)]
            mates = [part.values[k] for k in np.flatnonzero(part.labels == label) if k != place]
            far, near = (np.mean([float((row - one).norm()) for one in group]) for group in (same, mates))
            assert mine[place] == pytest.approx(sign * (far - near))


def test_labels_with_one_row_of_a_side_are_left_out():
    rng = np.random.default_rng(0)
    forgotten = both(embedded(rng, 1, 0), embedded(rng, 3, 0, label=1))
    of_forgotten, of_retained = leanings(forgotten, both(embedded(rng, 5, 0), embedded(rng, 5, 0, label=1)))
    assert np.isnan(of_forgotten).tolist() == [True] + 3 * [False]
    assert np.isnan(of_retained).tolist() == 5 * [True] + 5 * [False]
    with pytest.raises(ValueError, match="two forgotten"):
        told_apart(embedded(rng, 1, 0), embedded(rng, 5, 0))


def test_rows_drawn_at_random_are_told_apart_half_of_the_time():
    """The mean of 60 draws, of a spread of 0.08 each, is off by more than 0.05 in less than one of 10,000 cases."""
    rngs = [np.random.default_rng(seed) for seed in range(60)]
    areas = [told_apart(embedded(rng, 40, 0), embedded(rng, 200, 0))[0] for rng in rngs]
    assert 0.44 < np.mean(areas) < 0.54


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_retained_rows_of_the_kind_bound_how_well_forgotten_rows_are_told_apart(share):
    """Far from all others, a forgotten row beats every sound row, and of those of its kind half at most."""
    rng = np.random.default_rng(0)
    kind = round(200 * share)
    retained = both(embedded(rng, 200 - kind, 0), embedded(rng, kind, 50)) if kind else embedded(rng, 200, 0)
    area, _ = told_apart(embedded(rng, 60, 50), retained)
    assert 1 - share - 0.02 < area < 1 - share / 2 + 0.02


# ------------------------------------------------------------- the method


@pytest.fixture(scope="module")
def confused():
    """Two far classes, in each of which two fifths carry the label of the other, and the places of those rows."""
    rng = np.random.default_rng(0)
    true = rng.permutation(np.arange(600) % 2)
    X = (rng.normal(size=(600, 5)) + 4 * np.eye(2, 5)[true]).astype(np.float32)
    wrong = np.sort(rng.permutation(600)[:240])
    y = true.copy()
    y[wrong] = 1 - true[wrong]
    return X, y, true, wrong


@pytest.fixture(scope="module")
def overfitted(confused):
    X, y, *_ = confused
    return TorchClassifier(small_net(max_epochs=80), random_state=0).fit(X, y)


def test_a_tenth_of_the_wrong_labels_finds_the_others(overfitted, confused):
    X, y, true, wrong = confused
    known = wrong[::10]
    model = RelearnClassifier(FrozenEstimator(overfitted), random_state=0).fit(X, y).unlearn(known)
    details = model.receipts_[-1].work.details
    hidden = len(wrong) - len(known)
    assert abs(details["dropped"] - hidden) < 0.1 * hidden
    assert np.mean(model.predict(X) == true) > 0.97
    assert model.forgotten_.sum() == len(known)


def test_where_it_may_not_look_nothing_is_dropped(overfitted, confused):
    X, y, _, wrong = confused
    model = RelearnClassifier(FrozenEstimator(overfitted), look=False, random_state=0).fit(X, y).unlearn(wrong[::10])
    assert model.receipts_[-1].work.details == {"dropped": 0}


def test_of_ordinary_rows_none_is_dropped(overfitted, confused):
    """Sixty sound rows and as many wrong ones: the network that did not learn them agrees with the sound ones."""
    X, _, true, _ = confused
    model = TorchClassifier(small_net(max_epochs=40), random_state=0).fit(X, true)
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(600)[:60]
        served = RelearnClassifier(FrozenEstimator(model), random_state=0).fit(X, true).unlearn(rows)
        assert served.receipts_[-1].work.details["dropped"] == 0


@pytest.mark.parametrize(("keep", "other"), [(0.0, RestartClassifier), (0.4, ShrinkPerturbClassifier)])
def test_without_looking_it_is_learning_again_to_the_bit(keep, other, frozen, blobs, module_of, same_weights):
    X, y, *_ = blobs
    model = RelearnClassifier(frozen, keep=keep, look=False, batch_size=8, lr=0.01, random_state=0).fit(X, y)
    settings = {"budget": 0.2, "batch_size": 8, "lr": 0.01, "random_state": 0}
    control = other(frozen, **settings, **({"keep": keep} if keep else {})).fit(X, y)
    assert same_weights(module_of(model.unlearn(ROWS)), module_of(control.unlearn(ROWS)))


@pytest.mark.parametrize("step", [1, 10])
def test_looking_included_it_keeps_to_the_budget(step, overfitted, confused):
    X, y, _, wrong = confused
    model = RelearnClassifier(FrozenEstimator(overfitted), budget=0.3, random_state=0).fit(X, y).unlearn(wrong[::step])
    assert 0.28 < model.receipts_[-1].retrained_share <= 0.3


def test_a_budget_of_too_few_steps_is_the_documented_minimum(overfitted, confused):
    X, y, _, wrong = confused
    model = RelearnClassifier(FrozenEstimator(overfitted), budget=0.01, batch_size=8, random_state=0).fit(X, y)
    work = model.unlearn(wrong[::10]).receipts_[-1].work
    assert (AT_LEAST - 1) * 8 <= work.samples <= AT_LEAST * 8


@pytest.mark.parametrize(("budget", "look"), [(0.1003, True), (0.1003, False), (0.15, True)])
def test_no_budget_is_passed_by_a_single_row(budget, look, overfitted, confused):
    X, y, _, wrong = confused
    model = RelearnClassifier(FrozenEstimator(overfitted), budget=budget, look=look, batch_size=4, random_state=0)
    assert 0.95 * budget < model.fit(X, y).unlearn(wrong[::10]).receipts_[-1].retrained_share <= budget


def test_of_a_label_that_the_network_does_not_know_no_row_is_dropped():
    labels = np.repeat([0, 1], 10)
    contradicted = np.r_[np.arange(10) < 7, np.arange(10) < 6]
    np.testing.assert_array_equal(_plausible(contradicted, labels), np.r_[np.zeros(10, bool), np.arange(10) < 6])


@pytest.mark.parametrize("n_known", [1, 3])
def test_few_known_rows_lose_no_label(n_known, overfitted, confused):
    """Whatever is dropped, both classes are still told: of each, more than half of the rows are said to be it."""
    X, y, true, wrong = confused
    model = RelearnClassifier(FrozenEstimator(overfitted), random_state=0).fit(X, y).unlearn(wrong[:n_known])
    said = model.predict(X)
    assert min(np.mean(said[true == label] == label) for label in (0, 1)) > 0.5


def test_a_class_that_goes_as_a_whole_is_not_looked_for(frozen, blobs):
    model = RelearnClassifier(frozen, random_state=0).fit(*blobs[:2]).unlearn(classes=[2])
    assert model.receipts_[-1].work.details == {"dropped": 0}


@pytest.mark.parametrize(("name", "value"), [("keep", -0.1), ("keep", 1.5), ("look", "yes"), ("budget", 0.0)])
def test_settings_that_make_no_sense_are_refused(name, value, frozen, blobs):
    with pytest.raises(ValueError, match=name):
        RelearnClassifier(frozen, **{name: value}).fit(*blobs[:2]).unlearn(ROWS)
