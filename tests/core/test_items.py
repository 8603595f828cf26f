"""Datasets and arrays by name go wherever an array goes: networks, shards, retraining, proofs."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import Dataset, Subset

from mlunlearn import (
    DataChangedError,
    DataNotAttachedError,
    Retrain,
    SISAClassifier,
    SISARegressor,
    make_unlearning_pipeline,
    verify,
)
from mlunlearn._testing import ConvNet, small_net
from mlunlearn.checks.state import learned_state, state_differences
from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.rows.dataset_rows import labels_of
from mlunlearn.rows.items import NamedArrays

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = (16 * DIGITS[:240]).clip(max=255).astype(np.uint8), LABELS[:240]
LINEAR = nn.Linear(64, 10)
ROWS = np.array([0, 17, 100, 101, 239])


class Images(Dataset):
    """Images as bytes, what was read of them, and items that must not be read."""

    def __init__(self, X=DIGITS, y=LABELS, by_name=False):
        self.X, self.y, self.by_name = X, y, by_name
        self.read, self.erased = [], frozenset()

    def __len__(self):
        return len(self.X)

    def __getitem__(self, place):
        if place in self.erased:
            raise AssertionError(f"item {place} is read")
        self.read.append(place)
        x = torch.as_tensor(self.X[place].copy())
        return ({"X": x} if self.by_name else x), self.y[place]


class Targets(Images):
    """The same, with its targets at hand."""

    @property
    def targets(self):
        return self.y.tolist()


def conv(**options):
    options = {"max_epochs": 2, "batch_size": 32, "lr": 0.05, **options}
    return NeuralNetClassifier(ConvNet, criterion=nn.CrossEntropyLoss, callbacks="disable", **options)


MODELS = {
    "shards and slices": lambda: SISAClassifier(conv(train_split=None), n_shards=2, n_slices=3, random_state=0),
    "a loader with workers": lambda: SISAClassifier(
        conv(iterator_train__num_workers=1, iterator_train__shuffle=True, max_epochs=1, train_split=None),
        n_shards=2,
        random_state=0,
    ),
    "a validation split": lambda: Retrain(conv(train_split=ValidSplit(5, stratified=True)), random_state=0),
    "batches cut by ourselves": lambda: Retrain(small_net(module=ConvNet, max_epochs=2), random_state=0),
    "a bare module": lambda: SISAClassifier(LINEAR, n_shards=3, n_slices=2, max_epochs=2, random_state=0),
    "bfloat16": lambda: Retrain(TorchClassifier(conv(train_split=None), autocast=True), random_state=0),
}


def same(first, second):
    return state_differences(learned_state(first), learned_state(second)) == {}


def numbers(model):
    """What is learned, but for what only arrays have: checksums of every row, and a number of features."""
    left_out = ("_checksums", "n_features_in_", "_label_sum")
    return {path: leaf for path, leaf in learned_state(model).items() if not path.endswith(left_out)}


@pytest.mark.parametrize("name", MODELS)
def test_a_dataset_gives_the_bits_of_the_array_that_it_holds(name):
    arrays, items = (MODELS[name]() for _ in range(2))
    arrays.fit(DIGITS.astype(np.float32), LABELS)
    items.fit(Images())
    assert state_differences(numbers(items), numbers(arrays)) == {}
    arrays.unlearn(ROWS[:2]).unlearn(ROWS[2:])
    items.unlearn(ROWS[:2]).unlearn(ROWS[2:])
    assert state_differences(numbers(items), numbers(arrays)) == {}
    np.testing.assert_array_equal(items.predict_proba(Images()), arrays.predict_proba(DIGITS.astype(np.float32)))
    np.testing.assert_array_equal(items.predict(Images()), arrays.predict(DIGITS.astype(np.float32)))


@pytest.mark.parametrize("name", ["shards and slices", "a validation split"])
def test_leaving_items_out_is_forgetting_them_and_neither_reads_them(name):
    images = Images()
    model = MODELS[name]().fit(images, LABELS)
    images.erased = frozenset(ROWS.tolist())
    model.unlearn(ROWS)
    never = MODELS[name]().fit(images, exclude=ROWS)
    assert same(model, never)
    never.unlearn([5])
    assert same(model.unlearn([5]), never)
    assert verify(model, images).equal
    assert model.receipts_[0].twins is None


def test_forgotten_items_are_not_read_when_they_are_given_back():
    images = Images()
    model = MODELS["shards and slices"]().fit(images).unlearn(ROWS)
    saved = pickle.dumps(model)
    assert b"Images" not in saved
    assert DIGITS[1].tobytes() not in saved
    loaded = pickle.loads(saved)
    with pytest.raises(DataNotAttachedError):
        loaded.unlearn([1])
    images.erased = frozenset(ROWS.tolist())
    left = np.setdiff1d(np.arange(len(images)), ROWS)
    for given in (images, Subset(images, left.tolist())):
        again = pickle.loads(saved).attach_data(given)
        assert again._data.row_labels is None
        again.unlearn([1])
    with pytest.raises(DataChangedError):
        loaded.attach_data(Images(DIGITS[::-1].copy(), LABELS[::-1]))
    with pytest.raises(ValueError, match="rows"):
        loaded.attach_data(Images(DIGITS[1:], LABELS[1:]))


def test_an_edited_item_among_those_that_are_compared_is_noticed():
    images = Images(DIGITS.copy())
    model = Retrain(small_net(module=ConvNet, max_epochs=1), random_state=0).fit(images)
    images.X[3] += 1
    with pytest.raises(DataChangedError, match="Row 3"):
        model.unlearn([0])


def test_targets_are_asked_for_before_items_are_read():
    for dataset in (Targets(), Subset(Targets(), range(240))):
        assert labels_of(dataset).tolist() == LABELS.tolist()
    assert Targets().read == []
    images = Images()
    images.labels = torch.as_tensor(LABELS)
    assert labels_of(images).tolist() == LABELS.tolist()
    images.labels = images.labels[1:]  # of another length: they are something else
    assert labels_of(images).tolist() == LABELS.tolist()
    assert images.read == list(range(240))


def test_reading_targets_leaves_the_generators_alone():
    class Drawn(Images):
        def __getitem__(self, place):
            x, y = super().__getitem__(place)
            return x + torch.rand(()), y

    before = torch.get_rng_state()
    labels_of(Drawn())
    assert torch.equal(torch.get_rng_state(), before)


class ByName(nn.Module):
    """Tokens, of which some are hidden, and numbers."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(20, 4), nn.Linear(6, 3)

    def forward(self, tokens, shown, numbers):
        mean = (self.words(tokens) * shown[:, :, None]).sum(1) / shown.sum(1, keepdim=True)
        return self.head(torch.cat([mean, numbers], dim=1))


class Named(Dataset):
    def __init__(self, arrays, y):
        self.arrays, self.y = arrays, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, place):
        return {name: values[place] for name, values in self.arrays.items()}, self.y[place]


def named():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    tokens, shown = rng.integers(20, size=(120, 5)), rng.random((120, 5)) < 0.8
    shown[:, 0] = True
    tokens[:, 0] = y
    return {"tokens": tokens.astype(np.int32), "shown": shown, "numbers": rng.normal(size=(120, 2))}, y


@pytest.mark.parametrize("make", [SISAClassifier, Retrain])
def test_arrays_by_name_are_the_items_by_name(make):
    X, y = named()
    X["numbers"][7] = X["numbers"][9]
    options = {"n_shards": 2} if make is SISAClassifier else {}
    arrays, items = (make(ByName, random_state=0, **options) for _ in range(2))
    arrays.fit(X, y).unlearn([0, 1])
    items.fit(Named(X, y)).unlearn([0, 1])
    assert state_differences(numbers(items), numbers(arrays)) == {}
    assert same(arrays, make(ByName, random_state=0, **options).fit(X, y, exclude=[0, 1]))
    assert verify(arrays, X, y).equal
    np.testing.assert_array_equal(arrays.predict_proba(X), items.predict_proba(Named(X, y)))
    assert arrays.score(X, y) == np.mean(arrays.predict(Named(X, y)) == y)


def test_arrays_by_name_are_compared_row_by_row_and_let_go_of():
    X, y = named()
    X = {name: np.concatenate([values, values[:2]]) for name, values in X.items()}
    y = np.concatenate([y, y[:2]])
    model = Retrain(ByName, random_state=0).fit(X, y).unlearn([0, 50])
    assert model.receipts_[-1].twins == 1
    X["numbers"][:] = 0
    assert verify(model, named_again(X), y).equal
    model.unlearn([3])
    with pytest.raises(DataChangedError):
        model.attach_data(X, y)


def named_again(X):
    fresh, _ = named()
    return {name: np.concatenate([values, values[:2]]) for name, values in fresh.items()}


def test_arrays_by_name_must_have_one_number_of_rows():
    with pytest.raises(ValueError, match="one number of rows"):
        NamedArrays({"a": np.zeros(3), "b": np.zeros(4)})


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors_take_datasets(n_outputs):
    X = DIGITS.astype(np.float32) / 255
    y = np.column_stack([LABELS, -LABELS]).astype(np.float32)[:, :n_outputs]
    y = y[:, 0] if n_outputs == 1 else y

    module = nn.Linear(64, n_outputs)

    def make():
        net = NeuralNetRegressor(module, max_epochs=2, lr=0.01, train_split=None, verbose=0)
        return SISARegressor(net, n_shards=2, n_slices=2, random_state=0)

    arrays, items = make().fit(X, y).unlearn(ROWS), make().fit(Images(X, y)).unlearn(ROWS)
    assert state_differences(numbers(items), numbers(arrays)) == {}
    np.testing.assert_array_equal(items.predict(Images(X, y)), arrays.predict(X))
    assert items.predict(Images(X, y)).shape == y.shape


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (Retrain(LogisticRegression()), LABELS),
        (SISARegressor(Ridge()), LABELS.astype(float)),
        (Retrain(make_pipeline(StandardScaler(), conv())), LABELS),
        (make_unlearning_pipeline(Normalizer(), Retrain(conv())), LABELS),
    ],
)
def test_who_wants_an_array_says_so_before_anything_is_read(model, y):
    images = Images()
    with pytest.raises(ValueError, match="Pass an array, or pass a torch module"):
        model.fit(images, y)
    assert images.read == []
    fitted = Retrain(LogisticRegression()).fit(DIGITS[:, :4], LABELS > 4)
    with pytest.raises(ValueError, match="Pass an array, or pass a torch module"):
        fitted.predict(images)
    with pytest.raises(ValueError, match="arrays by name"):
        Retrain(LogisticRegression()).fit({"a": DIGITS}, LABELS)


def test_a_frozen_network_stays_refused_by_exact_methods():
    net = TorchClassifier(conv(), random_state=0).fit(DIGITS, LABELS)
    with pytest.raises(ValueError, match="is exact"):
        Retrain(FrozenEstimator(net)).fit(Images())


def test_networks_take_datasets_by_themselves():
    model = TorchClassifier(small_net(module=ConvNet), random_state=0)
    assert model.fit(Images()).predict(Images()).shape == (240,)
    np.testing.assert_array_equal(
        model.partial_fit(Images(), LABELS).predict_proba(Images()), model.predict_proba(DIGITS.astype(np.float64))
    )
    values = TorchRegressor(nn.Linear(64, 1), random_state=0).fit(Images(y=LABELS.astype(np.float32)))
    assert values.score(Images(), LABELS) <= 1


def test_bytes_stay_bytes_until_their_batch(monkeypatch):
    seen = []

    class Watch(nn.Linear):
        def forward(self, X):
            seen.append(X.dtype)
            return super().forward(X)

    from mlunlearn.nets import casting

    moved = []
    own = casting.tensors
    monkeypatch.setattr(casting, "tensors", lambda X, *args: moved.append((X.dtype, len(X))) or own(X, *args))
    model = TorchClassifier(
        NeuralNetClassifier(Watch(64, 10), criterion=nn.CrossEntropyLoss, max_epochs=1), random_state=0
    )
    for data in (DIGITS, Images()):
        model.fit(data, LABELS)
        model.predict_proba(data)
    assert set(seen) == {torch.float32}
    assert {kind for kind, _ in moved} == {torch.uint8}
    assert max(size for _, size in moved) <= 128


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_bfloat16_is_asked_for_and_leaves_the_weights_in_single_precision(kind):
    X = DIGITS.astype(kind)
    plain, fast, again = (
        TorchClassifier(conv(max_epochs=4), autocast=autocast, random_state=0).fit(X, LABELS)
        for autocast in (False, True, True)
    )
    assert {value.dtype for value in fast.net_.module_.parameters()} == {torch.float32}
    assert not np.array_equal(plain.predict_proba(X), fast.predict_proba(X))
    np.testing.assert_array_equal(again.predict_proba(X), fast.predict_proba(X))
    with pytest.raises(ValueError, match="autocast"):
        TorchClassifier(conv(), autocast="bfloat16").fit(X, LABELS)
