"""A frame's own labels name its rows: what pandas calls a row is forgotten, or nothing is."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from mlunlearn import ForgetRequestError, Retrain, SISAClassifier, UnknownIdError, make_unlearning_pipeline

X, Y = load_iris(return_X_y=True)
N = len(Y)
COLUMNS = ["a", "b", "c", "d"]
MULTI = pd.MultiIndex.from_product([range(15), list("abcdefghij")], names=["shop", "person"])
INDEXES = {
    "integers": pd.Index(np.random.default_rng(0).permutation(N)),
    "large integers": pd.Index(np.arange(N) * 7 + 1000),
    "strings": pd.Index([f"person {row}" for row in range(N)]),
    "dates": pd.date_range("2024-01-01", periods=N, freq="h"),
    "dates of a zone": pd.date_range("2024-01-01", periods=N, freq="h", tz="Europe/Berlin"),
    "floats": pd.Index(np.arange(N) / 4),
    "several levels": MULTI,
    "categories": pd.CategoricalIndex([f"person {row}" for row in range(N)]),
    "nullable integers": pd.Index(pd.array(np.arange(N)[::-1], dtype="Int64")),
    "counted": pd.RangeIndex(N),
}


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that does nothing but count; the rows that it is shown do not matter here."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def framed(index="integers"):
    return pd.DataFrame(X, columns=COLUMNS, index=INDEXES[index])


def fitted(frame, y=Y, **options):
    return Retrain(GaussianNB(), random_state=0).fit(frame, y, **options)


def gone(model):
    return np.flatnonzero(model.forgotten_).tolist()


@pytest.mark.parametrize("index", INDEXES)
def test_labels_name_rows(index):
    frame = framed(index)
    rows = [70, 3, 120]
    model = fitted(frame).unlearn(frame.index[rows])
    assert gone(model) == sorted(rows)
    assert gone(fitted(frame, exclude=frame.index[rows])) == sorted(rows)
    assert gone(model.unlearn(frame.index[[4, 149]])) == [3, 4, 70, 120, 149]
    with pytest.raises(UnknownIdError, match="forgotten already"):
        model.unlearn(frame.index[[5, 3]])
    assert gone(model) == [3, 4, 70, 120, 149]


@pytest.mark.parametrize("index", INDEXES)
def test_a_boolean_series_is_aligned(index):
    frame = framed(index)
    mask = frame["a"] > 7  # in the order of the frame
    shuffled = mask.sample(frac=1, random_state=0)
    expected = np.flatnonzero(frame["a"] > 7).tolist()
    for asked in (mask, shuffled, shuffled.astype("boolean"), shuffled.astype(object)):
        assert gone(fitted(frame).unlearn(asked)) == expected
        assert gone(fitted(frame, exclude=asked)) == expected
    model = fitted(frame).unlearn(np.arange(5))
    assert gone(model.unlearn(mask)) == [*range(5), *expected]
    again = fitted(frame).unlearn(expected[:1]).unlearn(mask)  # in order, so the forgotten row is known
    assert again.receipts_[-1].already.tolist() == expected[:1]
    left = shuffled.drop(frame.index[expected[0]])
    assert gone(fitted(frame).unlearn(expected[:1]).unlearn(left)) == expected
    with pytest.raises(UnknownIdError, match="forgotten already"):
        fitted(frame).unlearn(expected[:1]).unlearn(shuffled)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda frame: frame[frame["a"] > 7], r"a data frame.*forget_idx\.index"),
        (lambda frame: frame["a"], r"a pandas Series of float64.*forget_idx\.index.*forget_idx\.to_numpy\(\)"),
        (lambda frame: pd.Series([3, 4]), r"a pandas Series of int64.*forget_idx\.index.*forget_idx\.to_numpy\(\)"),
        (lambda frame: (frame["a"] > 7).iloc[:100], "no entry for the row labelled"),
        (lambda frame: (frame["a"] > 7).reindex([*frame.index[1:], 5000]), "missing"),
        (lambda frame: (frame["a"] > 7).astype("boolean").where(frame["b"] > 3), "missing"),
        (lambda frame: (frame["a"] > 7).reset_index(drop=True).set_axis(["x"] * N), "no entry for the row labelled"),
        (lambda frame: frame.index[[3, 4, 3]], "more than once"),
        (lambda frame: frame.index[:0], "empty"),
        (lambda frame: frame.index > 50, None),
        (lambda frame: pd.Index(frame.index > 50), r"booleans.*forget_idx\.to_numpy\(\)"),
        (lambda frame: pd.Index([5000]), "5000.*never a row.*or is forgotten already"),
        (lambda frame: pd.Index(["x"]), "'x'.*never a row"),
        (lambda frame: MULTI[:2], "never a row"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(asked, message):
    frame = framed()
    asked, model = asked(frame), fitted(frame).unlearn([7])
    before = pickle.dumps(model)
    if message is None:  # a plain mask
        assert gone(model.unlearn(asked)) == sorted({7, *np.flatnonzero(asked)})
        return
    with pytest.raises(ForgetRequestError, match=message):
        model.unlearn(asked)
    assert pickle.dumps(model) == before
    assert gone(model.unlearn([8])) == [7, 8]


def test_without_a_frame_labels_are_refused():
    model = fitted(X)
    for asked, message in (
        (pd.Index([3, 4]), r"no data frame.*forget_idx\.to_numpy\(\)"),
        (pd.Series([3, 4]), r"forget_idx\.to_numpy\(\)"),
        (pd.Series(Y == 0, index=np.arange(N)[::-1]), r"no data frame.*forget_idx\.to_numpy\(\)"),
        (pd.DataFrame({"a": [1]}), "a data frame"),
    ):
        with pytest.raises(ForgetRequestError, match=message):
            model.unlearn(asked)
        with pytest.raises(ForgetRequestError, match=message.replace("forget_idx", "exclude")):
            fitted(X, exclude=asked)
    few = np.isin(np.arange(N), [5, 60])
    assert gone(fitted(X).unlearn(pd.Series(few))) == [5, 60]  # counted from 0, so it can only be a mask


def test_levels_are_told_by_their_names():
    """The same numbers in another order of levels name other rows."""
    frame = framed().set_axis(pd.MultiIndex.from_product([range(10), range(15)], names=["person", "visit"]))
    turned = frame.swaplevel()
    rows = [17, 40]
    assert gone(fitted(frame).unlearn(turned.index[rows])) == rows
    assert gone(fitted(frame, exclude=turned.index[rows])) == rows
    mask = pd.Series(np.isin(np.arange(N), rows), index=turned.index)
    assert gone(fitted(frame).unlearn(mask.sample(frac=1, random_state=0))) == rows
    named = pd.Series(np.arange(N), index=turned.index).sample(frac=1, random_state=0)
    assert gone(fitted(frame, sample_ids=named).unlearn(forget_ids=rows)) == rows
    square = frame.iloc[: 10 * 10].set_axis(pd.MultiIndex.from_product([range(10)] * 2, names=["person", "visit"]))
    assert gone(fitted(square, Y[:100]).unlearn(square.swaplevel().index[[12]])) == [12]


@pytest.mark.parametrize("names", [["person", "item"], ["visit", "item"]])
def test_labels_of_something_else_are_refused(names):
    index = pd.MultiIndex.from_product([range(10), range(15)], names=["person", "visit"])
    frame = framed().set_axis(index)
    with pytest.raises(ForgetRequestError, match=r"labels of .*item.*labels of .*person.*set_names"):
        fitted(frame).unlearn(index.set_names(names)[:1])
    with pytest.raises(ForgetRequestError, match=r"set_names"):
        fitted(frame).unlearn(pd.Series(True, index=index[1:2].set_names(names)))
    single = framed().rename_axis("customer")
    with pytest.raises(ForgetRequestError, match=r"labels of \['order'\].*set_names"):
        fitted(single).unlearn(single.index[:2].rename("order"))
    for name in ("customer", None):
        assert gone(fitted(single).unlearn(single.index[:2].rename(name))) == [0, 1]
    assert gone(fitted(framed()).unlearn(single.index[:2])) == [0, 1]
    with pytest.raises(ValueError, match="set_names"):
        fitted(single, sample_ids=pd.Series(np.arange(N), index=single.index[::-1].rename("order")))


def test_labels_that_are_not_unique():
    frame = pd.DataFrame(X, columns=COLUMNS, index=np.arange(N) // 2)
    model = fitted(frame)
    with pytest.raises(ForgetRequestError, match=r"label 3 names 2 rows.*X\.index\.isin"):
        model.unlearn(pd.Index([3]))
    with pytest.raises(ForgetRequestError, match="names 2 rows"):
        model.unlearn((frame["a"] > 0).sample(frac=1, random_state=0))
    with pytest.raises(ForgetRequestError, match="both True and False of the row labelled"):
        model.unlearn((frame["a"] > 7).sample(frac=1, random_state=0))
    assert gone(fitted(frame).unlearn(frame["a"] > 7)) == np.flatnonzero(frame["a"] > 7).tolist()
    assert gone(fitted(frame).unlearn(frame.index.isin([3]))) == [6, 7]
    model.unlearn([6])
    assert gone(model.unlearn(pd.Index([3]))) == [6, 7]  # of the two, one is left


def test_polars_like_arrays_and_lists_of_labels_are_positions():
    frame = framed()
    assert gone(fitted(frame).unlearn([3])) == [3]
    assert gone(fitted(frame).unlearn(frame.index.to_numpy()[[3]])) == [int(frame.index[3])]


def test_labels_come_back_with_the_data_and_are_never_saved():
    frame = framed("strings")
    model = fitted(frame).unlearn(frame.index[[7]])
    saved = pickle.dumps(model)
    assert b"person" not in saved
    for rows in (np.arange(N), np.delete(np.arange(N), 7)):
        reloaded = pickle.loads(saved).attach_data(frame.iloc[rows], Y[rows])
        assert gone(reloaded.unlearn(pd.Index(["person 149", "person 8"]))) == [7, 8, 149]
    bare = pickle.loads(saved)
    bare.attach_data(frame, Y)
    assert "person 7" not in set(bare._data.row_labels)
    assert "person 7" not in set(model._data.row_labels)


def test_forgotten_labels_are_in_no_level_of_an_index():
    frame = framed("several levels")
    model = fitted(frame).unlearn(np.arange(10))
    assert 0 in frame.index.levels[0]
    assert 0 not in model._data.row_labels.levels[0]


def test_pipelines_and_shards_know_labels():
    frame = framed("integers")
    for make in (
        lambda: SISAClassifier(GaussianNB(), n_shards=3, random_state=0),
        lambda: make_unlearning_pipeline(SISAClassifier(GaussianNB(), n_shards=3, random_state=0)),
    ):
        model = make().fit(frame, Y).unlearn(frame.index[[3, 60]])
        assert gone(model) == [3, 60]
        np.testing.assert_array_equal(
            model.predict_proba(frame), make().fit(frame, Y, exclude=[3, 60]).predict_proba(frame)
        )


def test_the_trap_of_the_split():
    """Labels of the whole frame are no positions in its training part."""
    frame = pd.DataFrame(X, columns=COLUMNS).assign(customer=np.arange(N) // 3)
    train, _, y, _ = train_test_split(frame, Y, random_state=0)
    mine = train["customer"] == 17
    for asked in (train.index[mine], train[mine].index, mine, frame["customer"].loc[train.index].eq(17)):
        model = fitted(train.drop(columns="customer"), y).unlearn(asked)
        assert (train["customer"][model.forgotten_] == 17).all()
        assert model.forgotten_.sum() == mine.sum() > 0
    whole = frame["customer"] == 17
    if whole[~whole.index.isin(train.index)].any():
        with pytest.raises(UnknownIdError, match="never a row"):
            fitted(train, y).unlearn(whole)


LABELS = {
    "counted": lambda n: list(range(n)),
    "integers": lambda n: [3 * row - 5 for row in range(n)],
    "strings": lambda n: [f"p{row}" for row in range(n)],
    "dates": lambda n: pd.date_range("2020-02-02", periods=n, freq="D"),
    "levels": lambda n: pd.MultiIndex.from_tuples([(row // 3, "abc"[row % 3]) for row in range(n)]),
    "repeated": lambda n: [row // 2 for row in range(n)],
}


@settings(max_examples=150)
@given(
    kind=st.sampled_from(sorted(LABELS)),
    n=st.integers(6, 25),
    how=st.sampled_from(["split", "sample", "sort", "as it is"]),
    ask=st.sampled_from(["index", "mask", "mask of all", "shuffled mask", "positions"]),
    seed=st.integers(0, 2**16),
)
def test_the_rows_forgotten_are_those_that_pandas_names(kind, n, how, ask, seed):
    """Over random frames: split, sampled or sorted, and asked in any form, always the rows of ``.loc``, or an error."""
    rng = np.random.default_rng(seed)
    whole = pd.DataFrame({"secret": rng.permutation(n), "x": rng.normal(size=n)}, index=pd.Index(LABELS[kind](n)))
    train = {
        "split": lambda: train_test_split(whole, random_state=seed)[0],
        "sample": lambda: whole.sample(frac=0.8, random_state=seed),
        "sort": lambda: whole.sort_values("x"),
        "as it is": lambda: whole,
    }[how]()
    model = Retrain(Recorder(), random_state=0).fit(train, np.zeros(len(train)))
    source = whole if ask == "mask of all" else train
    wanted = source["secret"].isin(rng.choice(n, 2, replace=False))
    asked = {
        "index": lambda: source.index[wanted],
        "mask": lambda: wanted,
        "mask of all": lambda: wanted,
        "shuffled mask": lambda: wanted.sample(frac=1, random_state=seed + 1),
        "positions": lambda: np.flatnonzero(wanted),
    }[ask]()
    try:
        model.unlearn(asked)
    except ForgetRequestError:
        assert not model.forgotten_.any()
        repeated = kind == "repeated" and not train.index.is_unique
        elsewhere = not source.index[wanted].isin(train.index).all()
        assert repeated or elsewhere or not wanted.any() or not len(train) > wanted.sum()
        return
    assert sorted(train["secret"][model.forgotten_]) == sorted(source["secret"][wanted])


def relabel_by_assignment(frame):
    frame.index = frame.index[::-1]


def relabel_by_reset(frame):
    frame.index = pd.RangeIndex(len(frame))


@pytest.mark.parametrize("relabel", [relabel_by_assignment, relabel_by_reset])
def test_labels_are_those_of_the_fit_whatever_the_frame_is_given_later(relabel):
    frame = pd.DataFrame({"x": np.arange(30.0), "z": np.arange(30) % 7}, index=np.arange(100, 130)[::-1])
    y = np.arange(30) % 2
    asked = frame.index[[3, 8]]
    model = Retrain(GaussianNB()).fit(frame, y)
    relabel(frame)
    assert np.flatnonzero(model.unlearn(asked).forgotten_).tolist() == [3, 8]


def test_a_frame_with_other_labels_brings_no_labels_back():
    frame = pd.DataFrame({"x": np.arange(30.0), "z": np.arange(30) % 7}, index=np.arange(100, 130)[::-1])
    y = np.arange(30) % 2
    fitted = Retrain(GaussianNB()).fit(frame, y).unlearn(frame.index[[5]])
    for forgotten in ([], [5]):
        left = np.delete(np.arange(30), forgotten)
        model = pickle.loads(pickle.dumps(fitted)).attach_data(frame.iloc[left].reset_index(drop=True), y[left])
        with pytest.raises(ForgetRequestError, match="attach_data one with other labels"):
            model.unlearn(pd.Index([3]))
        model = pickle.loads(pickle.dumps(fitted)).attach_data(frame.iloc[left], y[left])
        assert np.flatnonzero(model.unlearn(frame.index[[3]]).forgotten_).tolist() == [3, 5]


def test_estimators_of_other_libraries_are_tried_on_a_shard():
    class Own(GaussianNB):
        pass

    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3
    model = SISAClassifier(Own(), n_shards=3, random_state=0).fit(X, y)
    assert model.reproducible_
    assert model.unlearn([3]).receipts_[-1].exactness == "bits"
