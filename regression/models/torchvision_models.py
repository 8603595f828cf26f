"""The larger vision networks of the paper, from torchvision, with one linear output."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mlunlearn._torchvision import import_torchvision
from mlunlearn.regression.models.networks import Pixels


class ResNet18(nn.Module):
    """ResNet-18 without pretraining, with a linear output; needs torchvision.

    Parameters
    ----------
    padding : int, default=4
        Of `Pixels`.
    n_outputs : int, default=1
        Outputs.

    Notes
    -----
    Attention is compared after the stem and the eight blocks. A map of one pixel, which the last blocks have on
    images of 32, is 1 for every sample and counts for nothing.

    References
    ----------
    He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385.

    Examples
    --------
    >>> from mlunlearn.regression import ResNet18
    >>> ResNet18.attention_layers[0], len(ResNet18.attention_layers)
    ('net.relu', 9)
    """

    attention_layers = ("net.relu", *(f"net.layer{i}.{j}" for i in range(1, 5) for j in range(2)))

    def __init__(self, padding: int = 4, n_outputs: int = 1):
        super().__init__()
        self.pixels = Pixels(padding)
        self.net = _models().resnet18(weights=None, num_classes=n_outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict from images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, 3, H, W)
            Values from 0 to 255.

        Returns
        -------
        torch.Tensor of shape (n, n_outputs)
            Predictions.
        """
        return self.net(self.pixels(images))


class MobileNetV3(nn.Module):
    """MobileNetV3-Large without pretraining, with dropout and a linear output; needs torchvision.

    Parameters
    ----------
    padding : int, default=4
        Of `Pixels`.
    dropout : float, default=0.2
        Before the output.
    n_outputs : int, default=1
        Outputs.

    Notes
    -----
    Attention is compared after the stem, the fifteen inverted residuals and the last convolution.

    References
    ----------
    Howard et al., "Searching for MobileNetV3", arXiv 1905.02244.

    Examples
    --------
    >>> from mlunlearn.regression import MobileNetV3
    >>> len(MobileNetV3.attention_layers)
    17
    """

    attention_layers = tuple(f"features.{i}" for i in range(17))

    def __init__(self, padding: int = 4, dropout: float = 0.2, n_outputs: int = 1):
        super().__init__()
        self.pixels = Pixels(padding)
        self.features = _models().mobilenet_v3_large(weights=None).features
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(960, n_outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict from images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, 3, H, W)
            Values from 0 to 255.

        Returns
        -------
        torch.Tensor of shape (n, n_outputs)
            Predictions.
        """
        return self.head(self.features(self.pixels(images)).mean(dim=(2, 3)))


def _models() -> Any:
    try:
        return import_torchvision().models
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this network comes from torchvision: pip install 'mlunlearn[vision]'.", name=error.name
        ) from error
