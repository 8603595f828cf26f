"""Marks are found wherever they hide, and nowhere else."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from mlunlearn import Retrain, SISAClassifier
from mlunlearn.checks import find_marks
from mlunlearn.checks.taint import HUGE, holds_bytes, marked_rows

NAN = float("nan")


def data(mark=None):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    if mark is not None:
        X[[0, 39]] = marked_rows(mark, (2, 3))
    return X, y


def closure_over(value):
    return lambda: value


@pytest.mark.parametrize("mark", [NAN, HUGE])
@pytest.mark.parametrize(
    "hide",
    [
        lambda row: row.copy(),
        lambda row: row.astype(np.float32),
        lambda row: np.asfortranarray(np.stack([row, row])),
        lambda row: np.stack([np.zeros(3), row])[:1],
        lambda row: [{"deep": (row.copy(),)}],
        lambda row: closure_over(row.copy()),
        lambda row: row.tobytes(),
        lambda row: np.frombuffer(row.tobytes(), np.uint8),
        lambda row: float(row[0]),
        lambda row: row.mean(),
        lambda row: (row / 1000).astype(np.float32),
        lambda row: np.array(["text", row[1]], dtype=object),
        lambda row: {"row": row.copy()}.get,
    ],
    ids=[
        "copy", "single precision", "column order", "base of a view", "nested", "closure", "bytes", "buffer", "number",
        "mean", "share in single precision", "among objects", "bound method",
    ],
)  # fmt: skip
def test_a_mark_is_found(hide, mark):
    row = marked_rows(mark, (1, 3))
    assert len(find_marks({"clean": np.ones(3), "hidden": hide(row[0])}, row, mark=mark)) == 1


def test_clean_objects_have_no_marks():
    row = marked_rows(NAN, (1, 3))
    clean = {"inf": np.inf, "name": "nan", "none": None, "values": np.arange(9.0), "many": np.arange(9)}
    assert find_marks(clean, row, mark=NAN) == {}
    assert find_marks(clean, [[0.25, 0.5]]) == {}


def test_arithmetic_carries_the_nan():
    row = marked_rows(NAN, (1, 3))
    assert np.isnan(row).all()
    assert find_marks(row.astype(np.float32).sum(), [], mark=NAN)
    plain = np.array([NAN])
    assert not holds_bytes(plain.tobytes(), row)


def test_every_marked_value_is_another():
    assert len(np.unique(marked_rows(HUGE, (20, 5)))) == 100
    assert np.isfinite(marked_rows(HUGE, (200, 50)).astype(np.float32)).all()


def test_a_model_that_keeps_its_rows_is_found_out_until_it_forgets():
    X, y = data(HUGE)
    model = Retrain(KNeighborsClassifier()).fit(X, y)
    assert any("bytes" in how for how in find_marks(model, X[[0]]).values())
    model.unlearn([0, 39])
    assert find_marks(model, X[[0, 39]], mark=HUGE) == {}


def test_statistics_carry_the_mark_until_they_forget():
    X, y = data(HUGE)
    model = SISAClassifier(GaussianNB(), n_shards=2, n_slices=3, random_state=0).fit(X, y)
    assert any(".theta_" in path for path in find_marks(model, [], mark=HUGE))
    model.unlearn([39]).unlearn([0])
    assert find_marks(model, X[[0, 39]], mark=HUGE) == {}


def test_targets_are_searched_for():
    X, y = data()
    y = y + marked_rows(1e6, (40,))
    model = Retrain(LinearRegression()).fit(X, y)
    assert find_marks(model, y[:1], mark=1e6)


@pytest.mark.torch
def test_the_storage_behind_a_tensor_is_searched():
    torch = pytest.importorskip("torch")
    row = marked_rows(HUGE, (1, 3))
    held = torch.tensor(np.concatenate([np.zeros((1, 3)), row]))
    assert list(find_marks({"view": held[:1]}, row)) == ["['view']"]
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.tensor([NAN])
    assert list(find_marks(weight, [], mark=NAN)) == ["grad"]


def test_a_linear_model_is_clean_after_forgetting():
    X, y = data(HUGE)
    model = Retrain(LogisticRegression()).fit(X, y).unlearn([0, 39])
    assert find_marks(model, X[[0, 39]], mark=HUGE) == {}
