"""Bad Teacher: who teaches what, and limits in which it must do nothing."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn._testing import small_net
from mlunlearn.approximate import BadTeacherClassifier
from mlunlearn.nets import TorchClassifier

ROWS = np.arange(30)


class Three(nn.Linear):
    """Three outputs for five features."""

    def __init__(self):
        super().__init__(5, 3)


@pytest.fixture
def linear(blobs):
    """A network without dropout, trained elsewhere."""
    X, y, *_ = blobs
    return FrozenEstimator(TorchClassifier(small_net(module=Three, callbacks="disable"), random_state=0).fit(X, y))


def captured(monkeypatch):
    """The request as the method sees it."""
    seen = {}
    original = BadTeacherClassifier._edit

    def edit(self, module, forget, retain, run):
        seen["run"] = run
        return original(self, module, forget, retain, run)

    monkeypatch.setattr(BadTeacherClassifier, "_edit", edit)
    return seen


def test_it_imitates_the_untrained_network_on_the_rows_to_forget(linear, blobs, monkeypatch):
    X, y, *_ = blobs
    seen = captured(monkeypatch)
    settings = {"retain_share": 0.0, "max_epochs": 400, "lr": 0.02, "random_state": 0}
    model = BadTeacherClassifier(linear, **settings).fit(X, y).unlearn(ROWS)
    with torch.no_grad():
        bad = seen["run"].fresh("bad teacher")(torch.as_tensor(X[ROWS], dtype=torch.float32)).softmax(dim=1)
    np.testing.assert_allclose(model.predict_proba(X[ROWS]), bad.numpy(), atol=1e-3)


def test_the_first_step_descends_the_divergence_summed_over_classes_and_averaged_over_rows(
    linear, blobs, module_of, monkeypatch
):
    """On retained rows it is nought at the start, so that the gradient is that of the rows to forget, as a share."""
    X, y, *_ = blobs
    seen = captured(monkeypatch)
    model = BadTeacherClassifier(linear, max_epochs=1, retain_share=1.0, batch_size=120, random_state=0).fit(X, y)
    net, steps = module_of(model), []
    inputs = torch.as_tensor(X, dtype=torch.float32)
    monkeypatch.setattr("mlunlearn.networks.loop.Descent.step", lambda self, loss: steps.append(loss.item()))
    model.unlearn(ROWS)
    with torch.no_grad():
        p, q = (each(inputs[:30]).softmax(dim=1).double() for each in (seen["run"].fresh("bad teacher"), net))
    assert steps == [pytest.approx((p * (p.log() - q.log())).sum().item() / 120, rel=1e-4)]


@pytest.mark.parametrize(("retain_share", "samples"), [(0.0, 30), (0.3, 30 + 27), (1.0, 120)])
def test_the_rows_that_are_read(retain_share, samples, frozen, blobs):
    X, y, *_ = blobs
    model = BadTeacherClassifier(frozen, max_epochs=2, retain_share=retain_share, random_state=0).fit(X, y)
    assert model.unlearn(ROWS).receipts_[-1].work.samples == 2 * samples


def test_published_settings(frozen):
    model = BadTeacherClassifier.published(frozen)
    assert (model.max_epochs, model.lr, model.batch_size) == (1, 1e-4, 256)
    assert (model.temperature, model.retain_share) == (1, 0.3)
