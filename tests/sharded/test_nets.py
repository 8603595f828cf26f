"""Nets in shards and slices, as users bring them: splits, batch statistics, callbacks, few rows."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)
from torch import nn

from mlunlearn import SISAClassifier, SISARegressor
from mlunlearn._testing import ConvNet
from mlunlearn.checks.state import learned_state, state_differences
from mlunlearn.nets import TorchClassifier
from mlunlearn.nets.loaders import JoiningLoader
from mlunlearn.training.passes import n_samples_of

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = (DIGITS[:300] / 16).astype(np.float32), LABELS[:300]


class MyNet(nn.Module):
    """What a user brings: batch normalisation, and probabilities at the end, as skorch expects."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=-1))

    def forward(self, X):
        return self.body(X)


def table(n=240):
    X, y = make_classification(
        n_samples=n, n_features=6, n_informative=4, n_redundant=0, n_classes=3, n_clusters_per_class=1, random_state=0
    )
    return X.astype(np.float32), y


def assert_exact(make, X, y, *requests):
    model = make().fit(X, y)
    for request in requests:
        model.unlearn(request)
    never = make().fit(X, y, exclude=model.forgotten_)
    assert state_differences(learned_state(model), learned_state(never)) == {}
    return model


@pytest.mark.parametrize("seed", range(2))
def test_the_line_of_the_readme_runs(seed):
    """Skorch's own defaults: a fifth of the rows validates, torch's loader; and passes of a third in each slice."""
    X, y = table()

    def make():
        return SISAClassifier(NeuralNetClassifier(MyNet, max_epochs=4), n_slices=5, random_state=seed)

    rows = np.random.default_rng(seed).permutation(len(X))
    model = assert_exact(make, X, y, rows[:1], rows[1:40], rows[40:110])
    assert all(torch.isfinite(value).all() for value in model.estimators_[0].net_.module_.state_dict().values())


CALLBACKS = {
    "early stopping": lambda: [EarlyStopping(patience=2, threshold=0.5)],
    "early stopping, best weights": lambda: [EarlyStopping(patience=2, load_best=True)],
    "scheduler": lambda: [LRScheduler("StepLR", step_size=2)],
    "checkpoint": lambda: [Checkpoint(monitor="valid_loss_best", load_best=True)],
    "progress bar": lambda: [ProgressBar()],
    "clipping": lambda: [GradientNormClipping(0.5)],
    "scoring": lambda: [EpochScoring("accuracy", on_train=True, name="train_acc")],
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_convolutional_nets_with_every_callback(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make():
        net = NeuralNetClassifier(
            ConvNet, criterion=nn.CrossEntropyLoss, max_epochs=3, lr=0.1, batch_size=32, callbacks=CALLBACKS[name]()
        )
        return SISAClassifier(net, n_shards=2, n_slices=3, random_state=0)

    assert_exact(make, DIGITS, LABELS, [0, 299], [17])
    assert os.listdir(tmp_path) == []


def test_early_stopping_ends_every_slice_and_no_more():
    """A threshold that nothing can reach: training stops after `patience` more epochs, in fit and in unlearn."""
    X, y = table()
    never_good_enough = EarlyStopping(patience=2, threshold=0.99)
    net = NeuralNetClassifier(MyNet, max_epochs=50, callbacks=[never_good_enough])
    model = SISAClassifier(net, n_shards=2, n_slices=2, random_state=0).fit(X, y).unlearn([3])
    assert [len(part.net_.history) for parts in model.checkpoints_ for part in parts] == [3] * 4


@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetRegressor])
def test_shards_that_shrink_to_a_few_rows_still_learn(kind):
    X, y = table(60)
    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))

    def make():
        if kind is NeuralNetRegressor:
            net = NeuralNetRegressor(module, max_epochs=3, lr=0.01)
            return SISARegressor(net, n_shards=2, n_slices=3, random_state=0)
        net = NeuralNetClassifier(MyNet, max_epochs=3, callbacks=[EarlyStopping()])
        return SISAClassifier(net, n_shards=2, n_slices=3, random_state=0)

    targets = X[:, 0] if kind is NeuralNetRegressor else y
    rows = make().fit(X, targets).allocation_.rows(0)
    last = [*(np.flatnonzero(y[rows] == label)[-1] for label in (0, 1)), len(rows) - 1]
    gone = np.delete(rows, last)
    assert_exact(make, X, targets, *np.array_split(gone, 4))


def test_validation_rows_are_drawn_once_a_training():
    """Were they drawn for each pass, rows that a partial pass validates on would be trained on in the next."""
    X, y = table()
    seen = []

    class Watch(EpochScoring):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen.append((set(map(int, _positions(dataset_train))), set(map(int, _positions(dataset_valid)))))
            super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)

    net = NeuralNetClassifier(MyNet, callbacks=[Watch("accuracy")])
    TorchClassifier(net, random_state=0).partial_fit(X, y, epochs=2.5)
    assert len(seen) == 3
    window, whole = seen[0], seen[1]
    assert len(whole[0]) == 192
    assert len(window[0]) == 96
    assert window[0] < whole[0]
    assert all(valid == whole[1] for _, valid in seen)
    assert not whole[0] & whole[1]


def _positions(dataset):
    rows = np.arange(len(dataset))
    while hasattr(dataset, "indices"):
        rows, dataset = np.asarray(dataset.indices)[rows], dataset.dataset
    return rows


@given(st.integers(1, 500), st.floats(0.001, 30))
def test_a_partial_pass_has_many_rows_or_all(n, epochs):
    samples = n_samples_of(n, epochs, fewest=32)
    rest = samples % n
    assert samples > 0
    assert rest == 0 or rest >= 32
    assert samples >= n or samples >= min(n, 32)
    assert abs(samples - epochs * n) <= max(16.5, n / 2 if n <= 32 else 0.5) or samples == min(n, 32)
    assert n_samples_of(n, samples / n, fewest=32) == samples


@given(st.integers(1, 300), st.integers(1, 40))
def test_no_batch_of_torchs_loader_is_a_single_row(n, batch_size):
    batches = [len(batch) for batch in JoiningLoader(range(n), batch_size=batch_size)]
    assert sum(batches) == n
    assert max(batches) <= max(batch_size, 1) + 3 or len(batches) == 1
    assert n == 1 or batch_size == 1 or min(batches) > 1


def test_receipts_count_whole_and_partial_passes():
    X, y = table()
    net = NeuralNetClassifier(MyNet, max_epochs=1)
    model = SISAClassifier(net, n_shards=2, n_slices=4, random_state=0).fit(X, y)
    sizes = np.cumsum(model.allocation_.counts(slice(None)), axis=1)
    assert model._spent == [[max(32, round(0.4 * n)) if n > 32 else n for n in row] for row in sizes.tolist()]
