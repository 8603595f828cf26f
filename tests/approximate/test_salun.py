"""SalUn: the mask is the top share of the gradient, and what it does not mark keeps every bit."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.frozen import FrozenEstimator

from mlunlearn.approximate import SalUnClassifier
from mlunlearn.approximate.wrong_labels import wrong_labels

ROWS = np.arange(30)


def moved(model, trained):
    """By name, which weights are others than before."""
    before = dict(trained.net_.module_.named_parameters())
    after = dict(model.estimator_.net_.module_.named_parameters())
    return {name: (after[name] != value).detach() for name, value in before.items()}


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_weights_that_are_not_among_the_largest_gradients_keep_every_bit(share, frozen, trained, blobs):
    """In spite of momentum and of a weight decay that would halve them."""
    X, y, *_ = blobs
    model = SalUnClassifier(frozen, share=share, weight_decay=10.0, random_state=0).fit(X, y).unlearn(ROWS)
    net = copy.deepcopy(trained.net_.module_).eval()
    logits = net(torch.as_tensor(X[ROWS].astype(np.float32)))
    torch.nn.functional.cross_entropy(logits, torch.as_tensor(y[ROWS])).backward()
    sizes = torch.cat([p.grad.abs().flatten() for p in net.parameters()])
    changed = torch.cat([part.flatten() for part in moved(model, trained).values()])
    n_marked = round(share * len(sizes))
    assert model.receipts_[-1].work.details == {"marked": n_marked}
    assert changed.sum() == n_marked
    assert sizes[changed].min() >= (sizes[~changed].max() if n_marked < len(sizes) else 0) * (1 - 1e-5)


def test_the_mask_does_not_depend_on_the_batches(trained_conv, digits):
    X, y = digits
    found = [
        moved(
            SalUnClassifier(FrozenEstimator(trained_conv), share=0.3, max_epochs=1, batch_size=size, random_state=0)
            .fit(X, y)
            .unlearn(ROWS),
            trained_conv,
        )
        for size in (7, 300)
    ]
    first, second = (torch.cat([part.flatten() for part in parts.values()]) for parts in found)
    assert (first ^ second).sum() <= 0.01 * len(first)  # rounding may exchange a weight at the edge of the share


def test_every_label_that_is_drawn_is_wrong_and_each_wrong_one_as_often():
    """A chi-square test that fails by chance once in a thousand draws; the draw is fixed."""
    y = torch.arange(5).repeat(4_000)
    drawn = wrong_labels(y, 5, torch.Generator().manual_seed(0))
    assert not (drawn == y).any()
    shift = torch.bincount((drawn - y) % 5, minlength=5)[1:]
    assert chisquare(shift.numpy()).pvalue > 1e-3


def test_rows_to_forget_are_believed_less(frozen, trained, blobs):
    X, y, *_ = blobs
    model = SalUnClassifier(frozen, random_state=0).fit(X, y).unlearn(classes=[2])
    rows = y == 2
    assert model.score(X[rows], y[rows]) < trained.score(X[rows], y[rows]) - 0.2
    assert model.score(X[~rows], y[~rows]) > 0.8


def test_what_a_request_reads(frozen, blobs):
    X, y, *_ = blobs
    model = SalUnClassifier(frozen, max_epochs=3, random_state=0).fit(X, y).unlearn(ROWS)
    assert model.receipts_[-1].work.samples == 30 + 3 * 120


def test_published_settings(frozen):
    model = SalUnClassifier.published(frozen, random_state=3)
    assert (model.share, model.max_epochs, model.lr, model.momentum, model.batch_size) == (0.5, 10, 0.013, 0.9, 256)
    with pytest.raises(ValueError, match="share"):
        SalUnClassifier(frozen, share=0.0).fit(np.zeros((4, 5)), [0, 1, 0, 1])
