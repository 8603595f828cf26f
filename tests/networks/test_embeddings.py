"""Models of embeddings: they know what they were fitted on from what they were not."""

import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from mlunlearn.networks.embeddings import Autoencoder, fit_autoencoder, fit_gaussian


def test_the_loss_of_an_autoencoder_that_rebuilds_nothing():
    """With all weights zero the code is a standard Gaussian, and the decoder gives 0, or 1/2 behind a sigmoid."""
    embeddings = torch.rand(7, 5)
    for output, rebuilt in (("linear", 0.0), ("sigmoid", 0.5)):
        model = Autoencoder(5, 3, output)
        for p in model.parameters():
            p.data.zero_()
        expected = (embeddings - rebuilt).square().sum(dim=1)
        torch.testing.assert_close(model.distance(embeddings), expected)
        torch.testing.assert_close(model.loss(embeddings), expected.mean(), atol=1e-6, rtol=1e-6)


def test_the_divergence_is_that_of_gaussians():
    model, embeddings = Autoencoder(4, 3, "linear"), torch.randn(9, 4)
    _, mean, log_variance = model(embeddings)
    code = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum(dim=1).mean()
    torch.manual_seed(0)
    distance = model.distance(embeddings).mean()
    torch.manual_seed(0)
    torch.testing.assert_close(model.loss(embeddings), distance + 0.025 * divergence, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["autoencoder", "gaussian"])
def test_rows_that_were_seen_are_closer_than_others(kind):
    torch.manual_seed(0)
    own, other = 0.05 * torch.randn(300, 6) + torch.linspace(0.1, 0.9, 6), torch.rand(100, 6)
    model = fit_autoencoder(own, 2) if kind == "autoencoder" else fit_gaussian(own, 0.1)
    with torch.no_grad():
        assert model.distance(own).mean() < model.distance(other).mean() / 3


def test_a_gaussian_measures_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + 3
    found = fit_gaussian(torch.as_tensor(X), scale=0.0).distance(torch.as_tensor(X))
    np.testing.assert_allclose(found, LedoitWolf().fit(X).mahalanobis(X), rtol=1e-6)
    many = np.repeat(X, 500, axis=0) + rng.normal(size=(20000, 5))
    found = fit_gaussian(torch.as_tensor(many), scale=0.0).distance(torch.as_tensor(X))
    np.testing.assert_allclose(found, EmpiricalCovariance().fit(many).mahalanobis(X), rtol=0.02)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_a_gaussian_of_few_rows_is_finite_and_grows_with_distance(n_rows):
    X = torch.randn(n_rows, 8)
    model = fit_gaussian(X, scale=1.0)
    near, far = model.distance(X), model.distance(X + 1.0)
    assert torch.isfinite(near).all()
    assert (far > near).all()
