"""What users bring: frames, sparse matrices, texts, tensors, weights, searches over parameters."""

import copy
import gc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlunlearn import Retrain, SISAClassifier

X, Y = load_iris(return_X_y=True)


def same(make, data, y, rows=(3, 60)):
    """Forget rows of any kind of data and compare with never having seen them."""
    model = make().fit(data, y).unlearn(rows[:1]).unlearn(rows[1:])
    reference = make().fit(data, y, exclude=list(rows))
    np.testing.assert_array_equal(model.predict_proba(data), reference.predict_proba(data))
    return model


def test_data_frames_keep_their_columns():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(colour=np.where(Y == 1, "red", "blue"))
    columns = make_column_transformer((StandardScaler(), ["a", "b", "c", "d"]), (OneHotEncoder(), ["colour"]))
    model = same(
        lambda: SISAClassifier(make_pipeline(columns, LogisticRegression()), n_shards=3, random_state=0), frame, Y
    )
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d", "colour"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_sparse_matrices(kind):
    make = lambda: SISAClassifier(SGDClassifier(), n_shards=3, n_slices=3, random_state=0)  # noqa: E731
    model = same(make, kind(np.where(X > 2, X, 0)), Y)
    np.testing.assert_array_equal(model.predict(np.where(X > 2, X, 0)), model.predict(kind(np.where(X > 2, X, 0))))


def test_texts():
    texts = [f"{word} is a word of kind {word[0]}" for word in ("apple", "bread", "ant", "bone")] * 15
    y = np.array(["a", "b", "a", "b"] * 15)
    model = same(
        lambda: SISAClassifier(
            make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss")), n_shards=3, random_state=0
        ),
        texts,
        y,
        rows=(3, 40),
    )
    assert model.score(texts, y) == 1.0


def test_missing_values_where_the_estimator_takes_them():
    holes = np.where(X > 6, np.nan, X)
    same(lambda: SISAClassifier(HistGradientBoostingClassifier(max_iter=3), n_shards=2, random_state=0), holes, Y)
    same(lambda: Retrain(HistGradientBoostingClassifier(max_iter=3), random_state=0), holes, Y)


def test_tensors_are_read_as_arrays():
    torch = pytest.importorskip("torch")
    make = lambda: SISAClassifier(GaussianNB(), n_shards=3, random_state=0)  # noqa: E731
    tensors = make().fit(torch.tensor(X), torch.tensor(Y)).unlearn([3])
    np.testing.assert_array_equal(tensors.predict(torch.tensor(X)), make().fit(X, Y, exclude=[3]).predict(X))


def test_weights_reach_every_shard():
    weight = np.random.default_rng(0).uniform(0.1, 5, 150)
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    for constituent in (LogisticRegression(max_iter=1000), GaussianNB(), scaled):
        make = lambda: SISAClassifier(constituent, n_shards=3, n_slices=2, aggregation="mean", random_state=0)  # noqa: B023, E731
        model = make().fit(X, Y, weight).unlearn([3])
        reference = make().fit(X, Y, weight, exclude=[3])
        np.testing.assert_array_equal(model.predict_proba(X), reference.predict_proba(X))
        assert np.abs(model.predict_proba(X) - make().fit(X, Y, exclude=[3]).predict_proba(X)).max() > 1e-6
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(ValueError, match="takes no sample_weight"):
        SISAClassifier(KNeighborsClassifier()).fit(X, Y, weight)


def test_search_and_cross_validation():
    search = GridSearchCV(
        SISAClassifier(LogisticRegression(max_iter=500), random_state=0),
        {"n_shards": [1, 3], "estimator__C": [0.1, 1.0]},
    )
    assert search.fit(X, Y).best_score_ > 0.9
    assert cross_val_score(SISAClassifier(GaussianNB(), n_slices=2, random_state=0), X, Y, n_jobs=2).min() > 0.8
    assert is_classifier(Retrain(GaussianNB()))
    assert is_regressor(Retrain(Ridge()))
    assert (
        clone(search.best_estimator_).get_params(deep=False).keys()
        == search.best_estimator_.get_params(deep=False).keys()
    )


def test_the_callers_arrays_are_referred_to_and_let_go():
    data, labels = X.copy(), Y.copy()
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(data, labels)
    assert np.shares_memory(model._data.X, data)
    model.unlearn([5])
    assert not any(held is data for held in gc.get_referents(vars(model._data)))
    assert not (data[5] == model._data.X).all(axis=1).any()
    np.testing.assert_array_equal(data, X)
    model.unlearn([6])
    assert not (data[6] == model._data.X).all(axis=1).any()


def test_copies_in_memory_forget_on_their_own():
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, Y).unlearn([5])
    twin = copy.deepcopy(model)
    model.unlearn([6])
    twin.unlearn([7])
    for one, rows in ((model, [5, 6]), (twin, [5, 7])):
        reference = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, Y, exclude=rows)
        np.testing.assert_array_equal(one.predict_proba(X), reference.predict_proba(X))
        one.unlearn([20])


def test_what_is_done_to_the_estimator_later_does_not_count():
    for make in (Retrain, SISAClassifier):
        inner = LogisticRegression(C=1.0, max_iter=1000)
        model = make(inner, random_state=0).fit(X, Y)
        inner.set_params(C=1e-6)
        reference = make(LogisticRegression(C=1.0, max_iter=1000), random_state=0).fit(X, Y, exclude=[3])
        np.testing.assert_array_equal(model.unlearn([3]).predict_proba(X), reference.predict_proba(X))


def test_progress_is_shown_on_request_only(capfd):
    SISAClassifier(GaussianNB(), n_shards=3).fit(X, Y).unlearn([3])
    assert capfd.readouterr() == ("", "")
    SISAClassifier(GaussianNB(), n_shards=3, verbose=1).fit(X, Y)
    assert "3/3" in capfd.readouterr().err


def test_metadata_is_routed_to_fit():
    import sklearn
    from sklearn.model_selection import cross_validate

    weight, ids = np.random.default_rng(0).uniform(0.1, 5, 150), np.arange(150) // 5
    with sklearn.config_context(enable_metadata_routing=True):
        model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0)
        model.set_fit_request(sample_weight=True, sample_ids=True).set_score_request(sample_weight=False)
        found = cross_validate(
            model, X, Y, params={"sample_weight": weight, "sample_ids": ids}, return_estimator=True, return_indices=True
        )
    for fitted, rows in zip(found["estimator"], found["indices"]["train"], strict=True):
        expected = SISAClassifier(GaussianNB(), n_shards=3, random_state=0)
        expected.fit(X[rows], Y[rows], weight[rows], sample_ids=ids[rows])
        np.testing.assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))


def test_arrays_on_disk_stay_there(tmp_path):
    on_disk = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", X.dtype, X.shape)
    on_disk[:] = X
    model = SISAClassifier(SGDClassifier(), n_shards=3, n_slices=2, random_state=0).fit(on_disk, Y)
    model.unlearn([3]).unlearn([60, 7])
    assert model._data._chunks[0].X.base is not None
    assert np.shares_memory(model._data._chunks[0].X, on_disk)
    assert not (X[60] == model._data.X).all(axis=1).any()
    on_disk[[3, 60, 7]] = np.nan  # the owner erases them: nothing reads them any more
    reference = SISAClassifier(SGDClassifier(), n_shards=3, n_slices=2, random_state=0).fit(X, Y, exclude=[3, 7, 60, 9])
    np.testing.assert_array_equal(model.unlearn([9]).predict_proba(X), reference.predict_proba(X))


@pytest.mark.parametrize("n_rows", [3, 40_000])
def test_chunks_hold_the_retained_rows_whatever_was_forgotten(n_rows):
    from mlunlearn.rows.data import TrainingData

    rng = np.random.default_rng(0)
    data, labels = rng.normal(size=(n_rows, 30)), np.arange(n_rows)
    held = TrainingData(data, labels, labels / 2)
    left = np.arange(n_rows)
    for batch in (1, 1, 300 if n_rows > 300 else 0):
        gone = rng.permutation(left)[:batch]
        before, chunks = held, {id(chunk) for chunk in held._chunks}
        held, left = held.without(np.sort(gone)), np.setdiff1d(left, gone)
        asked = rng.permutation(left)[:50]
        block = held.block(asked)
        np.testing.assert_array_equal(block.X, data[asked])
        np.testing.assert_array_equal(block.y, labels[asked])
        np.testing.assert_array_equal(block.weight, labels[asked] / 2)
        np.testing.assert_array_equal(held.X, data[left])
        if len(before._chunks) > 1 and batch == 1:
            assert len(chunks - {id(chunk) for chunk in held._chunks}) == 1  # one chunk was copied


@pytest.mark.parametrize(
    ("estimator", "message"), [(KMeans(3), "is a clusterer"), (StandardScaler(), "StandardScaler has no predict")]
)
def test_what_is_no_classifier_is_refused(estimator, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises((TypeError, ValueError), match=message):
        SISAClassifier(estimator).fit(X, y)


@pytest.mark.parametrize(
    ("grid", "message"),
    [({"memory": ["cache"]}, "tries memory"), ([{"s__copy": [True, False]}], "tries s__copy=False")],
)
def test_searches_try_nothing_that_would_be_refused_outside_of_them(grid, message):
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(Pipeline([("s", StandardScaler()), ("m", LogisticRegression())]), grid, cv=2)
    with pytest.raises(ValueError, match=message):
        SISAClassifier(search, n_shards=2).fit(X, y)
