"""Targets that are standardised inside, and units that are folded into a network."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from mlunlearn.regression import QuantileLoss, StandardizedRegressor
from mlunlearn.regression.standardized import moments, rescale_output
from mlunlearn.torch_seeds import seeded


@settings(deadline=None)
@given(hnp.arrays(float, st.integers(2, 60), elements=st.floats(-1e6, 1e6)), st.randoms())
def test_moments_do_not_depend_on_the_order_of_the_rows(y, random):
    order = list(range(len(y)))
    random.shuffle(order)
    assert [v.item() for v in moments(y)] == [v.item() for v in moments(y[order])]
    mean, scale = moments(y)
    np.testing.assert_allclose(mean, y.mean(), atol=1e-6)
    if y.std() > 1e-3:
        np.testing.assert_allclose(scale, y.std(), rtol=1e-9)


def test_a_constant_target_has_scale_one():
    assert moments(np.full(5, 0.1))[1] == 1
    assert moments(np.zeros((5, 2)))[1].tolist() == [1, 1]


def test_units_fold_into_the_last_linear_layer():
    with seeded(0):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 6), nn.Unflatten(1, (2, 3)))
        X = torch.randn(5, 3)
    before = net(X)
    assert rescale_output(net, X, np.array([2.0, 3.0]), np.array([1.0, -1.0]))
    expected = before * torch.tensor([2.0, 3.0])[:, None] + torch.tensor([1.0, -1.0])[:, None]
    torch.testing.assert_close(net(X), expected)


def test_units_do_not_fold_where_something_follows():
    net = nn.Sequential(nn.Linear(3, 1), nn.Softplus())
    before = net[0].weight.clone()
    assert not rescale_output(net, torch.randn(5, 3), np.array(2.0), np.array(1.0))
    assert torch.equal(net[0].weight, before)


def test_forgetting_without_steps_changes_units_only(diabetes, mlp):
    from mlunlearn.regression.editing import EditedRegressor

    class Nothing(EditedRegressor):
        def __init__(self, estimator, *, random_state=None):
            self.estimator, self.random_state = estimator, random_state

        def _edit(self, edit):
            return 0

    X, y = diabetes
    model = Nothing(mlp, random_state=0).fit(X, y)
    before = model.predict(X)
    model.unlearn(y <= 90)
    np.testing.assert_allclose(model.estimator_.mean_, y[y > 90].mean())
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-4)


def test_pinball_of_one_half_is_half_the_absolute_error():
    with seeded(0):
        p, y = torch.randn(8, 3, 1), torch.randn(8, 3)
    torch.testing.assert_close(QuantileLoss((0.5,))(p, y), 0.5 * (p[..., 0] - y).abs().mean())


def test_quantiles_are_learned(rng):
    y = rng.exponential(size=4000)
    loss = QuantileLoss((0.25, 0.5, 0.75))
    q = torch.zeros(1, 1, 3, requires_grad=True)
    optimizer = torch.optim.Adam([q], lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss(q.expand(4000, 1, 3), torch.as_tensor(y, dtype=torch.float32)[:, None]).backward()
        optimizer.step()
    np.testing.assert_allclose(q.detach().numpy().ravel(), np.quantile(y, [0.25, 0.5, 0.75]), atol=0.05)


def test_predictions_come_in_the_units_of_y(diabetes):
    X, y = diabetes
    model = StandardizedRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X).mean(), y.mean(), rtol=0.2)
