"""Whether retained rows resemble the forgotten ones of their label, in the embedding of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.units import evenly_spread

AT_MOST = 1000
"""Rows of a label and side with which others are compared."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of rows, with their labels.

    Parameters
    ----------
    values : torch.Tensor of shape (n, d)
        What stands before the head.
    labels : ndarray of int, shape (n,)
        Numbers of the labels.
    """

    values: Tensor
    labels: np.ndarray

    @classmethod
    def of(cls, rows: Rows, run: Run) -> Embedded:
        """Embed rows by the network before the request.

        Parameters
        ----------
        rows : Rows
            Each is read once.
        run : Run
            The request.

        Returns
        -------
        Embedded
            In the order of the data.

        Raises
        ------
        FloatingPointError
            If an embedding is not finite.
        """
        with torch.no_grad():
            found = [run.head.embed(run.original, batch.X).flatten(1) for batch in rows.in_order(run.batch_size)]
        values = torch.cat(found)
        wild = int((~values.isfinite()).any(dim=1).sum())
        if wild:
            raise FloatingPointError(
                f"the embeddings of {wild} of {len(values)} rows are not finite before the first step; the inputs are "
                "too large for the network, or hold no numbers."
            )
        return cls(values, run.labels(rows).cpu().numpy())


def leanings(forgotten: Embedded, retained: Embedded) -> tuple[np.ndarray, np.ndarray]:
    """Say of rows how much nearer they are to the other forgotten rows of their label than to the other retained ones.

    Parameters
    ----------
    forgotten, retained : Embedded
        Rows to forget, and rows to keep.

    Returns
    -------
    of_forgotten, of_retained : ndarray of shape (n,)
        Mean distance to retained rows less that to forgotten ones, the row itself left out; NaN for labels of
        which either side has fewer than two rows.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.approximate.resemblance import Embedded, leanings
    >>> forgotten = Embedded(torch.tensor([[0.0], [1.0]]), np.array([0, 0]))
    >>> retained = Embedded(torch.tensor([[1.0], [5.0], [7.0]]), np.array([0, 0, 0]))
    >>> [part.tolist() for part in leanings(forgotten, retained)]
    [[3.3333334922790527, 2.3333332538604736], [4.5, -1.5, -2.5]]
    """
    of_forgotten, of_retained = np.full(len(forgotten.labels), np.nan), np.full(len(retained.labels), np.nan)
    for label in np.intersect1d(forgotten.labels, retained.labels):
        out, kept = np.flatnonzero(forgotten.labels == label), np.flatnonzero(retained.labels == label)
        if min(len(out), len(kept)) < 2:
            continue
        gone, stay = forgotten.values[out], retained.values[kept]
        of_forgotten[out] = (_from(gone, stay) - _from(gone, gone) * len(out) / (len(out) - 1)).cpu().numpy()
        of_retained[kept] = (_from(stay, stay) * len(kept) / (len(kept) - 1) - _from(stay, gone)).cpu().numpy()
    return of_forgotten, of_retained


def _from(rows: Tensor, others: Tensor) -> Tensor:
    """Mean distance of each row to the others; to a thousand of them, evenly spread, where there are more."""
    return torch.cdist(rows, others[evenly_spread(len(others), AT_MOST)]).mean(dim=1)


def told_apart(forgotten: Embedded, retained: Embedded) -> tuple[float, float]:
    """Say how well forgotten rows are told from retained ones of their label.

    Parameters
    ----------
    forgotten, retained : Embedded
        Rows to forget, and rows to keep, or a sample of them.

    Returns
    -------
    area : float
        Share of pairs of one of each, of the same label, in which the forgotten row leans more to the forgotten ones:
        1/2 for rows drawn at random, at most 1 - p / 2 where a share p of the retained rows is of their kind.
    error : float
        Its spread over forgotten rows as if they were independent, never zero; the error over draws is larger, since
        all are compared with the same rows.

    Raises
    ------
    ValueError
        If no label has two rows of either side.
    """
    of_forgotten, of_retained = leanings(forgotten, retained)
    shares = np.array(
        [
            np.mean(leaning > of_retained[retained.labels == label])
            for leaning, label in zip(of_forgotten, forgotten.labels, strict=True)
            if not np.isnan(leaning)
        ]
    )
    if not len(shares):
        raise ValueError("no label has two forgotten and two retained rows.")
    return float(shares.mean()), float(np.sqrt((shares.var() + 0.25 / len(shares)) / len(shares)))
