"""What every approximate method for classifiers keeps: found by itself in `mlunlearn.approximate`."""

import copy
import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone
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

METHODS = [
    value
    for value in vars(mlunlearn.approximate).values()
    if inspect.isclass(value) and issubclass(value, EditedClassifier) and value is not EditedClassifier
]
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
CLASSES_ALONE = {UNSIRClassifier}
"""Methods that serve requests for classes and refuse those for rows."""
CONVOLUTIONS_ALONE = {ConvolutionTransposeClassifier}
"""Methods that edit convolutions and refuse networks without any."""
ELSEWHERE = {
    "FisherForgettingClassifier": "noise does not know which rows are to be forgotten, and blurs the others as much",
    "JiTClassifier": "flattening around some rows flattens their retained neighbours as much",
    "BoundaryExpandClassifier": "one new class pulls at rows of all classes alike; it is made for whole classes",
}
"""Methods that do not, by their nature, come closer to retraining when scattered rows are forgotten."""
every_method = pytest.mark.parametrize("method", METHODS)
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


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # scikit-learn's own check
@parametrize_with_checks(
    [method(net_for(method, max_epochs=5, lr=0.05), random_state=0) for method in METHODS],
    expected_failed_checks=lambda estimator: NO_WEIGHTS,
)
def test_scikit_learn_rules(estimator, check):
    check(estimator)


@parametrize_with_unlearner_checks(
    [method(net_for(method, max_epochs=2), random_state=0) for method in METHODS if method not in CLASSES_ALONE]
)
def test_the_promises_of_unlearning(estimator, check):
    if check is check_unlearning_moves_towards_retraining:
        if type(estimator).__name__ in ELSEWHERE:
            pytest.skip(ELSEWHERE[type(estimator).__name__])
        estimator = clone(estimator).set_params(
            estimator__max_epochs=60
        )  # there is nothing to forget before something is memorised
    check(estimator)


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
    def test_what_is_not_declared_is_not_read(self, method, frozen, blobs, module_of, same_weights):
        """Garbage in place of rows and labels that are not needed changes no bit."""
        X, y, *held_out = blobs
        request, forget = asked(method, y)
        expected = method(frozen, random_state=0).fit(X, y, held_out=held_out).unlearn(**request)
        garbled, wrong = X.copy(), y.copy()
        sides = {"forget": forget, "retain": np.setdiff1d(np.arange(len(X)), forget)}
        for side, rows in sides.items():
            if side not in method.needs:
                garbled[rows] = 1e6
            if f"{side}_labels" not in method.needs and method not in CLASSES_ALONE:
                wrong[rows] = (y[rows] + 1) % 3
        if np.array_equal(garbled, X) and np.array_equal(wrong, y):
            pytest.skip(f"{method.__name__} needs all rows and labels")
        model = method(frozen, random_state=0).fit(garbled, wrong, held_out=held_out).unlearn(**request)
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
        assert not same_weights(first, other)

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
        model = method(FrozenEstimator(trained_conv), random_state=0).fit(X, y).unlearn(**asked(method, y)[0])
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
