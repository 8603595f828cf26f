"""Gradients of single samples and products with curvature matrices, against brute force, one sample at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from mlunlearn.networks import (
    conjugate_gradients,
    fisher_diagonal,
    gauss_newton_product,
    hessian_product,
    per_sample_gradients,
)
from mlunlearn.networks.curvature import trainable

TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}  # of double precision


class Attention(nn.Module):
    """Self-attention over a few tokens."""

    def __init__(self, width, heads):
        super().__init__()
        self.inside = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, X):
        return self.inside(X, X, X, need_weights=False)[0]


@st.composite
def problems(draw):
    """Draw a network in evaluation mode, inputs and labels."""
    kind = draw(st.sampled_from(["linear", "conv", "norm", "embedding", "attention"]))
    n, width, classes = draw(st.integers(1, 7)), draw(st.sampled_from([2, 4])), draw(st.integers(2, 3))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    curve = draw(st.sampled_from([nn.ReLU, nn.GELU]))
    X = torch.randn(n, 3, width, dtype=torch.float64)
    if kind == "linear":
        layers = [
            nn.Flatten(),
            nn.Linear(3 * width, width, bias=draw(st.booleans())),
            curve(),
            nn.Linear(width, classes),
        ]
    elif kind == "conv":
        X = torch.randn(n, 2, 5, width, dtype=torch.float64)
        conv = nn.Conv2d(2, 4, draw(st.integers(1, 2)), stride=draw(st.integers(1, 2)), groups=draw(st.integers(1, 2)))
        layers = [conv, nn.BatchNorm2d(4), curve(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)]
    elif kind == "norm":
        layers = [nn.LayerNorm(width), curve(), nn.Flatten(), nn.BatchNorm1d(3 * width), nn.Linear(3 * width, classes)]
    elif kind == "embedding":
        X = torch.randint(0, 6, (n, 3))
        layers = [nn.Embedding(6, width), curve(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * width, classes)]
    else:
        layers = [Attention(width, 2), curve(), nn.Flatten(), nn.Linear(3 * width, classes)]
    module = nn.Sequential(*layers).double().eval()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module, X, torch.randint(0, classes, (n,))


def single_gradients(module, X, y):
    """One backward pass for each sample."""
    found = []
    for place in range(len(X)):
        module.zero_grad()
        functional.cross_entropy(module(X[place : place + 1]), y[place : place + 1]).backward()
        found.append({name: p.grad.clone() for name, p in module.named_parameters()})
    module.zero_grad()
    return found


def hessian(module, X, y):
    """The whole matrix by double backward, one row at a time."""
    parameters = list(module.parameters())
    with sdpa_kernel(SDPBackend.MATH):  # the others cannot be differentiated twice
        loss = functional.cross_entropy(module(X), y)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, create_graph=True)])
    rows = [
        torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        for entry in gradient
    ]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


def flat(vector):
    return torch.cat([value.flatten() for value in vector.values()])


def random_vector(module):
    return {name: torch.randn_like(p) for name, p in trainable(module).items()}


@settings(max_examples=25)
@given(problems())
def test_gradients_of_single_samples(problem):
    module, X, y = problem
    found = per_sample_gradients(module, functional.cross_entropy, X, y)
    for place, expected in enumerate(single_gradients(module, X, y)):
        for name, value in expected.items():
            torch.testing.assert_close(found[name][place], value, msg=lambda m, name=name: f"{name}: {m}", **TOLERANCE)


@settings(max_examples=25)
@given(problems(), st.integers(1, 4), st.integers(1, 3))
def test_fisher_is_the_mean_of_squares_however_samples_are_batched(problem, batch_size, chunk):
    module, X, y = problem
    batches = zip(X.split(batch_size), y.split(batch_size), strict=True)
    found = fisher_diagonal(module, functional.cross_entropy, batches, chunk=chunk)
    singles = single_gradients(module, X, y)
    for name, value in found.items():
        expected = torch.stack([g[name] for g in singles]).square().mean(dim=0)
        torch.testing.assert_close(value, expected, msg=lambda m, name=name: f"{name}: {m}", **TOLERANCE)


@settings(max_examples=12)
@given(problems())
def test_products_with_the_hessian(problem):
    module, X, y = problem
    vector = random_vector(module)
    found = hessian_product(module, functional.cross_entropy, X, y, vector)
    torch.testing.assert_close(flat(found), hessian(module, X, y) @ flat(vector), **TOLERANCE)


@settings(max_examples=12)
@given(problems())
def test_products_with_the_gauss_newton_matrix(problem):
    """For cross entropy it is the Fisher information, the mean over samples of the expected outer product."""
    module, X, y = problem
    vector = random_vector(module)
    found = gauss_newton_product(module, functional.cross_entropy, X, y, vector)
    expected = torch.zeros_like(flat(vector))
    n_classes = module(X[:1]).shape[1]
    for label in range(n_classes):
        every = torch.full_like(y, label)
        weights = module(X).softmax(dim=1)[:, label].detach()
        for weight, gradients in zip(weights, single_gradients(module, X, every), strict=True):
            g = flat(gradients)
            expected += weight * g * (g @ flat(vector)) / len(X)
    torch.testing.assert_close(flat(found), expected, **TOLERANCE)


def test_squares_of_batch_gradients_are_something_else():
    """What two public codes call the Fisher diagonal; here the difference is large."""
    torch.manual_seed(0)
    module, X, y = nn.Linear(5, 3).double().eval(), torch.randn(64, 5).double(), torch.randint(0, 3, (64,))
    fisher = fisher_diagonal(module, functional.cross_entropy, [(X, y)])["weight"]
    functional.cross_entropy(module(X), y).backward()
    assert module.weight.grad.square().mean() < 0.2 * fisher.mean()


def test_half_precision_is_accumulated_in_single():
    module = nn.Linear(4, 2).bfloat16().eval()
    fisher = fisher_diagonal(module, functional.cross_entropy, [(torch.randn(8, 4).bfloat16(), torch.zeros(8).long())])
    assert fisher["weight"].dtype == torch.float32


def test_frozen_parameters_have_no_entry():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).eval()
    module[0].requires_grad_(False)
    assert set(per_sample_gradients(module, lambda out, y: out.sum(), torch.eye(2))) == {"1.weight", "1.bias"}


@pytest.mark.parametrize("part", [nn.BatchNorm1d(2), nn.Dropout(0.5)])
def test_layers_that_look_at_the_batch_are_refused_in_training_mode(part):
    with pytest.raises(ValueError, match="evaluation mode"):
        per_sample_gradients(nn.Sequential(part, nn.Linear(2, 1)).train(), lambda out, y: out.sum(), torch.eye(2))


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.integers(1, 8), st.sampled_from([0.0, 0.3]))
def test_conjugate_gradients_solve(seed, size, damping):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix, right = root @ root.T + 0.1 * torch.eye(size).double(), torch.randn(size, generator=generator).double()
    found = conjugate_gradients(lambda v: {"w": matrix @ v["w"]}, {"w": right}, damping=damping, tol=1e-10)
    expected = torch.linalg.solve(matrix + damping * torch.eye(size).double(), right)
    torch.testing.assert_close(found["w"], expected, rtol=1e-6, atol=1e-8)


def test_an_indefinite_matrix_is_refused():
    with pytest.raises(ArithmeticError, match="damping"):
        conjugate_gradients(lambda v: {"w": -v["w"]}, {"w": torch.ones(2)})
