"""The table of an audit: every score of the unlearned model between its null and the original's score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.attacks.battery import Attacked
from mlunlearn.audit.attacks.regressor_battery import battery_for
from mlunlearn.audit.intervals.bootstrap import BootstrapInterval
from mlunlearn.audit.intervals.resampling import number_of_units, resample_weights, weights_of_all
from mlunlearn.audit.metrics.benchmark import scaled_score
from mlunlearn.audit.metrics.scores import STRONGEST, Scores, Subject, better
from mlunlearn.audit.predictions import Predictions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """One metric on one data set.

    Parameters
    ----------
    metric : str
        What was measured.
    data : str
        On what: "forget", "retain", "test", "unseen" or "all".
    better : {"lower", "higher", "like null"}
        Which way is better.
    unlearned : BootstrapInterval
        The score of the model under audit.
    null : BootstrapInterval
        A perfect unlearner's own score: that of independent further retrained models, their mean.
    original : BootstrapInterval or None
        The score before unlearning.
    """

    metric: str
    data: str
    better: str
    unlearned: BootstrapInterval
    null: BootstrapInterval
    original: BootstrapInterval | None

    @property
    def scaled(self) -> float:
        """Place between the original (0) and the null (1); NaN where these two are equal or there is no original."""
        if self.original is None:
            return float("nan")
        return scaled_score(self.unlearned.estimate, self.original.estimate, self.null.estimate)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as the audit's table shows it.

        Returns
        -------
        dict
            By column; NaN where nothing was measured.
        """
        columns: dict[str, Any] = {"metric": self.metric, "data": self.data}
        nothing = BootstrapInterval(*[float("nan")] * 3)
        for name in ("unlearned", "null", "original"):
            interval = getattr(self, name) or nothing
            columns |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        return {**columns, "better": self.better, "scaled": self.scaled}


def measure(
    predictions: Predictions, n_bootstrap: int, seed: int
) -> tuple[tuple[Row, ...], dict[str, dict[str, Attacked]], list[str]]:
    """Score every model, and draw the intervals.

    Parameters
    ----------
    predictions : Predictions
        What the models said.
    n_bootstrap : int
        Resamples.
    seed : int
        Seed of the resamples and of the attacks.

    Returns
    -------
    rows : tuple of Row
        The table.
    attacks : dict of str to dict of str to Attacked
        By model and by attack.
    left_out : list of str
        What could not be measured, in words.
    """
    battery = battery_for(predictions, seed)
    attacks = {name: battery.attack(said) for name, said in predictions.models().items()}
    subjects = {
        name: Subject(predictions, said, attacks[name], attacks["retrained"])
        for name, said in predictions.models().items()
        if name != "retrained"
    }
    alone = [name for name, n in predictions.sizes.items() if number_of_units(n, predictions.groups.get(name)) < 2]
    left_out = [
        *battery.left_out,
        *(f"intervals on {name} data: there is only one independent sample" for name in alone),
    ]
    return tuple(_rows(predictions, subjects, n_bootstrap, seed, alone)), attacks, left_out


def _rows(
    predictions: Predictions, subjects: Mapping[str, Subject], n_bootstrap: int, seed: int, alone: list[str]
) -> list[Row]:
    estimates = {name: s.scores(weights_of_all(predictions.sizes), resampled=False) for name, s in subjects.items()}
    resampled = _resampled(predictions, subjects, n_bootstrap, seed)
    nulls = [name for name in subjects if name.startswith("null")]
    rows = []
    for key in sorted(estimates["unlearned"], key=lambda key: key[0] != STRONGEST):  # the headline first
        metric, data = key
        uncertain = n_bootstrap > 0 and data not in alone and not (alone and (data == "all" or "attack" in metric))
        intervals = {
            part: _interval([estimates[n][key] for n in names], [resampled[n][key] for n in names], uncertain)
            for part, names in (("unlearned", ["unlearned"]), ("null", nulls), ("original", ["original"]))
            if names[0] in subjects
        }
        way = better(metric, data)
        rows.append(Row(metric, data, way, intervals["unlearned"], intervals["null"], intervals.get("original")))
    return rows


def _resampled(
    predictions: Predictions, subjects: Mapping[str, Subject], n_bootstrap: int, seed: int
) -> dict[str, Scores]:
    """Scores of every resample; all models are scored on the same resamples."""
    parts: dict[str, list[Scores]] = {name: [] for name in subjects}
    for weights in resample_weights(predictions.sizes, predictions.groups, n_bootstrap, seed):
        for name, subject in subjects.items():
            parts[name].append(subject.scores(weights))
    return {
        name: {key: np.concatenate([part[key] for part in scored]) for key in scored[0]}
        for name, scored in parts.items()
    }


def _interval(
    estimates: list[NDArray[np.float64]], resampled: list[NDArray[np.float64]], uncertain: bool
) -> BootstrapInterval:
    """Mean over models, with an interval over samples and models that contains it."""
    estimate = float(np.mean(estimates))
    if not uncertain:
        return BootstrapInterval(estimate, float("nan"), float("nan"))
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.nanquantile(np.concatenate(resampled), [tail, 1.0 - tail])
    return BootstrapInterval(estimate, min(float(low), estimate), max(float(high), estimate))
