"""Bands, random rows and groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlunlearn.regression import Band, group_rows, random_rows


@pytest.mark.parametrize(
    ("closed", "inside"), [("both", [1, 2, 3]), ("left", [1, 2]), ("right", [2, 3]), ("neither", [2])]
)
def test_which_ends_belong_to_a_band(closed, inside):
    assert np.flatnonzero(Band(1, 3, closed).rows(np.arange(5))).tolist() == inside


def test_published_bands():
    assert Band(upper=30).rows([30.0, 30.5]).tolist() == [True, False]
    assert Band(upper=2, closed="left").rows([1.99, 2.0]).tolist() == [True, False]


@settings(deadline=None)
@given(hnp.arrays(float, st.integers(10, 80), elements=st.floats(-50, 50)), st.floats(0.1, 0.4))
def test_bands_by_share_hold_their_share(y, share):
    assert Band.low(y, share).rows(y).mean() >= share - 1 / len(y)
    assert Band.high(y, share).rows(y).mean() >= share - 1 / len(y)
    assert Band.low(y, share).rows([y.min()]).all()
    assert Band.high(y, share).rows([y.max()]).all()


def test_the_middle_band_is_around_the_median():
    y = np.arange(101.0)
    assert np.flatnonzero(Band.middle(y, 0.2).rows(y)).tolist() == list(range(40, 61))


@pytest.mark.parametrize("band", [Band(lower=99), Band(lower=-1), Band(upper=-1)])
def test_a_band_without_rows_or_with_all_is_no_request(band):
    with pytest.raises(ValueError, match="training row"):
        band.forget(np.arange(10))


def test_a_band_may_be_empty_in_a_test_set():
    assert not Band(lower=99).rows(np.arange(10)).any()


@pytest.mark.parametrize(
    ("ends", "match"),
    [((None, None), "at least one end"), ((3, 1), "no number"), ((np.nan, 1), "no number")],
)
def test_bands_that_cannot_be(ends, match):
    with pytest.raises(ValueError, match=match):
        Band(*ends)


def test_targets_that_have_no_place_in_a_band():
    with pytest.raises(ValueError, match="NaN"):
        Band(1, 2).rows([1.0, np.nan])
    with pytest.raises(ValueError, match="one target"):
        Band(1, 2).rows(np.zeros((3, 2)))
    assert Band(0, 2).rows(np.zeros((3, 1))).all()


def test_random_rows():
    mask = random_rows(200, 0.05, random_state=0)
    assert mask.sum() == 10
    assert np.array_equal(mask, random_rows(200, 0.05, random_state=0))
    assert not np.array_equal(mask, random_rows(200, 0.05, random_state=1))
    assert random_rows(3, 0.99, random_state=0).sum() == 2
    for share in (0, 1, 2):
        with pytest.raises(ValueError, match="share"):
            random_rows(10, share)


def test_groups():
    groups = np.array([7, 8, 7, 9])
    assert group_rows(groups, 7).tolist() == [True, False, True, False]
    assert group_rows(groups, [8, 9]).sum() == 2
    with pytest.raises(ValueError, match="has no 3"):
        group_rows(groups, [3])
    with pytest.raises(ValueError, match="every group"):
        group_rows(groups, [7, 8, 9])
