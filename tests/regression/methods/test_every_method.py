"""What every regression method keeps: found by itself in `mlunlearn.regression`."""

import copy
import inspect
import pickle

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
from torch.utils.data import TensorDataset

import mlunlearn.regression
from mlunlearn import DataChangedError, ForgetRequestError
from mlunlearn.approximate import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.checks import parametrize_with_unlearner_checks
from mlunlearn.nets import TorchRegressor
from mlunlearn.regression import (
    CrossFitRegressor,
    FineTuneRegressor,
    QuantileLoss,
    RestartRegressor,
    RidgeHeadRegressor,
    StandardizedRegressor,
)

METHODS = [
    value
    for value in vars(mlunlearn.regression).values()
    if inspect.isclass(value) and issubclass(value, EditedRegressor)
]
ONE_FOR_EACH_NEED = list({(m.needs, m.guarantee == "approximate"): m for m in reversed(METHODS)}.values())
OTHERS = [method for method in METHODS if method not in ONE_FOR_EACH_NEED]
QUICK = {
    "BlindspotRegressor": {"n_blind": 2, "blind_steps": 20, "n_steps": 15},
    "CrossFitRegressor": {"n_folds": 2, "budget": 0.1, "n_steps": 15},
}
every_method = pytest.mark.parametrize("method", METHODS)


def build(method, estimator, **params):
    return method(estimator, **{"random_state": 0, **QUICK.get(method.__name__, {"n_steps": 15}), **params})


def test_the_list_is_not_short():
    assert len(METHODS) >= 7


# ------------------------------------------------------------- the suites


class Padded(nn.Module):
    """Reads any number of columns: it keeps the first twelve, or pads with zeros."""

    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1)

    def forward(self, X):
        X = X.flatten(start_dim=1)[:, :12]
        return self.last(self.relu(self.first(nn.functional.pad(X, (0, 12 - X.shape[1])))))


class Five(nn.Sequential):
    """Reads the five columns of the suite's problem."""

    def __init__(self):
        super().__init__(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))


def net(module, max_epochs, lr=1e-2):
    return NeuralNetRegressor(
        module, optimizer=torch.optim.Adam, lr=lr, max_epochs=max_epochs, batch_size=32, train_split=None,
        callbacks="disable", verbose=0,
    )  # fmt: skip


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


def follows_scikit_learn(methods, *others):
    """Run scikit-learn's whole list on methods, and on estimators of other kinds."""
    built = [build(method, TorchRegressor(net(Padded, 10, lr=4e-2))) for method in methods]
    return parametrize_with_checks([*built, *others], expected_failed_checks=expected)


@follows_scikit_learn(
    ONE_FOR_EACH_NEED, StandardizedRegressor(net(Padded, 10, lr=4e-2), random_state=0), RidgeHeadRegressor()
)
def test_scikit_learn_rules(estimator, check):
    check(estimator)


@pytest.mark.slow
@follows_scikit_learn(OTHERS)
def test_scikit_learn_rules_of_the_other_methods(estimator, check):
    """`fit` and `predict` are the base's, so that methods of the same needs differ here by their settings alone."""
    check(estimator)


def keeps_the_promises(methods, *others):
    """Run the conformance suite on networks that are trained to the end.

    Of two that have hardly learned, neither shows what was forgotten.
    """
    few = {"GaussianAmnesiacRegressor": {"n_steps": 10}}
    built = [method(net(Five, 60), random_state=0, **few.get(method.__name__, {})) for method in methods]
    return parametrize_with_unlearner_checks([*built, *others])


@keeps_the_promises(ONE_FOR_EACH_NEED, RidgeHeadRegressor(random_state=0))
def test_the_promises_of_unlearning(estimator, check):
    check(estimator)


@pytest.mark.slow
@keeps_the_promises(OTHERS)
def test_the_promises_of_the_other_methods(estimator, check):
    check(estimator)


# ------------------------------------------------------ what a method may read


@every_method
class TestWhatIsRead:
    def test_what_is_not_declared_is_not_read(self, method, frozen, patients, module_of, same_weights):
        """Garbage in place of rows and labels that are not needed changes no bit."""
        if method is CrossFitRegressor:
            pytest.skip("prepares itself on all rows at fit")
        X, y, gone = patients
        garbled, wrong = X.copy(), y.copy()
        if "forget" not in method.needs:
            garbled[gone] = 1e6
        if "forget_labels" not in method.needs:
            wrong[gone] = -1e6
        if np.array_equal(garbled, X) and np.array_equal(wrong, y):
            pytest.skip(f"{method.__name__} needs all rows and labels")
        one, other = (build(method, frozen).fit(*data).unlearn(gone) for data in ((X, y), (garbled, wrong)))
        assert same_weights(module_of(one), module_of(other))

    def test_rows_that_are_not_needed_may_be_erased_at_the_source(self, method, frozen, patients):
        X, y, gone = (part.copy() for part in patients)
        model = build(method, frozen).fit(X, y)
        before, row = model.predict(X), np.flatnonzero(gone)[0]
        kept = X[row].copy()
        X[row] = np.nan
        if "forget" in method.needs:
            message = f"Row {row} was edited after fit: {method.__name__} reads what it forgets"
            with pytest.raises(DataChangedError, match=message):
                model.unlearn(gone)
            X[row] = kept
            np.testing.assert_array_equal(model.predict(X), before)
        assert model.unlearn(gone).forgotten_.sum() == gone.sum()

    def test_a_reloaded_network_forgets_rows_that_are_erased(self, method, frozen, patients):
        X, y, gone = (part.copy() for part in patients)
        model = build(method, frozen).fit(X, y)
        loaded = pickle.loads(pickle.dumps(model))
        if "forget" in method.needs:
            with pytest.raises(ValueError, match=f"{method.__name__} reads what it forgets"):
                loaded.attach_data(X, y, erased=gone)
            loaded.attach_data(X, y)
        model.unlearn(gone)
        erased, told = X.copy(), y.copy()
        if "forget" not in method.needs:
            erased[gone], told[gone] = np.nan, np.nan
            loaded.attach_data(erased, told, erased=gone)
        np.testing.assert_array_equal(loaded.unlearn(gone).predict(X), model.predict(X))

    def test_a_dataset_serves_like_the_array_that_it_holds(self, method, mlp, patients):
        X, y, gone = patients
        X = X.astype(np.float32)
        items = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
        one = build(method, mlp).fit(X, y).unlearn(gone)
        other = build(method, mlp).fit(items, y).unlearn(gone)
        np.testing.assert_allclose(one.predict(X), other.predict(items), rtol=1e-5)

    def test_an_edited_row_is_noticed(self, method, frozen, patients):
        X, y, gone = (part.copy() for part in patients)
        model = build(method, frozen).fit(X, y)
        row = np.flatnonzero(~gone)[3]
        y[row] += 1
        with pytest.raises(DataChangedError, match=f"Row {row} was edited after fit"):
            model.unlearn(gone)

    def test_each_purpose_has_a_seed_of_its_own(self, method, frozen, patients, monkeypatch):
        X, y, gone = patients
        asked, seed = [], Run.seed
        monkeypatch.setattr(Run, "seed", lambda run, purpose: asked.append(purpose) or seed(run, purpose))
        for rows in (gone, np.flatnonzero(gone)[:2]):  # many and few
            asked.clear()
            model = build(method, frozen).fit(X, y)
            asked.clear()
            model.unlearn(rows)
            assert asked
            assert len(asked) == len(set(asked))


# ------------------------------------------------------------ the contract


@every_method
class TestEveryMethod:
    def test_same_seed_same_bits_and_another_seed_others(self, method, patients, module_of, same_weights):
        X, y, gone = patients
        first, again, other = (
            module_of(build(method, Padded, random_state=seed).fit(X, y).unlearn(gone)) for seed in (0, 0, 1)
        )
        assert same_weights(first, again)
        assert not same_weights(first, other)

    def test_what_was_passed_in_is_not_touched(self, method, mlp, patients, same_weights):
        X, y, gone = patients
        before, state = copy.deepcopy(mlp), torch.get_rng_state()
        build(method, mlp).fit(X, y).unlearn(gone)
        assert same_weights(mlp, before)
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_frozen_network_is_copied_and_predicts_as_it_did(
        self, method, frozen, trained, patients, module_of, same_weights
    ):
        X, y, gone = patients
        before = copy.deepcopy(trained.net_.module_)
        model = build(method, frozen).fit(X, y)
        np.testing.assert_allclose(model.predict(X), trained.predict(X), rtol=1e-6)
        model.unlearn(gone)
        assert same_weights(trained.net_.module_, before)
        assert not same_weights(module_of(model), before)

    def test_a_failure_leaves_the_model_as_it_was(self, method, frozen, patients, monkeypatch):
        X, y, _ = patients
        model = build(method, frozen).fit(X, y)
        before, prediction = dict(vars(model)), model.predict(X)

        def interrupted(self, module, forget, retain, run):
            module[0].weight.data.fill_(7.0)
            raise KeyboardInterrupt

        monkeypatch.setattr(method, "_edit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.unlearn([0])
        assert vars(model) == before
        np.testing.assert_array_equal(model.predict(X), prediction)

    def test_two_requests(self, method, frozen, patients):
        X, y, _ = patients
        model = build(method, frozen).fit(X, y, sample_ids=[f"person {row // 10}" for row in range(len(y))])
        model.unlearn([3, 17]).unlearn(forget_ids=["person 2", "person 3"]).unlearn([3])
        assert model.forgotten_.sum() == 22
        assert [len(r.rows) for r in model.receipts_] == [2, 20, 0]
        assert model.receipts_[1].work.samples > 0

    def test_requests_that_make_no_sense_are_refused(self, method, frozen, patients):
        X, y, _ = patients
        model = build(method, frozen).fit(X, y)
        for request in ([-1], np.ones(len(y), bool), np.zeros(len(y), bool), [0.5]):
            with pytest.raises(ForgetRequestError):
                model.unlearn(request)

    def test_targets_that_are_missing_are_refused(self, method, mlp, patients):
        X, y, _ = patients
        with pytest.raises(ValueError, match="NaN"):
            build(method, mlp).fit(X, np.where(y < 60, np.nan, y))

    def test_a_constant_target(self, method, mlp, patients):
        X, _, _ = patients
        model = build(method, mlp).fit(X, np.full(len(X), 3.0)).unlearn(slice(0, 50))
        np.testing.assert_allclose(model.predict(X), 3.0, atol=1.0)

    def test_several_targets(self, method, patients):
        X, y, gone = patients
        Y = np.column_stack([y, -10 * y])
        model = build(method, nn.Linear(10, 2)).fit(X, Y).unlearn(gone)
        assert model.predict(X).shape == Y.shape

    def test_quantiles(self, method, patients):
        X, y, gone = patients
        Y = np.column_stack([y, -10 * y])
        module = nn.Sequential(nn.Linear(10, 6), nn.Unflatten(1, (2, 3)))
        model = build(method, net(module, 5).set_params(criterion=QuantileLoss)).fit(X, Y).unlearn(gone)
        assert model.predict(X).shape == Y.shape
        assert model.predict_all(X).shape == (len(Y), 2, 3)

    def test_steps_and_units_are_fitted_again_without_the_forgotten_rows(self, method, mlp, patients):
        X, y, gone = patients
        model = build(method, make_pipeline(StandardScaler(), mlp)).fit(X, y).unlearn(gone)
        scaler, final = (step for _, step in model.estimator_.steps)
        np.testing.assert_allclose(scaler.mean_, X[~gone].mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(final.mean_, y[~gone].mean())

    def test_units_of_the_target_do_not_matter(self, method, mlp, patients):
        X, y, gone = patients
        one = build(method, mlp).fit(X, y).unlearn(gone).predict(X)
        other = build(method, mlp).fit(X, 3 * y + 50).unlearn(gone).predict(X)
        np.testing.assert_allclose(other, 3 * one + 50, rtol=1e-3)

    def test_a_network_that_knows_the_targets_is_as_good_as_before(self, method, patients):
        """A module instance, passed as it is: its function is where training starts, and where a restart does."""
        X, y, _ = patients
        few = np.arange(10)
        linear = nn.Linear(10, 1)
        A = np.column_stack([X, np.ones(len(X))])
        best = np.linalg.lstsq(A, y, rcond=None)[0]
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(best[None, :-1]))
            linear.bias.fill_(best[-1])
        error = np.abs(A @ best - y).mean()
        slow = net(linear, 1, lr=1e-6)
        rates = {name: 1e-6 for name in inspect.signature(method).parameters if name == "lr" or name.endswith("_lr")}
        model = build(method, slow, **rates).fit(X, y)
        assert np.abs(model.predict(X) - y).mean() < 1.01 * error
        assert np.abs(model.unlearn(few).predict(X) - y).mean() < 1.05 * error

    def test_the_wrong_shape_is_named(self, method, patients):
        X, y, _ = patients
        wrong = TorchRegressor(net(nn.Linear(10, 2), 1), random_state=0).fit(X, np.column_stack([y, y]))
        with pytest.raises(ValueError, match="should return"):
            build(method, FrozenEstimator(wrong)).fit(X, y)

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [("n_steps", -5), ("n_steps", 0), ("n_steps", 2.5), ("lr", 0.0), ("lr", "fast"), ("batch_size", 0)],
    )
    def test_settings_that_make_no_sense_are_refused_before_training(
        self, method, name, wrong, frozen, mlp, patients, monkeypatch
    ):
        X, y, _ = patients
        served = build(method, frozen).fit(X, y).set_params(**{name: wrong})
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be .*, got {wrong!r}"):
            served.unlearn([0])
        assert not served.receipts_
        monkeypatch.setattr(StandardizedRegressor, "fit", lambda *_: pytest.fail("trained before it was checked"))
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be .*, got {wrong!r}"):
            build(method, mlp, **{name: wrong}).fit(X, y)

    def test_no_network_no_method(self, method, patients):
        X, y, _ = patients
        with pytest.raises(TypeError, match="torch module"):
            build(method, StandardScaler()).fit(X, y)

    def test_sample_weight_is_refused(self, method, mlp, patients):
        X, y, _ = patients
        with pytest.raises(ValueError, match="sample_weight"):
            build(method, mlp).fit(X, y, sample_weight=np.ones(len(y)))

    def test_published_settings_take_what_the_paper_derives_from_the_data_and_parameters(self, method):
        if not hasattr(method, "published"):
            pytest.skip("the paper has no settings of its own")
        first, *named, others = inspect.signature(method.published).parameters.values()
        assert first.name == "estimator"
        assert {p.name for p in named} <= {"n_retained", "n_samples", "data"}
        assert all(p.kind is p.KEYWORD_ONLY for p in named)
        assert others.kind is others.VAR_KEYWORD


# ----------------------------------------------------------- it forgets


@pytest.fixture(scope="module")
def fitted(diabetes):
    """A network that knows the band, and the predictions of one that never saw it."""
    X, y = diabetes
    gone = y <= 90
    module = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    knows = StandardizedRegressor(net(module, 30).set_params(batch_size=64), random_state=0).fit(X, y)
    never = StandardizedRegressor(net(module, 30).set_params(batch_size=64), random_state=1).fit(X[~gone], y[~gone])
    return knows, never.predict(X[gone])


def distances(method, fitted, diabetes, **params):
    """W1 to the retrained model on the forgotten band, before and after."""
    (X, y), (knows, never) = diabetes, fitted
    gone = y <= 90
    model = method(FrozenEstimator(knows), random_state=0, **params).fit(X, y)
    before = model.predict(X[gone])
    after = model.unlearn(gone).predict(X[gone])
    return wasserstein_distance(before, never), wasserstein_distance(after, never)


RATIOS = {"GaussianAmnesiacRegressor": 0.9, "NegativeGradientRegressor": 0.95}


@every_method
def test_closer_to_the_retrained_model_after_than_before(method, fitted, diabetes):
    before, after = distances(method, fitted, diabetes)
    assert after < RATIOS.get(method.__name__, 0.5) * before


@pytest.mark.parametrize(
    "method", [method for method in METHODS if method not in (CrossFitRegressor, RestartRegressor)]
)
def test_a_step_in_the_wrong_direction_is_noticed(method, fitted, diabetes, monkeypatch):
    step = torch.optim.Adam.step

    def backwards(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.neg_()
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", backwards)
    try:
        before, after = distances(method, fitted, diabetes, n_steps=48)
    except ForgetRequestError:  # so far away that the request itself fails
        return
    assert not after < 0.95 * before


# --------------------------------------------- networks that end in a function


class Ended(nn.Module):
    """Calls a function on the output of a network, inside ``forward``."""

    def __init__(self, function):
        super().__init__()
        self.first, self.relu, self.last, self.function = nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1), function
        with torch.no_grad():
            self.last.bias.fill_(1.0)  # no output starts below zero

    def forward(self, X):
        return self.function(self.last(self.relu(self.first(X))))


# A function, and the range of its output.
ENDS = {
    "relu": (torch.relu, 0.0, np.inf),
    "softplus": (nn.functional.softplus, 0.0, np.inf),
    "sigmoid": (torch.sigmoid, 0.0, 1.0),
    "hardtanh": (nn.Hardtanh(0.0, 3.0), 0.0, 3.0),
    "exp": (torch.exp, 0.0, np.inf),
}


@pytest.fixture(scope="module")
def positive():
    """Targets that fit into every range, most of them well above zero, and rows to forget."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = 0.15 + 0.7 / (1 + np.exp(-X @ np.array([1.0, -1.0, 0.5, 0.0])))
    return X, y, np.random.default_rng(1).permutation(300) < 30


@pytest.fixture(scope="module", params=ENDS)
def ended(request, positive):
    from mlunlearn.nets.seeds import seeded

    X, y, _ = positive
    function, low, high = ENDS[request.param]
    with seeded(0):
        module = Ended(function)
    return TorchRegressor(net(module, 40), random_state=0).fit(X, y), low, high


@every_method
def test_forgetting_keeps_the_range_and_the_fit(method, ended, positive):
    X, y, gone = positive
    trained, low, high = ended
    spread = np.abs(y - y.mean()).mean()
    params = {"n_folds": 2} if method is CrossFitRegressor else {}
    model = method(FrozenEstimator(trained), n_steps=100, random_state=0, **params).fit(X, y)
    before, after = model.predict(X), model.unlearn(gone).predict(X)
    assert np.abs(before - y).mean() < 0.25 * spread
    assert np.abs(after[~gone] - y[~gone]).mean() < 0.5 * spread
    assert after.min() >= low
    assert after.max() <= high


def test_training_keeps_the_range_and_the_fit(ended, positive):
    X, y, _ = positive
    trained, low, high = ended
    model = FineTuneRegressor(trained.net, random_state=0).fit(X, y)
    assert np.abs(model.predict(X) - y).mean() < 0.25 * np.abs(y - y.mean()).mean()
    assert model.predict(X).min() >= low
    assert model.predict(X).max() <= high
