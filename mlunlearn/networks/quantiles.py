"""The loss of networks that predict quantiles."""

from __future__ import annotations

from collections.abc import Sequence

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
    >>> from mlunlearn.networks import QuantileLoss
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
