"""What all methods keep that dampen weights: they shrink the selected ones, and no others."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate import ASSDClassifier, LFSSDClassifier, PotionClassifier, SSDClassifier
from mlunlearn.approximate.dampening import Dampener, Importances, bisected

ROWS = np.arange(30)
METHODS = [SSDClassifier, LFSSDClassifier, ASSDClassifier, PotionClassifier]
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def importances_of(frozen):
    """What a method finds for the first rows to be forgotten, with rows in an order and batches of a size."""

    def find(method, X, y, order=None, **settings):
        class Looking(method):
            def _dampener(self, *args):
                self.found_ = super()._dampener(*args)
                return self.found_

        order = np.arange(len(X)) if order is None else order
        model = Looking(frozen, **settings, random_state=0).fit(X[order], y[order])
        return model.unlearn(np.flatnonzero(order < 30)).found_.importances

    return find


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@every_method
@pytest.mark.parametrize("per_sample", [True, False])
def test_selected_weights_shrink_and_keep_their_sign_and_the_others_stay(
    method, per_sample, trained_conv, digits, module_of
):
    X, y = digits
    model = method(FrozenEstimator(trained_conv), per_sample=per_sample, random_state=0).fit(X, y).unlearn(classes=[3])
    before, after = flat(trained_conv.net_.module_), flat(module_of(model))
    changed = (before != after).sum()
    assert (after.abs() <= before.abs()).all()
    assert (after * before >= 0).all()
    assert 0 < changed <= model.receipts_[-1].work.details["dampened"] < len(before) / 3
    buffers = zip(trained_conv.net_.module_.buffers(), module_of(model).buffers(), strict=True)
    assert all(torch.equal(*pair) for pair in buffers)


@every_method
def test_importances_of_samples_depend_on_no_order_and_those_of_batches_do(method, importances_of, blobs):
    X, y, *_ = blobs
    order = np.random.default_rng(0).permutation(len(X))
    for per_sample in (True, False):
        first = importances_of(method, X, y, per_sample=per_sample, batch_size=16)
        second = importances_of(method, X, y, order, per_sample=per_sample, batch_size=7)
        for side in ("forget", "reference"):
            one, other = (torch.cat([v.flatten() for v in getattr(i, side).values()]) for i in (first, second))
            gap = ((one - other).abs() / (one + 1e-30)).max()
            assert gap < 1e-4 if per_sample else gap > 0.1
            assert (torch.allclose(one, other, rtol=1e-5, atol=1e-6 * float(one.max()))) == per_sample


@every_method
def test_no_ratio_exceeds_the_bound(method, importances_of, blobs):
    """One input is not zero for rows to forget alone: the ratios of its weights are the bound."""
    X, y = blobs[0].copy(), blobs[1]
    X[30:, 1] = 0
    found = importances_of(method, X, y)
    if method.reference == "retain":  # of Potion, which has none: what retained rows never touch is infinite
        assert (found.reference["body.0.weight"][:, 1] == 0).all()
        return
    assert found.ratios().max() == pytest.approx(4.0, rel=1e-6)


@every_method
def test_weights_that_no_row_touches_stay(method, trained, frozen, blobs, module_of):
    X, y = blobs[0].copy(), blobs[1]
    X[:, 2] = 0
    model = method(frozen, random_state=0).fit(X, y).unlearn(ROWS)
    before, after = (m.body[0].weight[:, 2] for m in (trained.net_.module_, module_of(model)))
    assert torch.equal(before, after)
    assert torch.isfinite(flat(module_of(model))).all()


numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


@settings(max_examples=30)
@given(numbers, st.floats(1, 1e3))
def test_rows_like_all_others_change_nothing(importances, alpha):
    net = nn.Linear(len(importances), 1, bias=False)
    start, found = net.weight.clone(), {"weight": torch.tensor([importances], dtype=torch.float64)}
    assert Dampener(net, Importances(found, found))(alpha) == 0
    assert torch.equal(net.weight, start)


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.floats(0.1, 50), st.floats(0.1, 50))
def test_what_is_left_of_a_weight(seed, alpha, dampening):
    torch.manual_seed(seed)
    net = nn.Linear(30, 1, bias=False)
    start = net.weight.detach().clone()
    found = Importances(*({"weight": torch.rand(1, 30).double()} for _ in range(2)))
    dampener = Dampener(net, found, dampening)
    dampener(alpha / 2)
    n_selected = dampener(alpha)  # from where the weights stood at first, not from what the first call left
    ratio = found.forget["weight"] / found.reference["weight"]
    share = torch.where(ratio > alpha, (dampening / ratio).clamp(max=1), torch.ones(()))
    torch.testing.assert_close(net.weight.detach(), (share * start).float())
    assert n_selected == (ratio > alpha).sum()
    if dampening <= alpha:
        assert (share[ratio > alpha] < dampening / alpha).all()


def test_a_weight_that_only_rows_to_forget_touch_is_gone():
    net = nn.Linear(2, 1, bias=False)
    found = Importances({"weight": torch.tensor([[1.0, 0.0]])}, {"weight": torch.tensor([[0.0, 0.0]])})
    Dampener(net, found)(1e9)
    assert net.weight[0, 0] == 0
    assert net.weight[0, 1] != 0


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_halving_finds_where_the_answer_changes(low, high, at):
    low, at, high = sorted((low, at, high))
    first, last = bisected(lambda number: number < at, low, high, n_halvings=50)
    assert first <= at * (1 + 1e-9)
    assert last >= at * (1 - 1e-9)
    assert last <= first * 1.001


def test_a_copy_of_the_network_is_dampened(trained, frozen, blobs):
    X, y, *_ = blobs
    before = copy.deepcopy(trained.net_.module_.state_dict())
    SSDClassifier(frozen, random_state=0).fit(X, y).unlearn(ROWS)
    assert all(torch.equal(before[name], value) for name, value in trained.net_.module_.state_dict().items())
