"""Models of what the embeddings of some rows look like, and how far an embedding is from that."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor, nn

from mlunlearn.networks.batches import step_batches
from mlunlearn.networks.loop import adam, descend

_KL_WEIGHT = 0.025
_FLOOR = 1e-3  # of a Gaussian's variance, as a share of that of all embeddings
_TINY = 1e-30  # the least that is added where all embeddings are the same


class Autoencoder(nn.Module):
    r"""Variational autoencoder of embeddings, with two hidden layers on either side.

    An embedding :math:`e` is encoded as a Gaussian with mean :math:`\mu` and variances :math:`\sigma^2`, of which one
    draw is decoded to :math:`h(e)`.

    Parameters
    ----------
    width : int
        Length of an embedding.
    n_latent : int
        Length of the code.
    output : {'sigmoid', 'linear'}, default='sigmoid'
        What the decoder ends with. A sigmoid cannot give numbers below 0 or above 1.

    See Also
    --------
    fit_autoencoder : Train one.

    References
    ----------
    "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", arXiv:2404.00506.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.embeddings import Autoencoder
    >>> Autoencoder(256, n_latent=16).distance(torch.zeros(5, 256)).shape
    torch.Size([5])
    """

    def __init__(self, width: int, n_latent: int, output: Literal["sigmoid", "linear"] = "sigmoid"):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(32, n_latent), nn.Linear(32, n_latent)
        decoder = [nn.Linear(n_latent, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, width)]
        self.decoder = nn.Sequential(*decoder, *([nn.Sigmoid()] if output == "sigmoid" else []))

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rebuild embeddings from a draw of their codes.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n, width)
            Embeddings.

        Returns
        -------
        rebuilt : torch.Tensor of shape (n, width)
            What the draw is decoded to; another one at each call.
        mean, log_variance : torch.Tensor of shape (n, n_latent)
            Of the code.
        """
        hidden = self.encoder(embeddings)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance

    def distance(self, embeddings: Tensor) -> Tensor:
        r"""Squared distance :math:`\|h(e) - e\|^2`, summed over dimensions.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n, width)
            Embeddings.

        Returns
        -------
        torch.Tensor of shape (n,)
            Small where an embedding looks like those of the training.
        """
        return (self(embeddings)[0] - embeddings).square().sum(dim=1)

    def loss(self, embeddings: Tensor) -> Tensor:
        r"""Squared distance plus 0.025 times the divergence of the codes from a standard Gaussian.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n, width)
            A batch.

        Returns
        -------
        torch.Tensor of shape ()
            Sums over dimensions, averaged over rows.
        """
        rebuilt, mean, log_variance = self(embeddings)
        variance = log_variance.exp()
        divergence = (mean.square() + variance - (variance + 1e-8).log() - 1).sum(dim=1) / 2
        return ((rebuilt - embeddings).square().sum(dim=1) + _KL_WEIGHT * divergence).mean()


def fit_autoencoder(
    embeddings: Tensor,
    n_latent: int,
    *,
    output: Literal["sigmoid", "linear"] = "sigmoid",
    max_epochs: int = 10,
    lr: float = 1e-3,
    batch_size: int = 32,
    seed: int = 0,
) -> Autoencoder:
    """Train an autoencoder by Adam, and freeze it.

    Parameters
    ----------
    embeddings : torch.Tensor of shape (n, width)
        What it learns to rebuild.
    n_latent, output : as for `Autoencoder`
        Its shape.
    max_epochs : int, default=10
        Passes over the embeddings.
    lr : float, default=0.001
        Learning rate.
    batch_size : int, default=32
        Rows of a step.
    seed : int, default=0
        Seed of the shuffling; weights and codes are drawn from torch's global generator.

    Returns
    -------
    Autoencoder
        Without gradients, where the embeddings are.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.embeddings import fit_autoencoder
    >>> any(p.requires_grad for p in fit_autoencoder(torch.zeros(64, 4), 2).parameters())
    False
    """
    model = Autoencoder(embeddings.shape[1], n_latent, output).to(embeddings)
    n_steps = max_epochs * -(-len(embeddings) // batch_size)
    batches = step_batches(len(embeddings), batch_size, n_steps, seed)
    descend(model, lambda rows: model.loss(embeddings[rows.to(embeddings.device)]), batches, optimizer=adam(lr))
    return model.eval().requires_grad_(False)


class Gaussian(nn.Module):
    r"""Gaussian of embeddings, where there are too few of them to train an autoencoder.

    Parameters
    ----------
    mean : torch.Tensor of shape (width,)
        Its centre.
    root : torch.Tensor of shape (width, width)
        A square root of its precision, :math:`R^\top R = \Sigma^{-1}`.

    See Also
    --------
    fit_gaussian : Fit one.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.embeddings import Gaussian
    >>> Gaussian(torch.zeros(2), torch.eye(2)).distance(torch.tensor([[3.0, 4.0]])).tolist()
    [25.0]
    """

    mean: Tensor
    root: Tensor

    def __init__(self, mean: Tensor, root: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("root", root)

    def distance(self, embeddings: Tensor) -> Tensor:
        r"""Squared Mahalanobis distance :math:`(e - \mu)^\top \Sigma^{-1} (e - \mu)`.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n, width)
            Embeddings.

        Returns
        -------
        torch.Tensor of shape (n,)
            Small where an embedding looks like the others.
        """
        return ((embeddings - self.mean) @ self.root.T).square().sum(dim=1)


def fit_gaussian(embeddings: Tensor, scale: float) -> Gaussian:
    """Fit a Gaussian with a covariance that is shrunk after Ledoit and Wolf, for any number of rows.

    Parameters
    ----------
    embeddings : torch.Tensor of shape (n, width)
        One or more.
    scale : float
        Variance of embeddings, averaged over dimensions; a thousandth of it is added to that of every dimension.

    Returns
    -------
    Gaussian
        Where the embeddings are.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.embeddings import fit_gaussian
    >>> fit_gaussian(torch.ones(1, 2), scale=1.0).mean.tolist()
    [1.0, 1.0]
    """
    values = embeddings.double().cpu().numpy()
    width = values.shape[1]
    covariance = ledoit_wolf(values)[0] if len(values) > 1 else np.zeros((width, width))
    covariance = covariance + max(_FLOOR * scale, _TINY) * np.eye(width)
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    return Gaussian(embeddings.mean(dim=0), torch.as_tensor(root).to(embeddings))
