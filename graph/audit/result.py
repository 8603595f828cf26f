"""The outcome of an audit of graph unlearners: figures with intervals, verdicts, and what single nodes get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t

from mlunlearn.audit.verdict import Verdict
from mlunlearn.graph.audit.asking import Answers
from mlunlearn.graph.audit.comparison import logit_distance, same_label, total_variation
from mlunlearn.graph.audit.figures import NOTHING, Figure
from mlunlearn.graph.audit.naming import SPREAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("seconds", "peak_mib")
# What the printed table shows, where it was measured; everything is in `to_frame()`.
SHORT = ("auc_unseen", "gap_forget", "fidelity_test", "accuracy_test", "auc_test", "auc_inversion", "seconds")


@dataclass(frozen=True, eq=False, repr=False)
class GraphAudit:
    """The figures of an audit.

    Parameters
    ----------
    figures : mapping of str to mapping of str to Figure
        By model: ``Original``, ``Retrain`` (mean over the references), ``UtU`` and the audited ones.
    spread : mapping of str to float
        Standard deviation of each figure over the references, with one degree of freedom less than there are. Not a
        number where they are too few: two, or three for figures that compare them with each other.
    verdicts : mapping of str to Verdict, default={}
        By model: as a retrained model, distinguishable from one, or neither can be told, at a stated error rate.
    answers : mapping of str to Answers, default={}
        What the models answered; none for ``Retrain``.
    references : sequence of Answers, default=()
        What the references answered.

    Examples
    --------
    >>> from mlunlearn.graph.audit import Figure, GraphAudit
    >>> audit = GraphAudit({"UtU": {"auc_unseen": Figure(0.6)}}, {"auc_unseen": 0.01})
    >>> audit.to_frame().loc["UtU", "auc_unseen"]
    np.float64(0.6)
    """

    figures: Mapping[str, Mapping[str, Figure]]
    spread: Mapping[str, float]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    answers: Mapping[str, Answers] = field(default_factory=dict)
    references: Sequence[Answers] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the figures as a table, one row a model, with the references' spread as the last row.

        Returns
        -------
        pandas.DataFrame
            Columns are described at `audit_graph`. The last row is over seeds alone, on one graph; see `intervals`
            for what another graph could have given.
        """
        rows = [{name: figure.estimate for name, figure in row.items()} for row in self.figures.values()]
        return pd.DataFrame([*rows, dict(self.spread)], index=[*self.figures, SPREAD])

    def __repr__(self) -> str:
        """Return the main figures as a table."""
        table = self.to_frame()
        table = table[[name for name in SHORT if name in table]].round(3)
        decisions = [self.verdicts[model].decision if model in self.verdicts else "" for model in table.index]
        shown = table.assign(verdict=decisions).to_string(na_rep="-")
        return f"{shown}\nAll figures are in to_frame(), intervals in intervals(), verdicts in words in str()."

    def __str__(self) -> str:
        """Return the verdict on every model in words."""
        return "\n".join(f"{model}: {verdict}" for model, verdict in self.verdicts.items())

    def intervals(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return every figure with its interval over nodes, with all their edges, as if these had been sampled.

        Parameters
        ----------
        confidence : float, default=0.95
            Nominal coverage.

        Returns
        -------
        pandas.DataFrame
            One row a model and figure: `model`, `figure`, `estimate`, `standard_error`, `low`, `high`. Costs have none.
        """
        rows = []
        for model, figures in self.figures.items():
            for name, figure in figures.items():
                low, high = figure.interval(confidence)
                rows.append((model, name, figure.estimate, figure.standard_error, low, high))
        return pd.DataFrame(rows, columns=["model", "figure", "estimate", "standard_error", "low", "high"])

    def per_node(self, model: str) -> pd.DataFrame:
        """Return how near a node classifier's answer about each node is to the retrained models'.

        Parameters
        ----------
        model : str
            ``Original``, ``UtU`` or an audited one.

        Returns
        -------
        pandas.DataFrame
            One row a node, asked on the graph that is left: `fidelity`, the share of retrained models with the same
            label; `logit_distance`, the mean Euclidean distance of logits; `gap`, the mean total variation distance;
            `forgotten`. The index is the node's position.

        Raises
        ------
        ValueError
            If there is no such model, or it predicts edges.
        """
        everybody = self.answers[model].everybody if model in self.answers else None
        if everybody is None:
            known = [name for name, answers in self.answers.items() if answers.everybody is not None]
            raise ValueError(f"no answers about single nodes from {model!r}; there are those of {known}.")
        theirs = [reference.everybody for reference in self.references if reference.everybody is not None]
        measures = {"fidelity": same_label, "logit_distance": logit_distance, "gap": total_variation}
        columns = {
            name: np.mean([measure(everybody, other) for other in theirs], axis=0) for name, measure in measures.items()
        }
        parts = self.answers[model].parts
        forgotten = parts["own_forget"].places if "own_forget" in parts else np.empty(0, dtype=int)
        index = pd.Index(everybody.places, name="node")
        return pd.DataFrame({**columns, "forgotten": np.isin(everybody.places, forgotten)}, index=index)

    def plot(self, figure: str = "auc_unseen", *, ax: Axes | None = None) -> Axes:
        """Draw one figure of all models, with intervals over nodes, beside the band of the retrained models.

        Parameters
        ----------
        figure : str, default="auc_unseen"
            Which figure.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure, without matplotlib's global state.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; ``ax.figure.savefig(path)`` writes it.
        """
        from mlunlearn.graph.audit.drawing import draw_models

        return draw_models(self, figure, ax)


def over_graphs(audits: Sequence[GraphAudit], confidence: float = 0.95) -> pd.DataFrame:
    """Summarise audits of several graphs, splits or requests: each of them is one sample.

    Parameters
    ----------
    audits : sequence of GraphAudit
        At least two, of the same models.
    confidence : float, default=0.95
        Nominal coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row a model and figure: `model`, `figure`, `mean`, `sd` over graphs, and the interval of the mean by
        Student's distribution, `low` and `high`. Not a number where a figure is absent from one of them.

    Raises
    ------
    ValueError
        If there are fewer than two audits.

    Examples
    --------
    >>> from mlunlearn.graph.audit import Figure, GraphAudit, over_graphs
    >>> audits = [GraphAudit({"UtU": {"auc_unseen": Figure(a)}}, {}) for a in (0.6, 0.7, 0.8)]
    >>> over_graphs(audits)[["mean", "sd", "low", "high"]].to_numpy().round(2).tolist()
    [[0.7, 0.1, 0.45, 0.95]]
    """
    if len(audits) < 2:
        raise ValueError(f"one graph says nothing about others: pass at least two audits, got {len(audits)}.")
    n, rows = len(audits), []
    for model, figures in audits[0].figures.items():
        for name in figures:
            values = [audit.figures.get(model, {}).get(name, NOTHING).estimate for audit in audits]
            mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
            half = float(t.isf((1.0 - confidence) / 2.0, n - 1)) * sd / np.sqrt(n)
            rows.append((model, name, mean, sd, mean - half, mean + half))
    return pd.DataFrame(rows, columns=["model", "figure", "mean", "sd", "low", "high"])
