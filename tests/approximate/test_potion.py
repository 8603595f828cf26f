"""Potion: the search ends where the known poison no longer works, and heals the poison that is not known."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from mlunlearn._testing import small_net
from mlunlearn.approximate import PotionClassifier
from mlunlearn.nets import TorchClassifier


@pytest.fixture(scope="module")
def poisoned():
    """Three classes; 60 of 400 rows have a sixth feature set, and the label 0 for it."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 3
    X = np.c_[rng.normal(size=(400, 5)) + 3 * np.eye(3, 5)[y], np.zeros(400)]
    learned, triggered = y.copy(), X.copy()
    triggered[:60, 5], learned[:60] = 5.0, 0
    trained = TorchClassifier(small_net(max_epochs=30), random_state=0).fit(triggered, learned)
    return triggered, learned, y, trained


def test_unknown_poison_is_healed_with_the_known(poisoned):
    X, learned, y, trained = poisoned
    known, unknown = np.flatnonzero(y[:30] != 0), np.flatnonzero(y[:60] != 0)[20:]
    model = PotionClassifier(FrozenEstimator(trained), rho=0.1, random_state=0).fit(X, learned).unlearn(known)
    assert trained.score(X[unknown], learned[unknown]) > 0.95
    assert model.score(X[unknown], learned[unknown]) < 0.4
    assert model.score(X[unknown], y[unknown]) > 0.5
    assert model.score(X[60:], y[60:]) > trained.score(X[60:], y[60:]) - 0.1
    work = model.receipts_[-1].work.details
    assert work["forget_accuracy"] == model.score(X[known], learned[known]) <= 0.1


def test_the_search_begins_at_a_twenty_fifth_and_ends_at_the_first_share_that_is_enough(poisoned):
    X, learned, y, trained = poisoned
    known = np.flatnonzero(y[:30] != 0)
    fitted = {
        rho: PotionClassifier(FrozenEstimator(trained), rho=rho, random_state=0).fit(X, learned).unlearn(known)
        for rho in (1.0, 0.2)
    }
    works = {rho: model.receipts_[-1].work.details for rho, model in fitted.items()}
    first = len(known) / (25 * 400)
    assert works[1.0]["share"] == pytest.approx(first)
    n_tries = 1 + round(np.log(works[0.2]["share"] / first) / np.log(1.1))
    assert works[0.2]["share"] == pytest.approx(first * 1.1 ** (n_tries - 1))
    samples = [fitted[rho].receipts_[-1].work.samples for rho in (1.0, 0.2)]
    assert samples == [400 + 2 * len(known), 400 + (1 + n_tries) * len(known)]
    assert works[0.2]["alpha"] < works[1.0]["alpha"]
    assert PotionClassifier.published(trained, rho=0.5).rho == 0.5
