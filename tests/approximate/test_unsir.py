"""UNSIR: noise that contradicts the class, an impairing and a repairing pass, and none of the class's rows."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from mlunlearn._testing import small_net
from mlunlearn.approximate import UNSIRClassifier
from mlunlearn.approximate.unsir import mixed
from mlunlearn.nets import TorchClassifier
from mlunlearn.networks import Batch, Rows


@pytest.fixture
def learned(monkeypatch):
    """The noise that a request learns, and its labels."""
    found = []
    original = UNSIRClassifier._learn_noise

    def spy(self, *given):
        found.append(original(self, *given))
        return found[-1]

    monkeypatch.setattr(UNSIRClassifier, "_learn_noise", spy)
    return found


@pytest.mark.parametrize("classes", [[2], [0, 1]])
def test_the_noise_is_taken_for_anything_but_its_class(classes, frozen, trained, blobs, learned):
    X, y, *_ = blobs
    UNSIRClassifier(frozen, n_noise=8, random_state=0).fit(X, y).unlearn(classes=classes)
    ((noise, labels),) = learned
    assert labels.tolist() == np.repeat(classes, 8).tolist()
    with torch.no_grad():
        given = trained.net_.module_.eval()(noise).softmax(dim=1)[range(len(labels)), labels]
    assert given.max() < 0.2


def test_without_a_penalty_the_noise_goes_further(frozen, blobs, learned):
    X, y, *_ = blobs
    for penalty in (0.0, 10.0):
        UNSIRClassifier(frozen, penalty=penalty, random_state=0).fit(X, y).unlearn(classes=[2])
    free, held = (noise.square().mean().item() for noise, _ in learned)
    assert held < 0.5 * free


def test_noise_is_counted_in_the_units_of_the_inputs(blobs, learned):
    """Columns a hundred times as large give noise a hundred times as large."""
    X, y, *_ = blobs
    scale = np.array([1, 100, 1e-3, 1, 7], dtype=np.float32)
    trained = TorchClassifier(small_net(), random_state=0).fit(X, y)
    net = trained.net_.module_
    scaled = TorchClassifier(small_net(), random_state=0).fit(X, y)
    scaled.net_.module_.body[0].weight.data = net.body[0].weight.data / torch.as_tensor(scale)
    for each, inputs in ((trained, X), (scaled, X * scale)):
        UNSIRClassifier(FrozenEstimator(each), random_state=0).fit(inputs, y).unlearn(classes=[2])
    (first, _), (second, _) = learned
    np.testing.assert_allclose(second.numpy() / scale, first.numpy(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_forgotten_class_is_answered_more_like_by_a_network_that_never_saw_it(seed, blobs):
    X, y, *_ = blobs
    kept = y != 2
    trained = TorchClassifier(small_net(), random_state=seed).fit(X, y)
    retrained = TorchClassifier(small_net(), random_state=seed).fit(X[kept], y[kept])
    expected = np.pad(retrained.predict_proba(X)[:, :2], ((0, 0), (0, 1)))
    model = UNSIRClassifier(FrozenEstimator(trained), random_state=seed).fit(X, y).unlearn(classes=[2])
    distances = [np.abs(each.predict_proba(X) - expected).mean() for each in (trained, model)]
    assert distances[1] < distances[0]
    assert model.score(X[kept], y[kept]) > 0.8
    assert model.score(X[~kept], y[~kept]) < trained.score(X[~kept], y[~kept]) - 0.2


def test_as_many_rows_of_each_kept_class_are_read_as_asked(frozen, blobs):
    X, y, *_ = blobs
    model = UNSIRClassifier(frozen, rows_per_class=9, n_noise=4, n_copies=2, repair_steps=3, random_state=0).fit(X, y)
    work = model.unlearn(classes=[2]).receipts_[-1].work
    kept = int((y != 2).sum())
    assert work.details == {"copies": 2, "kept": 18}
    # labels of all, the spread of the kept, one for the shape, the impairing pass, and three steps of all 18
    assert work.samples == kept + 18 + 1 + 18 + 3 * 18


def test_a_pass_holds_each_row_once_and_each_copy_of_the_noise():
    X = torch.arange(5.0)[:, None]

    def read(positions):
        rows = torch.as_tensor(positions)
        return Batch(X[rows], rows, rows, torch.zeros(len(rows), dtype=torch.bool))

    noise, labels = torch.tensor([[-1.0], [-2.0]]), torch.tensor([7, 8])
    batches = list(mixed(Rows(np.arange(5), read), noise, labels, copies=3, batch_size=4, n_steps=3, seed=0))
    assert sorted(torch.cat([x for x, _ in batches]).flatten().tolist()) == [*[-2.0] * 3, *[-1.0] * 3, *range(5)]
    for x, y in batches:
        assert [{-1.0: 7, -2.0: 8}.get(value, value) for value in x.flatten().tolist()] == y.tolist()


def test_published_settings(frozen):
    paper, ssd = (UNSIRClassifier.published(frozen, source) for source in ("paper", "ssd"))
    assert (paper.lr, paper.repair_lr, paper.n_copies, paper.n_noise, paper.noise_steps) == (0.02, 0.01, 80, 32, 25)
    assert (ssd.lr, ssd.repair_lr) == (1e-4, 1e-4)
    with pytest.raises(ValueError, match="source"):
        UNSIRClassifier.published(frozen, "memory")
