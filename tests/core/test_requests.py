"""Every bad request is a clear error, and nothing has changed after it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB

from mlunlearn import (
    DataChangedError,
    DataNotAttachedError,
    ForgetRequestError,
    Retrain,
    SISAClassifier,
    SISARegressor,
    UnknownIdError,
)

N = 150
IDS = [f"person {i // 3}" for i in range(N)]


@pytest.fixture(params=["retrain", "sisa"])
def model(request):
    X, y = load_iris(return_X_y=True)
    new = {
        "retrain": Retrain(LogisticRegression(max_iter=500), random_state=0),
        "sisa": SISAClassifier(GaussianNB(), n_shards=3, n_slices=4, random_state=0),
    }[request.param]
    return new.fit(X, y, sample_ids=IDS).unlearn([7])


BAD_POSITIONS = {
    "out of range": ([3, N], "holds 150, which is out of range"),
    "negative": ([3, -1], "negative position -1"),
    "float": ([1.0, 2.0], "dtype float64, expected integers"),
    "strings": (["a"], "use forget_ids"),
    "duplicate": ([5, 9, 5], "names position 5 more than once"),
    "short mask": (np.ones(N - 1, bool), "mask of shape (149,), expected (150,)"),
    "integer mask": (np.eye(1, N, 3, dtype=int)[0], "looks like a mask written as integers"),
    "empty": ([], "empty"),
    "empty mask": (np.zeros(N, bool), "empty"),
    "empty slice": (slice(200, 300), "empty"),
    "two dimensions": ([[1, 2]], "expected one dimension"),
    "lists of several lengths": ([[1], [2, 3]], "lists of several lengths"),
    "pairs": (lambda: zip([1, 2], [3, 4], strict=True), "expected one dimension"),
    "objects": (np.array([1, "a"], dtype=object), "objects of type int, str, expected integers or booleans"),
    "objects and floats": (np.array([1, 2.0], dtype=object), "objects of type float, int"),
    "objects and nothing": ([1, None], "objects of type NoneType, int"),
    "objects and booleans": (np.array([1, True], dtype=object), "objects of type bool, int"),
    "one text": ("12", "use forget_ids"),
    "an iterator of floats": (lambda: iter([1.0, 2.0]), "dtype float64, expected integers"),
    "an iterator of nothing": (lambda: iter([]), "empty"),
    "a mapping": ({1: True}, "is a dict; pass its keys or its values"),
    "a very large integer": ([3, 10**30], f"holds {10**30}, which is out of range"),
    "a missing integer": (pd.array([3, None], dtype="Int64"), "the entry at place 1 is missing"),
    "a missing boolean": (pd.array([True, None] * 75, dtype="boolean"), "the entry at place 1 is missing"),
    "dates": (np.array(["2024-01-01"], dtype="datetime64[D]"), "dtype datetime64[D], expected integers"),
    "everything": (slice(None), "every row that is left"),
    "last rows of a class": (slice(0, 50), "last rows of class 0"),
}


@pytest.mark.parametrize("name", BAD_POSITIONS)
def test_bad_positions(model, name):
    asked, message = BAD_POSITIONS[name]
    before = pickle.dumps(model)
    with pytest.raises(ForgetRequestError) as error:
        model.unlearn(asked() if callable(asked) else asked)
    assert message in str(error.value)
    assert pickle.dumps(model) == before
    assert model.unlearn([8]).forgotten_.sum() == 2  # and it still works


def test_unknown_names(model):
    before = pickle.dumps(model)
    with pytest.raises(UnknownIdError, match=r"1 id\(s\) that fit was not given, the first is 'nobody'"):
        model.unlearn(forget_ids=["person 3", "nobody"])
    with pytest.raises(UnknownIdError, match="names 9, which is not a class of this model"):
        model.unlearn(classes=[0, 9])
    with pytest.raises(ForgetRequestError, match="every row that is left"):
        model.unlearn(classes=[0, 1, 2])
    for classes in ([[0]], np.array([[0, 1]]), pd.DataFrame({"y": [0]})):
        with pytest.raises(ForgetRequestError, match="classes must be one label or a list of labels"):
            model.unlearn(classes=classes)
    for nothing in ({"forget_ids": []}, {"classes": []}):
        with pytest.raises(ForgetRequestError, match="empty"):
            model.unlearn(**nothing)
    for count in ({}, {"forget_idx": [1], "classes": [0]}):
        with pytest.raises(ForgetRequestError, match="exactly one of"):
            model.unlearn(**count)
    assert pickle.dumps(model) == before


def test_requests_that_do_not_apply():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NotFittedError):
        SISAClassifier(GaussianNB()).unlearn([0])
    with pytest.raises(ForgetRequestError, match="fit was given none"):
        SISAClassifier(GaussianNB()).fit(X, y).unlearn(forget_ids=["a"])
    with pytest.raises(ForgetRequestError, match="not a classifier"):
        SISARegressor(Ridge()).fit(X, y.astype(float)).unlearn(classes=[0])


def test_all_ways_to_name_rows_agree(model):
    X, y = load_iris(return_X_y=True)
    rows = [12, 13, 14]
    expected = model.get_params(deep=False), np.isin(np.arange(N), [7, *rows])
    requests = (
        {"forget_idx": rows},
        {"forget_idx": np.isin(np.arange(N), rows)},
        {"forget_idx": slice(12, 15)},
        {"forget_idx": set(rows)},
        {"forget_idx": iter(rows)},
        {"forget_idx": (row for row in rows)},
        {"forget_idx": dict.fromkeys(rows).keys()},
        {"forget_idx": np.array(rows, dtype=object)},
        {"forget_idx": pd.array(rows, dtype="Int64")},
        {"forget_idx": pd.array(np.isin(np.arange(N), rows), dtype="boolean")},
        {"forget_idx": np.isin(np.arange(N), rows).astype(object)},
        {"forget_idx": pd.Series(rows).to_numpy()},
        {"forget_idx": range(12, 15)},
        {"forget_ids": "person 4"},
        {"forget_ids": ["person 4"]},
    )
    for request in requests:
        other = type(model)(**expected[0]).fit(X, y, sample_ids=IDS).unlearn([7]).unlearn(**request)
        np.testing.assert_array_equal(other.forgotten_, expected[1])


def test_repeats_are_skipped_and_the_receipt_says_so(model):
    model.unlearn([7, 20])
    receipt = model.receipts_[-1]
    assert (receipt.rows.tolist(), receipt.already.tolist(), receipt.n_retained) == ([20], [7], 148)
    model.unlearn([7, 20])
    assert (len(model.receipts_[-1].rows), model.receipts_[-1].retrained_share) == (0, 0.0)
    model.unlearn(classes=[2]).unlearn(classes=[2])
    assert model.receipts_[-1].classes == (2,)
    assert model.classes_.tolist() == [0, 1]


def test_receipts_count(model):
    assert str(model.unlearn([30, 31]).receipts_[-1]).startswith(f"{type(model).__name__}: forgot 2 rows in ")
    assert [len(receipt.rows) for receipt in model.receipts_] == [1, 2]
    assert all(receipt.guarantee == "exact" and receipt.seconds > 0 for receipt in model.receipts_)


def test_ids_of_any_kind_and_bad_ids():
    X, y = load_iris(return_X_y=True)
    for ids, one in ((np.arange(N) // 3, 4), (pd.Series(IDS, dtype="string"), "person 4"), (IDS, "person 4")):
        model = Retrain(GaussianNB(), random_state=0).fit(X, y, sample_ids=ids).unlearn(forget_ids=one)
        assert np.flatnonzero(model.forgotten_).tolist() == [12, 13, 14]
    for ids, message in (
        (IDS[:-1], "one id for each row"),
        ([None, *IDS[1:]], "the id of row 0 is missing"),
        (np.arange(N) / 2, "the id of row 0 is a float, but ids are integers or strings; .* astype"),
        ([*range(9), 9.0, *range(10, N)], "the id of row 9 is a float"),
        ([*range(9), np.nan, *range(10, N)], "the id of row 9 is missing"),
        (pd.array([*range(9), None, *range(10, N)], dtype="Int64"), "the id of row 9 is missing"),
        (list(enumerate(IDS)), "the id of row 0 is a tuple.*join its parts"),
        ([True] * N, "the id of row 0 is a bool"),
        (np.ones(N, bool), "the id of row 0 is a bool"),
        ([name.encode() for name in IDS], "the id of row 0 is a bytes.*decode"),
        (np.array([IDS, IDS]).T, r"shape \(150, 2\), expected one dimension"),
        (pd.DataFrame({"id": IDS}), "is a data frame; pass the one column"),
    ):
        with pytest.raises(ValueError, match=message):
            Retrain(GaussianNB()).fit(X, y, sample_ids=ids)
    model = Retrain(GaussianNB()).fit(X, y, sample_ids=IDS)
    for ids, message in (
        ([("person", 4)], "forget_ids: the id at place 0 is a tuple"),
        (4.0, "forget_ids: the id at place 0 is a float"),
        (["person 4", None], "forget_ids: the id at place 1 is missing"),
        (True, "forget_ids: the id at place 0 is a bool"),
        (pd.DataFrame({"id": IDS}), "forget_ids is a data frame"),
        (np.array([["person 4"]]), "expected one dimension"),
    ):
        with pytest.raises(ForgetRequestError, match=message):
            model.unlearn(forget_ids=ids)
    assert not model.forgotten_.any()


def test_ids_are_not_kept(model):
    assert b"person" not in pickle.dumps(model)


def test_exclude_is_checked_like_a_request():
    X, y = load_iris(return_X_y=True)
    for exclude, message in (([-1], "negative"), (slice(None), "every row"), ([0.5], "dtype")):
        with pytest.raises(ForgetRequestError, match=message):
            Retrain(GaussianNB()).fit(X, y, exclude=exclude)
    assert not Retrain(GaussianNB()).fit(X, y, exclude=[]).forgotten_.any()


def test_nan_is_refused_before_a_fit_is_lost(model):
    X, y = load_iris(return_X_y=True)
    before = pickle.dumps(model)
    spoiled = X.copy()
    spoiled[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(spoiled, y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(pd.DataFrame(spoiled), y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_a_failure_half_way_leaves_the_model_as_it_was(interruption, monkeypatch):
    X, y = load_iris(return_X_y=True)
    model = SISAClassifier(GaussianNB(), n_shards=3, n_slices=4, random_state=0).fit(X, y).unlearn([7])
    before, predictions = pickle.dumps(model), model.predict_proba(X)
    calls = []

    def fail_at_the_third_slice(self, X, y, classes=None, sample_weight=None):
        calls.append(len(X))
        if len(calls) == 3:
            raise interruption("out of luck")
        return original(self, X, y, classes, sample_weight)

    original = GaussianNB.partial_fit
    monkeypatch.setattr(GaussianNB, "partial_fit", fail_at_the_third_slice)
    with pytest.raises(interruption):
        model.unlearn(np.arange(0, 150, 10))
    monkeypatch.undo()
    assert len(calls) == 3
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), predictions)
    fresh = SISAClassifier(GaussianNB(), n_shards=3, n_slices=4, random_state=0)
    rows = [7, *range(0, 150, 10)]
    np.testing.assert_array_equal(
        model.unlearn(rows[1:]).predict_proba(X), fresh.fit(X, y, exclude=rows).predict_proba(X)
    )


def test_edited_data_is_noticed():
    X, y = load_iris(return_X_y=True)
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    same_shard = np.flatnonzero(model.allocation_.shard == model.allocation_.shard[0])
    X[same_shard[1], 2] += 1e-9
    with pytest.raises(DataChangedError, match="edited after fit"):
        model.unlearn([0])
    assert pickle.dumps(model) == before


def test_reloaded_models_ask_for_their_data():
    X, y = load_iris(return_X_y=True)
    model = SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, y, sample_ids=IDS).unlearn([7])
    expected = model.predict_proba(X)
    for rows in (np.arange(N), np.delete(np.arange(N), 7)):
        reloaded = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(reloaded.predict_proba(X), expected)
        with pytest.raises(DataNotAttachedError, match="attach_data"):
            reloaded.unlearn([8])
        with pytest.raises(ValueError, match="expected the 150 given to fit or the 149 that are retained"):
            reloaded.attach_data(X[:9], y[:9])
        with pytest.raises(DataChangedError):
            reloaded.attach_data(X[rows] + 1, y[rows])
        reloaded.attach_data(X[rows], y[rows]).unlearn(forget_ids="person 4")
        fresh = SISAClassifier(GaussianNB(), n_shards=3, random_state=0)
        fresh.fit(X, y, sample_ids=IDS, exclude=[7, 12, 13, 14])
        np.testing.assert_array_equal(reloaded.predict_proba(X), fresh.predict_proba(X))
