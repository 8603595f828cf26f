"""`verify` needs nothing of the forgotten rows, says yes to what is exact, and no to what is not."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import uniform
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler

from mlunlearn import DataChangedError, Retrain, SISAClassifier, SISARegressor, make_unlearning_pipeline, verify
from mlunlearn.exceptions import UnlearningWarning
from mlunlearn.receipts import Work

X, Y = load_iris(return_X_y=True)
N = len(Y)
GONE = [3, 17, 60, 101]
LEFT = np.setdiff1d(np.arange(N), GONE)
KEY = bytes(range(32))
FRAME = pd.DataFrame(X, columns=list("abcd"), index=[f"p{row}" for row in range(N)]).assign(
    colour=np.where(Y == 1, "red", "blue")
)
WORDS = np.array([f"{'iris' if label else 'rose'} {row % 7}" for row, label in enumerate(Y)], dtype=object)
COLUMNS = make_column_transformer(
    (StandardScaler(), list("abcd")), (OneHotEncoder(handle_unknown="ignore"), ["colour"])
)
KINDS = {
    "array": (X, lambda: Retrain(LogisticRegression(max_iter=500), random_state=0)),
    "shards": (X, lambda: SISAClassifier(GaussianNB(), n_shards=3, n_slices=3, random_state=0)),
    "frame": (FRAME, lambda: SISAClassifier(make_pipeline(COLUMNS, LogisticRegression()), n_shards=2, random_state=0)),
    "sparse": (sparse.csr_matrix(np.where(X > 2, X, 0)), lambda: SISAClassifier(SGDClassifier(), random_state=0)),
    "texts": (WORDS, lambda: Retrain(make_pipeline(CountVectorizer(), LogisticRegression()), random_state=0)),
    "pipeline": (X, lambda: make_unlearning_pipeline(Normalizer(), SISAClassifier(GaussianNB(), random_state=0))),
    "regression": (X, lambda: SISARegressor(Ridge(), n_shards=3, random_state=0)),
    "no seed": (X, lambda: SISAClassifier(SGDClassifier(), n_shards=3)),
    "a generator": (X, lambda: Retrain(SGDClassifier(), random_state=np.random.RandomState(5))),
    "no seed in a pipeline": (X, lambda: make_unlearning_pipeline(SISAClassifier(SGDClassifier(), n_shards=3))),
}


def erased(data):
    """The same data, in which the forgotten rows hold something else, or nothing."""
    if sparse.issparse(data):
        return sparse.csr_matrix(np.where(np.isin(np.arange(N), GONE)[:, None], 7.0, data.toarray()))
    data = data.copy()
    if isinstance(data, pd.DataFrame):
        data.iloc[GONE, :4] = np.nan
        data.iloc[GONE, 4] = None
    else:
        data[GONE] = np.nan if data.dtype != object else ""
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exact_is_equal(kind):
    data, make = KINDS[kind]
    model = make().fit(data, Y).unlearn(GONE[:2]).unlearn(GONE[2:])
    reloaded = pickle.loads(pickle.dumps(model))
    alone = data.iloc[LEFT] if isinstance(data, pd.DataFrame) else data[LEFT]
    hidden = np.where(np.isin(np.arange(N), GONE), 9, Y)
    before = pickle.dumps(model)
    for one, rows, targets in ((model, alone, Y[LEFT]), (reloaded, alone, Y[LEFT]), (model, erased(data), hidden)):
        result = verify(one, rows, targets)
        assert result.differences == {}
        assert result
        assert result.equal is True
        assert (result.n_forgotten, result.n_retained) == (4, 146)
        assert result.n_numbers > 10
        assert str(result).startswith(
            f"equal: all {result.n_numbers:,} numbers are those of a model trained on the 146"
        )
    assert pickle.dumps(model) == before
    assert reloaded._data is None
    assert verify(make().fit(data, Y), data, Y)  # of nothing, that a fit can be repeated


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "key"])
@pytest.mark.parametrize("kind", ["array", "shards", "pipeline"])
def test_ids_may_be_erased_and_the_key_destroyed(kind, key):
    _, make = KINDS[kind]
    ids = [f"person {row // 4}" for row in range(N)]
    model = make().fit(X, Y, sample_ids=ids, id_key=key).unlearn(forget_ids=["person 3", "person 30"])
    reloaded = pickle.loads(pickle.dumps(model))
    left = ~model.forgotten_
    for one in (model, reloaded):
        assert verify(one, X[left], Y[left]).differences == {}


def test_weights_and_risks():
    weight = np.random.default_rng(0).uniform(1, 2, N)
    risk = np.where(np.arange(N) < 30, 0.3, 0.01)
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0)
    model.fit(X, Y, weight, deletion_probability=risk).unlearn(GONE)
    assert verify(model, X[LEFT], Y[LEFT], weight[LEFT], deletion_probability=risk).differences == {}
    other = {"deletion_probability": risk[::-1].copy()}
    assert not verify(model, X[LEFT], Y[LEFT], weight[LEFT], **other)  # with other shards
    with pytest.raises(DataChangedError):
        verify(model, X[LEFT], Y[LEFT], weight[LEFT][::-1], deletion_probability=risk)


class Careless(Retrain):
    """Writes receipts, and forgets nothing."""

    def _unlearn(self, request):
        return Work(samples=0, full=1)


def test_what_is_not_exact_is_told():
    dishonest = Careless(GaussianNB(), random_state=0).fit(X, Y).unlearn(GONE)
    result = verify(dishonest, X[LEFT], Y[LEFT])
    assert not result
    assert {"estimator_.theta_", "estimator_.var_"} <= set(result.differences)
    assert "NOT equal to a model trained on the 146 retained rows" in str(result)
    assert "more" in str(result)
    tampered = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, Y).unlearn(GONE)
    assert verify(tampered, X[LEFT], Y[LEFT])
    last = tampered.checkpoints_[1][-1]
    last.theta_[0, 0] = np.nextafter(last.theta_[0, 0], 9)
    assert len(verify(tampered, X[LEFT], Y[LEFT]).differences) == 1


class Approximate(Retrain):
    """Promises less than it does."""

    guarantee = "approximate"
    exactness = None


class Rounded(Retrain):
    """Adds an error to the result, of a size that grows from request to request."""

    exactness = "rounding"
    rounding = 1e-9

    def _earned_exactness(self):
        return self.exactness

    def _unlearn(self, request):
        work = super()._unlearn(request)
        self.estimator_.theta_ = self.estimator_.theta_ + 10.0 ** (6 * len(self.receipts_) - 12)
        return work


def test_rounding_is_allowed_where_it_is_stated():
    model = Rounded(GaussianNB(), random_state=0).fit(X, Y).unlearn(GONE)
    result = verify(model, X[LEFT], Y[LEFT])
    assert result
    assert "up to rounding (1e-09)" in str(result)
    assert set(verify(model.unlearn([5]), np.delete(X, [*GONE, 5], 0), np.delete(Y, [*GONE, 5])).differences) == {
        "estimator_.theta_"
    }


def test_what_cannot_be_verified_is_refused():
    model = Approximate(GaussianNB(), random_state=0).fit(X, Y).unlearn(GONE)
    with pytest.raises(ValueError, match=r"Approximate is approximate.*mlunlearn\.audit\.audit"):
        verify(model, X[LEFT], Y[LEFT])
    with pytest.raises(TypeError, match="forgets rows, got GaussianNB"):
        verify(GaussianNB().fit(X, Y), X, Y)
    model = Retrain(GaussianNB(), random_state=0).fit(X, Y).unlearn(GONE)
    with pytest.raises(ValueError, match="expected the 150 given to fit or the 146 that are retained"):
        verify(model, X[:9], Y[:9])
    with pytest.raises(DataChangedError):
        verify(model, X[LEFT][::-1], Y[LEFT][::-1])


class Drifting(GaussianNB):
    """Gives another result at every fit."""

    calls = 0

    def fit(self, X, y, sample_weight=None):
        type(self).calls += 1
        super().fit(X, y, sample_weight)
        self.theta_ = self.theta_ + type(self).calls
        return self


def test_what_is_not_reproducible_is_refused():
    with pytest.warns(UnlearningWarning):
        model = Retrain(Drifting(), random_state=0).fit(X, Y).unlearn(GONE)
    with pytest.raises(ValueError, match=r"training it twice gives two results \(Drifting\).*mlunlearn\.audit\.audit"):
        verify(model, X[LEFT], Y[LEFT])


def test_what_fit_was_given_besides_is_asked_for():
    risk, weight = np.linspace(0.01, 0.2, len(X)), np.ones(len(X))
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0)
    model.fit(X, Y, weight, deletion_probability=risk).unlearn(GONE)
    with pytest.raises(ValueError, match=r"fit was given deletion_probability.*deletion_probability=\.\.\."):
        verify(model, X, Y, weight)
    with pytest.raises(ValueError, match="fit was given sample_weight; pass it"):
        verify(model, X, Y, deletion_probability=risk)


def test_a_search_over_distributions_is_equal_whatever_was_drawn_since():
    search = RandomizedSearchCV(LogisticRegression(), {"C": uniform(0.1, 2)}, n_iter=2, cv=2)
    model = Retrain(search, random_state=0).fit(X, Y).unlearn(GONE)
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    try:
        assert verify(model, X, Y).differences == {}
    finally:
        np.random.set_state(before)  # noqa: NPY002
