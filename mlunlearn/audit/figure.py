"""The figures of an audit; they need no display and leave matplotlib's global state alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from mlunlearn.audit.statistic import Statistic
from mlunlearn.audit.verdict import CANNOT_TELL, DISTINGUISHABLE, RETRAINED, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from mlunlearn.audit.report import Audit
    from mlunlearn.receipts import Receipt

# Okabe and Ito's colours, which colour-blind readers can tell apart; the markers and lines differ as well.
STYLES: dict[str, dict[str, Any]] = {
    "original": {"color": "#D55E00", "marker": "s", "ls": "--", "lw": 1.8},
    "unlearned": {"color": "#0072B2", "marker": "o", "ls": "-", "lw": 2.2},
    "retrained": {"color": "#7F7F7F", "marker": "D", "ls": "-", "lw": 1.0},
}
DECISION_COLOURS = {RETRAINED: "#009E73", DISTINGUISHABLE: "#D55E00"}
CHANCE = "0.86"
_POINTS = {RETRAINED: ("#009E73", "o"), DISTINGUISHABLE: ("#D55E00", "s"), CANNOT_TELL: ("#0072B2", "^")}
LINES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
# Height of a line of small text over that of the axes.
LINE = 0.06
# Multiples of what chance explains that the axis of the verdict shows; beyond, an arrow stands at the edge.
WIDEST = 6.0


def draw_panel(report: Audit, panel: str, ax: Axes) -> Figure:
    """Draw one panel on axes of one's own.

    Parameters
    ----------
    report : Audit
        What to draw.
    panel : {"verdict", "curves"}
        Which.
    ax : matplotlib.axes.Axes
        Where.

    Returns
    -------
    matplotlib.figure.Figure
        That of the axes.

    Raises
    ------
    ValueError
        If there is no such panel, or nothing to draw in it.
    """
    panels = {"verdict": draw_verdict, **({"curves": draw_curves} if report.curves else {})}
    if panel not in panels:
        raise ValueError(f"there is no panel {panel!r} in this audit; there are {list(panels)}.")
    figure = panels[panel](report, ax).get_figure(root=True)
    assert figure is not None  # axes that something is drawn on belong to a figure
    return figure


def draw(report: Audit) -> Figure:
    """Draw the verdict's statistics on the left and, where there are forgotten rows, ROC curves on the right.

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
    figure = Figure(figsize=(6.0 if n_panels == 1 else 10.5, 4.4), dpi=120, layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False, width_ratios=[1.4, 1.0][:n_panels])[0]
    figure.suptitle(
        f"Verdict: {report.verdict.decision}",
        fontweight="bold",
        color=DECISION_COLOURS.get(report.verdict.decision, "black"),
    )
    draw_verdict(report, panels[0])
    if report.curves:
        draw_curves(report, panels[1])
    return figure


def draw_verdict(report: Audit, ax: Axes | None = None) -> Axes:
    """Draw each declared statistic as a multiple of the largest difference that chance explains.

    Parameters
    ----------
    report : Audit
        What to draw.
    ax : matplotlib.axes.Axes or None, default=None
        Where; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = Figure(figsize=(6.4, 4.0), layout="constrained").subplots() if ax is None else ax
    names = [statistic.name.split(":")[0] for statistic in report.verdict.statistics]
    places = np.arange(len(names))[::-1]
    ax.axvspan(-1.0, 1.0, color=CHANCE, label=f"as retrained ({report.verdict.alpha:.0%} false alarms in all)")
    ax.axvline(0.0, color="0.6", lw=0.8)
    subjects = (("original", report.verdict_on_original, 0.14), ("unlearned", report.verdict, -0.14))
    for part, verdict, shift in subjects:
        if verdict is not None:
            values = _multiples(verdict)
            style = {key: STYLES[part][key] for key in ("color", "marker")}
            ax.plot(np.clip(values, -WIDEST, WIDEST), places + shift, ls="none", ms=9, label=part, **style)
            for statistic, value, place in zip(verdict.statistics, values, places + shift, strict=True):
                if abs(value) > WIDEST:
                    side = np.sign(value)
                    ax.annotate(
                        f"{_in_words(statistic, value)} {'→' if side > 0 else '←'}",
                        (side * WIDEST, place),
                        xytext=(-10 * side, 0),
                        textcoords="offset points",
                        ha="right" if side > 0 else "left",
                        va="center",
                        color=style["color"],
                    )
    ax.set_yticks(places, names)
    ax.set(xlim=(-WIDEST - 0.5, WIDEST + 0.5), ylim=(-0.6, len(names) - 0.4))
    ax.set_xlabel("difference to retrained models, in multiples of what chance explains")
    ax.set_title("Inside the grey band: no difference found", fontsize="medium")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False, fontsize="small")
    return ax


def draw_curves(report: Audit, ax: Axes | None = None) -> Axes:
    """Draw how well every model's forgotten rows are told from unseen ones, all by one score.

    Parameters
    ----------
    report : Audit
        What to draw.
    ax : matplotlib.axes.Axes or None, default=None
        Where; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = Figure(figsize=(5.0, 4.0), layout="constrained").subplots() if ax is None else ax
    by_part: dict[str, list[Any]] = {"retrained": [], "original": [], "unlearned": []}
    for curve in report.curves:
        by_part["retrained" if curve.model.startswith("null") else curve.model].append(curve)
    for part, curves in by_part.items():
        style = {key: STYLES[part][key] for key in ("color", "ls", "lw")}
        for number, curve in enumerate(curves):
            mean = np.mean([one.auc for one in curves])
            label = None if number else f"{part} (AUC {mean:.2f})"
            ax.plot(curve.fpr, curve.tpr, label=label, **style)
    ax.plot([0.0, 1.0], [0.0, 1.0], color="black", lw=0.8, ls=":", label="chance")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("unseen rows taken for members")
    ax.set_ylabel("forgotten rows taken for members")
    ax.set_title("Blue should run among the grey lines", fontsize="medium")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False, fontsize="small")
    return ax


def draw_comparison(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw methods by their time and by their distance to retrained models.

    Parameters
    ----------
    table : pandas.DataFrame
        From `mlunlearn.audit.compare`.
    ax : matplotlib.axes.Axes or None, default=None
        Where; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Methods whose time is not known stand at the left edge.
    """
    ax = Figure(figsize=(8.0, 4.6), dpi=120, layout="constrained").subplots() if ax is None else ax
    floor = float(table.loc["retrained", "distance"])
    timed = table["seconds"][table["seconds"] > 0.0]
    edge = float(timed.min()) / 3.0 if len(timed) else 1.0
    ax.axhspan(0.0, floor, facecolor=CHANCE, edgecolor="0.5", label="distance between retrained models")
    points: list[tuple[str, float, float, str]] = []
    for decision, (colour, marker) in _POINTS.items():
        chosen = table[table["verdict"] == decision]
        if len(chosen):
            seconds = chosen["seconds"].where(chosen["seconds"] > 0.0, edge)
            ax.plot(seconds, chosen["distance"], marker, color=colour, ms=9, ls="none", label=decision)
            placed = zip(chosen.index, seconds, chosen["distance"], strict=True)
            points += [(str(name), x, y, colour) for name, x, y in placed]
    retraining = float(table.loc["retrained", "seconds"])
    if retraining > 0.0:
        ax.axvline(retraining, color="0.5", lw=1.0, ls="--")
        ax.text(retraining, 0.98, " retraining", transform=ax.get_xaxis_transform(), va="top", fontsize="small")
    ax.set(xscale="log", ylim=(-0.04 * float(table["distance"].max()) or None, None))
    ax.set_xlim(edge / 1.6, max([*timed, edge]) * 1.6)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    _name_points(ax, points)
    ax.set_xlabel("seconds (left edge: not known)")
    ax.set_ylabel("distance to retrained models\non the forgotten rows")
    ax.set_title("Low and left is better; in the grey band nothing is left to gain", fontsize="medium")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize="small")
    return ax


def _name_points(ax: Axes, points: list[tuple[str, float, float, str]]) -> None:
    """Write names beside the axes, from top to bottom as the points are, so far apart that they can be read."""
    ordered = sorted(points, key=lambda point: point[2])
    bottom, top = ax.get_ylim()
    gap = min(LINE, 1.0 / max(len(ordered), 1))
    heights = np.array([(y - bottom) / (top - bottom) for _, _, y, _ in ordered])
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    for i in range(len(heights) - 1, -1, -1):
        heights[i] = min(heights[i], 1.0 - gap * (len(heights) - 1 - i))
    for (name, x, y, colour), height in zip(ordered, heights, strict=True):
        ax.annotate(
            name,
            (x, y),
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            fontsize="small",
            color=colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.7, "shrinkA": 2, "shrinkB": 5},
        )


def draw_costs(receipts: Mapping[str, Sequence[Receipt]], ax: Axes | None = None) -> Axes:
    """Draw what requests cost together, beside training anew for each of them.

    Parameters
    ----------
    receipts : mapping of str to sequence of Receipt
        By name of the method: its ``receipts_``.
    ax : matplotlib.axes.Axes or None, default=None
        Where; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained").subplots() if ax is None else ax
    longest = max(len(of_method) for of_method in receipts.values())
    requests = np.arange(longest + 1)
    ax.plot(requests, requests, color="0.5", ls="--", label="training anew each time")
    for number, (name, of_method) in enumerate(receipts.items()):
        work = np.concatenate([[0.0], np.cumsum([receipt.retrained_share for receipt in of_method])])
        colour, marker = LINES[number % len(LINES)]
        every = max(1, longest // 10)
        ax.plot(requests[: len(work)], work, color=colour, marker=marker, markevery=every, lw=1.8, label=name)
    ax.set(xlim=(0, longest), ylim=(0.0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("requests served")
    ax.set_ylabel("samples read, in full fits")
    ax.set_title("Below the dashed line work is saved", fontsize="medium")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small")
    return ax


def _in_words(statistic: Statistic, value: float) -> str:
    """What stands beside an arrow: the multiple, or the difference itself where chance explains none at all."""
    if np.isfinite(value):
        return f"{value:+.0f}"
    estimate = statistic.difference.estimate
    return f"{estimate:.1%} of rows" if statistic.name.startswith("identity") else f"{estimate:+.3g}"


def _multiples(verdict: Verdict) -> list[float]:
    """Differences over the smallest that would be found with a single chance in two."""
    level = verdict.alpha / max(len(verdict.statistics), 1)
    values = []
    for statistic in verdict.statistics:
        limit = statistic.difference.detectable(level, power=0.5)
        estimate = statistic.difference.estimate
        found = float("inf") if estimate > 0.0 else float("-inf")
        values.append(estimate / limit if limit > 0.0 else (0.0 if statistic.difference.p_value > level else found))
    return values
