"""Verdicts as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from mlunlearn.audit.intervals.contrast import Difference
from mlunlearn.audit.statistic import Statistic
from mlunlearn.audit.verdict import Verdict


def verdict_table(verdict: Verdict) -> pd.DataFrame:
    """Return the declared statistics as text, one row each.

    Parameters
    ----------
    verdict : Verdict
        A verdict.

    Returns
    -------
    pandas.DataFrame
        Columns `declared statistic`, `model`, `retrained`, `difference` with its standard error, and `p`.
    """
    rows = []
    for statistic, p_value in zip(verdict.statistics, verdict.adjusted, strict=True):
        difference = statistic.difference
        rows.append(
            {
                "declared statistic": statistic.name,
                "model": f"{statistic.value:.3f}",
                "retrained": f"{statistic.reference:.3f}",
                "difference": f"{difference.estimate:+.3f} ± {difference.standard_error:.3f}",
                "p": "<0.001" if p_value < 0.001 else f"{p_value:.3f}",
            }
        )
    return pd.DataFrame(rows)


def verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values.

    Parameters
    ----------
    verdict : Verdict
        A verdict.

    Returns
    -------
    dict
        For JSON; infinite numbers are the text "inf".
    """
    return {
        **asdict(verdict),
        "sentence": str(verdict),
        "residue": _finite(verdict.residue),
        "statistics": [
            {**asdict(statistic), "difference": {k: _finite(v) for k, v in asdict(statistic.difference).items()}}
            for statistic in verdict.statistics
        ],
    }


def verdict_from_dict(saved: Mapping[str, Any]) -> Verdict:
    """Read what `verdict_as_dict` wrote.

    Parameters
    ----------
    saved : mapping
        From JSON.

    Returns
    -------
    Verdict
        Equal to what was written.
    """
    statistics = [
        Statistic(**{**entry, "difference": Difference(**{k: float(v) for k, v in entry["difference"].items()})})
        for entry in saved["statistics"]
    ]
    residue = None if saved["residue"] is None else float(saved["residue"])
    return Verdict(
        saved["decision"], saved["alpha"], tuple(statistics), tuple(saved["adjusted"]), residue, tuple(saved["absent"])
    )


def _finite(value: float | None) -> float | str | None:
    return "inf" if value is not None and np.isinf(value) else value


def plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and NaN into what JSON has.

    Parameters
    ----------
    value : object
        Nested mappings, sequences and numbers.

    Returns
    -------
    object
        The same in dicts, lists and Python's own numbers; NaN and infinity become None.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
