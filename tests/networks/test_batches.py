"""Batches: which rows, in which order, read when, and what may not be read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlunlearn.nets.casting import tensors
from mlunlearn.networks import Batch, Rows, UndeclaredNeedError, step_batches
from mlunlearn.networks.batches import paired, steps_of_pass


@pytest.fixture
def reading():
    """Rows at positions 0, 2, 4, ... 38, and the positions read so far."""
    log = []

    def read(positions):
        log.extend(positions.tolist())
        rows = torch.as_tensor(positions)
        return Batch(rows[:, None].float(), rows, rows, torch.zeros(len(rows), dtype=torch.bool))

    return Rows(2 * np.arange(20), read), log


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
def test_passes_hold_every_row_once_and_no_single_row_is_left_over(n, batch_size, n_passes, seed):
    batches = list(step_batches(n, batch_size, n_passes * steps_of_pass(n, batch_size), seed))
    assert sorted(torch.cat(batches).tolist()) == sorted(list(range(n)) * n_passes)
    if n > 1 and batch_size > 1:
        assert min(map(len, batches)) > 1


def test_the_order_is_that_of_a_permutation_by_seed():
    generator = torch.Generator().manual_seed(5)
    expected = [torch.randperm(6, generator=generator) for _ in range(2)]
    batches = list(step_batches(6, 3, 4, seed=5))
    assert torch.equal(torch.cat(batches), torch.cat(expected))


def test_rows_are_read_when_they_are_needed(reading):
    rows, log = reading
    batches = rows.steps(4, 3, seed=0)
    assert log == []
    next(batches)
    assert len(log) == 4
    list(batches)
    assert len(log) == 12
    assert set(log) <= set(range(0, 40, 2))


def test_order_draws_and_unions(reading):
    rows, _ = reading
    assert torch.cat([batch.rows for batch in rows.in_order(7)]).tolist() == list(range(0, 40, 2))
    drawn = rows.draw(5, seed=1)
    assert len(drawn) == 5
    assert (np.diff(drawn.positions) > 0).all()
    both = drawn | rows.where(rows.positions < 6)
    assert both.positions.tolist() == sorted({*drawn.positions.tolist(), 0, 2, 4})
    assert len(rows.draw(99, seed=0)) == 20
    assert len(list(rows.passes(6, 3, seed=0))) == 3 * rows.n_steps(6)


def test_the_shorter_side_begins_again(reading):
    rows, _ = reading
    pairs = list(paired(rows.in_order(2), lambda: rows.where(np.arange(3)).in_order(1)))
    assert len(pairs) == 10
    assert [second.rows.item() for _, second in pairs] == [0, 2, 4, 0, 2, 4, 0, 2, 4, 0]


def test_hidden_targets_cannot_be_read():
    forget = torch.tensor([True, False, False])
    batch = Batch(torch.zeros(3, 1), torch.tensor([9, 1, 2]), torch.arange(3), forget, hidden=forget)
    with pytest.raises(UndeclaredNeedError, match="rows to forget"):
        _ = batch.y
    assert batch.part(~forget).y.tolist() == [1, 2]
    with pytest.raises(UndeclaredNeedError, match="rows to retain"):
        _ = Batch(torch.zeros(1, 1), torch.zeros(1), torch.arange(1), forget[1:2], hidden=torch.tensor([True])).y


def test_parts_of_a_dictionary():
    X = {"ids": torch.arange(3), "values": torch.arange(3.0)}
    part = Batch(X, None, torch.arange(3), torch.tensor([True, False, True])).part(torch.tensor([False, True, True]))
    assert part.X["ids"].tolist() == [1, 2]
    assert part.forget.tolist() == [False, True]


@pytest.mark.parametrize(
    ("X", "integers", "dtype"),
    [
        (np.zeros((2, 3), np.uint8), False, torch.float32),
        (np.zeros((2, 3), np.float64), True, torch.float32),
        (np.zeros((2, 3), np.int32), True, torch.int64),
        (torch.zeros(2, dtype=torch.bool), True, torch.bool),
    ],
)
def test_types(X, integers, dtype):
    assert tensors(X, "cpu", integers).dtype == dtype
    assert tensors({"part": X}, "cpu", integers)["part"].dtype == (dtype if integers else tensors(X, "cpu", True).dtype)


def test_numbers_that_are_python_objects_are_cast():
    found = tensors(np.array([[1, 2.5]], dtype=object), "cpu", integers=False)
    assert found.dtype == torch.float32
    assert found.tolist() == [[1.0, 2.5]]
