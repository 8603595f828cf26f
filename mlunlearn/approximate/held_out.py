"""Rows held out by the user, by which a method sets its own strength."""

from __future__ import annotations

import numpy as np

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows


def require_held_out(run: Run, setting: str) -> None:
    """Refuse a request that needs held-out rows where there are none.

    Parameters
    ----------
    run : Run
        The request.
    setting : str
        The parameter that needs them.

    Raises
    ------
    ValueError
        If none were given.
    """
    if run.held_out is None:
        raise ValueError(f"{setting} is set by rows held out: call fit(X, y, held_out=(X_other, y_other)).")


def kept(run: Run) -> Rows:
    """Return the held-out rows of the classes that stay.

    Parameters
    ----------
    run : Run
        With held-out rows.

    Returns
    -------
    Rows
        All of them, unless the request names classes.

    Raises
    ------
    ValueError
        If there are none of other classes.
    """
    assert run.held_out is not None
    if not run.classes:
        return run.held_out
    labels = np.concatenate([batch.y.cpu().numpy() for batch in run.held_out.in_order(run.batch_size)])
    stay = ~np.isin(labels, run.classes)
    if not stay.any():
        raise ValueError("all held-out rows are of classes to forget; hold some out of those that stay.")
    return run.held_out.where(stay)
