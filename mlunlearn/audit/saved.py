"""Audits and verdicts as JSON, and verdicts as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlunlearn.audit.attacks.curves import RocCurve
from mlunlearn.audit.intervals.bootstrap import BootstrapInterval
from mlunlearn.audit.intervals.contrast import Difference
from mlunlearn.audit.statistic import Statistic
from mlunlearn.audit.table import Row
from mlunlearn.audit.verdict import Verdict

if TYPE_CHECKING:
    from mlunlearn.audit.report import Audit


def number(value: float) -> str:
    """Write a number with three decimals, or from 10 on with four digits.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    str
        Such as "0.500", "12.35" or "-267,600".
    """
    if not abs(value) >= 10.0:
        return f"{value:.3f}"
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if 1e3 <= abs(rounded) < 1e9 else f"{rounded:#.4g}"


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
        sign = "+" if difference.estimate >= 0.0 else ""
        rows.append(
            {
                "declared statistic": statistic.name,
                "model": number(statistic.value),
                "retrained": number(statistic.reference),
                "difference": f"{sign}{number(difference.estimate)} ± {number(difference.standard_error)}",
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


def fields_as_dict(report: Audit) -> dict[str, Any]:
    """Return the fields of an audit that are saved as plain values.

    Parameters
    ----------
    report : Audit
        An audit.

    Returns
    -------
    dict
        By name of the field; nothing of single rows.
    """
    return {
        "verdict": verdict_as_dict(report.verdict),
        "verdict_on_original": report.verdict_on_original and verdict_as_dict(report.verdict_on_original),
        "comparison": report.comparison,
        "worst": report.worst.to_dict(orient="records"),
        "rows": [row.as_dict() for row in report.rows],
        "curves": [vars(curve) for curve in report.curves],
        **{name: getattr(report, name) for name in ("about", "cost", "not_measured", "notes")},
    }


def fields_from_dict(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `fields_as_dict` wrote.

    Parameters
    ----------
    saved : mapping
        From JSON.

    Returns
    -------
    dict
        The fields of an audit.
    """
    return {
        "verdict": verdict_from_dict(saved["verdict"]),
        "verdict_on_original": saved["verdict_on_original"] and verdict_from_dict(saved["verdict_on_original"]),
        "comparison": saved["comparison"],
        "worst": pd.DataFrame(saved["worst"]),
        "rows": tuple(_row_from_dict(entry) for entry in saved["rows"]),
        "curves": tuple(
            RocCurve(**{**curve, "fpr": tuple(curve["fpr"]), "tpr": tuple(curve["tpr"])}) for curve in saved["curves"]
        ),
        "about": saved["about"],
        "cost": saved["cost"],
        "not_measured": tuple(saved["not_measured"]),
        "notes": tuple(saved["notes"]),
    }


def _row_from_dict(entry: Mapping[str, Any]) -> Row:
    intervals = {}
    for name in ("unlearned", "null", "original"):
        ends = [entry[f"{name}{end}"] for end in ("", "_low", "_high")]
        intervals[name] = BootstrapInterval(*(float("nan") if value is None else value for value in ends))
    original = None if entry["original"] is None else intervals["original"]
    return Row(entry["metric"], entry["data"], entry["better"], intervals["unlearned"], intervals["null"], original)


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
