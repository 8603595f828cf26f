"""Small nets and data that tests, the conformance suite and examples share."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from torch import nn

from mlunlearn.nets.loaders import BatchLoader


class Perceptron(nn.Module):
    """A hidden layer with dropout.

    Parameters
    ----------
    n_features, n_outputs : int
        Widths of input and output.
    """

    def __init__(self, n_features: int = 2, n_outputs: int = 6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, n_outputs))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits or values."""
        return self.body(X)


class ConvNet(nn.Module):
    """A small convolutional net with batch normalisation and dropout, for images of 8 x 8.

    Parameters
    ----------
    n_outputs : int
        Classes.
    """

    def __init__(self, n_outputs: int = 10):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(8 * 16, n_outputs),
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits of flattened or square images."""
        return self.body(X.reshape(-1, 1, 8, 8))


class TableConvNet(nn.Module):
    """A hidden convolution over the columns of a table, taken for an image of one column.

    Parameters
    ----------
    n_features, n_outputs : int
        Widths of input and output.
    """

    def __init__(self, n_features: int = 2, n_outputs: int = 6):
        super().__init__()
        hidden = nn.Conv2d(1, 8, 3, padding=1)
        self.body = nn.Sequential(hidden, nn.ReLU(), nn.Flatten(), nn.Linear(8 * n_features, n_outputs))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits or values."""
        return self.body(X[:, None, :, None])


class FitWidths(Callback):
    """Give a `Perceptron` or a `TableConvNet` the widths of the data, so that one net serves every check."""

    def __repr__(self) -> str:
        return "FitWidths()"  # without an address, so that names of tests are the same in every process

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Rebuild the module if its widths differ from the data's."""
        widths = {"module__n_features": X.shape[1]}
        if y.ndim == 2:
            widths["module__n_outputs"] = y.shape[1]
        if any(net.get_params().get(name) != width for name, width in widths.items()):
            net.set_params(**widths)


def small_net(kind: type = NeuralNetClassifier, module: type[nn.Module] = Perceptron, **options: Any) -> Any:
    """Make a skorch net that trains in a blink, with shuffling and momentum.

    Parameters
    ----------
    kind : type
        Class of net.
    module : type
        Class of module.
    **options : dict
        Parameters of the net.

    Returns
    -------
    skorch.NeuralNet
        Not initialised.
    """
    defaults: dict[str, Any] = {
        "optimizer": torch.optim.Adam,
        "lr": 0.02,
        "max_epochs": 20,
        "batch_size": 32,
        "train_split": None,
        "iterator_train": BatchLoader,
        "iterator_train__shuffle": True,
        "callbacks": [FitWidths()] if module in (Perceptron, TableConvNet) else "disable",
        "verbose": 0,
    }
    if kind is not NeuralNetRegressor:
        defaults["criterion"] = nn.CrossEntropyLoss
    return kind(module, **defaults | options)
