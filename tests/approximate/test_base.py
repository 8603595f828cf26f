"""The base: what a hook is given, what it may read, and data that is read item by item."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn
from torch.utils.data import Dataset

from mlunlearn import DataChangedError, DataNotAttachedError
from mlunlearn._testing import Perceptron, small_net
from mlunlearn.approximate import EditedClassifier, EditedRegressor, FineTuneClassifier, LoTUSClassifier
from mlunlearn.networks import UndeclaredNeedError, sgd

ROWS = np.arange(30)


class Probe(EditedClassifier):
    """A method whose hook is given by the test."""

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    takes_held_out = True

    def __init__(self, estimator, *, hook=None, random_state=0):
        self.estimator = estimator
        self.hook = hook
        self.random_state = random_state

    def _edit(self, module, forget, retain, run):
        return self.hook(module, forget, retain, run)


def needing(*needs):
    return type("Needy", (Probe,), {"needs": frozenset(needs), "__init__": Probe.__init__})


@pytest.mark.parametrize(
    ("needs", "read"),
    [
        (("retain",), lambda forget, retain, run: next(forget.in_order(4))),
        (("forget",), lambda forget, retain, run: next(retain.steps(4, 1, 0))),
        (("forget",), lambda forget, retain, run: next((forget | retain).passes(40, 1, 0))),
        (("forget", "retain"), lambda forget, retain, run: next(forget.in_order(4)).y),
        (("forget", "retain", "forget_labels"), lambda forget, retain, run: next(retain.in_order(4)).y),
        (("forget", "retain", "retain_labels"), lambda forget, retain, run: next((forget | retain).passes(90, 1, 0)).y),
        (("retain",), lambda forget, retain, run: run.initial()),
    ],
)
def test_reading_what_was_not_declared_is_refused_and_changes_nothing(needs, read, frozen, blobs):
    X, y, *_ = blobs
    model = needing(*needs)(frozen, hook=lambda module, *given: read(*given)).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(UndeclaredNeedError, match="not among the needs"):
        model.unlearn(ROWS)
    assert vars(model) == before


def test_labels_of_one_side_can_be_read_from_a_mixed_batch(frozen, blobs):
    X, y, *_ = blobs
    seen = {}

    def hook(module, forget, retain, run):
        batch = next((forget | retain).in_order(60))
        seen.update(labels=batch.part(~batch.forget).y.numpy(), mask=batch.forget.numpy())

    needing("forget", "retain", "retain_labels")(frozen, hook=hook).fit(X, y).unlearn(ROWS)
    np.testing.assert_array_equal(seen["labels"], y[30:60])
    assert seen["mask"].tolist() == [True] * 30 + [False] * 30


def test_what_a_run_holds(frozen, trained, blobs, same_weights):
    X, y, X_other, y_other = blobs
    seen = {}

    def hook(module, forget, retain, run):
        seen.update(
            classes=run.classes,
            original=same_weights(run.original, trained.net_.module_),
            gradient=any(p.requires_grad for p in run.original.parameters()),
            fresh=same_weights(run.fresh("teacher"), run.fresh("teacher")),
            other=same_weights(run.fresh("teacher"), run.fresh("another")),
            seeds=(run.seed("a"), run.seed("a"), run.seed("b")),
            head=run.head.name,
            held_out=run.accuracy(module, run.held_out),
            mode=module.training,
        )
        return {"filed": 1}

    model = Probe(frozen, hook=hook).fit(X, y, held_out=(X_other, y_other)).unlearn(classes=[2])
    first, second, third = seen.pop("seeds")
    assert first == second != third
    assert seen == {
        "classes": (2,),
        "original": True,
        "gradient": False,
        "fresh": True,
        "other": False,
        "head": "body.3",
        "held_out": trained.score(X_other, y_other),
        "mode": False,
    }
    assert model.receipts_[-1].work.details == {"filed": 1}


def test_requests_have_seeds_of_their_own(frozen, blobs):
    X, y, *_ = blobs
    seeds = []
    model = Probe(frozen, hook=lambda module, forget, retain, run: seeds.append(run.seed("batches"))).fit(X, y)
    model.unlearn([0]).unlearn([1])
    Probe(frozen, hook=lambda module, forget, retain, run: seeds.append(run.seed("batches"))).fit(X, y).unlearn([2])
    assert seeds[0] != seeds[1]
    assert seeds[0] == seeds[2]


def test_initial_weights_are_those_that_training_started_from(blobs, same_weights):
    X, y, *_ = blobs
    seen = []
    method = needing("initial")
    model = method(
        small_net(lr=0.0, max_epochs=1), hook=lambda m, f, r, run: seen.append(same_weights(run.initial(), m))
    )
    model.fit(X, y).unlearn([0])
    assert seen == [True]
    with pytest.raises(ValueError, match="initial weights"):
        method(FrozenEstimator(nn.Linear(5, 3))).fit(X, y)


def test_held_out_rows_are_asked_for_and_never_saved(frozen, blobs):
    X, y, X_other, y_other = blobs
    method = needing("held_out")
    with pytest.raises(ValueError, match="held_out="):
        method(frozen).fit(X, y)
    model = LoTUSClassifier(frozen, random_state=0).fit(X, y, held_out=(X_other, y_other))
    saved = pickle.dumps(model)
    assert X_other[0].tobytes() not in saved
    loaded = pickle.loads(saved)
    with pytest.raises(DataNotAttachedError):
        loaded.unlearn([0])
    with pytest.raises(DataChangedError):
        loaded.attach_data(X + 1, y)
    assert loaded.attach_data(X, y, held_out=(X_other, y_other)).unlearn([0]).forgotten_.sum() == 1


def test_held_out_rows_are_refused_where_they_are_of_no_use(frozen, blobs):
    X, y, *held_out = blobs
    with pytest.raises(ValueError, match="no use for held-out rows"):
        FineTuneClassifier(frozen, n_steps=1).fit(X, y, held_out=held_out)
    model = FineTuneClassifier(frozen, n_steps=1).fit(X, y)
    with pytest.raises(ValueError, match="no use for held-out rows"):
        model.attach_data(X, y, held_out=held_out)


@pytest.mark.parametrize("as_items", [False, True])
def test_an_edited_row_is_noticed_when_it_is_read(as_items, frozen, blobs):
    X, y = blobs[0].copy(), blobs[1]

    def read(*rows):
        def hook(module, forget, retain, run):
            for row in rows:
                list(retain.where(retain.positions == row).in_order(1))

        return hook

    model = Probe(frozen).fit(Items(X) if as_items else X, y)
    X[40] += 1
    model.hook = read(41)
    model.unlearn([0])
    model.hook = read(41, 40)
    before = dict(vars(model))
    with pytest.raises(DataChangedError, match="Row 40 was edited"):
        model.unlearn([1])
    assert vars(model) == before


def test_ids_are_known_by_a_key_that_is_kept_elsewhere(frozen, blobs):
    X, y, *_ = blobs
    names = [f"person {row // 3}" for row in range(len(X))]
    key = b"a secret of its own"
    model = FineTuneClassifier(frozen, n_steps=1, random_state=0).fit(X, y, sample_ids=names, id_key=key)
    loaded = pickle.loads(pickle.dumps(model)).attach_data(X, y).attach_key(key)
    loaded.unlearn(forget_ids="person 2", request_id="r-1", reason="asked by letter")
    receipt = loaded.receipts_[-1]
    assert (receipt.rows.tolist(), receipt.request_id, receipt.reason) == ([6, 7, 8], "r-1", "asked by letter")


def test_a_network_that_is_not_finite_is_refused(frozen, blobs):
    X, y, *_ = blobs
    model = Probe(frozen, hook=lambda module, *_: module.body[0].weight.data.fill_(float("nan"))).fit(X, y)
    predicted = model.predict_proba(X)
    with pytest.raises(FloatingPointError, match=r"body\.0\.weight"):
        model.unlearn([0])
    np.testing.assert_array_equal(model.predict_proba(X), predicted)


class GoOn(EditedRegressor):
    """Continued training of a regressor."""

    needs = frozenset({"retain", "retain_labels"})

    def __init__(self, estimator, *, random_state=0):
        self.estimator = estimator
        self.random_state = random_state

    def _edit(self, module, forget, retain, run):
        def loss_of(batch):
            return run.loss(run.outputs(module, batch), batch.y)

        run.descend(module, loss_of, retain.passes(len(retain), 400, 0), optimizer=sgd(0.1))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_linear_regressor_goes_to_the_least_squares_of_the_retained_rows(n_outputs, blobs):
    X = blobs[0]
    y = X @ np.arange(5.0 * n_outputs).reshape(5, n_outputs) + np.where(np.arange(len(X)) < 30, 5.0, 0.0)[:, None]
    y = y[:, 0] if n_outputs == 1 else y
    net = small_net(NeuralNetRegressor, nn.Linear(5, n_outputs), max_epochs=1)
    model = GoOn(net).fit(X, y).unlearn(ROWS)
    assert model.predict(X).shape == y.shape
    np.testing.assert_allclose(model.predict(X)[30:], y[30:], atol=0.05)


class Items(Dataset):
    """Rows that are made when they are read, and what was read."""

    def __init__(self, X, y=None, by_name=False):
        self.X, self.y, self.by_name, self.read = X, y, by_name, []

    def __len__(self):
        return len(self.X)

    def __getitem__(self, place):
        self.read.append(place)
        x = torch.as_tensor(self.X[place])
        x = {"X": x} if self.by_name else x
        return x if self.y is None else (x, self.y[place])


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("trained_by_fit", [False, True])
def test_a_dataset_serves_like_the_array_that_it_holds(by_name, trained_by_fit, frozen, blobs, module_of, same_weights):
    X, y, X_other, y_other = blobs
    X, X_other = X.astype(np.float32), X_other.astype(np.float32)
    items, others = Items(X, y, by_name), Items(X_other, y_other, by_name)
    module = Perceptron(5, 3)
    estimator = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss) if trained_by_fit else frozen
    arrays, model = (LoTUSClassifier(estimator, random_state=0) for _ in range(2))
    arrays.fit(X, y, held_out=(X_other, y_other)).unlearn(ROWS)
    model.fit(items, held_out=others).unlearn(ROWS)
    assert same_weights(module_of(model), module_of(arrays))
    np.testing.assert_allclose(model.predict_proba(others), arrays.predict_proba(X_other), atol=1e-6)
    np.testing.assert_array_equal(model.predict(others), arrays.predict(X_other))


def test_forgotten_items_are_never_read_again(frozen, blobs):
    X, y, *_ = blobs
    items = Items(X.astype(np.float32))
    model = FineTuneClassifier(frozen, random_state=0).fit(items, y)
    model.unlearn(ROWS)
    items.read.clear()
    model.unlearn([40, 41]).unlearn(classes=[2])
    assert items.read
    assert not set(items.read) & set(ROWS.tolist())


@pytest.mark.parametrize("bare", [False, True])
def test_items_stay_bytes_until_they_are_where_the_network_is(bare, trained_conv, digits):
    X, y = digits
    trained_conv = trained_conv.net_.module_ if bare else trained_conv
    items = Items(X, y)
    seen = []

    def hook(module, forget, retain, run):
        seen.append(next(retain.in_order(4)).X.dtype)

    Probe(FrozenEstimator(trained_conv), hook=hook).fit(items).unlearn(ROWS)
    assert items[0][0].dtype == torch.uint8
    assert seen == [torch.float32]


def test_another_dataset_is_noticed(frozen, blobs):
    X, y, *_ = blobs
    model = pickle.loads(pickle.dumps(FineTuneClassifier(frozen, n_steps=1, random_state=0).fit(Items(X), y)))
    with pytest.raises(DataChangedError):
        model.attach_data(Items(X[::-1].copy()), y)
    with pytest.raises(ValueError, match="rows"):
        model.attach_data(Items(X[1:]), y[1:])
    assert model.attach_data(Items(X), y).unlearn([0]).forgotten_.sum() == 1


def test_items_that_were_erased_are_never_read(frozen, blobs):
    X, y, *_ = blobs
    model = FineTuneClassifier(frozen, n_steps=1, random_state=0).fit(Items(X), y)
    loaded = pickle.loads(pickle.dumps(model))
    model.unlearn(ROWS)
    items, read = Items(X), []

    class Told(Items):
        def __getitem__(self, place):
            read.append(place)
            return items[place]

    loaded.attach_data(Told(X), y, erased=ROWS).unlearn(ROWS)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert read
    assert not set(read) & set(ROWS)


@pytest.mark.parametrize("alone", [False, True])
def test_a_dataset_is_given_back_whole_or_without_what_was_forgotten(alone, frozen, blobs):
    X, y, *_ = blobs
    model = FineTuneClassifier(frozen, n_steps=1, random_state=0).fit(Items(X), y).unlearn(ROWS)
    expected = model.predict_proba(X)
    model = pickle.loads(pickle.dumps(model))
    erased = X.copy()
    erased[ROWS] = 1e6
    left = slice(30 if alone else 0, None)
    with pytest.raises(DataChangedError):
        model.attach_data(Items(erased[left] + 1), y[left])
    model.attach_data(Items(erased[left]), y[left])
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.unlearn([40]).forgotten_.sum() == 31


def test_twins_are_counted_among_arrays_alone(frozen, blobs):
    X, y = blobs[0].copy(), blobs[1]
    X[5] = X[0]
    method = FineTuneClassifier(frozen, n_steps=1, random_state=0)
    assert method.fit(X, y).unlearn([0, 1]).receipts_[-1].twins == 1
    assert method.fit(Items(X), y).unlearn([0, 1]).receipts_[-1].twins is None


def test_a_dataset_goes_through_no_pipeline(trained, blobs):
    X, y, *_ = blobs
    pipeline = make_pipeline(StandardScaler().fit(X), trained)
    with pytest.raises(ValueError, match="no pipeline"):
        FineTuneClassifier(FrozenEstimator(pipeline), random_state=0).fit(Items(X), y)


def test_a_dataset_without_targets_is_refused(frozen, blobs):
    with pytest.raises(ValueError, match="pass the targets as y"):
        FineTuneClassifier(frozen, random_state=0).fit(Items(blobs[0]))
