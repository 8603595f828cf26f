"""Torch models as estimators: initial weights, seeds, interrupts, inputs."""

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, LRScheduler
from skorch.dataset import Dataset
from torch import nn

from mlunlearn import Retrain, SISAClassifier, SISARegressor
from mlunlearn._testing import small_net
from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.nets.loaders import BatchLoader
from mlunlearn.training.estimators import as_estimator

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def weights(model):
    return {name: value.numpy() for name, value in model.net_.module_.state_dict().items()}


def test_an_instance_is_the_initial_state_and_is_left_alone():
    module = nn.Linear(4, 3)
    passed = {name: value.clone() for name, value in module.state_dict().items()}
    frozen = TorchClassifier(small_net(module=module, lr=0.0, max_epochs=1))
    frozen.fit(X, Y)
    for name, value in weights(frozen).items():
        np.testing.assert_array_equal(value, passed[name].numpy())
    for make in (Retrain, SISAClassifier):
        model = make(module, random_state=0).fit(X, Y)
        with torch.no_grad():
            module.weight += 1  # what happens to it after fit does not count
        model.unlearn([3])
        with torch.no_grad():
            module.weight -= 1
        reference = make(module, random_state=0).fit(X, Y, exclude=[3])
        np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=1e-6)
    for name, value in module.state_dict().items():
        np.testing.assert_allclose(value.numpy(), passed[name].numpy(), atol=1e-6)


@pytest.mark.parametrize("given", [nn.Linear(4, 3), small_net(max_epochs=2), small_net])
def test_the_seed_decides_and_global_generators_are_untouched(given):
    net = given(max_epochs=2) if given is small_net else given
    before, numpy_before = torch.random.get_rng_state(), np.random.mtrand._rand.get_state()[1].copy()
    one, same, other = (TorchClassifier(net, random_state=seed).fit(X, Y) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], numpy_before)
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(same)[name])
        assert (value != weights(other)[name]).any()


def test_the_number_of_threads_is_restored_and_does_not_matter():
    threads = torch.get_num_threads()
    found = []
    for n in (1, 2):
        torch.set_num_threads(n)
        found.append(weights(TorchClassifier(small_net(), random_state=0).fit(X, Y)))
        assert torch.get_num_threads() == n
    torch.set_num_threads(threads)
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])


class PressKeys(Callback):
    """Sends the signal that the keys Ctrl and C send."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass


class StopEarly(Callback):
    """Ends the training the way skorch's own callbacks do."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def handler_of_the_users_own(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("handler", [signal.default_int_handler, handler_of_the_users_own])
def test_an_interrupt_is_not_taken_for_the_end_of_training(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            TorchClassifier(small_net(callbacks=[PressKeys()], module__n_features=4), random_state=0).fit(X, Y)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_callback_may_end_the_training():
    net = small_net(callbacks=[StopEarly()], module__n_features=4)
    model = TorchClassifier(net, random_state=0).fit(X, Y)
    assert len(model.net_.history) == 2
    shorter = TorchClassifier(small_net(callbacks=[], module__n_features=4, max_epochs=2), random_state=0).fit(X, Y)
    for name, value in weights(shorter).items():
        np.testing.assert_array_equal(value, weights(model)[name])


def test_a_scheduler_starts_anew_with_every_slice():
    """Were it to go on, the learning rate of the last slice would be a millionth."""
    rates = []

    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    scheduler = LRScheduler(policy=torch.optim.lr_scheduler.ExponentialLR, gamma=0.1)
    net = small_net(max_epochs=4, lr=1.0, callbacks=[scheduler, Watch()], module__n_features=4)
    SISAClassifier(net, n_shards=1, n_slices=3, random_state=0).fit(X, Y)
    np.testing.assert_allclose(rates, [1.0, 0.1] * 9, rtol=1e-6)  # two trials of the callback, and the fit


def test_integers_reach_embeddings():
    tokens = np.random.default_rng(0).integers(0, 20, (60, 5))
    module = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(20, 2))
    model = SISAClassifier(module, n_shards=2, random_state=0).fit(tokens, tokens[:, 0] % 2).unlearn([4])
    assert model.predict(tokens).shape == (60,)


def test_too_few_outputs_are_refused():
    with pytest.raises((ValueError, IndexError), match=r"outputs for 3 classes|out of bounds"):
        TorchClassifier(nn.Linear(4, 2), random_state=0).fit(X, Y).predict(X)


def test_binary_nets_and_vector_targets():
    binary = NeuralNetBinaryClassifier(nn.Linear(4, 1), max_epochs=5, lr=0.1, train_split=None, verbose=0)
    assert TorchClassifier(binary, random_state=0).fit(X[:100], Y[:100]).predict_proba(X).shape == (150, 2)
    targets = np.stack([X[:, 0], X[:, 1]], axis=1)
    model = SISARegressor(nn.Linear(4, 2), n_shards=2, random_state=0).fit(X, targets).unlearn([1])
    assert model.predict(X).shape == (150, 2)


def test_kinds_are_told_apart():
    assert isinstance(as_estimator(small_net(NeuralNetRegressor)), TorchRegressor)
    assert isinstance(as_estimator(nn.Linear), TorchClassifier)
    assert isinstance(as_estimator(nn.Linear, "regressor"), TorchRegressor)


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"), [(9, 4, [4, 5]), (8, 4, [4, 4]), (1, 4, [1]), (5, -1, [5]), (10, 4, [4, 4, 2])]
)
def test_batches_hold_every_row_once(n, batch_size, expected):
    rows = np.arange(n, dtype=np.float32)
    batches = [X for X, _ in BatchLoader(Dataset(rows, rows), batch_size=batch_size, shuffle=True)]
    assert [len(batch) for batch in batches] == expected
    assert sorted(torch.cat(batches).tolist()) == rows.tolist()
    assert len(BatchLoader(Dataset(rows, rows), batch_size=batch_size)) == len(expected)


class OneAxis(nn.Linear):
    """Returns (n,) where others return (n, 1)."""

    def forward(self, X):
        return super().forward(X)[:, 0]


def test_one_output_may_come_without_its_axis():
    values = X[:, 0]
    with_axis, without = (TorchRegressor(kind(4, 1), random_state=0) for kind in (nn.Linear, OneAxis))
    without.net.load_state_dict(with_axis.net.state_dict())
    expected = with_axis.fit(X, values).predict(X)
    np.testing.assert_allclose(without.fit(X, values).predict(X), expected, rtol=1e-6)
    np.testing.assert_allclose(without.fit(X, values[:, None]).predict(X), expected[:, None], rtol=1e-6)


@pytest.mark.parametrize(("module", "targets"), [(nn.Linear(4, 2), X[:, 0]), (OneAxis(4, 1), X[:, :2])])
def test_outputs_that_would_be_broadcast_are_refused(module, targets):
    with pytest.raises(ValueError, match="should return"):
        TorchRegressor(module, random_state=0).fit(X, targets)


class Two(nn.Module):
    """Returns scores, and something beside them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, X):
        return self.last(X), X.sum(dim=1)


class FirstOfTwo(NeuralNetClassifier):
    """A skorch net that knows what to do with them."""

    def get_loss(self, y_pred, y_true, X, training):
        return super().get_loss(y_pred[0], y_true, X, training)


@pytest.mark.parametrize(("model", "y"), [(TorchClassifier, Y), (TorchRegressor, Y.astype(float))])
def test_several_outputs_are_refused_where_the_loss_takes_one(model, y):
    with pytest.raises(ValueError, match=r"returns 2 outputs, and \w+ takes one tensor"):
        model(Two(), random_state=0).fit(X, y)


class MoreOfIt(FirstOfTwo):
    """Inherits how."""


@pytest.mark.parametrize("kind", [FirstOfTwo, MoreOfIt])
def test_several_outputs_are_trained_where_the_net_says_how(kind):
    net = kind(Two, criterion=nn.CrossEntropyLoss, max_epochs=2, train_split=None, verbose=0)
    assert TorchClassifier(net, random_state=0).fit(X, Y).predict_proba(X).shape == (150, 3)
