"""Marks are found wherever they hide, and nowhere else."""

import bz2
import gzip
import io
import lzma
import zlib

import numpy as np
import pandas as pd
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


def archive(row, save=np.savez_compressed, **layout):
    file = io.BytesIO()
    save(file, np.array(np.stack([np.zeros(len(row)), row]), **layout))
    return file.getvalue()


@pytest.mark.parametrize(
    "hide",
    [
        lambda row: zlib.compress(row.tobytes()),
        lambda row: zlib.compress(row.tobytes(), level=1),
        lambda row: gzip.compress(row.astype(np.float32).tobytes()),
        lambda row: bz2.compress(row.tobytes()),
        lambda row: lzma.compress(row.tobytes()),
        lambda row: np.frombuffer(zlib.compress(row.tobytes()), np.uint8),
        lambda row: bytearray(zlib.compress(gzip.compress(row.tobytes()))),
        archive,
        lambda row: archive(row, order="F"),
        lambda row: archive(row, save=np.save, order="F"),
        lambda row: row.astype(np.float16),
        lambda row: archive(row.astype(np.float16)),
        lambda row: (row.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16),
    ],
    ids=[
        "zlib", "fast zlib", "gzip", "bzip2", "xz", "buffer", "twice", "npz", "npz by column", "npy by column",
        "half precision", "half precision in npz", "bfloat16",
    ],
)  # fmt: skip
def test_short_copies_are_found(hide):
    rows = np.random.default_rng(1).normal(size=(3, 6))
    path = "['hidden'][bytes]" if isinstance(hide(rows[1]), bytearray) else "['hidden']"
    assert list(find_marks({"clean": hide(rows[0]), "hidden": hide(rows[1])}, rows[1:])) == [path]


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_tensors_in_half_precision_are_found(kind):
    torch = pytest.importorskip("torch")
    rows = np.random.default_rng(1).normal(size=(3, 6))
    held = torch.tensor(rows, dtype=getattr(torch, kind))
    assert len(find_marks({"held": held[1]}, rows[2:])) == (kind == "float16")  # the storage of a view is searched
    assert list(find_marks({"held": held[:1].clone()}, rows[1:])) == []
    assert list(find_marks({"held": held[1:].clone()}, rows[1:])) == ["['held']"]


def test_a_row_of_a_frame_with_texts_is_found():
    rows = np.random.default_rng(1).normal(size=(3, 6))
    frame = pd.DataFrame({"name": ["a", "b", "c"], **dict(enumerate(rows.T))})
    assert list(find_marks(frame, rows[1:2])) == ["numbers"]
    assert find_marks(frame.drop(index=1), rows[1:2]) == {}


def test_what_only_looks_compressed_holds_nothing():
    rows = np.random.default_rng(1).normal(size=(1, 6))
    for first in (b"\x78\x9c", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"PK\x03\x04", b"\x93NUMPY"):
        assert find_marks({"bytes": first + bytes(40)}, rows) == {}


@pytest.mark.parametrize("mark", [NAN, HUGE])
@pytest.mark.parametrize(
    "hide",
    [
        lambda row: row.copy(),
        lambda row: row.astype(np.float32),
        lambda row: np.asfortranarray(np.stack([row, row])),
        lambda row: np.stack([row, row]).T.copy(),
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
        "copy", "single precision", "column order", "transposed", "base of a view", "nested", "closure", "bytes",
        "buffer", "number", "mean", "share in single precision", "among objects", "bound method",
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
