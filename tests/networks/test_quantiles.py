"""The pinball loss against what is known of it."""

import numpy as np
import torch

from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import QuantileLoss


def test_pinball_of_one_half_is_half_the_absolute_error():
    with seeded(0):
        p, y = torch.randn(8, 3, 1), torch.randn(8, 3)
    torch.testing.assert_close(QuantileLoss((0.5,))(p, y), 0.5 * (p[..., 0] - y).abs().mean())


def test_quantiles_are_learned():
    y = np.random.default_rng(0).exponential(size=4000)
    loss = QuantileLoss((0.25, 0.5, 0.75))
    q = torch.zeros(1, 1, 3, requires_grad=True)
    optimizer = torch.optim.Adam([q], lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss(q.expand(4000, 1, 3), torch.as_tensor(y, dtype=torch.float32)[:, None]).backward()
        optimizer.step()
    np.testing.assert_allclose(q.detach().numpy().ravel(), np.quantile(y, [0.25, 0.5, 0.75]), atol=0.05)
