"""SCRUB: away from the teacher on the rows to forget, close to it elsewhere."""

import numpy as np
import pytest
import torch

from mlunlearn.approximate import SCRUBClassifier
from mlunlearn.networks import kl

ROWS = np.arange(30)


def distances(model, trained, X, forget):
    """Divergence from the network before, on the rows to forget and on the others."""
    logits = [torch.as_tensor(each.predict_proba(X)).log() for each in (trained, model)]
    return [kl(logits[0][rows], logits[1][rows]).item() for rows in (forget, ~forget)]


def test_passes_over_the_rows_to_forget_move_away_on_them_and_keep_the_rest(frozen, trained, blobs):
    X, y, *_ = blobs
    found = {}
    for forget_epochs in (0, 10):
        model = SCRUBClassifier(frozen, forget_epochs=forget_epochs, lr=5e-3, random_state=0).fit(X, y)
        found[forget_epochs] = distances(model.unlearn(classes=[2]), trained, X, y == 2)
    assert found[10][0] > found[0][0]
    assert found[10][0] > 5 * found[10][1]


def test_a_teacher_that_is_obeyed_everywhere_is_hardly_left(frozen, trained, blobs):
    X, y, *_ = blobs
    forget = np.arange(len(X)) < 30
    weights = {"alpha": 1e3, "gamma": 1e-6, "forget_epochs": 0}
    model = SCRUBClassifier(frozen, **weights, random_state=0).fit(X, y).unlearn(ROWS)
    free = SCRUBClassifier(frozen, alpha=1e-6, forget_epochs=0, random_state=0).fit(X, y).unlearn(ROWS)
    assert distances(model, trained, X, forget)[1] < distances(free, trained, X, forget)[1]


@pytest.mark.parametrize(("forget_epochs", "samples"), [(0, 4 * 90), (3, 4 * 90 + 3 * 30), (9, 4 * 90 + 4 * 30)])
def test_the_passes_that_are_read(forget_epochs, samples, frozen, blobs):
    X, y, *_ = blobs
    model = SCRUBClassifier(frozen, max_epochs=4, forget_epochs=forget_epochs, random_state=0).fit(X, y)
    assert model.unlearn(ROWS).receipts_[-1].work.samples == samples


def test_published_settings(frozen):
    large = SCRUBClassifier.published(frozen, scale="large", random_state=3)
    assert (large.temperature, large.alpha, large.gamma, large.optimizer, large.max_epochs) == (4, 1e-3, 0.99, "sgd", 3)
    assert SCRUBClassifier.published(frozen).weight_decay == 0.1
    with pytest.raises(ValueError, match="scale"):
        SCRUBClassifier.published(frozen, scale="medium")
