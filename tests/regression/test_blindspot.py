"""Blindspot and its attention maps against what is known of them."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.networks.batches import step_batches
from mlunlearn.networks.fresh import shrink
from mlunlearn.regression import (
    BlindspotRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    ShrinkPerturbRegressor,
    StandardizedRegressor,
    attention_distance,
    attention_map,
    find_layers,
)
from mlunlearn.regression.activations import recorded
from mlunlearn.regression.budgets import descend
from mlunlearn.regression.editing import Edit
from mlunlearn.regression.frozen import Reset, reset_parameters
from mlunlearn.regression.imitation import blindspot_loss
from mlunlearn.regression.standardized import rescale_output
from mlunlearn.torch_seeds import seeded

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


def edit_of(net, X, y, forget):
    return Edit(
        module=net,
        X=X,
        y=y,
        forget=forget,
        criterion=nn.L1Loss(),
        fresh=lambda seed: reset_parameters(copy.deepcopy(net), seed),
        mean=np.zeros(1),
        scale=np.ones(1),
        label_mean=torch.zeros(1),
        label_scale=torch.ones(1),
        batch_size=8,
        epochs=20,
        seed=0,
    )


@pytest.fixture
def problem():
    with seeded(0):
        net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        return net, torch.randn(40, 3), torch.randn(40, 1)


def test_nothing_to_forget_is_fine_tuning_bit_for_bit(problem):
    net, X, y = problem
    plain = copy.deepcopy(net)
    edit = edit_of(net, X, y, torch.zeros(40, dtype=torch.bool))
    descend(net, lambda r: blindspot_loss(edit, [], r, layers=["1"]), step_batches(40, 8, 9, 0), lr=0.01, n_steps=9)
    descend(plain, lambda r: nn.L1Loss()(plain(X[r]), y[r]), step_batches(40, 8, 9, 0), lr=0.01, n_steps=9)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))


def test_nothing_to_keep_reads_no_label(problem):
    net, X, y = problem
    teacher = reset_parameters(copy.deepcopy(net), 5).eval()
    losses = [
        blindspot_loss(edit_of(net, X, labels, torch.ones(40, dtype=torch.bool)), [teacher], torch.arange(9))
        for labels in (y, torch.full_like(y, torch.nan))
    ]
    assert torch.isfinite(losses[0])
    assert torch.equal(*losses)


def test_the_loss_is_that_of_the_card(problem):
    net, X, y = problem
    forget = torch.arange(40) % 4 == 0
    teacher = reset_parameters(copy.deepcopy(net), 5).eval()
    rows = torch.arange(20)
    f, r = rows[forget[:20]], rows[~forget[:20]]
    a, b = attention_map(net[:2](X[f])), attention_map(teacher[:2](X[f]))
    expected = 0.75 * (net(X[r]) - y[r]).abs().mean() + 0.25 * (
        (net(X[f]) - teacher(X[f])).abs().mean() + 50 * ((a - b) ** 2).mean()
    )
    found = blindspot_loss(edit_of(net, X, y, forget), [teacher], rows, layers=["1"], weight=50.0)
    torch.testing.assert_close(found, expected)


def frozen_problem(diabetes, mlp):
    X, y = diabetes
    trained = TorchRegressor(mlp, random_state=0).fit(X, y)
    gone = y <= 90
    shuffled = y.copy()
    shuffled[gone] = np.random.default_rng(0).permutation(y[gone])
    return X, (y, shuffled), gone, FrozenEstimator(trained)


@pytest.mark.parametrize(
    ("method", "reads"),
    [
        (BlindspotRegressor, False),
        (ShrinkPerturbRegressor, False),
        (GaussianAmnesiacRegressor, False),
        (NegativeGradientRegressor, True),
    ],
)
def test_who_reads_the_labels_of_forgotten_rows(method, reads, diabetes, mlp):
    X, labels, gone, trained = frozen_problem(diabetes, mlp)
    first, second = (
        method(trained, n_steps=10, random_state=0).fit(X, y).unlearn(gone).estimator_.regressor_.net_.module_
        for y in labels
    )
    same = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert same != reads


def test_blindspot_models_do_not_change_while_they_are_imitated(diabetes):
    X, y = diabetes
    seen = []

    class Watching(BlindspotRegressor):
        def _blindspot(self, edit, *seeds):
            module, read = super()._blindspot(edit, *seeds)
            seen.append((module, copy.deepcopy(module.state_dict())))
            return module, read

    net = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    model = Watching(net, imitation=0.5, n_blind=3, random_state=0).fit(X, y).unlearn(y <= 90)
    assert len(seen) == len(model.blindspots_) == 3
    for module, before in seen:
        after = module.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_blindspot_models_predict_in_the_units_of_y(diabetes, mlp):
    X, y = diabetes
    model = BlindspotRegressor(mlp, imitation=0.3, blind_steps=100, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="before the first"):
        model.predict_blindspot(X)
    model.unlearn(y <= 90)
    assert abs(model.predict_blindspot(X[y > 90]).mean() - y[y > 90].mean()) < 15


def test_untrained_copies_keep_nothing_that_was_trained():
    with seeded(0):
        trained = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    trained[0].weight.requires_grad_(False)
    trained[2].running_mean.fill_(9.0)
    fresh = Reset(trained)(1)
    assert torch.equal(fresh[0].weight, trained[0].weight)  # fixed word vectors were not learned here
    assert not torch.equal(fresh[1].weight, trained[1].weight)
    assert torch.equal(fresh[2].running_mean, torch.zeros(3))


def test_a_module_that_cannot_be_reset_says_so():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(TypeError, match="reset_parameters"):
        reset_parameters(nn.Sequential(Own()), 0)


def test_published_settings():
    model = BlindspotRegressor.published(nn.Linear(2, 1), n_retained=9_000, n_samples=12_200)
    assert (model.blind_steps, model.n_steps, model.n_blind, model.attention) == (72, 48, 1, "official")
    assert (model.blind_lr, model.lr, model.attention_weight, model.decay) == (1e-2, 1e-3, 50.0, False)
    assert (model.keep, model.imitation, model.batch_size) == (1.0, None, 256)


def recorded_steps(model, monkeypatch, X, y, gone):
    """The imitation weight, and the number of rows to forget, of each step of the network."""
    steps = []

    def watching(edit, teachers, rows, *, imitation, **others):
        steps.append((imitation, int(edit.forget[rows].sum())))
        return blindspot_loss(edit, teachers, rows, imitation=imitation, **others)

    monkeypatch.setattr("mlunlearn.regression.blindspot.blindspot_loss", watching)
    model.fit(X, y).unlearn(gone)
    return np.array(steps, dtype=float).T


def test_imitation_fades_and_then_rows_to_forget_are_not_read(diabetes, mlp, monkeypatch):
    X, y = diabetes
    model = BlindspotRegressor(mlp, n_steps=20, imitation=0.5, random_state=0)
    weights, forgotten = recorded_steps(model, monkeypatch, X, y, y <= 90)
    np.testing.assert_allclose(weights[:10], 1 - np.arange(10) / 10)
    assert (weights[10:] == 0).all()
    assert (forgotten[:10] > 0).all()
    assert (forgotten[10:] == 0).all()


def test_published_imitation_is_constant(diabetes, mlp, monkeypatch):
    X, y = diabetes
    model = BlindspotRegressor.published(mlp, n_retained=300, n_samples=len(y), epochs=4, random_state=0)
    weights, forgotten = recorded_steps(model, monkeypatch, X, y, y <= 90)
    assert weights.tolist() == [1.0] * 8
    assert (forgotten > 0).all()


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 1), st.integers(0, 99))
def test_shrinking_lies_between_trained_and_untrained(keep, seed):
    with seeded(seed):
        trained, fresh = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    trained[1].running_mean.fill_(7.0)
    before = copy.deepcopy(trained)
    shrink(trained, fresh, keep)
    for now, then, other in zip(trained.parameters(), before.parameters(), fresh.parameters(), strict=True):
        torch.testing.assert_close(now, keep * then + (1 - keep) * other)
    assert torch.equal(trained[1].running_mean, torch.zeros(4))  # statistics of all rows do not stay


def test_the_budget_is_a_share_of_training_again():
    y = np.random.default_rng(0).normal(size=12_000)
    X = np.column_stack([y, -y])
    with seeded(0):
        net = nn.Linear(2, 1)
    trained = FrozenEstimator(TorchRegressor(net, random_state=0).fit(X, y))  # 20 epochs of 94 steps
    for budget in (0.18, 0.4):
        for model in (BlindspotRegressor(trained, n_blind=2), ShrinkPerturbRegressor(trained)):
            model.set_params(budget=budget, random_state=0).fit(X, y)
            receipt = model.unlearn(slice(0, 1200)).receipts_[-1]
            assert 0.9 * budget < receipt.retrained_share <= 1.02 * budget


def test_units_of_a_network_trained_elsewhere_do_not_matter(diabetes, mlp):
    X, y = diabetes
    net, gone = copy.deepcopy(mlp), y <= 90
    inside = StandardizedRegressor(net, random_state=0).fit(X, y)
    module = copy.deepcopy(inside.regressor_.net_.module_)
    assert rescale_output(module, torch.as_tensor(X[:8], dtype=torch.float32), inside.scale_, inside.mean_)
    np.testing.assert_allclose(
        module(torch.as_tensor(X, dtype=torch.float32)).detach().ravel(), inside.predict(X), rtol=1e-3
    )
    kept, raw = (
        BlindspotRegressor(FrozenEstimator(trained), batch_size=32, random_state=0).fit(X, y).unlearn(gone)
        for trained in (inside, module)
    )
    assert (raw.estimator_.mean_, raw.estimator_.scale_) == (0, 1)
    assert np.abs(raw.predict(X[~gone]) - y[~gone]).mean() < 1.2 * np.abs(kept.predict(X[~gone]) - y[~gone]).mean()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_blind": 0},
        {"attention": "both"},
        {"layers": ["nowhere"], "attention_weight": 1.0},
        {"blind_steps": -1},
        {"blind_lr": 0.0},
        {"attention_weight": -1.0},
        {"keep": 1.1},
        {"imitation": 0.0},
        {"budget": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, diabetes, mlp):
    X, y = diabetes
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("layers", "no submodule")):
        BlindspotRegressor(mlp, random_state=0, **wrong).fit(X, y)


@pytest.mark.parametrize("wrong", [{"keep": -0.1}, {"budget": 0.0}])
def test_shrinking_too_far_or_for_nothing_is_refused(wrong, diabetes, mlp):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShrinkPerturbRegressor(mlp, random_state=0, **wrong).fit(*diabetes)


def test_keeping_nothing_is_training_anew(diabetes, mlp):
    X, y = diabetes
    gone = y <= 90
    other = copy.deepcopy(mlp)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(3)
    one, two = (
        ShrinkPerturbRegressor(FrozenEstimator(TorchRegressor(net, random_state=0).fit(X, y)), keep=0.0, random_state=0)
        for net in (mlp, other)
    )
    a, b = (model.fit(X, y).unlearn(gone).predict(X) for model in (one, two))
    np.testing.assert_array_equal(a, b)
