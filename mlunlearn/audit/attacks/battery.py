"""The membership attacks that an audit runs on every model, the same way on each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.attacks._splits import BENCHMARK_SPLITS
from mlunlearn.audit.attacks.attack_result import AttackResult
from mlunlearn.audit.attacks.label import label_attack
from mlunlearn.audit.attacks.membership import entropy_attack, loss_attack, loss_spread_attack, svc_attack
from mlunlearn.audit.attacks.threshold import threshold_attack
from mlunlearn.audit.intervals.resampling import number_of_units
from mlunlearn.audit.metrics.signals import Feature, cross_entropy, membership_features, modified_entropy
from mlunlearn.audit.predictions import ByData, Predictions

# Samples of each side that a support vector classifier learns from; its time grows with the square.
MAX_PER_SIDE = 250
# Unseen samples that such a classifier is asked about; more say no more.
MAX_JUDGED = 5000
SVC_FEATURES: tuple[Feature, ...] = ("confidence", "modified_entropy", "probabilities")


@dataclass(frozen=True)
class Attacked:
    """An attack on one model, and which samples its non-members were.

    Parameters
    ----------
    result : AttackResult
        Figures, scores and decisions; members are the forget set.
    data : str
        Data set of the non-members.
    rows : ndarray of int
        Their rows in it.
    """

    result: AttackResult
    data: str
    rows: NDArray[np.intp]


class Battery:
    """The attacks that the data allow, with all random choices made once, so that every model is attacked alike.

    Parameters
    ----------
    predictions : Predictions
        Classifiers' outputs.
    seed : int
        Seed of the attacks' random choices.
    """

    def __init__(self, predictions: Predictions, seed: int):
        self._predictions = predictions
        self._seed = seed
        self.names, self.left_out = _possible_attacks(predictions)
        self._all = np.arange(predictions.sizes[predictions.nonmembers])
        self._fit_rows, self._judged_rows = self._all, self._all
        shuffled = np.random.default_rng(seed).permutation(len(self._all))
        if predictions.nonmembers == "test":  # one half of the test set teaches the classifiers, the other is judged
            self._fit_rows, self._judged_rows = np.array_split(shuffled, 2)
        else:
            self._fit_rows, self._judged_rows = np.arange(predictions.sizes["test"]), shuffled
        self._judged_rows = self._judged_rows[:MAX_JUDGED]

    def attack(self, outputs: ByData) -> dict[str, Attacked]:
        """Run all possible attacks on one model.

        Parameters
        ----------
        outputs : mapping of str to Outputs
            What the model said.

        Returns
        -------
        dict of str to Attacked
            By name of the attack.
        """
        return {name: self._run(name, outputs) for name in self.names}

    def _run(self, name: str, outputs: ByData) -> Attacked:
        data = self._predictions.nonmembers
        if name == "label":
            targets = self._predictions.targets
            correct = [outputs[side].labels == targets[side] for side in ("forget", data)]
            return Attacked(label_attack(correct[0], correct[1]), data, self._all)
        if name.startswith("svc") or name == "entropy":
            return Attacked(replace(self._learned(name, outputs), name=name), data, self._judged_rows)
        return Attacked(self._from_scores(name, outputs), data, self._all)

    def _from_scores(self, name: str, outputs: ByData) -> AttackResult:
        """Attacks on one number of each sample."""
        sides = ("forget", self._predictions.nonmembers)
        forget, unseen = ((_proba(outputs, side), self._predictions.targets[side]) for side in sides)
        of_forget, of_unseen = (self._predictions.groups.get(side) for side in sides)
        if name == "threshold":
            return threshold_attack(
                -modified_entropy(*forget),
                forget[1],
                -modified_entropy(*unseen),
                unseen[1],
                groups_members=of_forget,
                groups_nonmembers=of_unseen,
                random_state=self._seed,
            )
        attack = loss_attack if name == "loss" else loss_spread_attack
        return attack(cross_entropy(*forget), cross_entropy(*unseen), forget_groups=of_forget, unseen_groups=of_unseen)

    def _learned(self, name: str, outputs: ByData) -> AttackResult:
        """Attacks of a classifier that learns from retain and test samples."""
        data = self._predictions.nonmembers
        places: list[tuple[str, Any]] = [
            ("retain", slice(None)),
            ("test", self._fit_rows),
            ("forget", slice(None)),
            (data, self._judged_rows),
        ]
        probas = [_proba(outputs, side)[rows] for side, rows in places]
        if name == "entropy":
            return entropy_attack(*probas, max_per_side=MAX_PER_SIDE, random_state=self._seed)
        feature = next(known for known in SVC_FEATURES if name == _svc_name(known))
        targets = [self._predictions.targets[side][rows] for side, rows in places]
        features = [membership_features(p, y, feature) for p, y in zip(probas, targets, strict=True)]
        return svc_attack(*features, max_per_side=MAX_PER_SIDE, random_state=self._seed)


def _proba(outputs: ByData, side: str) -> NDArray[np.float64]:
    proba = outputs[side].proba
    assert proba is not None  # attacks that need probabilities are only chosen where every model gives them
    return proba


def _svc_name(feature: str) -> str:
    return f"svc {feature.replace('_', ' ')}"


def _possible_attacks(predictions: Predictions) -> tuple[list[str], list[str]]:
    """Names of the attacks that can be run, and in words which cannot and why."""
    if "forget" not in predictions.sizes:
        return [], []
    sides = ("forget", predictions.nonmembers)
    units = [_units(predictions, side) for side in sides]
    if not predictions.has_proba:
        return ["label"], ["attacks on probabilities: not every model has predict_proba"]
    names, left_out = ["label"], []
    if min(units) >= 2:
        names.append("threshold")
    else:
        left_out.append("threshold attack: it needs two independent samples on each side")
    if min(units) >= (2 if predictions.groups else BENCHMARK_SPLITS):
        names += ["loss", "loss spread"]
    else:
        left_out.append(f"loss attacks: they need {BENCHMARK_SPLITS} samples (or 2 groups) on each side")
    if "retain" in predictions.sizes and predictions.sizes["test"] >= 2:
        names += [*map(_svc_name, SVC_FEATURES), "entropy"]
    else:
        left_out.append("attacks that learn from retain and test samples: they need both")
    return names, left_out


def _units(predictions: Predictions, side: str) -> int:
    return number_of_units(predictions.sizes[side], predictions.groups.get(side))
