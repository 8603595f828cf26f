"""From predictions to a verdict: the declared statistics of classifiers and regressors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.attacks.errors import target_kinds
from mlunlearn.audit.exchangeability import Comparability, comparability
from mlunlearn.audit.identity import answers_of_retraining, identity_statistic
from mlunlearn.audit.metrics.signals import logit_scaled_confidence
from mlunlearn.audit.predictions import ByData, Outputs, Predictions
from mlunlearn.audit.statistics import (
    Statistic,
    agreement_statistic,
    distance_statistic,
    level_statistic,
    membership_statistic,
)
from mlunlearn.audit.verdict import Verdict, decide

Floats = NDArray[np.float64]
NO_FORGOTTEN = "membership, agreement and distance: they need the forgotten rows"


@dataclass(frozen=True)
class Judge:
    """Everything that the verdicts on several models share: references, original, rows, and how these are compared.

    Parameters
    ----------
    predictions : Predictions
        Targets, references and original; the model under audit is passed to `verdict`.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable.
    residue : float, default=1.0
        Share of the forgotten rows that must be found for a favourable verdict.
    seed : int, default=0
        Seed of the permutations.
    exchangeable : bool or None, default=None
        Whether forgotten and unseen rows are exchangeable; None tests it.
    """

    predictions: Predictions
    alpha: float = 0.05
    residue: float = 1.0
    seed: int = 0
    exchangeable: bool | None = None

    def comparability(self) -> Comparability | None:
        """Test whether forgotten and unseen rows are alike under the references; None without forgotten rows.

        Returns
        -------
        Comparability or None
            How they are compared.
        """
        if "forget" not in self.predictions.sizes:
            return None
        targets, unseen = self.predictions.targets, self.predictions.nonmembers
        labels = self._both(targets)
        if self.predictions.task == "regressor":  # a forgotten band is compared with unseen rows of the same band
            labels = np.concatenate(target_kinds(targets["forget"], targets[unseen]))
        found = comparability(
            np.array([self._membership(said) for said in self.predictions.references]),
            self._is_forget(),
            labels,
            groups=self._groups(),
            exchangeable=self.exchangeable,
            random_state=self.seed,
        )
        return replace(found, values=self.predictions.task == "regressor")

    def verdict(self, models: ByData | Sequence[ByData], found: Comparability | None) -> Verdict:
        """Come to a verdict on one model, or on several seeds of one method.

        Parameters
        ----------
        models : mapping of str to Outputs, or a sequence of them
            What the audited model said, or the models of one method.
        found : Comparability or None
            How forgotten and unseen rows are compared.

        Returns
        -------
        Verdict
            At the stated error rate.
        """
        said: list[ByData] = [models] if isinstance(models, Mapping) else list(models)
        if self.retraining is not None:
            return self._by_identity(said, self.retraining, found)
        statistics, absent = self._of_forgotten(said, found)
        statistics.append(self._level(said, "test"))
        if found is None and "retain" in self.predictions.sizes:
            statistics.append(self._level(said, "retain"))
        return decide(statistics, alpha=self.alpha, residue=self.residue, absent=absent)

    @cached_property
    def retraining(self) -> ByData | None:
        """What every reference says, where they all say the same; None where training depends on the seed."""
        return answers_of_retraining(self.predictions)

    def _by_identity(self, said: list[ByData], retraining: ByData, found: Comparability | None) -> Verdict:
        """Where all references agree, a model gives the same answers or it is another, unless they agree by chance."""
        identity = identity_statistic(self.predictions, said, retraining)
        statistics, absent = [identity], [NO_FORGOTTEN] if found is None else []
        if found is not None and identity.decisive_p > self.alpha:
            if found.how is False:
                absent.append("membership: these rows need a spread between references, and these agree")
            else:
                statistics.insert(0, self.membership(said, found))
        return decide(statistics, alpha=self.alpha, residue=self.residue, absent=absent)

    def _of_forgotten(self, said: list[ByData], found: Comparability | None) -> tuple[list[Statistic], list[str]]:
        if found is None:
            return [], [NO_FORGOTTEN]
        references, original = self.predictions.references, self.predictions.original
        membership, mask = self.membership(said, found), self._is_forget()
        if len(references) < 3:
            return [membership], ["agreement and distance: they need at least three references"]
        among = np.zeros((len(references), len(references), len(mask)))
        for i, first in enumerate(references):
            for j, second in enumerate(references[:i]):
                among[i, j] = among[j, i] = self._distance(first, second)
        to_references = np.mean([self._to_references(outputs) for outputs in said], axis=0)
        agreement = agreement_statistic(
            to_references,
            among,
            mask,
            original=None if original is None else self._to_references(original),
            **self._how(found),
        )
        return [membership, agreement, distance_statistic(to_references, among)], []

    def membership(self, said: Sequence[ByData], found: Comparability) -> Statistic:
        """Compare how well forgotten rows are told from unseen ones.

        Parameters
        ----------
        said : sequence of mapping of str to Outputs
            What the audited model said, or the models of one method.
        found : Comparability
            How forgotten and unseen rows are compared.

        Returns
        -------
        Statistic
            See `mlunlearn.audit.membership_statistic`.
        """
        original = self.predictions.original
        statistic = membership_statistic(
            np.array([self._membership(outputs) for outputs in said]),
            np.array([self._membership(outputs) for outputs in self.predictions.references]),
            self._is_forget(),
            original=None if original is None else self._membership(original),
            **self._how(found),
        )
        return self._with_stand_in(statistic) if original is None else statistic

    def _how(self, found: Comparability) -> dict[str, Any]:
        """How rows are compared, in the words of the statistics."""
        return {
            "strata": found.strata,
            "groups": self._groups(),
            "exchangeable": found.how,
            "random_state": self.seed,
        }

    def _with_stand_in(self, statistic: Statistic) -> Statistic:
        """Without the original, retained rows show how rows look that a model has learned from."""
        if "retain" not in self.predictions.sizes:
            return statistic
        aucs = []
        for said in self.predictions.references:
            unseen = np.sort(self.signal(said, self.predictions.nonmembers))
            retained = self.signal(said, "retain")
            below = np.searchsorted(unseen, retained, "left") + np.searchsorted(unseen, retained, "right")
            aucs.append(below.mean() / (2.0 * len(unseen)))
        effect = float(np.mean(aucs)) - statistic.reference
        # the rank of a row has at most the variance of a uniform one beside the effect itself
        variance = (effect**2 + 1.0 / 12.0) / self.predictions.sizes["forget"]
        return replace(statistic, member_effect=effect, member_variance=variance)

    def _level(self, said: list[ByData], data: str) -> Statistic:
        where = {"test": "unseen", "retain": "retained"}[data]
        return level_statistic(
            np.array([self._score(outputs, data) for outputs in said]),
            np.array([self._score(outputs, data) for outputs in self.predictions.references]),
            name=f"performance: mean score, {where}",
            larger=f"it does better on {where} rows than retrained models",
            smaller=f"it does worse on {where} rows than retrained models",
        )

    def _membership(self, said: ByData) -> Floats:
        """Score of forgotten and of unseen rows that ranks likely members high."""
        return np.concatenate([self.signal(said, data) for data in ("forget", self.predictions.nonmembers)])

    def signal(self, said: ByData, data: str) -> Floats:
        """Score of each row of one data set, higher for more likely members: the logit of the true class.

        Parameters
        ----------
        said : mapping of str to Outputs
            What a model said.
        data : str
            The data set.

        Returns
        -------
        ndarray of shape (n_rows,)
            Where no model gives probabilities, 1 for right labels; for values, minus the absolute error.
        """
        proba = said[data].proba
        if self.predictions.has_proba and proba is not None:
            return logit_scaled_confidence(proba, self.predictions.targets[data])
        return self._score(said, data)

    def _score(self, said: ByData, data: str) -> Floats:
        """Probability of the true class, whether the label is right, or minus the absolute error."""
        target, proba = self.predictions.targets[data], said[data].proba
        if self.predictions.has_proba and proba is not None:
            return proba[np.arange(len(target)), target]
        if self.predictions.task == "classifier":
            return (said[data].labels == target).astype(float)
        return -_mean_size(said[data].labels - target)

    def _to_references(self, said: ByData) -> Floats:
        return np.array([self._distance(said, reference) for reference in self.predictions.references])

    def _distance(self, first: ByData, second: ByData) -> Floats:
        sides = ("forget", self.predictions.nonmembers)
        return np.concatenate([self.distance_on(first[data], second[data]) for data in sides])

    def distance_on(self, first: Outputs, second: Outputs) -> Floats:
        """Distance of two models' predictions on each row.

        Parameters
        ----------
        first, second : Outputs
            On the same rows.

        Returns
        -------
        ndarray of shape (n_rows,)
            Total variation of probabilities, disagreement of labels, or absolute difference of values.
        """
        if self.predictions.has_proba and first.proba is not None and second.proba is not None:
            return 0.5 * np.abs(first.proba - second.proba).sum(axis=1)
        if self.predictions.task == "classifier":
            return (first.labels != second.labels).astype(float)
        return _mean_size(first.labels - second.labels)

    def _both(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([arrays["forget"], arrays[self.predictions.nonmembers]])

    def _is_forget(self) -> NDArray[np.bool_]:
        sizes = self.predictions.sizes
        return np.arange(sizes["forget"] + sizes[self.predictions.nonmembers]) < sizes["forget"]

    def _groups(self) -> NDArray[np.intp] | None:
        """Persons of both sides, those of one side with numbers of their own."""
        groups = self.predictions.groups
        if "forget" not in groups or self.predictions.nonmembers not in groups:
            return None
        of_forget, of_unseen = groups["forget"], groups[self.predictions.nonmembers]
        return np.concatenate([of_forget, of_unseen + of_forget.max() + 1])


def _mean_size(difference: NDArray[Any]) -> Floats:
    """Mean absolute difference of each row."""
    return np.abs(np.asarray(difference, dtype=float)).reshape(len(difference), -1).mean(axis=1)
