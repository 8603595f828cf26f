"""The membership attacks that an audit runs on every regressor, the same way on each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.attacks.battery import Attacked, Battery
from mlunlearn.audit.attacks.calibrated import calibrated_attack
from mlunlearn.audit.attacks.errors import error_attack, sample_errors, target_kinds
from mlunlearn.audit.attacks.shadow import residual_features, shadow_attack
from mlunlearn.audit.intervals.resampling import number_of_units
from mlunlearn.audit.predictions import ByData, Predictions

Rows = NDArray[np.intp]


class RegressorBattery:
    """The attacks that the data allow, on errors within ranges of the target, so that a forgotten band is no giveaway.

    Parameters
    ----------
    predictions : Predictions
        Regressors' outputs.
    seed : int
        Seed of the attacks' random choices.

    Notes
    -----
    *error*: forgotten rows may fit better than unseen rows with targets in the same range. *calibrated*: better than
    they fit retrained models, which cancels what is hard about a row. *shadow*: an attacker who learned from retrained
    models, other than the attacked one, what residuals of retained and of unseen rows look like.
    """

    def __init__(self, predictions: Predictions, seed: int):
        self._predictions = predictions
        self._seed = seed
        self.names: list[str] = []
        self.left_out: list[str] = []
        if "forget" not in predictions.sizes:
            return
        self._data = predictions.nonmembers
        targets = predictions.targets
        of_forget, of_unseen = target_kinds(targets["forget"], targets[self._data])
        self._rows = np.flatnonzero(of_unseen >= 0)
        self._kinds = of_forget, of_unseen[self._rows]
        if min(self._units("forget"), self._units(self._data, self._rows)) < 2:
            self.left_out.append("attacks: they need two forgotten rows and two unseen ones with targets like theirs")
            return
        self.names += ["error", "calibrated"] if np.isin(*self._kinds).all() else ["calibrated"]
        self._learned_from, self._judged = self._halves()
        if "retain" in predictions.sizes and self._units(self._data, self._judged) >= 2 and len(self._learned_from):
            self.names.append("shadow")
        else:
            self.left_out.append("shadow attack: it needs retained rows, and unseen ones to learn from and to judge")

    def _units(self, side: str, rows: Rows | None = None) -> int:
        groups = self._predictions.groups.get(side)
        n = self._predictions.sizes[side] if rows is None else len(rows)
        if groups is not None and rows is not None:
            return len(np.unique(groups[rows]))
        return number_of_units(n, groups)

    def _halves(self) -> tuple[Rows, Rows]:
        """Test rows to learn from, and non-members to judge: one half each where these are the same data."""
        if self._data != "test":
            return np.arange(self._predictions.sizes["test"]), self._rows
        groups = self._predictions.groups.get("test", np.arange(self._predictions.sizes["test"]))
        order = np.random.default_rng(self._seed).permutation(int(groups.max()) + 1)
        learned = order[groups] < (groups.max() + 1) // 2
        return np.flatnonzero(learned), self._rows[~learned[self._rows]]

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
        others = [reference for reference in self._predictions.references if reference is not outputs]
        return {name: getattr(self, f"_{name}")(outputs, others) for name in self.names}

    def _error(self, outputs: ByData, others: list[ByData]) -> Attacked:
        result = error_attack(
            self._errors(outputs, "forget"),
            self._errors(outputs, self._data, self._rows),
            kinds_forget=self._kinds[0],
            kinds_unseen=self._kinds[1],
            random_state=self._seed,
            **self._groups(self._rows),
        )
        return Attacked(result, self._data, self._rows)

    def _calibrated(self, outputs: ByData, others: list[ByData]) -> Attacked:
        result = calibrated_attack(
            self._errors(outputs, "forget"),
            self._errors(outputs, self._data, self._rows),
            [self._errors(other, "forget") for other in others],
            [self._errors(other, self._data, self._rows) for other in others],
            random_state=self._seed,
            **self._groups(self._rows),
        )
        return Attacked(result, self._data, self._rows)

    def _shadow(self, outputs: ByData, others: list[ByData]) -> Attacked:
        known = [self._features(other, "retain") for other in others]
        new = [self._features(other, "test", self._learned_from) for other in others]
        result = shadow_attack(
            np.concatenate(known),
            np.concatenate(new),
            self._features(outputs, "forget"),
            self._features(outputs, self._data, self._judged),
            random_state=self._seed,
            **self._groups(self._judged),
        )
        return Attacked(result, self._data, self._judged)

    def _errors(self, said: ByData, side: str, rows: Rows | slice = slice(None)) -> NDArray[np.float64]:
        return sample_errors(self._predictions.targets[side][rows], said[side].labels[rows])

    def _features(self, said: ByData, side: str, rows: Rows | slice = slice(None)) -> NDArray[np.float64]:
        return residual_features(self._predictions.targets[side][rows], said[side].labels[rows])

    def _groups(self, rows: Rows) -> dict[str, Any]:
        groups = self._predictions.groups
        of_unseen = groups.get(self._data)
        if "forget" not in groups or of_unseen is None:
            return {}
        # the two sides share no person: numbers are counted anew on each
        return {"forget_groups": groups["forget"], "unseen_groups": of_unseen[rows] + groups["forget"].max() + 1}


def battery_for(predictions: Predictions, seed: int) -> Battery | RegressorBattery:
    """Choose the attacks for a task.

    Parameters
    ----------
    predictions : Predictions
        Outputs of all models.
    seed : int
        Seed of the attacks' random choices.

    Returns
    -------
    Battery or RegressorBattery
        With `names`, `left_out` and `attack`.
    """
    return RegressorBattery(predictions, seed) if predictions.task == "regressor" else Battery(predictions, seed)
