"""Saved, erased at the source, loaded, given the data back, unlearned: rows that hold nothing are forgotten."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.preprocessing import Normalizer

from mlunlearn import (
    DataChangedError,
    ForgetRequestError,
    Retrain,
    SISAClassifier,
    SISARegressor,
    UnlearningPipeline,
    verify,
)
from mlunlearn.checks.state import flatten_state, learned_state, state_differences

N = 90
EARLIER, GONE = np.array([4, 50]), np.array([3, 17, 60])
X, Y = make_classification(N, 6, random_state=0)
IDS = [f"person {row // 2}" for row in range(N)]

KINDS = {
    "array": lambda X: X.copy(),
    "frame": lambda X: pd.DataFrame(X.copy(), columns=list("abcdef"), index=[f"row {i}" for i in range(len(X))]),
    "sparse": sparse.csr_array,
}
METHODS = {
    "sisa": lambda: SISAClassifier(SGDClassifier(), n_shards=3, n_slices=2, max_epochs=3, random_state=0),
    "retrain": lambda: Retrain(SGDClassifier(), random_state=0),
    "pipeline": lambda: UnlearningPipeline([("unit", Normalizer()), ("sisa", METHODS["sisa"]())]),
    "regressor": lambda: SISARegressor(Ridge(), n_shards=3, random_state=0),
}


def labels_for(method):
    return Y.astype(float) if method == "regressor" else Y.copy()


def erase(held, rows, value):
    if isinstance(held, pd.DataFrame):
        held.iloc[rows] = value
    elif sparse.issparse(held):
        for row in rows:
            held.data[held.indptr[row] : held.indptr[row + 1]] = value
    else:
        held[rows] = value


def without(held, rows):
    left = np.setdiff1d(np.arange(N), rows)
    return held.iloc[left] if isinstance(held, pd.DataFrame) else held[left]


def core(model):
    return learned_state(model[-1] if isinstance(model, UnlearningPipeline) else model)


def reloaded(method, kind="array", earlier=EARLIER, **options):
    """A model that forgot some rows, was saved and loaded, and the model that never saw those nor the erased ones."""
    y = labels_for(method)
    never = METHODS[method]().fit(KINDS[kind](X), y, exclude=np.union1d(earlier, GONE), **options)
    model = METHODS[method]().fit(KINDS[kind](X), y, **options)
    model = model.unlearn(earlier) if len(earlier) else model
    return pickle.loads(pickle.dumps(model)), never


@pytest.mark.parametrize(
    ("earlier", "value"), [(EARLIER, np.nan), (EARLIER[:0], 0.0)], ids=["after a request", "first request"]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_rows_that_were_erased_can_be_forgotten(method, kind, value, earlier):
    model, never = reloaded(method, kind, earlier)
    held, y = KINDS[kind](X), labels_for(method)
    erase(held, GONE, value)
    y[GONE] = 7
    with pytest.raises((DataChangedError, ValueError), match="erased="):
        model.attach_data(held, y)
    model.attach_data(held, y, erased=GONE)
    saved_again = pickle.loads(pickle.dumps(model)).attach_data(held, y, erased=GONE)
    for each in (model, saved_again):
        each.unlearn(GONE)
        assert state_differences(core(each), core(never)) == {}
        assert each.receipts_[-1].twins is None
    model.unlearn([20])  # and the model goes on as any other
    assert verify(model, held, y)
    left = pickle.loads(pickle.dumps(model))
    assert len(left._marks) == N - len(earlier) - 4
    left.attach_data(held, y).unlearn([21])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("earlier", [EARLIER, EARLIER[:0]], ids=["after a request", "first request"])
def test_rows_that_were_deleted_can_be_forgotten(method, kind, earlier):
    model, never = reloaded(method, kind, earlier)
    gone = np.union1d(earlier, GONE)
    held, y = without(KINDS[kind](X), gone), np.delete(labels_for(method), gone)
    with pytest.raises(ValueError, match="erased=rows"):
        model.attach_data(held, y)
    model.attach_data(held, y, erased=GONE).unlearn(GONE)
    assert state_differences(core(model), core(never)) == {}


@pytest.mark.parametrize("form", ["mask", "list", "slice", "ids", "labels", "series"])
def test_rows_are_named_as_in_requests(form):
    kind = "frame" if form in ("labels", "series") else "array"
    held, rows = KINDS[kind](X), np.array([10, 11])
    index = pd.Index([f"row {i}" for i in rows])
    mask = np.isin(np.arange(N), rows)
    named = {
        "mask": {"erased": mask},
        "list": {"erased": rows.tolist()},
        "slice": {"erased": slice(10, 12)},
        "ids": {"erased_ids": "person 5"},
        "labels": {"erased": index},
        "series": {"erased": pd.Series(mask, index=getattr(held, "index", None))},
    }[form]
    asked = {"ids": {"forget_ids": ["person 5"]}, "labels": {"forget_idx": index}}.get(form, {"forget_idx": rows})
    model, _ = reloaded("sisa", kind, sample_ids=IDS)
    erase(held, rows, 0.0)
    model.attach_data(held, Y, **named).unlearn(**asked)
    assert np.flatnonzero(model.forgotten_).tolist() == sorted([*EARLIER, *rows])
    if kind == "frame":
        model.unlearn(pd.Index(["row 20"]))
        assert model.forgotten_[20]


def test_what_is_forgotten_already_may_be_named_as_well():
    model, never = reloaded("sisa")
    held = X.copy()
    held[[*GONE, *EARLIER]] = np.nan
    model.attach_data(held, Y, erased=[*GONE, *EARLIER]).unlearn(GONE)
    assert state_differences(core(model), core(never)) == {}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("asked", [[20], [3, 17], [3, 20], EARLIER.tolist()])
def test_a_request_has_to_forget_all_that_was_erased(method, asked):
    model, _ = reloaded(method)
    held, y = X.copy(), labels_for(method)
    held[GONE] = np.nan
    model.attach_data(held, y, erased=GONE)
    before = flatten_state(model)
    with pytest.raises(ForgetRequestError, match=r"erased before attach_data.* would be retained"):
        model.unlearn(asked)
    assert state_differences(flatten_state(model), before) == {}
    model.unlearn([*GONE, 20])
    assert model.forgotten_[[*GONE, 20]].all()


def test_what_would_train_on_an_erased_row_is_refused():
    model, _ = reloaded("retrain")
    held = X.copy()
    held[GONE] = np.nan
    model.attach_data(held, Y, erased=GONE)
    with pytest.raises(DataChangedError, match="can only be forgotten"):
        model._read(model._retained())
    with pytest.raises((DataChangedError, ValueError), match="erased="):
        verify(model, held, Y)


@pytest.mark.parametrize("method", METHODS)
def test_other_rows_are_compared_one_by_one(method):
    """Also those that share a checksum with an erased row."""
    held, y = X.copy(), labels_for(method)
    held[GONE] = 0.0
    model, _ = reloaded(method)
    missed = []
    for row in np.setdiff1d(np.arange(N), [*GONE, *EARLIER]):
        edited = held.copy()
        edited[row, 2] += 1e-6
        before = flatten_state(model)
        try:
            copy.copy(model).attach_data(edited, y, erased=GONE)
        except DataChangedError:
            assert state_differences(flatten_state(model), before) == {}
        else:
            missed.append(row)
    assert missed == []  # each is missed once in 65,536 times
    edited = held.copy()
    edited[[20, 21]] = edited[[21, 20]]
    with pytest.raises(DataChangedError):
        model.attach_data(edited, y, erased=GONE)


def test_a_row_that_differs_is_named():
    model, _ = reloaded("retrain")
    held = X.copy()
    held[[3, 17, 60, 33]] = 0.0
    with pytest.raises(DataChangedError, match=r"1 row\(s\) that erased= does not name differ \(positions 33\)"):
        model.attach_data(held, Y, erased=GONE)


@pytest.mark.parametrize("method", ["sisa", "retrain", "pipeline"])
def test_a_class_that_was_erased_is_forgotten_by_name(method):
    y = np.where(np.arange(N) % 9 == 0, 2, Y)
    rows = np.flatnonzero(y == 2)
    never = METHODS[method]().fit(X, y, exclude=rows)
    model = pickle.loads(pickle.dumps(METHODS[method]().fit(X, y)))
    held, told = X.copy(), y.copy()
    held[rows], told[rows] = 0.0, 0
    model.attach_data(held, told, erased=rows)
    with pytest.raises(ForgetRequestError, match="the last rows of class 2"):
        model.unlearn(rows)
    with pytest.raises(ForgetRequestError, match="erased"):
        model.unlearn(classes=[1])
    model.unlearn(classes=[2])
    assert model.classes_.tolist() == [0, 1]
    assert state_differences(core(model), core(never)) == {}


@pytest.mark.parametrize(
    ("erased", "message"),
    [
        ([3, 3], "more than once"),
        ([N], "out of range"),
        ([0.5], "dtype float64"),
        (np.ones(N, dtype=bool), "every retained row"),
        (pd.Index(["row 3"]), "fit was given no data frame"),
    ],
)
def test_what_is_not_understood_is_refused(erased, message):
    model, _ = reloaded("retrain")
    before = flatten_state(model)
    with pytest.raises(ForgetRequestError, match=message):
        model.attach_data(X, Y, erased=erased)
    assert state_differences(flatten_state(model), before) == {}


def test_integers_that_may_be_ids_are_refused():
    model = pickle.loads(pickle.dumps(METHODS["retrain"]().fit(X, Y, sample_ids=np.arange(N)[::-1])))
    with pytest.raises(ForgetRequestError, match="ambiguous"):
        model.attach_data(X, Y, erased=[3])
    model.attach_data(X, Y, erased_ids=[3]).unlearn(forget_ids=[3])
    assert model.forgotten_[N - 4]


def test_nothing_else_is_saved_of_a_row():
    model, _ = reloaded("retrain")
    assert model._marks.dtype == np.uint16
    fitted = METHODS["retrain"]().fit(X, Y)
    assert "_marks" not in vars(fitted)
    assert "_marks" not in vars(model.attach_data(X, Y))


def test_other_labels_change_nothing_that_was_learned():
    """A frame that is given back with other labels cannot be asked by label, and is the same model."""
    frame = KINDS["frame"](X)
    model = pickle.loads(pickle.dumps(METHODS["sisa"]().fit(frame, Y)))
    renamed = frame.set_axis(np.arange(N))
    model.attach_data(renamed, Y).unlearn(GONE)
    assert verify(model, frame, Y)
    assert model._label_sum == 0  # what is left of the labels of forgotten rows
    with pytest.raises(ForgetRequestError, match="data frame"):
        model.unlearn(pd.Index(["row 20"]))


def _typed():
    return pd.DataFrame({"a": (100 * X[:, 0]).astype(int), "b": X[:, 1] > 0, "c": X[:, 2], "d": (X[:, 3] > 0) * 1.0})


@pytest.mark.parametrize("method", ["retrain", "sisa"])
def test_columns_of_another_type_are_read_in_their_own_where_the_values_are_the_same(method):
    model = pickle.loads(pickle.dumps(METHODS[method]().fit(_typed(), Y)))
    frame = _typed().astype({"a": "int32", "b": object, "d": int})
    model.attach_data(frame, Y).unlearn([3, 4])
    never = METHODS[method]().fit(_typed(), Y, exclude=[3, 4])
    assert not state_differences(learned_state(model), learned_state(never))


def test_columns_of_another_type_and_other_values_are_named():
    saved = pickle.dumps(METHODS["sisa"]().fit(_typed(), Y))
    assert b"categories" not in pickle.dumps(vars(pickle.loads(saved))["_types"])
    frame = _typed().astype({"a": str, "d": "float32"})
    frame["c"] = frame["c"].astype("float32")
    frame.loc[7, "a"] = "many"
    for erased in ({}, {"erased": [3]}):
        with pytest.raises(DataChangedError, match=r"column 'a' was int64 at fit and is (str|object)"):
            pickle.loads(saved).attach_data(frame, Y, **erased)
    shorter = _typed().astype({"c": "float32"})
    with pytest.raises(DataChangedError, match="column 'c' was float64 at fit and is float32"):
        pickle.loads(saved).attach_data(shorter, Y)
