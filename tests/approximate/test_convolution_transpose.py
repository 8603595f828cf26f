"""Convolution transpose: kernels are turned about their diagonal, and twice is not at all."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate import ConvolutionTransposeClassifier
from mlunlearn.approximate.convolution_transpose import transpose_kernels

ROWS = np.arange(30)


def convolutions():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, (3, 1)), nn.Conv2d(2, 2, 1))


def test_transposing_twice_is_the_identity(same_weights):
    net = convolutions()
    before = copy.deepcopy(net)
    assert transpose_kernels(net) == 1
    assert not same_weights(net, before)
    transpose_kernels(net)
    assert same_weights(net, before)


def test_a_transposed_convolution_sees_transposed_images():
    net = nn.Conv2d(1, 4, 3, padding=1)
    X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(X.transpose(-1, -2)).transpose(-1, -2)
        transpose_kernels(net)
        torch.testing.assert_close(net(X), expected)


def test_kernels_that_are_not_square_or_not_free_stay():
    net = convolutions()
    before = copy.deepcopy(net)
    transpose_kernels(net)
    assert all(torch.equal(net[place].weight, before[place].weight) for place in (2, 3))
    net[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable Conv2d"):
        transpose_kernels(net)


def test_symmetric_kernels_and_no_rate_to_speak_of_change_no_weight(trained_conv, digits, module_of):
    X, y = digits
    symmetric = copy.deepcopy(trained_conv)
    kernel = symmetric.net_.module_.body[0].weight.data
    kernel.copy_((kernel + kernel.transpose(-1, -2)) / 2)
    method = ConvolutionTransposeClassifier(FrozenEstimator(symmetric), lr=1e-30, n_steps=2, random_state=0)
    module = module_of(method.fit(X, y).unlearn(ROWS))
    for after, before in zip(module.parameters(), symmetric.net_.module_.parameters(), strict=True):
        assert torch.equal(after, before)


def test_the_repair_brings_the_accuracy_on_retained_rows_back(trained_conv, digits):
    X, y = digits
    scores = []
    for lr in (1e-30, 0.05):
        method = ConvolutionTransposeClassifier(FrozenEstimator(trained_conv), lr=lr, random_state=0)
        scores.append(method.fit(X, y).unlearn(ROWS).score(X[30:], y[30:]))
    assert scores[1] > scores[0]
    assert scores[1] > 0.9


def test_a_network_without_convolutions_is_refused_before_anything_changes(frozen, trained, blobs, same_weights):
    X, y, *_ = blobs
    before = copy.deepcopy(trained.net_.module_)
    model = ConvolutionTransposeClassifier(frozen, random_state=0)
    with pytest.raises(ValueError, match="take a method that works on any network"):
        model.fit(X, y)
    assert not hasattr(model, "estimator_")
    assert same_weights(trained.net_.module_, before)


def test_published_settings(frozen):
    model = ConvolutionTransposeClassifier.published(frozen, random_state=3)
    assert (model.n_steps, model.lr) == (None, 1e-3)
