"""Checksums of rows: equal for equal rows wherever they stand, different for different ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from mlunlearn.checksums import checksums_of_rows, combined

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
    same = [[a.tobytes() == b.tobytes() for b in values] for a in values]
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
