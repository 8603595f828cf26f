"""Checksums of rows: equal for equal rows wherever they stand, different for different ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from mlunlearn.rows.checksums import checksums_of_rows, combined

DTYPES = st.sampled_from(["f8", "f4", "i8", "u1", "?", "U3", "c16", "M8[s]"])


@settings(deadline=None, max_examples=60)
@given(
    DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(0, 9), st.integers(0, 5)))), st.randoms()
)
def test_a_row_is_read_alone(values, random):
    order = random.sample(range(len(values)), len(values))
    sums = checksums_of_rows(values)
    np.testing.assert_array_equal(checksums_of_rows(values[order]), sums[order])
    np.testing.assert_array_equal(checksums_of_rows(np.asfortranarray(values)), sums)
    plain = values + 0.0 if values.dtype.kind in "fc" else values  # zeros of either sign are alike
    same = [[a.tobytes() == b.tobytes() for b in plain] for a in plain]
    np.testing.assert_array_equal(sums[:, None] == sums, np.reshape(same, (len(values), len(values))))


CODED = (np.arange(2**14)[:, None] >> np.arange(14)) % 2  # every row of zeros and ones there is


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "u1", "?", "O"])
def test_rows_of_few_values_do_not_collide(dtype):
    """Of 2**14 rows two agree by chance once in 10**11; numbers with many zero bits are no exception."""
    rows = CODED.astype(dtype)
    for other in (rows, rows[:, ::-1].copy(), np.hstack([rows, rows])):
        assert len(np.unique(checksums_of_rows(other))) == len(rows)
    assert len(np.unique(checksums_of_rows(pd.DataFrame(rows)))) == len(rows)
    assert len(np.unique(checksums_of_rows(rows, key=1) ^ checksums_of_rows(rows))) == len(rows)


def test_sparse_rows_by_column_and_value():
    rows = sparse.csr_array(CODED[:4096].astype(float) * np.arange(1, 15))
    sums = checksums_of_rows(rows)
    assert len(np.unique(sums)) == 4096
    shuffled = rows.copy()
    for start, stop in zip(rows.indptr, rows.indptr[1:], strict=False):
        shuffled.indices[start:stop], shuffled.data[start:stop] = (
            rows.indices[start:stop][::-1],
            rows.data[start:stop][::-1],
        )
    np.testing.assert_array_equal(checksums_of_rows(shuffled), sums)
    np.testing.assert_array_equal(checksums_of_rows(rows[[7, 3]]), sums[[7, 3]])


def test_many_rows_and_wide_ones_are_read_in_parts():
    rng = np.random.default_rng(0)
    for shape in ((70_000, 3), (3, 70_000), (5, 4, 4), (9,), (4, 0)):
        values = rng.normal(size=shape)
        sums = checksums_of_rows(values)
        alone = [checksums_of_rows(values[i : i + 1])[0] for i in range(0, len(values), max(1, len(values) // 7))]
        np.testing.assert_array_equal(sums[:: max(1, len(values) // 7)], alone)


def test_combined_in_an_order_that_counts():
    a, b = (np.arange(3, dtype=np.uint64) + np.uint64(k) for k in (0, 10))
    assert (combined(a, b) != combined(b, a)).all()
    np.testing.assert_array_equal(combined(a, None, b), combined(a, b))
    np.testing.assert_array_equal(a, np.arange(3))


FORMS = {
    "array": np.asarray,
    "single": lambda X: np.asarray(X, dtype=np.float32),
    "frame": pd.DataFrame,
    "frame of two kinds": lambda X: pd.DataFrame(X).assign(name="ann"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("key", [0, 1])
def test_zeros_of_either_sign_are_alike(form, key):
    a, b, other = checksums_of_rows(form([[0.0, 1.0], [-0.0, 1.0], [0.0, -1.0]]), key)
    assert a == b != other


@pytest.mark.parametrize("key", [0, 1])
def test_zeros_that_a_sparse_row_stores_do_not_count(key):
    stored = sparse.csr_array(([0.0, 1.0, 1.0, -0.0, 0.5, 0.5], [0, 1, 1, 2, 1, 1], [0, 2, 4, 6]), shape=(3, 3))
    before = stored.data.copy()
    sums = checksums_of_rows(stored, key)
    assert len(np.unique(sums)) == 1  # the last one says 1 in two parts
    assert sums[0] == checksums_of_rows(sparse.csr_array([[0.0, 1.0, 0.0]]), key)[0]
    np.testing.assert_array_equal(stored.data, before)


MIXED = {
    "equal numbers of several types": [1, 1.0, True, np.int64(1), 2, 0],
    "numbers, texts and nothing": [None, "a", 3, "b", np.nan, 2.5],
    "equal things and their names": ["1", 1, "None", None, "True", True],
    "tuples": [("a", 1), ("b", 2), ("a", 1), None, "a", 3],
    "lists and arrays": [[1], [2, 3], np.arange(3), np.arange(4), [1], {"a": 1}],
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize("key", [0, 1])
def test_objects_of_several_types_are_read_alone(values, key):
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    frame = pd.DataFrame({"a": pd.Series(objects, dtype=object), "b": 1.0})
    for rows in (frame, frame["a"], objects, objects[:, np.newaxis]):
        sums = checksums_of_rows(rows, key)
        taken = [rows.iloc[[i]] if hasattr(rows, "iloc") else rows[[i]] for i in range(len(values))]
        np.testing.assert_array_equal(np.concatenate([checksums_of_rows(row, key) for row in taken]), sums)


def test_objects_are_told_from_their_names():
    for values in (["1", 1], ["None", None], [np.arange(5000), np.where(np.arange(5000) == 2500, 0, np.arange(5000))]):
        objects = np.empty(2, dtype=object)
        objects[:] = values
        assert len(np.unique(checksums_of_rows(objects))) == 2
        assert len(np.unique(checksums_of_rows(pd.DataFrame({"a": objects})))) == 2
