"""Per person: how exposed each row, person, class and the worst-off are, before and after, forgotten or retained.

The exposure of a row under a model is the share of unseen rows that the model is less sure of: 0.5 on average for rows
that it never saw, near 1 for rows that it knows by heart. Its risk is the exposure minus that under retrained models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlunlearn.audit.judge import Judge
from mlunlearn.audit.predictions import ByData, Predictions

Floats = NDArray[np.float64]
WORST = 0.05
SIDES = ("forget", "retain")


def exposures(predictions: Predictions) -> pd.DataFrame:
    """Exposure of every forgotten and retained row under the models.

    Parameters
    ----------
    predictions : Predictions
        What the models said.

    Returns
    -------
    pandas.DataFrame
        Columns `data` and `row` (place within the data), `label` (code or value), `unlearned`, `original` (if there is
        one), `retrained` (mean of the references), and `risk`, which is unlearned minus retrained.
    """
    judge = Judge(predictions)
    parts = []
    for data in SIDES:
        if data not in predictions.sizes:
            continue
        columns = {"unlearned": _exposure(judge, predictions.unlearned, data)}
        if predictions.original is not None:
            columns["original"] = _exposure(judge, predictions.original, data)
        columns["retrained"] = np.mean([_exposure(judge, said, data) for said in predictions.references], axis=0)
        target = predictions.targets[data]
        label = target if target.ndim == 1 else np.arange(len(target))
        frame = pd.DataFrame({"data": data, "row": np.arange(len(target)), "label": label, **columns})
        parts.append(frame.assign(risk=frame["unlearned"] - frame["retrained"]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def by_label(rows: pd.DataFrame, labels: Mapping[str, NDArray[Any]] | str) -> pd.DataFrame:
    """Mean exposure and risk of the rows that share a label or belong to a person, the largest risk first.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `exposures`.
    labels : mapping of str to ndarray, or str
        By data, the person of each row; or the name of a column.

    Returns
    -------
    pandas.DataFrame
        Columns `data`, `of` (the label or person), `rows`, and the means.
    """
    of = rows[labels] if isinstance(labels, str) else _joined(rows, labels)
    known = of.notna()
    columns = [name for name in ("unlearned", "original", "retrained", "risk") if name in rows]
    grouped = rows[known].groupby([rows["data"][known], of[known].rename("of")], sort=True)
    means = grouped[columns].mean().assign(rows=grouped.size())
    table = means.reset_index()[["data", "of", "rows", *columns]]
    return table.sort_values("risk", ascending=False, kind="stable", ignore_index=True)


def worst_off(rows: pd.DataFrame, share: float = WORST) -> pd.DataFrame:
    """Mean exposure of all rows and of the most exposed ones under each model.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `exposures`.
    share : float, default=0.05
        Which part of the rows is the worst off; each model has its own.

    Returns
    -------
    pandas.DataFrame
        One row for every data and part ("all", "worst 5 %"); columns are models, and `risk`, the unlearned model's
        mean minus that of the retrained ones.
    """
    if rows.empty:
        return pd.DataFrame()
    columns = [name for name in ("original", "unlearned", "retrained") if name in rows]
    parts = []
    for data, frame in rows.groupby("data", sort=False):
        n_worst = max(1, round(share * len(frame)))
        parts.append({"data": data, "rows": "all", **frame[columns].mean()})
        largest = {name: frame[name].nlargest(n_worst).mean() for name in columns}
        parts.append({"data": data, "rows": f"worst {share:.0%}", **largest})
    table = pd.DataFrame(parts)
    return table.assign(risk=table["unlearned"] - table["retrained"])


def _exposure(judge: Judge, said: ByData, data: str) -> Floats:
    unseen = np.sort(judge.signal(said, judge.predictions.nonmembers))
    scores = judge.signal(said, data)
    below = np.searchsorted(unseen, scores, side="left") + np.searchsorted(unseen, scores, side="right")
    return below / (2.0 * len(unseen))


def _joined(rows: pd.DataFrame, labels: Mapping[str, NDArray[Any]]) -> pd.Series:
    parts = [
        pd.Series(labels[data] if data in labels else np.full(len(frame), np.nan), index=frame.index)
        for data, frame in rows.groupby("data", sort=False)
    ]
    return pd.concat(parts).reindex(rows.index)
