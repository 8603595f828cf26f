"""Datasets as rows: what is read of them, and how they are told apart."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from mlunlearn.networks import DatasetRows, labels_of
from mlunlearn.rows.data import TrainingData
from mlunlearn.rows.dataset_rows import is_dataset


class Items(Dataset):
    """Items made by a function of their place, and the places read so far."""

    def __init__(self, n, make):
        self.n, self.make, self.read = n, make, []

    def __len__(self):
        return self.n

    def __getitem__(self, place):
        self.read.append(place)
        return self.make(place), place % 3


def sums(make, n=300):
    return DatasetRows(Items(n, make)).checksums()


def test_few_items_are_read_to_tell_a_dataset_from_another():
    items = Items(100_000, torch.tensor)
    DatasetRows(items).checksums()
    assert items.read[:64] == list(range(64))
    assert items.read[64:96] == list(range(64, 128, 2))
    assert items.read[96:128] == list(range(128, 256, 4))
    assert len(items.read) < 500


def test_the_same_items_are_looked_at_in_any_selection():
    rows = DatasetRows(Items(300, torch.tensor))
    chosen = np.array([7, 250, 64, 65, 3])
    np.testing.assert_array_equal(rows[chosen].checksums(), rows.checksums()[chosen])
    np.testing.assert_array_equal(rows[chosen].checksums(key=1), rows.checksums(key=1)[chosen])


def test_rows_that_stand_elsewhere_by_now_are_known_by_their_positions():
    whole, positions = DatasetRows(Items(300, torch.tensor)), np.arange(40, 300)
    left = DatasetRows(Items(260, lambda place: torch.tensor(place + 40)), positions=positions)
    np.testing.assert_array_equal(left.checksums(), whole.checksums()[positions])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda place: place, lambda place: place + 1),
        (lambda place: torch.ones(3), lambda place: torch.ones(3, dtype=torch.float64)),
        (lambda place: {"a": place, "b": 0}, lambda place: {"a": 0, "b": place}),
        (lambda place: {"a": place}, lambda place: {"b": place}),
    ],
)
def test_items_with_other_content_are_told_apart(first, second):
    np.testing.assert_array_equal(sums(first), sums(first))
    looked_at = np.array([1, 63, 64, 128, 256])
    assert (sums(first)[looked_at] != sums(second)[looked_at]).all()


@pytest.mark.parametrize("draw", [lambda: torch.rand(2), lambda: np.random.rand(2), random.random])  # noqa: NPY002
def test_items_that_are_drawn_anew_are_the_same_again(draw):
    def cropped(place):
        return place + draw()

    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    np.testing.assert_array_equal(sums(cropped), sums(cropped))
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002
    assert random.getstate() == state[2]


def test_the_core_holds_a_dataset_by_its_checksums():
    values = torch.arange(90.0)
    data = TrainingData(DatasetRows(TensorDataset(values)), np.arange(90) % 3, labelled=True).without(np.arange(10))
    positions = np.array([10, 40, 70])
    block, changed = data.block_and_changes(positions)
    assert (block.X.read().tolist(), changed.tolist()) == ([10.0, 40.0, 70.0], [])
    values[40] = -1
    assert data.block_and_changes(positions)[1].tolist() == [40]


def test_targets_are_taken_without_reading_items_where_they_are_known():
    items = Items(6, torch.tensor)
    assert labels_of(items).tolist() == [0, 1, 2, 0, 1, 2]
    items.read.clear()
    items.targets = [2, 1, 0, 2, 1, 0]
    assert labels_of(items).tolist() == items.targets
    assert items.read == []


def test_what_can_only_be_run_through_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(TypeError, match="no positions"):
        is_dataset(Stream())
