"""What every approximate method for classifiers keeps: found by itself in `mlunlearn.approximate`."""

import copy
import inspect

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import mlunlearn.approximate
from mlunlearn import DataChangedError
from mlunlearn._testing import small_net
from mlunlearn.approximate import EditedClassifier
from mlunlearn.checks import parametrize_with_unlearner_checks
from mlunlearn.checks.law import check_unlearning_moves_towards_retraining


def others(X):
    """Rows like those of a check, but not the same."""
    return X + 0.5 if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X


class GivenHeldOut:
    """Gives held-out rows to a method that needs some, where a check gives none."""

    def fit(self, X, y=None, sample_weight=None, *, held_out=None, **options):
        return super().fit(X, y, sample_weight, held_out=(others(X), y) if held_out is None else held_out, **options)

    def attach_data(self, X, y=None, sample_weight=None, *, held_out=None):
        return super().attach_data(X, y, sample_weight, held_out=(others(X), y) if held_out is None else held_out)


class GivenSCRUBRewindClassifier(GivenHeldOut, mlunlearn.approximate.SCRUBRewindClassifier):
    pass


GIVEN = {kind.__bases__[1]: kind for kind in (GivenSCRUBRewindClassifier,)}
METHODS = [
    GIVEN.get(value, value)
    for value in vars(mlunlearn.approximate).values()
    if inspect.isclass(value) and issubclass(value, EditedClassifier) and value is not EditedClassifier
]
ONE_FOR_EACH_NEED = list({method.needs: method for method in reversed(METHODS)}.values())
OTHERS = [method for method in METHODS if method not in ONE_FOR_EACH_NEED]
# Settings of the toy task: a control that trains for a fifth of the time is not meant to be near.
FOR_THE_TOY_TASK = {"RestartClassifier": {"budget": 1.0}}
# Settings in which all buffers of a network are free to move.
FOR_BUFFERS = {"CFkClassifier": {"n_layers": 2}, "EUkClassifier": {"n_layers": 2}}
NO_WEIGHTS = {
    name: "torch nets take no sample_weight, and say so instead of ignoring it"
    for name in (
        "check_sample_weights_pandas_series",
        "check_sample_weights_not_an_array",
        "check_sample_weights_list",
        "check_sample_weights_shape",
        "check_sample_weights_not_overwritten",
        "check_sample_weight_equivalence_on_dense_data",
        "check_classifiers_one_label_sample_weights",
    )
}
every_method = pytest.mark.parametrize("method", METHODS)
ROWS = np.arange(0, 30)


def test_the_list_is_not_short():
    assert {"FineTuneClassifier", "LoTUSClassifier", "SCRUBClassifier"} <= {method.__name__ for method in METHODS}


def follows_scikit_learn(methods):
    """Run scikit-learn's whole list on methods, over a net that is as small and trains as short as the list allows."""
    ignored = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # its own check
    net = {"max_epochs": 4, "lr": 0.1, "batch_size": 64}
    checks = parametrize_with_checks(
        [method(small_net(**net), random_state=0) for method in methods],
        expected_failed_checks=lambda estimator: NO_WEIGHTS,
    )
    return lambda test: ignored(checks(test))


@follows_scikit_learn(ONE_FOR_EACH_NEED)
def test_scikit_learn_rules(estimator, check):
    check(estimator)


@pytest.mark.slow
@follows_scikit_learn(OTHERS)
def test_scikit_learn_rules_of_the_other_methods(estimator, check):
    """`fit` and `predict` are the base's, so that methods of the same needs differ here by their settings alone."""
    check(estimator)


def keeps_the_promises(methods):
    """Run the conformance suite on methods, over a net that trains for a blink."""
    return parametrize_with_unlearner_checks([method(small_net(max_epochs=1), random_state=0) for method in methods])


def keep(estimator, check):
    if check is check_unlearning_moves_towards_retraining:
        pytest.skip("checked for every method, where something is memorised")
    check(estimator)


@keeps_the_promises(ONE_FOR_EACH_NEED)
def test_the_promises_of_unlearning(estimator, check):
    keep(estimator, check)


@pytest.mark.slow
@keeps_the_promises(OTHERS)
def test_the_promises_of_unlearning_of_the_other_methods(estimator, check):
    keep(estimator, check)


@every_method
class TestEveryMethod:
    def test_it_moves_towards_retraining_on_the_toy_task(self, method):
        """There is nothing to forget before something is memorised, so the net is trained for long."""
        settings = FOR_THE_TOY_TASK.get(method.__name__, {})
        check_unlearning_moves_towards_retraining(method(small_net(max_epochs=60), **settings, random_state=0))

    def test_what_is_not_declared_is_not_read(self, method, frozen, blobs, module_of, same_weights):
        """Garbage in place of rows and labels that are not needed changes no bit."""
        X, y, *held_out = blobs
        expected = method(frozen, random_state=0).fit(X, y, held_out=held_out).unlearn(ROWS)
        garbled, wrong = X.copy(), y.copy()
        sides = {"forget": ROWS, "retain": np.arange(30, len(X))}
        for side, rows in sides.items():
            if side not in method.needs:
                garbled[rows] = 1e6
            if f"{side}_labels" not in method.needs:
                wrong[rows] = (y[rows] + 1) % 3
        if np.array_equal(garbled, X) and np.array_equal(wrong, y):
            pytest.skip(f"{method.__name__} needs all rows and labels")
        model = method(frozen, random_state=0).fit(garbled, wrong, held_out=held_out).unlearn(ROWS)
        assert same_weights(module_of(model), module_of(expected))

    def test_rows_that_are_not_needed_may_be_erased_at_the_source(self, method, frozen, blobs):
        X, y = (part.copy() for part in blobs[:2])
        model = method(frozen, random_state=0).fit(X, y)
        X[ROWS] = np.nan
        if "forget" in method.needs:
            with pytest.raises(DataChangedError, match="Row 0"):
                model.unlearn(ROWS)
        else:
            assert model.unlearn(ROWS).forgotten_.sum() == 30

    def test_a_frozen_network_is_copied_and_predicts_as_it_did(
        self, method, trained, frozen, blobs, module_of, same_weights
    ):
        X, y, *_ = blobs
        before = copy.deepcopy(trained.net_.module_)
        model = method(frozen, random_state=0).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), trained.predict_proba(X))
        model.unlearn(ROWS)
        assert same_weights(trained.net_.module_, before)
        assert not same_weights(module_of(model), before)

    def test_a_seed_gives_the_same_bits_and_another_seed_others(self, method, frozen, blobs, module_of, same_weights):
        X, y, *_ = blobs
        first, again, other = (
            module_of(method(frozen, random_state=seed).fit(X, y).unlearn(ROWS)) for seed in (0, 0, 1)
        )
        assert same_weights(first, again)
        assert not same_weights(first, other)

    def test_modes_flags_and_generators_are_restored(self, method, frozen, blobs, module_of):
        X, y, *_ = blobs
        model = method(frozen, random_state=0).fit(X, y)
        module_of(model).body[0].bias.requires_grad_(False)
        bias, state = module_of(model).body[0].bias.clone(), torch.get_rng_state()
        model.unlearn(ROWS)
        module = module_of(model)
        assert torch.equal(torch.get_rng_state(), state)
        assert not any(part.training for part in module.modules())
        assert [name for name, p in module.named_parameters() if not p.requires_grad] == ["body.0.bias"]
        assert torch.equal(module.body[0].bias, bias)
        assert all(p.grad is None for p in module.parameters())

    def test_buffers_move_only_where_the_class_says_so(self, method, trained_conv, digits, module_of):
        X, y = digits
        before = trained_conv.net_.module_.body[1].running_mean
        settings = FOR_BUFFERS.get(method.__name__, {})
        model = method(FrozenEstimator(trained_conv), **settings, random_state=0).fit(X, y).unlearn(ROWS)
        assert torch.equal(module_of(model).body[1].running_mean, before) != method.moves_buffers

    def test_a_rate_that_is_too_high_leaves_the_model_as_it_was(self, method, frozen, blobs):
        if "lr" not in inspect.signature(method).parameters:
            pytest.skip(f"{method.__name__} has no learning rate")
        X, y, *_ = blobs
        model = method(frozen, lr=1e38, random_state=0).fit(X, y)
        before, predicted = dict(vars(model)), model.predict_proba(X)
        with pytest.raises(FloatingPointError, match="step"):
            model.unlearn(ROWS)
        assert vars(model) == before
        np.testing.assert_array_equal(model.predict_proba(X), predicted)

    def test_outputs_and_classes_stay_when_a_class_is_forgotten(self, method, frozen, blobs):
        X, y, *_ = blobs
        model = method(frozen, random_state=0).fit(X, y).unlearn(classes=[2])
        assert model.classes_.tolist() == [0, 1, 2]
        assert model.predict_proba(X).shape == (len(X), 3)
        assert model.receipts_[-1].classes == (2,)

    def test_steps_before_the_network_are_fitted_on_the_retained_rows(self, method, blobs):
        X, y, *_ = blobs
        pipeline = make_pipeline(StandardScaler(), small_net(max_epochs=2))
        model = method(pipeline, random_state=0).fit(X, y).unlearn(ROWS)
        np.testing.assert_allclose(model.estimator_[0].mean_, X[30:].mean(axis=0))

    @pytest.mark.parametrize(
        ("name", "value"),
        [("lr", 0.0), ("lr", float("nan")), ("max_epochs", 0), ("n_steps", -5), ("batch_size", 0), ("alpha", -1)],
    )
    def test_settings_that_make_no_sense_are_refused_before_training(self, method, name, value, blobs):
        if name not in inspect.signature(method).parameters:
            pytest.skip(f"{method.__name__} has no {name}")
        X, y, *_ = blobs

        class Untouched(nn.Linear):
            def forward(self, X):
                raise AssertionError("trained")

        with pytest.raises(ValueError, match=name):
            method(Untouched(5, 3), **{name: value}, random_state=0).fit(X, y)

    def test_the_account_is_kept(self, method, frozen, blobs):
        X, y, *_ = blobs
        work = method(frozen, random_state=0).fit(X, y).unlearn(ROWS).receipts_[-1].work
        assert work.samples > 0
        assert work.full == 90 * 20
