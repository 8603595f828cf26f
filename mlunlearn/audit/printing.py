"""The printed description of an audit, its notes, and its rows read back from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlunlearn.audit.identity import answers_of_retraining, references_needed
from mlunlearn.audit.intervals.bootstrap import BootstrapInterval
from mlunlearn.audit.predictions import Predictions
from mlunlearn.audit.saved import number
from mlunlearn.audit.table import Row
from mlunlearn.audit.verdict import Verdict

if TYPE_CHECKING:
    from mlunlearn.audit.report import Audit

HOW_TO_READ = (
    "How to read it: 'as a retrained model' means that no declared statistic tells it from models that never saw the "
    "rows, which is no proof that nothing of them is left: a share below the stated one may be; 'distinguishable from "
    "one' that one does; 'cannot tell' that a model which forgot nothing might have passed as well."
)
RULE = (
    "Declared statistics, two-sided; p corrected for their number (Holm): a retrained model is called distinguishable "
    "with a chance of at most {alpha:.0%}."
)
DESCRIPTION = "Description, no decision (retrained: further retrained models; [ ]: 95 % bootstrap interval):"
EXPOSURE = (
    "Exposure (share of unseen rows that a model is less sure of; never seen: 0.5 on average; risk: unlearned minus "
    "retrained):"
)
# References below which the reader is told what they cannot show.
FEW = 5
# What the printed description shows; everything else is in `to_frame()`.
SHORT = (
    ("accuracy", "forget"),
    ("accuracy", "test"),
    ("error", "forget"),
    ("error", "test"),
    ("prediction distance", "forget"),
    ("loss attack AUC", "forget"),
    ("label attack AUC", "forget"),
    ("error attack AUC", "forget"),
    ("calibrated attack AUC", "forget"),
    ("shadow attack AUC", "forget"),
    ("activation distance", "forget"),
    ("ZRF", "forget"),
)


def short_table(rows: Sequence[Row], *, refused: bool) -> pd.DataFrame:
    """Return the main scores as text; attacks are left out where forgotten and unseen rows are not alike."""
    shown = [row for key in SHORT for row in rows if (row.metric, row.data) == key]
    shown = [row for row in shown if not (refused and "attack" in row.metric)]
    return pd.DataFrame(
        {
            "score": row.metric,
            "rows": row.data,
            "unlearned": _text(row.unlearned),
            "retrained": _text(row.null),
            "original": _text(row.original),
        }
        for row in shown
    )


def title_of(about: Mapping[str, Any]) -> str:
    """What was audited, on how many rows, against how many references."""
    guarantee = about.get("guarantee")
    of = f" of {about['method']}" if "method" in about else ""
    sizes = ", ".join(f"{n} {name}" for name, n in about["sizes"].items())
    return f"Audit{of}{f' ({guarantee})' if guarantee else ''}: {sizes} rows, {about['n_references']} references"


def notes_on(predictions: Predictions, verdict: Verdict) -> tuple[str, ...]:
    """What a reader has to know: references that agree, and what few of them cannot show."""
    if answers_of_retraining(predictions) is not None:
        return (agreement_note(predictions, verdict.alpha),)
    notes = []
    if len(predictions.references) < FEW and verdict.residue is not None:
        found = (
            "even a model that forgot nothing would mostly not be found"
            if np.isinf(verdict.residue)
            else f"a share of less than {verdict.residue:.0%} of the forgotten rows would mostly not be found"
        )
        notes.append(
            f"With {len(predictions.references)} references little is known of what is chance, and {found}: take {FEW} "
            "or more, and pass exchangeable=True if the forgotten rows are known to be a random choice."
        )
    if len(predictions.references) == 2:
        notes.append("With two references the intervals do not contain the difference between seeds.")
    return tuple(notes)


def agreement_note(predictions: Predictions, alpha: float, n_ours: int = 1) -> str:
    """What references that agree in every answer say, for certain or as far as so few of them show."""
    says = (
        "So a model that has forgotten gives these very answers, up to rounding, and one row that it answers otherwise "
        "tells it apart."
    )
    if predictions.deterministic:
        return f"The retrained models agree in every answer: training does not depend on a seed. {says}"
    needed, there = references_needed(alpha, n_ours), len(predictions.references)
    more = (
        f" That takes {needed} of them, since fewer may agree by chance, and there are {there}: pass "
        f"n_references={needed}."
        if there < needed
        else ""
    )
    start = "The retrained models agree in every answer: as far as they show, training does not depend on the seed."
    return f"{start} {says}{more}"


def headlines_of(report: Audit) -> list[str]:
    """The verdict, the same of the model before unlearning, and how rows are compared."""
    lines = [f"VERDICT: {report.verdict}"]
    if report.verdict_on_original is not None:
        lines.append(f"The model before unlearning, by the same test: {report.verdict_on_original}")
    return [*lines, *([report.comparison] if report.comparison else [])]


def remarks_of(report: Audit) -> list[str]:
    """How to read the audit, where more of it is, what unlearning took, and what was not measured."""
    classes = ", classes in by_class()" if report.about.get("task") == "classifier" else ""
    remarks = [HOW_TO_READ, f"{len(report.rows)} scores are in to_frame(), persons in by_person(){classes}."]
    remarks += remarks_on(report.cost, report.about)
    absent = (*report.verdict.absent, *report.not_measured)
    return [*remarks, *report.notes, *(f"Not measured: {what}." for what in absent)]


def remarks_on(cost: Mapping[str, float], about: Mapping[str, Any]) -> list[str]:
    """Time against retraining, and forgotten rows with twins, where either is known."""
    remarks = []
    if "speedup" in cost:
        remarks.append(f"Unlearning took {cost['seconds']:.3g} s, {cost['speedup']:.3g} times as fast as retraining.")
    if about.get("twins"):
        remarks.append(
            f"{about['twins']} forgotten rows have identical twins among the retained rows: what these still say, no "
            "model can forget."
        )
    return remarks


def _text(interval: BootstrapInterval | None) -> str:
    if interval is None:
        return "-"
    ends = "" if np.isnan(interval.low) else f" [{number(interval.low)}, {number(interval.high)}]"
    return f"{number(interval.estimate)}{ends}"
