"""l1-sparse: the penalty, its fading, and what is left without it."""

import numpy as np
import pytest
import torch
from torch import nn

from mlunlearn.approximate import FineTuneClassifier, L1SparseClassifier

ROWS = np.arange(30)
PLAIN = {"max_epochs": 1, "free_epochs": 0, "weight_decay": 0.0, "lr": 0.01, "batch_size": 90, "random_state": 0}


def test_the_penalty_adds_the_sign_of_each_weight_to_the_gradient(blobs, module_of):
    """In closed form: first steps of gradient descent with and without it differ by rate and weight of the penalty."""
    X, y, *_ = blobs
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    models = [L1SparseClassifier(net, gamma=gamma, **PLAIN).fit(X, y) for gamma in (0.3, 0.0)]
    trained = [p.clone() for p in module_of(models[0]).parameters()]
    first, second = (list(module_of(model.unlearn(ROWS)).parameters()) for model in models)
    for start, one, other in zip(trained, first, second, strict=True):
        torch.testing.assert_close(one - other, -0.01 * 0.3 * start.sign(), atol=1e-6, rtol=1e-4)


def test_without_a_penalty_it_is_fine_tuning_to_the_bit(frozen, blobs, module_of, same_weights):
    X, y, *_ = blobs
    settings = {"lr": 0.01, "weight_decay": 5e-4, "random_state": 0}
    model = L1SparseClassifier(frozen, gamma=0.0, max_epochs=4, **settings).fit(X, y).unlearn(ROWS)
    other = FineTuneClassifier(frozen, optimizer="sgd", n_steps=12, **settings).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), module_of(other))


@pytest.mark.parametrize(
    ("max_epochs", "free_epochs", "weights"),
    [(5, 1, [1, 0.75, 0.5, 0.25, 0]), (4, 2, [1, 0.5, 0, 0]), (2, 0, [1, 0.5]), (1, 0, [1])],
)
def test_the_penalty_fades_to_nothing(max_epochs, free_epochs, weights, frozen):
    model = L1SparseClassifier(frozen, max_epochs=max_epochs, free_epochs=free_epochs, gamma=2.0)
    assert [model._weight_in(epoch) / 2 for epoch in range(max_epochs)] == weights


def test_the_penalty_makes_weights_small(blobs, module_of):
    X, y, *_ = blobs
    sizes = {}
    for gamma in (0.0, 1.0):
        model = L1SparseClassifier(nn.Linear(5, 3), **{**PLAIN, "max_epochs": 30}, gamma=gamma).fit(X, y).unlearn(ROWS)
        sizes[gamma] = sum(p.abs().sum().item() for p in module_of(model).parameters())
    assert sizes[1.0] < 0.7 * sizes[0.0]


def test_penalty_to_the_end_and_beyond_is_refused(frozen, blobs):
    with pytest.raises(ValueError, match="free_epochs"):
        L1SparseClassifier(frozen, max_epochs=2, free_epochs=2).fit(*blobs[:2])
