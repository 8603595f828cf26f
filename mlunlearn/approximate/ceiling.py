"""How far a loss may be driven up: no further than ignorance."""

from __future__ import annotations

import math

from torch import nn

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows


def mean_loss(module: nn.Module, rows: Rows, run: Run) -> float:
    """Compute the loss of the training on some rows.

    Parameters
    ----------
    module : torch.nn.Module
        The network; run in evaluation mode.
    rows : Rows
        With labels that may be read.
    run : Run
        The request.

    Returns
    -------
    float
        Mean over the rows.
    """
    return sum(len(batch) * run.loss(logits, batch.y).item() for logits, batch in run.scan(module, rows)) / len(rows)


def ceiling(run: Run) -> float:
    r"""Say which loss on the rows to forget a network would have that does not know them.

    Parameters
    ----------
    run : Run
        The request.

    Returns
    -------
    float
        The loss of the network before on rows given as ``fit(..., held_out=(X, y))``; without them, or where a class
        is forgotten, of which a retrained network knows nothing, :math:`\ln C`, the cross entropy of guessing among
        :math:`C` classes.
    """
    if run.held_out is None or run.classes:
        return math.log(run.n_outputs)
    return mean_loss(run.original, run.held_out, run)
