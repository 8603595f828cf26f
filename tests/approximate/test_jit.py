"""JiT: one step per batch on the slopes around the rows to forget, with gradients that are cleared."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate import JiTClassifier
from mlunlearn.approximate._inputs import Spread, spread_of
from mlunlearn.approximate.jit import slope
from mlunlearn.nets import TorchClassifier
from mlunlearn.networks import Batch, Rows, step_batches

ROWS = np.arange(30)


@pytest.mark.parametrize("variant", ["definition", "official"])
def test_a_linear_network_follows_the_equation_with_cleared_gradients(variant, blobs, monkeypatch):
    """The gradient of |W (x - x')| is its direction times x - x', or times x alone where x' carries no gradient."""
    X, y, *_ = blobs
    trained = TorchClassifier(nn.Linear(5, 3, bias=False), random_state=0).fit(X, y)
    seeds, moved = {}, []
    original, inside = JiTClassifier._edit, Spread.inside

    def edit(self, module, forget, retain, run):
        seeds["batches"] = run.seed("batches")
        return original(self, module, forget, retain, run)

    monkeypatch.setattr(JiTClassifier, "_edit", edit)
    monkeypatch.setattr(Spread, "inside", lambda self, X: moved.append(inside(self, X)) or moved[-1])
    method = JiTClassifier(FrozenEstimator(trained), n_copies=3, lr=0.3, batch_size=10)
    model = method.set_params(variant=variant, random_state=0).fit(X, y).unlearn(ROWS)
    W, rows = trained.net_.module_.weight.detach().double(), torch.as_tensor(X[ROWS].astype(np.float32))
    drawn = iter(moved)
    for places in step_batches(30, 10, 3, seeds["batches"]):
        x, gradient = rows[places].double(), torch.zeros_like(W)
        for copy_of_x in (next(drawn).double() for _ in range(3)):
            rise = (x - copy_of_x) @ W.T
            shares = rise / rise.norm(dim=1, keepdim=True) / (x - copy_of_x).norm(dim=1, keepdim=True)
            gradient += shares.T @ (x - copy_of_x if variant == "definition" else x) / 30
        W = W - 0.3 * gradient
    torch.testing.assert_close(model.estimator_.net_.module_.weight.detach().double(), W, atol=1e-4, rtol=1e-4)
    assert next(drawn, None) is None


def test_the_slope_around_the_rows_to_forget_falls(frozen, trained, blobs):
    X, y, *_ = blobs
    rows, rng = X[ROWS], np.random.default_rng(1)
    model = JiTClassifier(frozen, lr=0.2, max_epochs=10, random_state=0).fit(X, y).unlearn(ROWS)
    X, moves = (torch.as_tensor(a, dtype=torch.float32) for a in (rows, rng.normal(size=(30, 5))))
    before, after = (each.net_.module_.eval() for each in (trained, model.estimator_))
    with torch.no_grad():
        slopes = [slope(net(X) - net(X + moves), moves).item() for net in (before, after)]
    assert slopes[1] < 0.7 * slopes[0]


def test_a_network_that_is_flat_already_stays_as_it_is(trained, blobs, module_of, same_weights):
    X, y, *_ = blobs
    flat = copy.deepcopy(trained)
    flat.net_.module_.body[0].weight.data.zero_()
    model = JiTClassifier(FrozenEstimator(flat), random_state=0).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), flat.net_.module_)


def read(X):
    def batch(positions):
        rows = torch.as_tensor(positions)
        return Batch(X[rows], None, rows, torch.ones(len(rows), dtype=torch.bool))

    return batch


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 13), st.sampled_from([(3,), (2, 2), (1, 2, 3)]), st.integers(0, 99))
def test_the_spread_does_not_depend_on_the_batches(n, batch_size, shape, seed):
    X = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    spread = spread_of(Rows(np.arange(n), read(X)), batch_size, "A method")
    axis = 0 if X.ndim == 2 else None
    for found, expected in zip(
        (spread.low, spread.high, spread.mean, spread.deviation),
        (np.min, np.max, np.mean, np.std),
        strict=True,
    ):
        np.testing.assert_allclose(found.numpy(), expected(X.numpy(), axis=axis), atol=1e-5)


def test_published_settings(frozen):
    assert (JiTClassifier.published(frozen).lr, JiTClassifier.published(frozen).variant) == (3e-4, "official")
    assert (JiTClassifier.published(frozen, "vit").noise, JiTClassifier.published(frozen, "vit").lr) == (0.8, 1.5)
    with pytest.raises(ValueError, match="network"):
        JiTClassifier.published(frozen, "resnet")
    with pytest.raises(ValueError, match="noise"):
        JiTClassifier(frozen, noise=0.0).fit(np.zeros((4, 5)), [0, 1, 0, 1])
