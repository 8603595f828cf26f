"""Wrong input is refused by every method for classifiers: before it trains, in words, and the model stays as it was."""

import copy
import inspect

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

import mlunlearn.approximate
from mlunlearn import ForgetRequestError
from mlunlearn._testing import Perceptron, TableConvNet
from mlunlearn.approximate import (
    ConvolutionTransposeClassifier,
    EditedClassifier,
    LAFClassifier,
    LAFRClassifier,
    UNSIRClassifier,
)
from mlunlearn.networks.loop import Descent

METHODS = [
    value
    for value in vars(mlunlearn.approximate).values()
    if inspect.isclass(value) and issubclass(value, EditedClassifier) and value is not EditedClassifier
]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
any_network = pytest.mark.parametrize(
    "method", [m for m in METHODS if m is not ConvolutionTransposeClassifier], ids=lambda method: method.__name__
)
"""The other one refuses a network without convolutions in `fit`."""
ROWS = np.arange(12)
TOO_LARGE = np.float32(3e38)
"""Finite, and no longer so where a network has multiplied it."""


class Product(nn.Module):
    """Logits by a product with a parameter, which is no layer, and whose first values nobody knows."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, X):
        return X @ self.weight


class Headless(Product):
    """The same, with weights that can be drawn anew."""

    def reset_parameters(self):
        nn.init.normal_(self.weight)


def squaring(network):
    """A network that overflows where an input is `TOO_LARGE`."""
    network.register_forward_pre_hook(_square)
    return network


def _square(module, given):
    return (given[0].square(),)


class Unlabelled(torch.utils.data.Dataset):
    """Items that are inputs alone."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index]


@pytest.fixture
def data(blobs):
    X, y, *held_out = blobs
    return X.astype(np.float32), y, held_out


@pytest.fixture
def frozen(method):
    """A network that the method can edit, at its first weights: what is refused does not depend on what they are."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FrozenEstimator((TableConvNet if method is ConvolutionTransposeClassifier else Perceptron)(5, 3))


@pytest.fixture
def fitted(data):
    """A method, with what its `fit` takes."""

    def fit(model, X=None):
        held_out = {"held_out": data[2]} if "held_out" in model.needs else {}
        return model.fit(data[0] if X is None else X, data[1], **held_out)

    return fit


@pytest.fixture
def untrained(monkeypatch):
    """Until the end of the test a gradient step is a failure."""

    def step(*args):
        raise AssertionError("a step was taken before the error")

    monkeypatch.setattr(Descent, "step", step)


@pytest.fixture
def refuses(module_of):
    """Call something that has to raise, and see that weights, receipts and all else of the model stay as they were."""

    def check(model, call, error, match):
        before, weights = dict(vars(model)), copy.deepcopy(module_of(model).state_dict())
        forgotten, receipts = model.forgotten_.copy(), copy.copy(model.receipts_)
        with pytest.raises(error, match=match):
            call()
        assert vars(model) == before
        assert model.receipts_ == receipts
        assert np.array_equal(model.forgotten_, forgotten)
        assert all(torch.equal(value, weights[name]) for name, value in module_of(model).state_dict().items())

    return check


WRONG_REQUESTS = {
    "a class that is not there": ({"classes": [7]}, "7"),
    "a class that is not there beside one that is": ({"classes": [2, 7]}, "7"),
    "a row after the last": ({"forget_idx": [3, 120]}, "120"),
    "a row before the first": ({"forget_idx": [-1]}, "-1"),
    "a mask of another length": ({"forget_idx": np.ones(119, dtype=bool)}, "119"),
    "every row": ({"forget_idx": np.arange(120)}, "every row"),
    "every class": ({"classes": [0, 1, 2]}, "every row"),
}


@every_method
@pytest.mark.parametrize("wrong", WRONG_REQUESTS)
def test_a_request_that_cannot_be_served(method, wrong, frozen, fitted, untrained, refuses):
    request, names = WRONG_REQUESTS[wrong]
    model = fitted(method(frozen, random_state=0))
    refuses(model, lambda: model.unlearn(**request), ForgetRequestError, names)


@every_method
@pytest.mark.parametrize("as_items", [False, True], ids=["array", "dataset"])
def test_data_without_labels(method, as_items, data, frozen, fitted, untrained, refuses):
    model = fitted(method(frozen, random_state=0))
    X = Unlabelled(data[0]) if as_items else data[0]
    held_out = {"held_out": data[2]} if "held_out" in method.needs else {}
    refuses(model, lambda: model.fit(X, **held_out), ValueError, r"\by\b|target|label")


NEED_A_LAYER = {"BoundaryExpand", "LAF", "LAFR", "MaskedSmallGradients", "Relearn"}
"""Methods that edit a head, or layers of a kind, and have to find them."""
NEED_A_NEW_NETWORK = {"BadTeacher", "EUk", "Restart", "ShrinkPerturb"}
"""Methods that draw weights anew."""


def served_or_refused(model, refusing, error, match, refuses, request):
    """The methods that cannot edit a network say so before a step is taken; the others serve."""
    asked = {"classes": [2]} if isinstance(model, UNSIRClassifier) else {"forget_idx": ROWS}
    if type(model).__name__.removesuffix("Classifier") in refusing:
        request.getfixturevalue("untrained")
        refuses(model, lambda: model.unlearn(**asked), error, match)
    else:
        assert model.unlearn(**asked).forgotten_.any()


@any_network
def test_a_network_without_a_recognisable_head(method, fitted, refuses, request):
    model = fitted(method(FrozenEstimator(Headless()), random_state=0))
    served_or_refused(model, NEED_A_LAYER, ValueError, "Headless has no .*linear layer", refuses, request)


@any_network
def test_a_network_whose_weights_cannot_be_drawn_anew(method, fitted, refuses, request):
    if method.__name__.removesuffix("Classifier") in NEED_A_LAYER:
        pytest.skip("refuses the network for another reason")
    model = fitted(method(FrozenEstimator(Product()), random_state=0))
    served_or_refused(model, NEED_A_NEW_NETWORK, TypeError, "reset_parameters", refuses, request)


@pytest.mark.parametrize("method", [LAFClassifier, LAFRClassifier])
def test_too_few_rows_for_the_published_autoencoder(method, frozen, fitted, untrained, refuses):
    model = fitted(method.published(frozen, random_state=0))
    refuses(model, lambda: model.unlearn(ROWS), ValueError, "12 rows to forget, too few .* needs 160")


@every_method
def test_a_loss_that_is_no_number(method, data, frozen, fitted, refuses):
    X, y, _ = data
    X = X.copy()
    X[[5, *(12 + np.flatnonzero(y[12:] == k)[0] for k in range(3))]] = TOO_LARGE  # some are forgotten, some stay
    asked = {"classes": [y[5]]} if method is UNSIRClassifier else {"forget_idx": ROWS}
    squaring(frozen.estimator)
    model = fitted(method(frozen, random_state=0), X)
    refuses(model, lambda: model.unlearn(**asked), FloatingPointError, "step")
