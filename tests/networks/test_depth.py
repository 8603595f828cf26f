"""The order of layers, in networks where it is known."""

import pytest
import torch
from torch import nn

from mlunlearn.networks.depth import ordered_layers


def names(module, *shape):
    return [layer.parts for layer in ordered_layers(module.eval(), torch.zeros(shape))]


class Residual(nn.Module):
    """Defines its parts in another order than it runs them."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))

    def forward(self, X):
        X = self.stem(X)
        return self.head((X + self.block(X)).mean(dim=(2, 3)))


class Token(nn.Module):
    """A parameter of its own before an encoder whose attention runs its output map without calling it."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, X):
        return self.head(self.encoder(torch.cat([self.token.expand(len(X), -1, -1), X], dim=1))[:, 0])


def test_layers_stand_in_the_order_in_which_they_run():
    assert names(Residual(), 1, 1, 5, 5) == [("stem.0", "stem.1"), ("block.0", "block.1"), ("head",)]


def test_attention_is_one_layer_and_a_lone_parameter_another():
    assert names(Token(), 2, 3, 8) == [
        ("",),
        ("encoder.self_attn", "encoder.norm1"),
        ("encoder.linear1",),
        ("encoder.linear2", "encoder.norm2"),
        ("head",),
    ]


def test_every_parameter_and_buffer_belongs_to_one_layer():
    net = Token()
    owned = [name for layer in ordered_layers(net.eval(), torch.zeros(2, 3, 8)) for name in layer.tensors]
    assert sorted(owned) == sorted(dict([*net.named_parameters(), *net.named_buffers()]))


def test_a_normalisation_of_the_inputs_belongs_to_the_first_layer():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert names(net, 2, 3) == [("0", "1", "2"), ("3",)]


def test_of_a_layer_that_runs_twice_the_last_run_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, X):
            return self.a(self.b(self.a(X)))

    assert names(Twice(), 2, 3) == [("b",), ("a",)]


def test_a_network_without_weights_is_refused():
    with pytest.raises(ValueError, match="no layer with weights"):
        ordered_layers(nn.Flatten(), torch.zeros(2, 3))
