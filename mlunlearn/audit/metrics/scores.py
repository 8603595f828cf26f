"""Every metric of an audit, computed from the predictions of one model for any weighting of the samples.

A function of weights gives the figure itself (every weight 1) and its bootstrap interval (weights of resamples) by
the same lines of code. The metrics as functions of plain arrays are in `mlunlearn.audit.metrics.accuracy`,
`mlunlearn.audit.metrics.agreement`, `mlunlearn.audit.metrics.benchmark` and the attacks; the tests hold the two
against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.attacks.attack_result import Evidence
from mlunlearn.audit.attacks.battery import Attacked
from mlunlearn.audit.intervals.resampling import Weights, weighted_means, weighted_rate, weighted_roc
from mlunlearn.audit.metrics.agreement import exchanged_js_per_entry, js_per_sample
from mlunlearn.audit.metrics.signals import cross_entropy
from mlunlearn.audit.predictions import ByData, Predictions

Floats = NDArray[np.float64]
Scores = dict[tuple[str, str], Floats]  # by metric and data: one number for each weighting

LOW_RATES = (0.01, 0.001)
STRONGEST = "strongest attack AUC"
HIGHER = frozenset({"completeness", "ToW", "NoMUS"})
LOWER = frozenset(
    {
        "accuracy gap",
        "activation distance",
        "average gap",
        "error gap",
        "forgetting score",
        "JS divergence",
        "prediction distance",
        STRONGEST,
    }
)


def better(metric: str, data: str) -> str:
    """Say which way a metric is better.

    Parameters
    ----------
    metric : str
        Name of the metric.
    data : str
        What it was measured on.

    Returns
    -------
    {"lower", "higher", "like null"}
        "like null" where both sides of the retrained model's score are wrong: too much known, or too much destroyed.
    """
    if metric in HIGHER or (metric == "accuracy" and data != "forget"):
        return "higher"
    return "lower" if metric in LOWER or (metric in ("loss", "error") and data != "forget") else "like null"


class Subject:
    """One model of the audit beside the retrained reference, ready to be scored under any weighting.

    Parameters
    ----------
    predictions : Predictions
        Targets, and what the models said.
    said : mapping of str to Outputs
        The outputs of this model.
    attacks : mapping of str to Attacked
        The attacks on this model.
    reference_attacks : mapping of str to Attacked
        The same attacks on the retrained reference.
    """

    def __init__(
        self,
        predictions: Predictions,
        said: ByData,
        attacks: Mapping[str, Attacked],
        reference_attacks: Mapping[str, Attacked],
    ):
        self.attacks = attacks
        self._reference_attacks = reference_attacks
        columns = _classifier_columns if predictions.task == "classifier" else _regressor_columns
        self._columns = {name: columns(predictions, said, name) for name in predictions.sizes}

    def scores(self, weights: Weights, *, resampled: bool = True) -> Scores:
        """Compute every metric for each weighting.

        Parameters
        ----------
        weights : dict of str to ndarray of shape (n_weightings, n_samples)
            By data set.
        resampled : bool, default=True
            False if every weight is 1: attacks then report their own figures, which average over their splits.

        Returns
        -------
        dict of (str, str) to ndarray of shape (n_weightings,)
            By metric and data.
        """
        means = {name: weighted_means(columns, weights[name]) for name, columns in self._columns.items()}
        scores = _mean_scores(means)
        scores.update(_gaps(means))
        if "label" in self.attacks:
            attack = "loss" if "loss" in self.attacks else "label"
            ours, theirs = (
                _accuracy(attacks[attack], weights, resampled) for attacks in (self.attacks, self._reference_attacks)
            )
            scores.update(_over_all_data(means, ours, theirs))
            if attack == "loss":
                scores.update(_benchmark_scores(means, ours))
        if self.attacks:
            scores.update(_attack_scores(self.attacks, weights, resampled))
        return scores


def _classifier_columns(predictions: Predictions, said: ByData, name: str) -> dict[str, Floats]:
    """One number a sample, of which the metrics are means."""
    target, ours, theirs = predictions.targets[name], said[name], predictions.references[0][name]
    columns = {
        "accuracy": _flags(ours.labels == target),
        "accuracy of reference": _flags(theirs.labels == target),
        "completeness": _flags(ours.labels == theirs.labels),
    }
    if not predictions.has_proba or ours.proba is None or theirs.proba is None:
        return columns
    p, q = ours.proba, theirs.proba
    columns["loss"] = cross_entropy(p, target)
    columns["loss of reference"] = cross_entropy(q, target)
    columns["JS divergence"] = js_per_sample(p, q) / np.log(2.0)
    columns["activation distance"] = np.linalg.norm(p - q, axis=1)
    if name == "forget" and len(predictions.untrained):
        random = predictions.untrained
        columns["ZRF"] = np.mean([1.0 - js_per_sample(p, r) for r in random], axis=0)
        official = [1.0 - exchanged_js_per_entry(p, r).mean(axis=1) for r in random]
        columns["ZRF (official code)"] = np.mean(official, axis=0)
    return columns


def _regressor_columns(predictions: Predictions, said: ByData, name: str) -> dict[str, Floats]:
    target, ours, theirs = predictions.targets[name], said[name].labels, predictions.references[0][name].labels
    return {
        "error": _size(ours - target),
        "error of reference": _size(theirs - target),
        "prediction distance": _size(ours - theirs),
    }


def _size(difference: NDArray[Any]) -> Floats:
    """Mean absolute difference of each sample."""
    return np.abs(np.asarray(difference, dtype=np.float64)).reshape(len(difference), -1).mean(axis=1)


def _flags(condition: NDArray[Any]) -> Floats:
    return np.asarray(condition, dtype=np.float64)


def _mean_scores(means: Mapping[str, Mapping[str, Floats]]) -> Scores:
    return {
        (metric, data): values
        for data, columns in means.items()
        for metric, values in columns.items()
        if not metric.endswith(" of reference")
    }


def _gaps(means: Mapping[str, Mapping[str, Floats]]) -> Scores:
    """Differences to the reference; on the forget set also with their sign."""
    scores: Scores = {}
    for data, columns in means.items():
        for metric in ("accuracy", "error"):
            if metric in columns:
                scores[f"{metric} gap", data] = np.abs(_difference(columns, metric))
    for metric in ("accuracy", "loss", "error"):
        if metric in means.get("forget", {}):
            scores[f"signed {metric} gap", "forget"] = _difference(means["forget"], metric)
    return scores


def _difference(columns: Mapping[str, Floats], metric: str) -> Floats:
    return columns[metric] - columns[f"{metric} of reference"]


def _over_all_data(means: Mapping[str, Mapping[str, Floats]], attack: Floats, reference_attack: Floats) -> Scores:
    """Average gap and tug-of-war score."""
    groups = ("forget", "retain", "test")
    if any("accuracy" not in means.get(data, {}) for data in groups):
        return {}
    gaps = [np.abs(_difference(means[data], "accuracy")) for data in groups]
    return {
        ("average gap", "all"): np.mean([*gaps, np.abs(attack - reference_attack)], axis=0),
        ("ToW", "all"): np.prod([1.0 - gap for gap in gaps], axis=0),
    }


def _benchmark_scores(means: Mapping[str, Mapping[str, Floats]], attack: Floats) -> Scores:
    """The two scores of the face benchmarks."""
    leaked = np.abs(attack - 0.5)
    return {
        ("forgetting score", "forget"): leaked,
        ("NoMUS", "all"): 0.5 * means["test"]["accuracy"] + 0.5 * (1.0 - 2.0 * leaked),
    }


def _attack_scores(attacks: Mapping[str, Attacked], weights: Weights, resampled: bool) -> Scores:
    """All figures of all attacks, the strongest first."""
    scores: Scores = {}
    for name, attacked in attacks.items():
        figures = _figures(attacked, weights) if resampled else _own_figures(attacked)
        scores.update({(f"{name} attack {figure}", "forget"): values for figure, values in figures.items()})
    distances = [np.abs(scores[f"{name} attack AUC", "forget"] - 0.5) for name in attacks]
    return {(STRONGEST, "forget"): 0.5 + np.max(distances, axis=0), **scores}


def _measured_rates(attacked: Attacked) -> dict[float, float]:
    """TPR at those low rates that the number of non-members allows to measure."""
    own = (attacked.result.tpr_at_fpr_0_01, attacked.result.tpr_at_fpr_0_001)
    return {rate: value for rate, value in zip(LOW_RATES, own, strict=True) if not np.isnan(value)}


def _own_figures(attacked: Attacked) -> dict[str, Floats]:
    """What the attack reported."""
    figures = {"accuracy": attacked.result.accuracy, "AUC": attacked.result.auc}
    figures.update({_rate_name(rate): value for rate, value in _measured_rates(attacked).items()})
    return {name: np.array([value]) for name, value in figures.items()}


def _figures(attacked: Attacked, weights: Weights) -> dict[str, Floats]:
    """The same recomputed for resampled samples from the attack's evidence; nothing is fitted again."""
    rates = tuple(_measured_rates(attacked))
    ours, theirs, of_members, of_nonmembers = _judged(attacked, weights)
    roc = weighted_roc(ours.scores, theirs.scores, of_members, of_nonmembers, rates)
    figures = {"accuracy": _accuracy(attacked, weights, resampled=True), "AUC": roc.auc}
    return {**figures, **{_rate_name(rate): values for rate, values in zip(rates, roc.tpr, strict=True)}}


def _rate_name(rate: float) -> str:
    return f"TPR at FPR {100 * rate:g} %"


def _accuracy(attacked: Attacked, weights: Weights, resampled: bool) -> Floats:
    if not resampled:
        return np.array([attacked.result.accuracy])
    ours, theirs, of_members, of_nonmembers = _judged(attacked, weights)
    tpr = weighted_rate(ours.called, ours.times, of_members)
    return 0.5 * (tpr + 1.0 - weighted_rate(theirs.called, theirs.times, of_nonmembers))


def _judged(attacked: Attacked, weights: Weights) -> tuple[Evidence, Evidence, Floats, Floats]:
    """Evidence on members and non-members, and their weights."""
    ours, theirs = attacked.result.of_members, attacked.result.of_nonmembers
    assert ours is not None  # every attack of the battery keeps its evidence
    assert theirs is not None
    return ours, theirs, weights["forget"], weights[attacked.data][:, attacked.rows]
