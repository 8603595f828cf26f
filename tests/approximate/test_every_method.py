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
from mlunlearn import DataChangedError, ForgetRequestError
from mlunlearn._testing import TableConvNet, small_net
from mlunlearn.approximate import ConvolutionTransposeClassifier, EditedClassifier, UNSIRClassifier
from mlunlearn.checks import parametrize_with_unlearner_checks
from mlunlearn.checks.contract import check_forget_a_class
from mlunlearn.checks.law import check_unlearning_moves_towards_retraining
from mlunlearn.nets import TorchClassifier


def others(X):
    """Rows like those of a check, but not the same."""
    return X + 0.5 if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X


class GivenHeldOut:
    """Gives held-out rows to a method that needs some, where a check gives none."""

    def fit(self, X, y=None, sample_weight=None, *, held_out=None, **options):
        return super().fit(X, y, sample_weight, held_out=(others(X), y) if held_out is None else held_out, **options)

    def attach_data(self, X, y=None, sample_weight=None, *, held_out=None, **options):
        held_out = (others(X), y) if held_out is None else held_out
        return super().attach_data(X, y, sample_weight, held_out=held_out, **options)


class GivenSCRUBRewindClassifier(GivenHeldOut, mlunlearn.approximate.SCRUBRewindClassifier):
    pass


GIVEN = {kind.__bases__[1]: kind for kind in (GivenSCRUBRewindClassifier,)}
METHODS = [
    GIVEN.get(value, value)
    for value in vars(mlunlearn.approximate).values()
    if inspect.isclass(value) and issubclass(value, EditedClassifier) and value is not EditedClassifier
]
CLASSES_ALONE = {UNSIRClassifier}
"""Methods that serve requests for classes and refuse those for rows."""
CONVOLUTIONS_ALONE = {ConvolutionTransposeClassifier}
"""Methods that edit convolutions and refuse networks without any."""
ONE_FOR_EACH_NEED = list({m.needs: m for m in reversed(METHODS) if m not in CLASSES_ALONE}.values())
OTHERS = [method for method in METHODS if method not in ONE_FOR_EACH_NEED]
DRAWS_NOTHING = {"ASSDClassifier", "IAUClassifier", "LFSSDClassifier", "PotionClassifier", "SSDClassifier"}
_LIKE_THE_OTHERS = "wrong labels do not set rows apart: no weight matters to them alone, in a network this small"
NO_CLOSER_ON_WRONG_LABELS = {
    "LAFClassifier": "reads no label, and embeddings of rows with wrong labels are like those of others",
    "LFSSDClassifier": _LIKE_THE_OTHERS,
    "PotionClassifier": _LIKE_THE_OTHERS,
    "SSDClassifier": _LIKE_THE_OTHERS,
}
"""Methods that do not, by their nature, come closer to retraining when rows with wrong labels are forgotten."""
CLOSER_BY_CHANCE = {
    "BoundaryExpandClassifier": "one new class pulls at rows of all classes alike; it is made for whole classes",
    "FisherForgettingClassifier": "noise does not know which rows are to be forgotten, and blurs the others as much",
    "JiTClassifier": "flattening around some rows flattens their retained neighbours as much",
}
"""Methods of which a seed decides whether they come closer then."""
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
every_method = pytest.mark.parametrize(
    "method",
    [*ONE_FOR_EACH_NEED, *(pytest.param(method, marks=pytest.mark.slow) for method in OTHERS)],
)
ROWS = np.arange(0, 30)


def net_for(method, **options):
    """A network, not trained, that the method can edit, for tables of any width."""
    return small_net(**({"module": TableConvNet} if method in CONVOLUTIONS_ALONE else {}), **options)


def asked(method, y):
    """A request that the method serves, and the rows it is for."""
    if method in CLASSES_ALONE:
        return {"classes": [2]}, np.flatnonzero(y == 2)
    return {"forget_idx": ROWS}, ROWS


@pytest.fixture(scope="session")
def trained_table_conv(blobs):
    """A convolutional network for tables, trained elsewhere."""
    X, y, *_ = blobs
    return TorchClassifier(small_net(module=TableConvNet), random_state=0).fit(X, y)


@pytest.fixture
def trained(method, trained, trained_table_conv):
    return trained_table_conv if method in CONVOLUTIONS_ALONE else trained


def test_the_list_is_not_short():
    assert {"FineTuneClassifier", "LoTUSClassifier", "SCRUBClassifier"} <= {method.__name__ for method in METHODS}


def follows_scikit_learn(methods):
    """Run scikit-learn's whole list on methods, over a net that is as small and trains as short as the list allows."""
    ignored = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # its own check
    net = {"max_epochs": 4, "lr": 0.1, "batch_size": 64}
    checks = parametrize_with_checks(
        [method(net_for(method, **net), random_state=0) for method in methods],
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
    return parametrize_with_unlearner_checks(
        [method(net_for(method, max_epochs=1), random_state=0) for method in methods if method not in CLASSES_ALONE]
    )


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


@pytest.mark.parametrize("method", sorted(CLASSES_ALONE, key=str))
def test_a_request_for_rows_is_refused_where_only_classes_are_served(method, frozen, blobs):
    """The suite asks for rows; what it asks of requests for classes holds."""
    X, y, *_ = blobs
    model = method(frozen, random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ForgetRequestError, match="classes="):
        model.unlearn(ROWS)
    assert vars(model) == before
    check_forget_a_class(method(net_for(method), random_state=0))


@every_method
class TestEveryMethod:
    def test_it_moves_towards_retraining_on_the_toy_task(self, method, request):
        """There is nothing to forget before something is memorised, so the net is trained for long."""
        if method in CLASSES_ALONE or method.__name__ in CLOSER_BY_CHANCE:
            pytest.skip(CLOSER_BY_CHANCE.get(method.__name__, "serves requests for classes alone"))
        if method.__name__ in NO_CLOSER_ON_WRONG_LABELS:
            reason = NO_CLOSER_ON_WRONG_LABELS[method.__name__]
            request.applymarker(pytest.mark.xfail(raises=AssertionError, strict=True, reason=reason))
        settings = FOR_THE_TOY_TASK.get(method.__name__, {})
        check_unlearning_moves_towards_retraining(method(net_for(method, max_epochs=60), **settings, random_state=0))

    def test_what_is_not_declared_is_not_read(self, method, frozen, blobs, module_of, same_weights):
        """Garbage in place of rows and labels that are not needed changes no bit."""
        X, y, *held_out = blobs
        options = {"held_out": held_out} if method.takes_held_out or "held_out" in method.needs else {}
        request, forget = asked(method, y)
        expected = method(frozen, random_state=0).fit(X, y, **options).unlearn(**request)
        garbled, wrong = X.copy(), y.copy()
        sides = {"forget": forget, "retain": np.setdiff1d(np.arange(len(X)), forget)}
        for side, rows in sides.items():
            if side not in method.needs:
                garbled[rows] = 1e6
            if f"{side}_labels" not in method.needs and method not in CLASSES_ALONE:
                wrong[rows] = (y[rows] + 1) % 3
        if np.array_equal(garbled, X) and np.array_equal(wrong, y):
            pytest.skip(f"{method.__name__} needs all rows and labels")
        model = method(frozen, random_state=0).fit(garbled, wrong, **options).unlearn(**request)
        assert same_weights(module_of(model), module_of(expected))

    def test_rows_that_are_not_needed_may_be_erased_at_the_source(self, method, frozen, blobs):
        X, y = (part.copy() for part in blobs[:2])
        request, forget = asked(method, y)
        model = method(frozen, random_state=0).fit(X, y)
        X[forget] = np.nan
        if "forget" in method.needs:
            with pytest.raises(DataChangedError, match="Row 0"):
                model.unlearn(**request)
        else:
            assert model.unlearn(**request).forgotten_.sum() == len(forget)

    def test_a_frozen_network_is_copied_and_predicts_as_it_did(
        self, method, trained, frozen, blobs, module_of, same_weights
    ):
        X, y, *_ = blobs
        before = copy.deepcopy(trained.net_.module_)
        model = method(frozen, random_state=0).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), trained.predict_proba(X))
        model.unlearn(**asked(method, y)[0])
        assert same_weights(trained.net_.module_, before)
        assert not same_weights(module_of(model), before)

    def test_a_seed_gives_the_same_bits_and_another_seed_others(self, method, frozen, blobs, module_of, same_weights):
        X, y, *_ = blobs
        first, again, other = (
            module_of(method(frozen, random_state=seed).fit(X, y).unlearn(**asked(method, y)[0])) for seed in (0, 0, 1)
        )
        assert same_weights(first, again)
        assert same_weights(first, other) == (method.__name__ in DRAWS_NOTHING)

    def test_modes_flags_and_generators_are_restored(self, method, frozen, blobs, module_of):
        X, y, *_ = blobs
        model = method(frozen, random_state=0).fit(X, y)
        module_of(model).body[0].bias.requires_grad_(False)
        bias, state = module_of(model).body[0].bias.clone(), torch.get_rng_state()
        model.unlearn(**asked(method, y)[0])
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
        model = (
            method(FrozenEstimator(trained_conv), **settings, random_state=0).fit(X, y).unlearn(**asked(method, y)[0])
        )
        assert torch.equal(module_of(model).body[1].running_mean, before) != method.moves_buffers

    def test_a_rate_that_is_too_high_leaves_the_model_as_it_was(self, method, frozen, blobs):
        if "lr" not in inspect.signature(method).parameters:
            pytest.skip(f"{method.__name__} has no learning rate")
        X, y, *_ = blobs
        model = method(frozen, lr=1e38, batch_size=8, random_state=0).fit(X, y)
        before, predicted = dict(vars(model)), model.predict_proba(X)
        with pytest.raises(FloatingPointError, match="step"):
            model.unlearn(**asked(method, y)[0])
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
        pipeline = make_pipeline(StandardScaler(), net_for(method, max_epochs=2))
        request, forget = asked(method, y)
        model = method(pipeline, random_state=0).fit(X, y).unlearn(**request)
        np.testing.assert_allclose(model.estimator_[0].mean_, np.delete(X, forget, axis=0).mean(axis=0))

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
        request, forget = asked(method, y)
        work = method(frozen, random_state=0).fit(X, y).unlearn(**request).receipts_[-1].work
        assert work.samples > 0
        assert work.full == (len(X) - len(forget)) * 20
