"""WoodFisher: the recursion is the inverse, and the step is Newton's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn

from mlunlearn.approximate import WoodFisherClassifier
from mlunlearn.approximate.woodfisher import flat, solve, solve_along_one_direction
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(1, 8), st.floats(0.01, 10), st.integers(0, 999))
def test_the_recursion_is_the_inverse_of_the_dense_matrix(n, size, damping, seed):
    generator = torch.Generator().manual_seed(seed)
    G = torch.randn(n, size, generator=generator, dtype=torch.float64)
    v = torch.randn(size, generator=generator, dtype=torch.float64)
    dense = damping * torch.eye(size, dtype=torch.float64) + G.T @ G / n
    torch.testing.assert_close(solve(iter(G), n, v, damping), torch.linalg.solve(dense, v), rtol=1e-8, atol=1e-10)


def test_the_recursion_of_the_official_code_is_no_inverse():
    """It leaves all directions but that of the first gradient alone."""
    G = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = torch.ones(4, dtype=torch.float64)
    change = solve_along_one_direction(iter(G), 20, v) - v
    cosine = torch.nn.functional.cosine_similarity(change, G[0], dim=0)
    assert cosine.abs() == pytest.approx(1, abs=1e-12)
    assert not torch.allclose(change + v, solve(iter(G), 20, v, 1.0), rtol=1e-2)


@pytest.mark.parametrize("batch_size", [7, None])
def test_the_step_is_that_of_the_dense_inverse(batch_size, blobs):
    X, y, *_ = blobs
    trained = TorchClassifier(nn.Linear(5, 3), random_state=0).fit(X, y)
    method = WoodFisherClassifier(FrozenEstimator(trained), damping=0.2, alpha=0.7, n_gradients=90, random_state=0)
    model = method.set_params(batch_size=batch_size).fit(X, y).unlearn(ROWS)
    net, gradients = trained.net_.module_, []
    for x, label in zip(torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y), strict=True):
        loss = nn.functional.cross_entropy(net(x[None]), label[None])
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, net.parameters())]).double())
    G = torch.stack(gradients)
    H = 0.2 * torch.eye(18, dtype=torch.float64) + G[30:].T @ G[30:] / 90
    v = 30 / 120 * (G[:30].mean(dim=0) - G[30:].mean(dim=0))
    before, after = (
        nn.utils.parameters_to_vector(each.parameters()).detach().double()
        for each in (net, model.estimator_.net_.module_)
    )
    torch.testing.assert_close(after - before, 0.7 * torch.linalg.solve(H, v), rtol=1e-3, atol=1e-5)


class Centre(nn.Module):
    """A point whose loss is its squared distance from the rows."""

    def __init__(self, start=0.0):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([float(start)]))

    def forward(self, X):
        return ((self.theta - X) ** 2).repeat(1, 2)  # of two classes that do not matter


class FirstOutput(nn.Module):
    """Half the first output, whatever the label."""

    def forward(self, outputs, y):
        return outputs[:, 0].mean() / 2


def test_a_quadratic_is_left_at_the_minimum_of_the_retained_rows():
    """The curvature is 1 everywhere: the damping and what the gradients show of it are made to sum to that."""
    X = np.linspace(-0.6, 0.9, 40)[:, None].astype(np.float32)
    y, forget = np.arange(40) % 2, np.arange(10)
    net = NeuralNetClassifier(Centre(X.mean()), criterion=FirstOutput, train_split=None).initialize()
    left = np.delete(X, forget, axis=0)
    damping = 1 - ((X.mean() - left) ** 2).mean()
    model = WoodFisherClassifier(FrozenEstimator(net), damping=float(damping), n_gradients=40, random_state=0)
    theta = model.fit(X, y).unlearn(forget).estimator_.net_.module_.theta
    assert abs(X.mean() - left.mean()) > 0.1
    assert theta.item() == pytest.approx(left.mean(), abs=1e-5)


def test_no_step_leaves_every_bit(frozen, trained, blobs, module_of, same_weights):
    X, y, *_ = blobs
    model = WoodFisherClassifier(frozen, alpha=0.0, random_state=0).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), trained.net_.module_)
    assert model.receipts_[-1].work.details == {"step": 0.0}


def test_published_settings(frozen, blobs):
    X, y, *_ = blobs
    model = WoodFisherClassifier.published(frozen, alpha=5.0, random_state=0)
    assert (model.alpha, model.n_gradients, model.damping, model.variant) == (5.0, 1000, 1.0, "official")
    assert model.fit(X, y).unlearn(ROWS).receipts_[-1].work.samples == 120 + 90


def test_weights_are_laid_end_to_end_whatever_their_order_in_memory():
    weights = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    laid = flat({"convolution": weights.to(memory_format=torch.channels_last), "bias": torch.ones(2)})
    torch.testing.assert_close(laid, torch.cat([weights.flatten(), torch.ones(2)]), rtol=0, atol=0)
