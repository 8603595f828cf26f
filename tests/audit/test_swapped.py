"""SWAP on rows that nothing matches: exact models cancel at the stated rate, models that forgot nothing do not."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import binom
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

from mlunlearn import Retrain
from mlunlearn.audit import swap_audit

N, F = 300, 60


class Forgetful(Retrain):
    """Says that it has forgotten, and keeps the model that learned from all rows."""

    def _unlearn(self, request):
        kept = self.estimator_
        receipt = super()._unlearn(request)
        self.estimator_ = kept
        return receipt


def mislabelled(seed):
    X, y = make_classification(N + 200, 8, n_informative=4, flip_y=0.1, random_state=seed)
    y[:F] = 1 - y[:F]
    return X, y


def swapped(seed, kind=Retrain, container=np.asarray, **options):
    X, y = mislabelled(seed)
    train = container(X[:N])
    model = kind(DecisionTreeClassifier(max_features=3), random_state=seed).fit(train, y[:N]).unlearn(range(F))
    return swap_audit(model, container(X[N:]), y[N:], train=(train, y[:N]), random_state=seed + 1, **options)


def test_exact_models_cancel_at_the_stated_rate():
    """40 draws at 5 %: more than 6 alarms happen with a chance of 0.3 %."""
    results = [swapped(seed, n_references=3) for seed in range(40)]
    assert max(result.advantage for result in results) < -0.2
    assert sum(result.difference.p_value <= 0.05 for result in results) <= binom.isf(0.004, 40, 0.05)
    assert abs(np.mean([result.difference.estimate for result in results])) < 0.05


def test_a_model_that_forgot_nothing_keeps_its_advantage():
    result = swapped(0, Forgetful)
    assert result.remaining > 0.4
    assert result.difference.p_value < 0.01
    assert "there remains" in str(result)


@pytest.mark.parametrize("container", [pd.DataFrame, sparse.csr_matrix])
def test_rows_stay_in_their_container(container):
    assert swapped(1, container=container, n_references=2).remaining == pytest.approx(
        swapped(1, n_references=2).remaining, abs=0.3
    )


def test_what_cannot_be_run_twice_is_refused_before_anything_is_trained():
    X, y = mislabelled(0)
    model = Retrain(DecisionTreeClassifier(), random_state=0).fit(X[:N], y[:N]).unlearn(range(F))
    with pytest.raises(TypeError, match="has no unlearn"):
        swap_audit(DecisionTreeClassifier().fit(X, y), X, y, train=(X, y))
    with pytest.raises(ValueError, match="60 rows were forgotten, and there are 10 unseen"):
        swap_audit(model, X[-10:], y[-10:], train=(X[:N], y[:N]))
    with pytest.raises(ValueError, match="n_references"):
        swap_audit(model, X[N:], y[N:], train=(X[:N], y[:N]), n_references=1)
