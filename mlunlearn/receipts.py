"""Receipts: what a request to forget did, and what it guarantees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Work:
    """What serving a request cost, in the unit of training: samples read, counted once per pass.

    Parameters
    ----------
    samples : int
        Samples reprocessed by this request.
    full : int
        Samples a fit on all retained rows would process.
    details : mapping, default={}
        What the method has to add, such as the shards and slices it touched.

    Examples
    --------
    >>> from mlunlearn.receipts import Work
    >>> Work(samples=50, full=1000).share
    0.05
    """

    samples: int
    full: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Share of a full fit on the retained rows."""
        return self.samples / self.full if self.full else 0.0


@dataclass(frozen=True)
class Receipt:
    """The record of one request, kept in ``receipts_``.

    Parameters
    ----------
    method : str
        Class of the model that served it.
    guarantee : str
        ``"exact"``, ``"certified"`` or ``"approximate"``.
    rows : ndarray of shape (n_forgotten,)
        Positions, in the data given to `fit`, that this request forgot.
    already : ndarray of shape (n_repeated,)
        Positions it asked for that had been forgotten before.
    classes : tuple
        Classes it named.
    n_retained : int
        Rows still remembered afterwards.
    seconds : float
        Wall time of the request.
    work : Work
        Samples reprocessed, against a full fit.
    seed : int or None
        Root seed of the model.
    served_at : datetime
        When, in UTC.
    of : str, default='rows'
        What `rows` counts: rows of a table, or the nodes, edges or features of a graph.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> receipt = Retrain(LogisticRegression(), random_state=0).fit(X, y).unlearn([0]).receipts_[-1]
    >>> receipt.guarantee, receipt.rows.tolist(), receipt.n_retained, receipt.retrained_share
    ('exact', [0], 3, 1.0)
    """

    method: str
    guarantee: str
    rows: np.ndarray
    already: np.ndarray
    classes: tuple[Any, ...]
    n_retained: int
    seconds: float
    work: Work
    seed: int | None
    served_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    of: str = "rows"

    @property
    def retrained_share(self) -> float:
        """Share of a full fit on the retained rows that this request reprocessed."""
        return self.work.share

    def __str__(self) -> str:
        """One line for people."""
        repeated = f", {len(self.already)} forgotten before" if len(self.already) else ""
        return (
            f"{self.method}: forgot {len(self.rows)} {self.of}{repeated} in {self.seconds:.3g} s, "
            f"{self.retrained_share:.2%} of a full fit, {self.n_retained} {self.of} remain ({self.guarantee})"
        )
