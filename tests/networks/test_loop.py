"""The loop, against loops written out, and what it restores."""

import copy

import pytest
import torch
from torch import nn

from mlunlearn.networks import Descent, adam, cosine, descend, drops, sgd, step_batches


@pytest.fixture
def problem():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    return net, torch.randn(30, 4), torch.randn(30, 1)


def loss_on(net, X, y):
    return lambda rows: (net(X[rows]) - y[rows]).square().mean()


def same(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_adam_with_a_cosine_and_clipping_to_the_bit(problem):
    net, X, y = problem
    twin = copy.deepcopy(net)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    loss_of = loss_on(twin, X, y)
    for rows in step_batches(30, 7, 12, seed=3):
        loss = loss_of(rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
        schedule.step()
    batches = step_batches(30, 7, 12, seed=3)
    steps = descend(net, loss_on(net, X, y), batches, optimizer=adam(0.01), n_steps=12, schedule=cosine, max_norm=0.5)
    assert steps == 12
    assert same(net, twin)


def test_sgd_in_evaluation_mode_over_numbers_of_steps_to_the_bit(problem):
    net, X, y = problem
    twin = copy.deepcopy(net).eval()
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (twin(X) - y).square().mean().backward()
        optimizer.step()
    descend(
        net, lambda step: (net(X) - y).square().mean(), range(5), optimizer=sgd(0.01, weight_decay=0.1), mode="eval"
    )
    assert same(net, twin)


def test_a_closed_form():
    """Gradient descent on half a square shrinks a weight by one minus the rate, and the rate drops once."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(1.0)
    half_square = lambda step: net.weight.square().sum() / 2  # noqa: E731
    descend(net, half_square, range(4), optimizer=sgd(0.5), n_steps=4, schedule=drops(0.5, factor=0.2))
    assert net.weight.item() == pytest.approx(0.5**2 * 0.9**2)


def test_modes_flags_and_gradients_are_as_before(problem):
    net, X, y = problem
    net.eval()
    net[1].train()
    net[0].bias.requires_grad_(False)
    bias = net[0].bias.clone()
    seen = []

    def loss_of(rows):
        seen.append([part.training for part in net])
        return loss_on(net, X, y)(rows)

    descend(net, loss_of, step_batches(30, 10, 3, 0), optimizer=adam(0.01))
    assert seen == [[True] * 4] * 3
    assert [part.training for part in net] == [False, True, False, False]
    assert not net[0].bias.requires_grad
    assert net[0].weight.requires_grad
    assert torch.equal(net[0].bias, bias)
    assert all(p.grad is None for p in net.parameters())


def test_only_the_parameters_named_change(problem):
    net, X, y = problem
    before = copy.deepcopy(net)
    descend(net, loss_on(net, X, y), step_batches(30, 10, 3, 0), optimizer=sgd(0.1), parameters=net[3].parameters())
    assert same(net[0], before[0])
    assert not same(net[3], before[3])
    assert all(p.requires_grad for p in net.parameters())


def test_masked_weights_stay_whatever_momentum_and_decay_do(problem):
    net, X, y = problem
    before = copy.deepcopy(net)
    mask = torch.zeros(8, 4)
    mask[:4] = 1
    descend(
        net,
        loss_on(net, X, y),
        step_batches(30, 10, 6, 0),
        optimizer=sgd(0.1, momentum=0.9, weight_decay=0.1),
        masks={"0.weight": mask, "3.bias": torch.zeros(1)},
    )
    assert torch.equal(net[0].weight[4:], before[0].weight[4:])
    assert (net[0].weight[:4] != before[0].weight[:4]).all()
    assert torch.equal(net[3].bias, before[3].bias)


def test_a_mask_of_a_tenth_takes_a_tenth_of_the_step():
    nets = [nn.Linear(2, 1, bias=False) for _ in range(2)]
    for net, mask in zip(nets, (1.0, 0.1), strict=True):
        net.weight.data.fill_(1.0)
        masks = {"weight": torch.full((1, 2), mask)}
        descend(net, lambda step, net=net: net.weight.sum(), range(1), optimizer=sgd(0.5), masks=masks)
    torch.testing.assert_close(1 - nets[1].weight, 0.1 * (1 - nets[0].weight))


def test_an_unknown_mask_is_refused(problem):
    with pytest.raises(ValueError, match="nothing"):
        Descent(problem[0], sgd(0.1), masks={"nothing": torch.ones(1)})


def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_weights(problem):
    net, X, y = problem
    losses = iter([True, True, False])
    states = []

    def loss_of(rows):
        states.append(copy.deepcopy(net.state_dict()))
        loss = loss_on(net.eval(), X, y)(rows)
        return loss if next(losses) else loss * float("nan")

    net.train()
    with pytest.raises(FloatingPointError, match="nan at step 3 of 5"):
        descend(net, loss_of, step_batches(30, 10, 5, 0), optimizer=sgd(0.01), n_steps=5)
    assert all(torch.equal(value, states[-1][name]) for name, value in net.state_dict().items())
    assert net.training
    assert all(p.grad is None for p in net.parameters())


def test_a_weight_that_is_not_finite_after_the_last_step_is_refused():
    net = nn.Linear(1, 1, bias=False)
    with pytest.raises(FloatingPointError, match="after step 1"):
        descend(net, lambda step: (net.weight * 1e30).sum(), range(1), optimizer=sgd(1e30))


def test_none_ends_the_loop(problem):
    net, X, y = problem
    loss_of = loss_on(net, X, y)
    assert descend(net, lambda step: loss_of(slice(0, 9)) if step < 2 else None, range(9), optimizer=sgd(0.1)) == 2


def test_two_optimisers_take_turns():
    """As label-agnostic forgetting does: each keeps a state of its own."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.zero_()
    with Descent(net, adam(0.1)) as down, Descent(net, adam(0.01)) as up:
        for _ in range(3):
            down.step(net.weight.sum())
            up.step(-net.weight.sum())
    assert net.weight.item() == pytest.approx(-0.3 + 0.03, rel=1e-4)


def test_autocast_computes_in_bfloat16(problem):
    net, X, _ = problem
    seen = []
    net[0].register_forward_hook(lambda part, given, output: seen.append(output.dtype))
    descend(net, lambda step: net(X).square().mean().float(), range(1), optimizer=sgd(0.01), autocast=True)
    assert seen == [torch.bfloat16]
    assert net[0].weight.dtype == torch.float32


def test_a_schedule_needs_a_number_of_steps(problem):
    with pytest.raises(ValueError, match="n_steps"):
        Descent(problem[0], sgd(0.1), schedule=cosine)
