"""Divergences with known answers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Categorical, kl_divergence

from mlunlearn.graph.distillation.destroyers import log_odds, map_ranks, with_log_odds
from mlunlearn.graph.distillation.divergences import feature_distance, response_divergence

LOGITS = st.lists(st.floats(-8, 8), min_size=3, max_size=3)


@settings(deadline=None, max_examples=50)
@given(LOGITS, LOGITS, st.sampled_from([1.0, 2.0]))
def test_divergences_are_those_of_the_distributions(student, teacher, temperature):
    s, t = torch.tensor(student), torch.tensor(teacher)
    pairs = kl_divergence(Bernoulli(logits=t / temperature), Bernoulli(logits=s / temperature)).mean()
    nodes = kl_divergence(Categorical(logits=t / temperature), Categorical(logits=s / temperature))
    assert response_divergence(s, t, temperature).item() == pytest.approx(temperature**2 * pairs.item(), abs=1e-5)
    ours = response_divergence(s[None], t[None], temperature).item()
    assert ours == pytest.approx(temperature**2 * nodes.item(), abs=1e-5)
    assert ours >= 0


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradients(shape, temperature):
    torch.manual_seed(0)
    student, teacher = torch.randn(shape, dtype=torch.double, requires_grad=True), torch.randn(shape).double()
    assert torch.autograd.gradcheck(lambda s: response_divergence(s, teacher, temperature), student)


@pytest.mark.parametrize("shape", [(50,), (50, 7)])
def test_agreement_to_the_bit_has_no_gradient_at_all(shape):
    torch.manual_seed(0)
    teacher = 5 * torch.randn(shape)
    student = teacher.clone().requires_grad_()
    value = response_divergence(student, teacher)
    value.backward()
    assert value.item() < 1e-6
    assert (student.grad == 0).all()


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_two_teachers_of_the_same_rows_meet_at_the_weighted_mean(alpha):
    torch.manual_seed(0)
    preserver, destroyer = torch.randn(6, 4), torch.randn(6, 4)
    student = (alpha * preserver + (1 - alpha) * destroyer).requires_grad_()
    rows = torch.arange(6)
    loss = alpha * feature_distance([student], [preserver], rows)
    loss = loss + (1 - alpha) * feature_distance([student], [destroyer], rows)
    loss.backward()
    assert student.grad.abs().max() < 1e-6


def test_nothing_to_average_is_zero():
    assert response_divergence(torch.empty(0), torch.empty(0)).item() == 0
    assert feature_distance([torch.ones(3, 2)], [torch.zeros(3, 2)], torch.zeros(3, dtype=torch.bool)).item() == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True), st.integers(1, 40))
def test_mapped_ranks_keep_the_order_and_stay_inside(values, m):
    values = torch.tensor(values).float()
    reference = torch.randn(m, generator=torch.Generator().manual_seed(m))
    mapped = map_ranks(values, reference)
    assert (mapped[values.argsort()].diff() >= 0).all()
    assert mapped.min() >= reference.min()
    assert mapped.max() <= reference.max()


def test_mapped_ranks_take_over_the_distribution():
    rng = torch.Generator().manual_seed(0)
    values, reference = torch.randn(4000, generator=rng), 3 + 2 * torch.randn(3000, generator=rng)
    mapped = map_ranks(values, reference)
    levels = torch.tensor([0.1, 0.5, 0.9])
    assert torch.allclose(mapped.quantile(levels), reference.quantile(levels), atol=0.05)


def test_log_odds_are_set_and_the_others_keep_their_proportions():
    torch.manual_seed(0)
    logits, labels, wanted = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0]), torch.randn(5)
    p = torch.softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    assert torch.allclose(log_odds(logits, labels), torch.logit(p), atol=1e-5)
    moved = with_log_odds(logits, labels, wanted)
    assert torch.allclose(log_odds(moved, labels), wanted, atol=1e-5)
    others = torch.ones_like(logits).scatter(1, labels[:, None], 0).bool()
    assert torch.equal(moved[others], logits[others])
