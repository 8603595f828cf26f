"""Erased at the source first, then unlearned, as deletions go: only rows that are read again must be unchanged."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.preprocessing import Normalizer

from mlunlearn import DataChangedError, ForgetRequestError, Retrain, SISAClassifier, SISARegressor, UnlearningPipeline
from mlunlearn.checks.state import learned_state, state_differences

N = 90
GONE = np.array([3, 17, 60])
X, Y = make_classification(N, 6, random_state=0)

KINDS = {
    "array": lambda X, folder: X.copy(),
    "fortran": lambda X, folder: np.asfortranarray(X.astype(np.float32)),
    "frame": lambda X, folder: pd.DataFrame(X.copy(), columns=list("abcdef")),
    "sparse": lambda X, folder: sparse.csr_array(X),
    "memmap": lambda X, folder: on_disk(X, folder),
}
METHODS = {
    "sisa": lambda: SISAClassifier(SGDClassifier(), n_shards=3, n_slices=2, max_epochs=3, random_state=0),
    "retrain": lambda: Retrain(SGDClassifier(), random_state=0),
    "pipeline": lambda: UnlearningPipeline([("unit", Normalizer()), ("sisa", METHODS["sisa"]())]),
    "passing": lambda: UnlearningPipeline([("nothing", "passthrough"), ("sisa", METHODS["sisa"]())]),
    "regressor": lambda: SISARegressor(Ridge(), n_shards=3, random_state=0),
}


def on_disk(X, folder):
    held = np.lib.format.open_memmap(folder / "X.npy", "w+", X.dtype, X.shape)
    held[:] = X
    return held


def erase(held, rows, value):
    """Overwrite rows in place, as their owner does."""
    if isinstance(held, pd.DataFrame):
        held.iloc[rows] = value
    elif sparse.issparse(held):
        for row in rows:
            held.data[held.indptr[row] : held.indptr[row + 1]] = value
    else:
        held[rows] = value


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_what_rows_to_be_forgotten_hold_does_not_matter(method, kind, value, tmp_path):
    held, y = KINDS[kind](X, tmp_path), Y.astype(float) if method == "regressor" else Y.copy()
    reference = METHODS[method]().fit(
        KINDS[kind](X, tmp_path) if kind != "memmap" else X.copy(), y.copy(), exclude=[*GONE, 5]
    )
    model = METHODS[method]().fit(held, y)
    erase(held, GONE, value)
    y[GONE] = 7
    model.unlearn(GONE)
    erase(held, np.array([5]), value)  # the first request let go of these arrays, but for files
    y[5] = 7
    model.unlearn([5])
    got, expected = (m[-1] if isinstance(m, UnlearningPipeline) else m for m in (model, reference))
    assert state_differences(learned_state(got), learned_state(expected)) == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["sisa", "retrain", "regressor"])
def test_a_retained_row_that_changed_is_named(method, kind, tmp_path):
    held, y = KINDS[kind](X, tmp_path), Y.astype(float) if method == "regressor" else Y.copy()
    model = METHODS[method]().fit(held, y)
    allocation = getattr(model, "allocation_", None)
    read = np.arange(N) if allocation is None else np.sort(allocation.rows(allocation.shard[17]))
    changed = read[(read != 17) & (read > 4)][0]
    before = pickle.dumps(model)
    erase(held, np.array([17, changed]), 9.0)
    with pytest.raises(DataChangedError, match=f"Row {changed} was edited after fit"):
        model.unlearn([17])
    assert pickle.dumps(model) == before
    model.unlearn([17, changed])


def test_a_pipeline_names_the_row_of_its_last_step():
    held = X.copy()
    model = METHODS["passing"]().fit(held, Y)
    held[:50] = 0.0
    with pytest.raises(DataChangedError, match=r"Row \d+ was edited after fit"):
        model.unlearn([80])


@pytest.mark.parametrize("what", ["two rows change places", "a column is shuffled", "a label", "a weight"])
def test_edits_that_leave_sums_as_they_were_are_noticed(what):
    held, y, weight = X.copy(), Y.copy(), np.linspace(1, 2, N)
    model = Retrain(SGDClassifier(), random_state=0).fit(held, y, weight)
    if what == "two rows change places":
        held[[10, 11]], y[[10, 11]], weight[[10, 11]] = held[[11, 10]], y[[11, 10]], weight[[11, 10]]
    elif what == "a column is shuffled":
        held[10:20, 2] = held[10:20, 2][::-1].copy()
    elif what == "a label":
        y[10] = 1 - y[10]
    else:
        weight[10] = 5.0
    saved = pickle.loads(pickle.dumps(model))
    with pytest.raises(DataChangedError, match="Row 10 was edited"):
        model.unlearn([3])
    with pytest.raises(DataChangedError, match=r"at positions 0, 1, 2, 3, 4, \.\.\. at least"):
        saved.attach_data(held, y, weight)


def test_data_given_back_is_compared_slice_by_slice():
    model = METHODS["sisa"]().fit(X, Y).unlearn([4])
    shard = model.allocation_.shard[20]
    edited = X.copy()
    edited[[4, 20]] = 0.0
    with pytest.raises(DataChangedError) as error:
        pickle.loads(pickle.dumps(model)).attach_data(edited, Y)
    alike = np.flatnonzero(
        (model.allocation_.shard == shard) & (model.allocation_.slice == model.allocation_.slice[20])
    )
    assert f"of the {len(alike)} row(s) at positions {alike[0]}, {alike[1]}" in str(error.value)
    edited[20] = X[20]  # what is forgotten may hold anything
    pickle.loads(pickle.dumps(model)).attach_data(edited, Y).unlearn([20])


def test_labels_are_counted_as_they_were_at_fit():
    labels = np.where(np.arange(N) < 3, 2, Y)
    y = labels.copy()
    model = METHODS["sisa"]().fit(X, y)
    y[:3] = 0
    with pytest.raises(ForgetRequestError, match="the last rows of class 2"):
        model.unlearn([0, 1, 2])
    y[1:3] = 2
    model.unlearn([0])
    with pytest.raises(ForgetRequestError, match="the last rows of class 2"):
        model.unlearn([1, 2])
    model = METHODS["sisa"]().fit(X, labels.copy())
    vars(model)["_data"].y[:3] = 0
    assert model.unlearn(classes=[2]).receipts_[-1].rows.tolist() == [0, 1, 2]
    assert model.classes_.tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_twins_among_the_retained_rows_are_counted(method, kind, tmp_path):
    doubled = X.copy()
    doubled[[30, 31]], doubled[41] = doubled[5], doubled[40]
    y = Y.astype(float) if method == "regressor" else Y
    model = METHODS[method]().fit(KINDS[kind](doubled, tmp_path), y)
    model.unlearn([5, 40, 41, 50])  # 5 has two twins left; 40 and 41 go together
    assert model.receipts_[-1].twins == 1
    assert str(model.receipts_[-1]).endswith("; 1 of them have identical twins among retained rows")
    assert model.unlearn([30]).receipts_[-1].twins == 1
    assert model.unlearn([31]).receipts_[-1].twins == 0
    assert "twins" not in str(model.receipts_[-1])


def test_twins_of_texts_and_of_excluded_rows():
    texts = np.array(["a b", "b c", "a b", "c d", "d e", "b c"] * 3, dtype=object)
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.pipeline import make_pipeline

    model = Retrain(make_pipeline(HashingVectorizer(n_features=16), SGDClassifier()), random_state=0)
    model.fit(texts, [0, 1] * 9, exclude=np.flatnonzero(texts == "c d")[1:])
    assert model.unlearn([0, 3]).receipts_[-1].twins == 1  # the twins of row 3 were never learned


def test_columns_keep_their_types_where_rows_are_erased():
    """Nothing that stands for a missing number is a whole one: pandas makes the column one of floats."""
    frame = pd.DataFrame({"a": (100 * X[:, 0]).astype(int), "b": X[:, 1] > 0, "c": X[:, 2]})
    whole = frame.copy()
    model = METHODS["sisa"]().fit(frame, Y)
    for name in frame:
        frame[name] = frame[name].where(~frame.index.isin(GONE))
    model.unlearn(GONE).unlearn([5])
    assert frame["a"].dtype == float
    assert frame["b"].dtype == object
    reference = METHODS["sisa"]().fit(whole, Y, exclude=[*GONE, 5])
    assert not state_differences(learned_state(model), learned_state(reference))
    edited = whole.copy()
    model = METHODS["retrain"]().fit(edited, Y)
    edited["a"] = edited["a"].astype(float)
    edited.loc[7, "a"] += 0.5
    with pytest.raises(DataChangedError, match="Row 7 "):
        model.unlearn(GONE)


def test_rows_deleted_in_place_are_named_when_data_is_given_back():
    frame, left = pd.DataFrame(X.copy()), np.delete(np.arange(N), GONE)
    model = METHODS["sisa"]().fit(frame, Y)
    frame._update_inplace(frame.drop(index=GONE))  # what drop(inplace=True) does, without its warning
    with pytest.raises(DataChangedError, match=r"had 90 rows and has 87.*attach_data\(X, y, erased=rows\)"):
        model.unlearn(GONE)
    assert not model.forgotten_.any()
    model.attach_data(frame, Y[left], erased=GONE).unlearn(GONE)
    reference = METHODS["sisa"]().fit(pd.DataFrame(X), Y, exclude=GONE)
    assert not state_differences(learned_state(model), learned_state(reference))
