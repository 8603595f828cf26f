"""The figure of an audit; needs no display and leaves matplotlib's global state alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlunlearn.audit.table import Row

if TYPE_CHECKING:
    from mlunlearn.audit.report import Audit

# Okabe and Ito's colours, which colour-blind readers can tell apart; the markers differ as well.
STYLES: dict[str, dict[str, Any]] = {
    "original": {"color": "#D55E00", "marker": "s"},
    "unlearned": {"color": "#0072B2", "marker": "o"},
    "null": {"color": "#000000", "marker": "D"},
    "retrained": {"color": "#009E73", "marker": "D"},
}
LINES = {"original": "--", "unlearned": "-", "retrained": "-.", "null": ":"}
DISTANCES = (
    "accuracy gap",
    "average gap",
    "JS divergence",
    "activation distance",
    "forgetting score",
    "error gap",
    "prediction distance",
)


def draw(report: Audit) -> Figure:
    """Draw distances with intervals on the left and, where there was an attack, ROC curves on the right.

    Parameters
    ----------
    report : Audit
        What to draw.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    n_panels = 2 if report.curves else 1
    rows = [row for row in report.rows if row.metric in DISTANCES]
    figure = Figure(figsize=(6.0 * n_panels, max(3.5, 0.35 * len(rows) + 1.5)), dpi=120, layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    _draw_distances(panels[0], rows)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    if report.curves:
        _draw_curves(panels[1], report)
    return figure


def _draw_distances(axes: Axes, rows: list[Row]) -> None:
    places = np.arange(len(rows))[::-1]
    for part, shift in (("original", 0.22), ("unlearned", 0.0), ("null", -0.22)):
        shown = [(place, interval) for place, row in zip(places, rows, strict=True) if (interval := getattr(row, part))]
        if not shown:
            continue
        middle = np.array([interval.estimate for _, interval in shown])
        ends = np.array([[i.estimate - i.low, i.high - i.estimate] for _, i in shown]).T
        heights = [place + shift for place, _ in shown]
        axes.errorbar(middle, heights, xerr=np.nan_to_num(ends), ls="none", capsize=2, ms=5, label=part, **STYLES[part])
    axes.set_yticks(places, [f"{row.metric}, {row.data}" for row in rows])
    axes.set_xlim(left=0.0)
    axes.set_xlabel("distance to the retrained model (0: none)")
    axes.set_title("Distances: compare with the null")
    axes.grid(axis="x", alpha=0.3)


def _draw_curves(axes: Axes, report: Audit) -> None:
    smallest = min((rate for curve in report.curves for rate in curve.fpr if rate > 0.0), default=1.0)
    floor = min(smallest, 0.01)
    for curve in report.curves:
        part = curve.model.split(" ")[0]
        fpr, tpr = (np.maximum(values, floor) for values in (curve.fpr, curve.tpr))
        axes.plot(fpr, tpr, LINES[part], color=STYLES[part]["color"], label=f"{curve.model} ({curve.attack})")
    axes.plot([floor, 1.0], [floor, 1.0], color="0.6", lw=0.8, label="chance")
    axes.set(xscale="log", yscale="log", xlim=(floor, 1.0), ylim=(floor, 1.05))
    axes.set_xlabel("non-members accused wrongly")
    axes.set_ylabel("forgotten rows found")
    axes.set_title("The strongest attack on each model")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
