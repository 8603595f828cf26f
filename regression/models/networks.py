"""Networks of the regression tasks. Each names the layers whose activations Blindspot compares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class Pixels(nn.Module):
    """Turn bytes into inputs, and in training shift and mirror the images.

    Parameters
    ----------
    padding : int, default=4
        Random crop after padding by so many black pixels, in training mode only; 0 leaves images alone. The paper
        pads images of 32 by 16.
    mirror : bool, default=True
        Mirror every second image at random, in training mode only.

    Notes
    -----
    Augmentation lives in the network, so that predictions, attacks and distances never see it.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import Pixels
    >>> Pixels().eval()(torch.full((1, 3, 2, 2), 255.0)).unique()
    tensor([1.])
    """

    def __init__(self, padding: int = 4, mirror: bool = True):
        super().__init__()
        self.padding = padding
        self.mirror = mirror

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scale to [-1, 1], and augment in training.

        Parameters
        ----------
        images : torch.Tensor of shape (n, C, H, W)
            Values from 0 to 255.

        Returns
        -------
        torch.Tensor of shape (n, C, H, W)
            Values from -1 to 1.
        """
        X = images / 127.5 - 1.0
        if not self.training:
            return X
        if self.padding:
            X = self._cropped(X)
        if self.mirror:
            flip = torch.rand(len(X), 1, 1, 1, device=X.device) < 0.5
            X = torch.where(flip, X.flip(-1), X)
        return X

    def _cropped(self, X: torch.Tensor) -> torch.Tensor:
        n, _, height, width = X.shape
        padded = functional.pad(X, (self.padding,) * 4, value=-1.0)
        top, left = torch.randint(0, 2 * self.padding + 1, (2, n, 1, 1, 1), device=X.device)
        rows = top + torch.arange(height, device=X.device)[None, None, :, None]
        columns = left + torch.arange(width, device=X.device)[None, None, None, :]
        batch = torch.arange(n, device=X.device)[:, None, None, None]
        channels = torch.arange(X.shape[1], device=X.device)[None, :, None, None]
        return padded[batch, channels, rows, columns]


class AllCNN(nn.Module):
    """All-convolutional network of the paper: eight convolutions, average pooling, one linear layer.

    Parameters
    ----------
    width : float, default=1.0
        Factor on the channels 96, 96, 192, ..., 192. A quarter is a fifteenth of the work.
    padding : int, default=4
        Of `Pixels`.
    n_outputs : int, default=1
        Outputs.

    References
    ----------
    Springenberg et al., "Striving for Simplicity: The All Convolutional Net", arXiv 1412.6806.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import AllCNN
    >>> AllCNN(width=0.125)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1])
    """

    attention_layers = tuple(f"blocks.{i}" for i in range(8))

    def __init__(self, width: float = 1.0, padding: int = 4, n_outputs: int = 1):
        super().__init__()
        plan = [(96, 3, 1), (96, 3, 1), (192, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1), (192, 1, 1)]
        channels = [3, *(max(round(c * width), 1) for c, _, _ in plan)]
        self.pixels = Pixels(padding)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
                )
                for (_, kernel, stride), before, after in zip(plan, channels, channels[1:], strict=False)
            )
        )
        self.head = nn.Linear(channels[-1], n_outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict from images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, 3, H, W)
            Values from 0 to 255, as bytes or floats.

        Returns
        -------
        torch.Tensor of shape (n, n_outputs)
            Predictions.
        """
        X = self.pixels(images).contiguous(memory_format=torch.channels_last)  # a third faster on processors
        return self.head(self.blocks(X).mean(dim=(2, 3)))


class LSTMPair(nn.Module):
    """One LSTM reads both texts of a pair; four linear layers compare their last states.

    Parameters
    ----------
    n_words : int, default=2**14
        Rows of the embedding where no vectors are given; word 0 is padding.
    vectors : torch.Tensor of shape (n_words, n_dimensions) or None, default=None
        Word vectors, kept fixed. None learns the embedding.
    n_dimensions : int, default=300
        Length of learned word vectors.
    n_hidden : int, default=64
        Length of the LSTM's state.
    dropout : float, default=0.3
        On the LSTM's outputs.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import LSTMPair
    >>> LSTMPair(n_words=50)(torch.ones(4, 2, 10, dtype=torch.long)).shape
    torch.Size([4, 1])
    """

    attention_layers = ("dropout", "head.0", "head.2")

    def __init__(
        self,
        n_words: int = 2**14,
        vectors: torch.Tensor | None = None,
        n_dimensions: int = 300,
        n_hidden: int = 64,
        dropout: float = 0.3,
    ):
        super().__init__()
        if vectors is None:
            self.words = nn.Embedding(n_words, n_dimensions, padding_idx=0)
        else:
            self.words = nn.Embedding.from_pretrained(vectors, freeze=True, padding_idx=0)
        self.lstm = nn.LSTM(self.words.embedding_dim, n_hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(2 * n_hidden, 64),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.Linear(16, 1),
        )

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Score pairs of texts.

        Parameters
        ----------
        pairs : torch.Tensor of int, shape (n, 2, n_tokens)
            Word numbers, padded on the left with 0.

        Returns
        -------
        torch.Tensor of shape (n, 1)
            Scores.
        """
        first, second = (self.dropout(self.lstm(self.words(pairs[:, side]))[0])[:, -1] for side in (0, 1))
        return self.head(torch.cat([first, second], dim=1))


class SequenceForecaster(nn.Module):
    """Quantiles of the next hours from the last ones: a recurrent encoder, self-attention, one linear layer.

    Parameters
    ----------
    n_features : int
        Columns of a window; the first is the series itself.
    horizon : int, default=24
        Hours to predict.
    n_quantiles : int, default=3
        Quantiles of each hour.
    n_hidden : int, default=64
        Length of the state.
    n_heads : int, default=4
        Heads of the attention.
    scale_windows : bool, default=True
        Standardise the first column of each window by the window itself, and the outputs back. Nothing learned from
        other windows then stands in a constant of the network. Turn it off for series that are scaled outside.

    Notes
    -----
    A compact stand-in for the Temporal Fusion Transformer of the paper, without its variable selection and gating.
    The one that is well kept, in pytorch-forecasting, is no dependency and has no adapter: release 1.8.0 (June 2026)
    takes torch 2.13 but holds pandas below 3.1, installs Lightning, and its network reads dictionaries which its own
    data set class builds from data frames, where this package selects rows of arrays.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import SequenceForecaster
    >>> SequenceForecaster(5)(torch.randn(2, 168, 5)).shape
    torch.Size([2, 24, 3])
    """

    attention_layers = ("encoder", "attention", "mixed")

    def __init__(
        self,
        n_features: int,
        horizon: int = 24,
        n_quantiles: int = 3,
        n_hidden: int = 64,
        n_heads: int = 4,
        scale_windows: bool = True,
    ):
        super().__init__()
        self.horizon, self.n_quantiles, self.scale_windows = horizon, n_quantiles, scale_windows
        self.encoder = nn.GRU(n_features, n_hidden, batch_first=True)
        self.attention = nn.MultiheadAttention(n_hidden, n_heads, batch_first=True)
        self.mixed = nn.Sequential(nn.Linear(2 * n_hidden, n_hidden), nn.ReLU())
        self.head = nn.Linear(n_hidden, horizon * n_quantiles)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Predict quantiles.

        Parameters
        ----------
        windows : torch.Tensor of shape (n, n_hours, n_features)
            The last hours, the series in the first column.

        Returns
        -------
        torch.Tensor of shape (n, horizon, n_quantiles)
            Quantiles, in the units of the first column.
        """
        if self.scale_windows:
            series = windows[..., :1]
            mean = series.mean(dim=1, keepdim=True)
            scale = series.std(dim=1, keepdim=True, correction=0) + 1e-3
            windows = torch.cat([(series - mean) / scale, windows[..., 1:]], dim=-1)
        states = self.encoder(windows)[0]
        last = states[:, -1:]
        seen = self.attention(last, states, states, need_weights=False)[0]
        mixed = self.mixed(torch.cat([last, seen], dim=-1)[:, 0])
        out = self.head(mixed).unflatten(1, (self.horizon, self.n_quantiles))
        return out * scale + mean if self.scale_windows else out


def mlp(n_features: int, widths: Sequence[int] = (128, 128, 128), n_outputs: int = 1) -> nn.Sequential:
    """Build a plain network for tables.

    Parameters
    ----------
    n_features : int
        Columns.
    widths : sequence of int, default=(128, 128, 128)
        Hidden units.
    n_outputs : int, default=1
        Outputs.

    Returns
    -------
    torch.nn.Sequential
        Linear layers with ReLU between them.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import mlp
    >>> mlp(10)(torch.zeros(2, 10)).shape
    torch.Size([2, 1])
    """
    sizes = [n_features, *widths]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], n_outputs))
