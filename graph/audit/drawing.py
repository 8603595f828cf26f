"""One figure of all models, beside the band of the retrained ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from mlunlearn.graph.audit.result import GraphAudit

NO_VERDICT = "no verdict"
# Okabe and Ito's colours, which colour-blind readers can tell apart; verdicts differ in their markers as well.
STYLES: dict[str, dict[str, Any]] = {
    "as a retrained model": {"color": "#009E73", "marker": "o"},
    "distinguishable from one": {"color": "#D55E00", "marker": "X"},
    "cannot tell at this size": {"color": "#0072B2", "marker": "D"},
    NO_VERDICT: {"color": "black", "marker": "o"},
}


def draw_models(audit: GraphAudit, figure: str, ax: Axes | None) -> Axes:
    """Draw one figure of all models.

    Parameters
    ----------
    audit : GraphAudit
        What to draw.
    figure : str
        Which figure.
    ax : matplotlib.axes.Axes or None
        Where to; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If there is no such figure.
    """
    known = list(next(iter(audit.figures.values())))
    if figure not in known:
        raise ValueError(f"there is no figure {figure!r}; there are {known}.")
    models = [model for model in audit.figures if model != "Retrain"]
    if ax is None:
        ax = Canvas(figsize=(7.0, 0.45 * len(models) + 1.9), dpi=120, layout="constrained").subplots()
    retrained, sd = audit.figures["Retrain"][figure], audit.spread[figure]
    if np.isfinite(sd):
        ends = retrained.estimate - 2 * sd, retrained.estimate + 2 * sd
        ax.axvspan(*ends, color="0.88", label="retrained, ± 2 sd of seeds")
    ax.axvline(retrained.estimate, color="0.4", lw=1, label="mean of the retrained")
    drawn, has_interval = set(), False
    for place, model in enumerate(reversed(models)):
        verdict = audit.verdicts[model].decision if model in audit.verdicts else NO_VERDICT
        value = audit.figures[model][figure]
        low, high = value.interval()
        bars = [[value.estimate - low], [high - value.estimate]] if np.isfinite(low) else None
        has_interval = has_interval or bars is not None
        label = verdict if verdict not in drawn else None
        drawn.add(verdict)
        ax.errorbar(value.estimate, place, xerr=bars, ls="none", capsize=3, ms=8, label=label, **STYLES[verdict])
    ax.set_yticks(range(len(models)), list(reversed(models)))
    ax.set_ylim(-0.6, len(models) - 0.4)
    name = figure.replace("_", " ").replace("auc", "AUC")
    ax.set_xlabel(f"{name}, with 95 % interval over nodes" if has_interval else name)
    ax.set_title("Colour and mark: the verdict on each model", fontsize="medium")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.32 if len(models) < 4 else -0.22), ncols=2, frameon=False)
    return ax
