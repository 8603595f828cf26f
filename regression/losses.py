"""Losses, and the shapes they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class QuantileLoss(nn.Module):
    """Pinball loss, summed over quantiles and averaged over samples and outputs.

    Parameters
    ----------
    quantiles : sequence of float, default=(0.1, 0.5, 0.9)
        An odd number of levels in (0, 1), ascending; predictions are those of the middle one.

    Notes
    -----
    Between the outputs of two networks, each quantile is compared with its own counterpart; the loss is least where
    they are equal.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.regression import QuantileLoss
    >>> QuantileLoss((0.5,))(torch.zeros(4, 1, 1), torch.ones(4, 1)).item()
    0.5
    """

    levels: torch.Tensor

    def __init__(self, quantiles: Sequence[float] = (0.1, 0.5, 0.9)):
        super().__init__()
        levels = torch.tensor(tuple(quantiles))
        if len(levels) % 2 == 0 or not bool(((levels > 0) & (levels < 1)).all()) or bool((levels.diff() <= 0).any()):
            raise ValueError(f"quantiles must be an odd number of ascending levels in (0, 1), got {quantiles!r}.")
        self.register_buffer("levels", levels)

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss.

        Parameters
        ----------
        prediction : torch.Tensor of shape (n, n_outputs, n_quantiles)
            Quantiles.
        target : torch.Tensor of shape (n, n_outputs) or (n, n_outputs, n_quantiles)
            Values, or the quantiles of another network.

        Returns
        -------
        torch.Tensor of shape ()
            The loss.
        """
        target = target if target.ndim == prediction.ndim else target[..., None]
        error = target - prediction
        return torch.maximum(self.levels * error, (self.levels - 1) * error).sum(dim=-1).mean()


def first_output(output: Any) -> torch.Tensor:
    """Take the prediction from a network that returns several things."""
    return output[0] if isinstance(output, tuple) else output


def agreeing(prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Refuse shapes that torch would broadcast to a table of all pairs.

    Parameters
    ----------
    prediction : torch.Tensor of shape (n, n_outputs) or (n, n_outputs, n_quantiles), or (n,) for one output
        What a network returns.
    target : torch.Tensor of shape (n, n_outputs), or that of `prediction`
        What it is to return.

    Returns
    -------
    prediction, target : torch.Tensor
        As given, one output with its axis.

    Raises
    ------
    ValueError
        If they do not agree.
    """
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    if target.ndim == 1:
        target = target[:, None]
    if prediction.shape[: target.ndim] != target.shape:
        raise ValueError(
            f"the network returns shape {tuple(prediction.shape)} for targets of shape {tuple(target.shape)}; "
            "it should return (n_samples, n_outputs)."
        )
    return prediction, target
