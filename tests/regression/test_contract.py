"""What every regression unlearner promises: scikit-learn's rules, receipts, no half-done changes."""

import hashlib

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetRegressor
from torch import nn

from mlunlearn import ForgetRequestError
from mlunlearn.nets import TorchRegressor
from mlunlearn.regression import (
    BlindspotRegressor,
    CrossFitRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    QuantileLoss,
    RestartRegressor,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
    StandardizedRegressor,
)

METHODS = {
    BlindspotRegressor: {"n_blind": 2, "blind_steps": 40, "n_steps": 20},
    CrossFitRegressor: {"n_folds": 2, "budget": 0.1, "n_steps": 20},
    FineTuneRegressor: {"n_steps": 20},
    GaussianAmnesiacRegressor: {"n_steps": 20},
    NegativeGradientRegressor: {"n_steps": 20},
    RestartRegressor: {"n_steps": 20},
    ShrinkPerturbRegressor: {"n_steps": 20},
}


class Padded(nn.Module):
    """Reads any number of columns: it keeps the first twelve, or pads with zeros."""

    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1)

    def forward(self, X):
        X = X.flatten(start_dim=1)[:, :12]
        return self.last(self.relu(self.first(nn.functional.pad(X, (0, 12 - X.shape[1])))))


def trained_net(epochs=100):
    return NeuralNetRegressor(
        Padded,
        optimizer=torch.optim.Adam,
        lr=1e-2,
        max_epochs=epochs,
        batch_size=32,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )


def build(method, estimator, **params):
    return method(estimator, **{"random_state": 0, **METHODS[method], **params})


def digest(module):
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in module.state_dict().values())).hexdigest()


def module_of(model):
    return model.estimator_.regressor_.net_.module_


NO_WEIGHT = "torch networks are trained without sample_weight"
ONE_OUTPUT = {"check_regressor_multioutput": "the network of this test has one output"}
NO_WEIGHTS = {
    f"check_sample_weight{name}": NO_WEIGHT
    for name in (
        "s_pandas_series",
        "s_not_an_array",
        "s_list",
        "s_shape",
        "s_not_overwritten",
        "_equivalence_on_dense_data",
    )
}


def expected(estimator):
    """Checks that a network cannot pass, and why."""
    if isinstance(estimator, RidgeHeadRegressor):
        return {}
    return ONE_OUTPUT if isinstance(estimator, StandardizedRegressor) else {**ONE_OUTPUT, **NO_WEIGHTS}


@parametrize_with_checks(
    [
        *(build(method, TorchRegressor(trained_net(40))) for method in METHODS),
        StandardizedRegressor(trained_net(40), random_state=0),
        RidgeHeadRegressor(),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learn_rules(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_same_seed_same_bits_and_another_seed_others(self, method, diabetes):
        X, y = diabetes
        digests = [
            digest(module_of(build(method, Padded, random_state=seed).fit(X, y).unlearn(y <= 90))) for seed in (0, 0, 1)
        ]
        assert digests[0] == digests[1] != digests[2]

    def test_what_was_passed_in_is_not_touched(self, method, mlp, diabetes):
        X, y = diabetes
        before, state = digest(mlp), torch.get_rng_state()
        build(method, mlp).fit(X, y).unlearn(y <= 90)
        assert digest(mlp) == before
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_frozen_network_is_copied_and_predicts_as_it_did(self, method, diabetes):
        X, y = diabetes
        trained = TorchRegressor(trained_net(5), random_state=0).fit(X, y)
        before = digest(trained.net_.module_)
        model = build(method, FrozenEstimator(trained)).fit(X, y)
        np.testing.assert_allclose(model.predict(X), trained.predict(X), rtol=1e-6)
        model.unlearn(y <= 90)
        assert digest(trained.net_.module_) == before != digest(module_of(model))

    def test_a_failure_leaves_the_model_as_it_was(self, method, mlp, diabetes, monkeypatch):
        X, y = diabetes
        model = build(method, mlp).fit(X, y)
        before, prediction = dict(vars(model)), model.predict(X)

        def interrupted(self, edit):
            edit.module[0].weight.data.fill_(7.0)
            raise KeyboardInterrupt

        monkeypatch.setattr(method, "_edit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.unlearn([0])
        assert vars(model) == before
        np.testing.assert_array_equal(model.predict(X), prediction)

    def test_two_requests(self, method, mlp, diabetes):
        X, y = diabetes
        model = build(method, mlp).fit(X, y, sample_ids=[f"person {row // 10}" for row in range(len(y))])
        model.unlearn([3, 17]).unlearn(forget_ids=["person 2", "person 3"]).unlearn([3])
        assert model.forgotten_.sum() == 22
        assert [len(r.rows) for r in model.receipts_] == [2, 20, 0]
        assert model.receipts_[1].work.samples > 0

    def test_requests_that_make_no_sense_are_refused(self, method, mlp, diabetes):
        X, y = diabetes
        model = build(method, mlp).fit(X, y)
        for request in ([-1], np.ones(len(y), bool), np.zeros(len(y), bool), [0.5]):
            with pytest.raises(ForgetRequestError):
                model.unlearn(request)

    def test_targets_that_are_missing_are_refused(self, method, mlp, diabetes):
        X, y = diabetes
        with pytest.raises(ValueError, match="NaN"):
            build(method, mlp).fit(X, np.where(y < 60, np.nan, y))

    def test_a_constant_target(self, method, mlp, diabetes):
        X, _ = diabetes
        model = build(method, mlp).fit(X, np.full(len(X), 3.0)).unlearn(slice(0, 50))
        np.testing.assert_allclose(model.predict(X), 3.0, atol=1.0)

    def test_several_targets(self, method, diabetes):
        X, y = diabetes
        Y = np.column_stack([y, -10 * y])
        model = build(method, nn.Linear(10, 2)).fit(X, Y).unlearn(y <= 90)
        assert model.predict(X).shape == Y.shape

    def test_quantiles(self, method, diabetes):
        X, y = diabetes
        Y = np.column_stack([y, -10 * y])
        net = NeuralNetRegressor(
            nn.Sequential(nn.Linear(10, 6), nn.Unflatten(1, (2, 3))),
            criterion=QuantileLoss,
            train_split=None,
            verbose=0,
            callbacks="disable",
        )
        model = build(method, net).fit(X, Y).unlearn(y <= 90)
        assert model.predict(X).shape == Y.shape
        assert model.estimator_.predict_all(X).shape == (len(Y), 2, 3)

    def test_steps_are_fitted_again_without_the_forgotten_rows(self, method, mlp, diabetes):
        X, y = diabetes
        gone = y <= 90
        model = build(method, make_pipeline(StandardScaler(), mlp)).fit(X, y).unlearn(gone)
        np.testing.assert_allclose(model.estimator_.steps_[0].mean_, X[~gone].mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(model.estimator_.mean_, y[~gone].mean())

    def test_units_of_the_target_do_not_matter(self, method, mlp, diabetes):
        X, y = diabetes
        gone = y <= 90
        one = build(method, mlp).fit(X, y).unlearn(gone).predict(X)
        other = build(method, mlp).fit(X, 3 * y + 50).unlearn(gone).predict(X)
        np.testing.assert_allclose(other, 3 * one + 50, rtol=1e-3)

    def test_the_wrong_shape_is_named(self, method, diabetes):
        X, y = diabetes
        trained = TorchRegressor(nn.Linear(10, 2), random_state=0).fit(X, np.column_stack([y, y]))
        with pytest.raises(ValueError, match="should return"):
            build(method, FrozenEstimator(trained)).fit(X, y)

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [("n_steps", -5), ("n_steps", 0), ("n_steps", 2.5), ("lr", 0.0), ("lr", "fast"), ("batch_size", 0)],
    )
    def test_settings_that_make_no_sense_are_refused_before_training(
        self, method, name, wrong, mlp, diabetes, monkeypatch
    ):
        X, y = diabetes
        served = build(method, mlp).fit(X, y).set_params(**{name: wrong})
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be .*, got {wrong!r}"):
            served.unlearn([0])
        assert not served.receipts_
        monkeypatch.setattr(StandardizedRegressor, "fit", lambda *_: pytest.fail("trained before it was checked"))
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be .*, got {wrong!r}"):
            build(method, mlp, **{name: wrong}).fit(X, y)

    def test_no_network_no_method(self, method, diabetes):
        with pytest.raises(TypeError, match="torch module"):
            build(method, StandardScaler()).fit(*diabetes)

    def test_sample_weight_is_refused(self, method, mlp, diabetes):
        with pytest.raises(ValueError, match="sample_weight"):
            build(method, mlp).fit(*diabetes, sample_weight=np.ones(442))


def distances(method, diabetes, **params):
    """W1 to the retrained model on the forgotten band, before and after."""
    X, y = diabetes
    gone = y <= 90
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    trained = NeuralNetRegressor(
        net, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=30, batch_size=64, train_split=None, verbose=0,
        callbacks="disable",
    )  # fmt: skip
    model = method(trained, random_state=0, **params).fit(X, y)
    before = model.predict(X[gone])
    never = method(trained, random_state=1, **params).fit(X, y, exclude=gone).predict(X[gone])
    after = model.unlearn(gone).predict(X[gone])
    return wasserstein_distance(before, never), wasserstein_distance(after, never)


@pytest.mark.parametrize(
    ("method", "ratio"),
    [
        (BlindspotRegressor, 0.5),
        (CrossFitRegressor, 0.5),
        (GaussianAmnesiacRegressor, 0.9),
        (FineTuneRegressor, 0.5),
        (RestartRegressor, 0.5),
        (NegativeGradientRegressor, 0.95),
        (ShrinkPerturbRegressor, 0.5),
    ],
)
def test_closer_to_the_retrained_model_after_than_before(method, ratio, diabetes):
    before, after = distances(method, diabetes)
    assert after < ratio * before


@pytest.mark.parametrize(
    "method",
    [
        BlindspotRegressor,
        GaussianAmnesiacRegressor,
        FineTuneRegressor,
        NegativeGradientRegressor,
        ShrinkPerturbRegressor,
    ],
)
def test_a_step_in_the_wrong_direction_is_noticed(method, diabetes, monkeypatch):
    step = torch.optim.Adam.step

    def backwards(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.neg_()
        return step(self, closure)

    edit = method._edit

    def edit_backwards(self, given):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", backwards)
            return edit(self, given)

    monkeypatch.setattr(method, "_edit", edit_backwards)
    before, after = distances(method, diabetes, n_steps=48)
    assert not after < 0.95 * before
