"""Attention maps against what is known of them, and the layers they are made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from mlunlearn.networks import recorded
from mlunlearn.regression import attention_distance, attention_map, find_layers

ACTIVATIONS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.floats(0.125, 4, width=32)
)


@settings(deadline=None, max_examples=40)
@given(ACTIVATIONS, st.floats(0.5, 20))
def test_maps_have_length_one_and_no_scale(values, k):
    A = torch.as_tensor(values)
    a = attention_map(A)
    assert a.shape == (A.shape[0], A.shape[2] * A.shape[3])
    torch.testing.assert_close(a.norm(dim=1), torch.ones(len(A)))
    torch.testing.assert_close(attention_map(k * A), a)


@settings(deadline=None, max_examples=40)
@given(ACTIVATIONS, st.integers(0, 9))
def test_the_distance_is_bounded(values, seed):
    A = torch.as_tensor(values)
    B = torch.rand(A.shape, generator=torch.Generator().manual_seed(seed))
    assert 0 <= attention_distance([A], [B]).item() <= 2 / (A.shape[2] * A.shape[3]) + 1e-6


def test_maps_of_sequences_lie_over_the_features():
    A = torch.rand(3, 7, 5)
    energy = (A**2).mean(dim=1)
    torch.testing.assert_close(attention_map(A), energy / energy.norm(dim=1, keepdim=True))


def test_two_dimensional_maps_vanish_as_published_and_count_by_default():
    A = torch.rand(6, 9, requires_grad=True)
    B = torch.rand(6, 9)
    official = attention_distance([A], [B], "official")
    official.backward()
    assert official.item() == 0
    assert A.grad.abs().max() < 1e-6
    ours = attention_distance([A], [B])
    A.grad = None
    ours.backward()
    assert ours.item() > 0
    assert A.grad.abs().max() > 1e-3


def test_layers_are_found_named_or_taken_from_the_module():
    conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.LSTM(4, 2))
    assert find_layers(conv) == ["1", "3"]
    assert find_layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))) == ["0", "1"]
    assert find_layers(conv, ["0"]) == ["0"]
    conv.attention_layers = ("1",)
    assert find_layers(conv) == ["1"]
    with pytest.raises(ValueError, match="no submodule"):
        find_layers(conv, ["nowhere"])


def test_recording_takes_the_first_of_several_outputs_and_leaves_no_hooks():
    lstm = nn.Sequential(nn.LSTM(3, 2, batch_first=True))
    with recorded(lstm, ["0"]) as maps:
        lstm(torch.zeros(2, 5, 3))
    assert maps[0].shape == (2, 5, 2)
    assert not lstm[0]._forward_hooks
