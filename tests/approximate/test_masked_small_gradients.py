"""Masked small gradients: which weights are drawn anew, from what, and how the others are held."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate import MaskedSmallGradientsClassifier
from mlunlearn.approximate.masked_small_gradients import draw_anew, kernels, triangle

ROWS = np.arange(30)
STILL = {"lr": 1e-30, "momentum": 0.0, "weight_decay": 0.0}
"""Steps that move nothing, so that what was drawn anew can be seen."""


def changed(model, trained):
    before = dict(trained.net_.module_.named_parameters())
    after = dict(model.estimator_.net_.module_.named_parameters())
    return {name: (after[name] != value).detach() for name, value in before.items()}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_each_convolution_is_drawn_anew_and_nothing_else(share, trained_conv, digits):
    X, y = digits
    method = MaskedSmallGradientsClassifier(FrozenEstimator(trained_conv), share=share, **STILL, random_state=0)
    found = changed(method.fit(X, y).unlearn(ROWS), trained_conv)
    n_kept = round((1 - share) * 72)
    assert found.pop("body.0.weight").sum() == 72 - n_kept
    assert not any(mask.any() for mask in found.values())


def test_the_smallest_gradients_of_the_difference_are_drawn_anew(frozen, trained, blobs):
    """As many rows are retained as forgotten, so that the sample is known."""
    X, y = (part[:60] for part in blobs[:2])
    method = MaskedSmallGradientsClassifier(frozen, **STILL, random_state=0)
    found = changed(method.fit(X, y).unlearn(ROWS), trained)
    net = trained.net_.module_.eval()
    losses = nn.functional.cross_entropy(
        net(torch.as_tensor(X.astype(np.float32))), torch.as_tensor(y), reduction="none"
    )
    named = dict(net.named_parameters())
    gradients = torch.autograd.grad(losses[30:].mean() - losses[:30].mean(), named.values())
    for name, gradient in zip(named, gradients, strict=True):
        if name.endswith("weight"):
            assert found[name].sum() == gradient.numel() - round(0.7 * gradient.numel())
            assert gradient[found[name]].abs().max() <= gradient[~found[name]].abs().min() * (1 + 1e-4)


def test_new_weights_follow_the_normal_distribution_of_the_fan_out():
    """A Kolmogorov-Smirnov test that fails by chance once in a thousand draws; the draw is fixed."""
    net = nn.Sequential(nn.Conv2d(8, 16, 3))
    draw_anew(net, {"0.weight": torch.ones(16, 8, 3, 3, dtype=torch.bool)}, seed=0)
    assert kstest(net[0].weight.detach().flatten() / np.sqrt(2 / (16 * 9)), "norm").pvalue > 1e-3


@pytest.mark.parametrize("kept_factor", [0.0, 0.1])
def test_gradients_of_kept_weights_are_made_smaller(kept_factor, trained_conv, digits):
    """In one step of plain descent kept weights move that factor of what they move where all are held alike."""
    X, y = digits
    moves = []
    for factor in (1.0, kept_factor):
        settings = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "n_steps": 1, "share": 0.0}
        method = MaskedSmallGradientsClassifier(FrozenEstimator(trained_conv), kept_factor=factor, **settings)
        model = method.set_params(random_state=0).fit(X, y).unlearn(ROWS)
        after, before = (each.net_.module_.body[0].weight for each in (model.estimator_, trained_conv))
        moves.append((after - before).detach())
    torch.testing.assert_close(moves[1], kept_factor * moves[0], atol=1e-6, rtol=1e-3)
    assert moves[0].abs().max() > 1e-3


def test_the_rate_is_a_triangle():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule, rates = triangle(optimizer, 7), []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates, 2 * np.array([1, 2, 3, 4, 3, 2, 1]) / 4)


def test_what_has_weights_to_draw_anew():
    assert kernels(nn.Linear(2, 2)) == ["weight"]
    assert kernels(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Linear(2, 2))) == ["0.weight"]
    with pytest.raises(ValueError, match="no convolution and no linear layer"):
        kernels(nn.Embedding(3, 2))


def test_published_settings(frozen):
    model = MaskedSmallGradientsClassifier.published(frozen, random_state=3)
    assert (model.share, model.kept_factor, model.lr, model.momentum, model.weight_decay) == (0.3, 0.1, 1e-3, 0.9, 5e-4)
