"""Blindspot against what is known of it."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

import mlunlearn.regression.methods.blindspot as blindspot
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import Batch, adam, descend, reset_parameters, step_batches
from mlunlearn.networks.outputs import rescale, unit_layer
from mlunlearn.regression import BlindspotRegressor, ShrinkPerturbRegressor, StandardizedRegressor, attention_map
from mlunlearn.regression.methods.imitation import blindspot_loss

RUN = SimpleNamespace(outputs=lambda module, batch: module(batch.X), loss=nn.L1Loss())


@pytest.fixture
def problem():
    with seeded(0):
        net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        return net, torch.randn(40, 3), torch.randn(40, 1)


def batch_of(X, y, rows, forget):
    gone = forget[rows]
    return Batch(X[rows], y[rows], rows, gone, hidden=gone)  # labels of rows to forget may not be read


def test_nothing_to_forget_is_fine_tuning_bit_for_bit(problem):
    net, X, y = problem
    plain, nobody = copy.deepcopy(net), torch.zeros(40, dtype=torch.bool)

    def imitated(rows):
        return blindspot_loss(RUN, net, [], batch_of(X, y, rows, nobody), layers=["1"])

    descend(net, imitated, step_batches(40, 8, 9, 0), optimizer=adam(0.01))
    descend(plain, lambda r: nn.L1Loss()(plain(X[r]), y[r]), step_batches(40, 8, 9, 0), optimizer=adam(0.01))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))


def test_nothing_to_keep_reads_no_label(problem):
    net, X, y = problem
    teacher = reset_parameters(copy.deepcopy(net), 5).eval()
    batch = batch_of(X, y, torch.arange(9), torch.ones(40, dtype=torch.bool))
    found = blindspot_loss(RUN, net, [teacher], batch)
    torch.testing.assert_close(found, (net(X[:9]) - teacher(X[:9])).abs().mean())


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
    found = blindspot_loss(RUN, net, [teacher], batch_of(X, y, rows, forget), layers=["1"], weight=50.0)
    torch.testing.assert_close(found, expected)


def test_blindspot_models_do_not_change_while_they_are_imitated(patients):
    X, y, gone = patients
    seen = []

    class Watching(BlindspotRegressor):
        def _blindspot(self, *given):
            module = super()._blindspot(*given)
            seen.append((module, copy.deepcopy(module.state_dict())))
            return module

    net = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    model = Watching(net, imitation=0.5, n_blind=3, random_state=0).fit(X, y).unlearn(gone)
    assert len(seen) == len(model.blindspots_) == 3
    for module, before in seen:
        after = module.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_blindspot_models_predict_in_the_units_of_y(patients, mlp):
    X, y, gone = patients
    for estimator in (mlp, FrozenEstimator(mlp)):
        model = BlindspotRegressor(estimator, imitation=0.3, blind_steps=100, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="before the first"):
            model.predict_blindspot(X)
        model.unlearn(gone)
        assert abs(model.predict_blindspot(X[~gone]).mean() - y[~gone].mean()) < 15


def test_published_settings():
    model = BlindspotRegressor.published(nn.Linear(2, 1), n_retained=9_000, n_samples=12_200)
    assert (model.blind_steps, model.n_steps, model.n_blind, model.attention) == (72, 48, 1, "official")
    assert (model.blind_lr, model.lr, model.attention_weight, model.decay) == (1e-2, 1e-3, 50.0, False)
    assert (model.keep, model.imitation, model.batch_size) == (1.0, None, 256)
    model = BlindspotRegressor.published(nn.Linear(2, 1), n_retained=512, n_samples=1024, data="sentences", lr=0.1)
    assert (model.blind_steps, model.n_steps, model.lr) == (20, 20, 0.1)


def recorded_steps(model, monkeypatch, X, y, gone):
    """The imitation weight, and the number of rows to forget, of each step of the network."""
    steps = []

    def watching(run, module, teachers, batch, *, imitation, **others):
        steps.append((imitation, int(batch.forget.sum())))
        return blindspot_loss(run, module, teachers, batch, imitation=imitation, **others)

    monkeypatch.setattr(blindspot, "blindspot_loss", watching)
    model.fit(X, y).unlearn(gone)
    return np.array(steps, dtype=float).T


def test_imitation_fades_and_then_rows_to_forget_are_not_read(patients, frozen, monkeypatch):
    model = BlindspotRegressor(frozen, n_steps=20, imitation=0.5, random_state=0)
    weights, forgotten = recorded_steps(model, monkeypatch, *patients)
    np.testing.assert_allclose(weights[:10], 1 - np.arange(10) / 10)
    assert (weights[10:] == 0).all()
    assert (forgotten[:10] > 0).all()
    assert (forgotten[10:] == 0).all()


def test_published_imitation_is_constant(patients, frozen, monkeypatch):
    model = BlindspotRegressor.published(frozen, n_retained=100, n_samples=160, n_steps=8, random_state=0)
    weights, forgotten = recorded_steps(model, monkeypatch, *patients)
    assert weights.tolist() == [1.0] * 8
    assert (forgotten > 0).all()


def test_the_budget_is_a_share_of_training_again():
    y = np.random.default_rng(0).normal(size=12_000)
    X = np.column_stack([y, -y])
    trained = FrozenEstimator(nn.Linear(2, 1))  # taken for 20 epochs of 94 steps
    for budget in (0.18, 0.4):
        for model in (BlindspotRegressor(trained, n_blind=2), ShrinkPerturbRegressor(trained)):
            model.set_params(budget=budget, random_state=0).fit(X, y)
            receipt = model.unlearn(slice(0, 1200)).receipts_[-1]
            assert 0.9 * budget < receipt.retrained_share <= 1.02 * budget


def test_units_of_a_network_trained_elsewhere_do_not_matter(patients, mlp):
    X, y, gone = patients
    inside = StandardizedRegressor(mlp, random_state=0).fit(X, y)
    module = copy.deepcopy(inside.net_.module_)
    inputs = torch.as_tensor(X, dtype=torch.float32)
    rescale(unit_layer(module.eval(), inputs[:8]), inside.scale_, inside.mean_)
    np.testing.assert_allclose(module(inputs).detach().ravel(), inside.predict(X), rtol=1e-3)
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
def test_settings_that_make_no_sense_are_refused(wrong, patients, frozen):
    X, y, _ = patients
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("layers", "no submodule")):
        BlindspotRegressor(frozen, random_state=0, **wrong).fit(X, y)
