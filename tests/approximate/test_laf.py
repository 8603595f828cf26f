"""LAF: embeddings move, no label is read, and everything that describes embeddings stays as it was fitted."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.nn import functional

from mlunlearn.approximate import LAFClassifier, LAFRClassifier, laf
from mlunlearn.approximate.laf import alignment_loss, bounded, separation_loss
from mlunlearn.networks import Head

ROWS = np.arange(30)
FAST = {"lr": 1e-3, "align_lr": 1e-3}
distances = st.lists(st.floats(0, 1e6), min_size=1, max_size=40)


@pytest.fixture
def spying():
    """A model that keeps what it described embeddings by, as fitted and as left."""

    class Spying(LAFClassifier):
        def _describe(self, *args):
            found = super()._describe(*args)
            self.view_, self.models_ = found[0], found[2]
            self.fitted_ = copy.deepcopy(found[2])
            return found

    return Spying


@settings(max_examples=30)
@given(distances, distances)
def test_the_bound_and_the_range_of_the_first_loss(retain, forget):
    retain, forget = (torch.tensor(values, dtype=torch.float64) for values in (retain, forget))
    psi = bounded(retain.sort().values)
    assert 1 <= psi.min() <= psi.max() < math.e
    assert (psi.diff() >= 0).all()
    lowest, highest = len(retain) - math.e * len(forget), math.e * len(retain) - len(forget)
    assert lowest < separation_loss(retain, forget) < highest


def test_losses_are_sums():
    retain, forget = torch.rand(6), torch.rand(4)
    once, twice = separation_loss(retain, forget), separation_loss(retain.repeat(2), forget.repeat(2))
    torch.testing.assert_close(twice, 2 * once)
    expected = sum(s - torch.log(torch.exp(forget / 3.0).sum()) for s in retain)
    torch.testing.assert_close(alignment_loss(retain, forget, 3.0), expected)


def test_the_losses_alternate_and_the_second_starts_at_its_value_without_a_move(frozen, blobs, monkeypatch):
    X, y, *_ = blobs
    seen = []
    for own in (separation_loss, alignment_loss):

        def spy(*args, own=own):
            value = own(*args)
            seen.append((own.__name__, value.item(), *map(len, args[:2])))
            return value

        monkeypatch.setattr(laf, own.__name__, spy)
    LAFClassifier(frozen, max_epochs=2, lr=1e-30, align_lr=1e-30, random_state=0).fit(X, y).unlearn(np.arange(60))
    assert [name for name, *_ in seen] == ["separation_loss", "alignment_loss"] * 4
    for name, value, n_retain, n_forget in seen:
        if name == "alignment_loss":
            assert value == pytest.approx(-n_retain * math.log(n_forget), abs=1e-4)
    assert alignment_loss(torch.zeros(32), torch.zeros(32), 20.0).item() == pytest.approx(-110.90, abs=0.005)


def test_labels_never_enter(trained_conv, digits, module_of, same_weights):
    X, y = digits
    frozen, rng = FrozenEstimator(trained_conv), np.random.default_rng(0)
    models = [
        LAFClassifier(frozen, n_latent=3, max_epochs=2, **FAST, random_state=0).fit(X, labels).unlearn(ROWS)
        for labels in (y, rng.permutation(y))
    ]
    assert same_weights(*map(module_of, models))


def test_head_and_buffers_stay_and_all_else_moves(trained_conv, digits, module_of):
    X, y = digits
    model = LAFClassifier(FrozenEstimator(trained_conv), max_epochs=2, random_state=0).fit(X, y).unlearn(ROWS)
    before, after = trained_conv.net_.module_.state_dict(), module_of(model).state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    buffers = {name for name, _ in module_of(model).named_buffers()}
    assert same == buffers | {"body.6.weight", "body.6.bias"}
    assert model.receipts_[-1].work.details["head"] == "body.6"


def test_no_pass_is_no_change(frozen, trained, blobs, module_of, same_weights):
    class Anything(LAFClassifier):
        def _check_settings(self):
            """Take zero passes, too."""

    X, y, *_ = blobs
    model = Anything(frozen, max_epochs=0, random_state=0).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), trained.net_.module_)


@pytest.mark.parametrize(("n_latent", "kind"), [(2, "autoencoder"), (8, "gaussian")])
def test_what_describes_embeddings_is_left_as_it_was_fitted(n_latent, kind, spying, frozen, blobs, same_weights):
    X, y, *_ = blobs
    model = spying(frozen, n_latent=n_latent, max_epochs=3, random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.details == {"head": "body.3", "retain": "autoencoder", "forget": kind}
    assert all(same_weights(*pair) for pair in zip(model.models_, model.fitted_, strict=True))


@pytest.mark.parametrize("few_rows", ["gaussian", "autoencoder"])
def test_embeddings_of_a_blob_leave_what_they_looked_like_and_the_other_stays(few_rows, spying, module_of):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 2))
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    X = rng.normal(size=(160, 2)) * 0.3 + np.where(y[:, None] == 0, [2, 2], [-2, -2])
    n_latent = 2 if few_rows == "autoencoder" else 9
    model = spying(FrozenEstimator(net), n_latent=n_latent, **FAST, temperature=1.0, random_state=0)
    model.fit(X, y).unlearn(classes=[1])
    inputs = torch.as_tensor(X, dtype=torch.float32)
    with torch.no_grad():
        before, after = (Head("2").embed(part, inputs) for part in (net, module_of(model)))
        torch.manual_seed(1)
        gone = [model.models_[1].distance(model.view_(e[y == 1])).mean() for e in (before, after)]
    assert model.receipts_[-1].work.details["forget"] == few_rows
    assert gone[1] > 1.1 * gone[0]
    assert functional.cosine_similarity(before, after)[y == 0].mean() > 0.9


@pytest.mark.parametrize(("reference", "rows"), [("all", 120), ("retain", 90)])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_rows_that_are_described(reference, rows, standardize, frozen, blobs, monkeypatch):
    X, y, *_ = blobs
    seen, own = [], laf.fit_autoencoder
    monkeypatch.setattr(laf, "fit_autoencoder", lambda e, *args, **options: seen.append(e) or own(e, *args, **options))
    settings = {"reference": reference, "standardize": standardize, "n_latent": 3}
    LAFClassifier(frozen, **settings, max_epochs=1, random_state=0).fit(X, y).unlearn(ROWS)
    assert [len(e) for e in seen] == [rows, 30]
    deviations = seen[0].std(dim=0, correction=0)
    assert torch.allclose(deviations, (deviations > 0).float(), atol=1e-5) == standardize


@pytest.mark.parametrize("request_", [{"forget_idx": []}, {"forget_idx": range(79)}])
def test_too_few_rows_are_refused_and_nothing_changes(request_, frozen, blobs):
    X, y, *_ = blobs
    model = LAFClassifier(frozen, few_rows="refuse", random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"too few for an autoencoder|is empty"):
        model.unlearn(**request_)
    assert vars(model) == before


@pytest.mark.parametrize(
    ("net", "head", "message"),
    [
        (nn.Linear(5, 3), None, "no linear layer"),
        (nn.Sequential(nn.Linear(5, 3)), None, "belong to the head '0'"),
        (nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)), "2", "no submodule"),
    ],
)
def test_a_network_without_head_or_without_embedding_is_refused(net, head, message, blobs):
    X, y, *_ = blobs
    with pytest.raises(ValueError, match=message):
        LAFClassifier(FrozenEstimator(net), head=head, random_state=0).fit(X, y).unlearn(ROWS)


@pytest.mark.parametrize("name", ["decoder", "reference", "few_rows", "standardize", "n_latent", "align_lr"])
def test_settings_that_make_no_sense(name, blobs):
    with pytest.raises(ValueError, match=name):
        LAFClassifier(nn.Linear(5, 3), **{name: -1}).fit(*blobs[:2])


@pytest.mark.parametrize(
    ("data", "scenario", "expected"),
    [
        ("mnist", "data", (8, 20, 5e-5, 1e-4, 5)),
        ("mnist", "class", (8, 20, 5e-5, 1e-4, 20)),
        ("mnist", "noise", (8, 20, 5e-5, 1e-4, 20)),
        ("cifar10", "data", (16, 40, 1e-5, 4e-5, 20)),
        ("cifar10", "class", (16, 40, 1e-5, 5e-5, 20)),
        ("cifar10", "noise", (16, 40, 1e-5, 4e-5, 5)),
    ],
)
def test_published_settings(data, scenario, expected, frozen):
    model = LAFRClassifier.published(frozen, data=data, scenario=scenario)
    assert isinstance(model, LAFRClassifier)
    assert (model.n_latent, model.max_epochs, model.lr, model.align_lr, model.temperature) == expected
    assert (model.decoder, model.reference, model.batch_size) == ("sigmoid", "all", 32)


def test_the_repair_trains_the_head_alone_on_the_labelled_rows(frozen, blobs, module_of):
    X, y, *_ = blobs
    forgotten = LAFClassifier(frozen, random_state=0).fit(X, y).unlearn(classes=[2])
    repaired = LAFRClassifier(frozen, n_labelled=10, random_state=0).fit(X, y).unlearn(classes=[2])
    first, second = (module_of(model).state_dict() for model in (forgotten, repaired))
    assert {name for name in first if not torch.equal(first[name], second[name])} == {"body.3.weight", "body.3.bias"}
    works = [model.receipts_[-1].work for model in (forgotten, repaired)]
    assert works[1].samples - works[0].samples == works[1].details["labelled"] == 20


def test_a_long_repair_fits_the_head_to_the_retained_rows(frozen, blobs):
    X, y, *_ = blobs
    model = (
        LAFRClassifier(frozen, repair_epochs=60, repair_lr=0.05, max_epochs=1, random_state=0)
        .fit(X, y)
        .unlearn(classes=[2])
    )
    left = y != 2
    assert model.predict_proba(X[left])[:, 2].max() < 0.2
    assert model.score(X[left], y[left]) > 0.85
