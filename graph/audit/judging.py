"""The verdict on graph models: the declared statistics of each task, tested as the core's audit tests them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.intervals.contrast import over_rows
from mlunlearn.audit.statistics import (
    Statistic,
    agreement_statistic,
    distance_statistic,
    level_statistic,
    membership_statistic,
)
from mlunlearn.audit.verdict import Verdict, decide
from mlunlearn.graph.audit.asking import Answers
from mlunlearn.graph.audit.comparison import total_variation

Floats = NDArray[np.float64]

# Level of the test of whether forgotten and unseen nodes or edges are alike to retrained models.
UNLIKE = 0.05


class Judge:
    """Comes to a verdict on one model after the other, with the same references and the same declared statistics.

    Parameters
    ----------
    references : sequence of Answers
        Those of models that never saw what was forgotten, at least two.
    original : Answers
        Those of the model before unlearning, which shows how members look.
    exchangeable : bool or None
        Whether forgotten and unseen nodes or edges are exchangeable to a model that learned from neither; None asks the
        references whether they are alike on average, and how far references differ beyond chance between them.
    alpha : float
        Chance that a retrained model is called distinguishable.
    seed : int
        Seed of the permutations.

    Notes
    -----
    Declared, where the task allows:

    - *membership*: forgotten against unseen, by the probability of the truth. Nodes are shown without edges, within
      their class; edges are compared with test edges.
    - *agreement*: distance to the references, there against elsewhere; needs three references. Where a node classifier
      forgot edges or features, the nodes at them against all other test nodes. These are not alike, so that only the
      difference between references says what chance is.
    - *distance*: the same distance, over all that is compared; needs three references.
    - *performance*: probability of the truth on test nodes, or on test edges and non-edges.

    If forgotten and test edges are a random division of edges, a permutation test is exact although edges share nodes:
    given the models, which of them were forgotten is all that is random.
    """

    def __init__(
        self, references: Sequence[Answers], original: Answers, exchangeable: bool | None, alpha: float, seed: int
    ):
        self._references, self._original = references, original
        self._alpha, self._seed = alpha, seed
        parts = original.parts
        self._links = "test_pos" in parts
        self._sides = ("forget", "test_pos") if self._links else ("own_forget", "own_unseen")
        self._has_members = self._sides[0] in parts and all(len(parts[side].target) for side in self._sides)
        if not self._has_members:
            self._sides = ("forget", "elsewhere")
        self._can_compare = all(side in parts and len(parts[side].target) for side in self._sides)
        if not self._can_compare:
            return
        first, second = (parts[side] for side in self._sides)
        self._is_forget = np.repeat([True, False], [len(first.target), len(second.target)])
        self._strata = np.concatenate([first.target, second.target]) if self._has_members else None
        self.exchangeable = exchangeable
        if not self._has_members or (exchangeable is None and not self._alike()):
            self.exchangeable = False

    def judge(self, ours: Answers) -> Verdict:
        """Come to a verdict on one model.

        Parameters
        ----------
        ours : Answers
            Its answers.

        Returns
        -------
        Verdict
            With the declared statistics, and those that could not be computed.
        """
        statistics, absent = [], []
        if self._has_members:
            statistics.append(self._membership(ours))
        else:
            absent.append("membership: this model has no answer about what was forgotten")
        if len(self._references) < 3:
            absent.append("agreement and distance: they take three references")
        elif not self._can_compare:
            absent.append("agreement and distance: nothing to compare the forgotten with")
        else:
            statistics += self._distances(ours)
        statistics.append(self._performance(ours))
        return decide(statistics, alpha=self._alpha, absent=absent)

    def _membership(self, ours: Answers) -> Statistic:
        return membership_statistic(
            self._own(ours),
            np.array([self._own(reference) for reference in self._references]),
            self._is_forget,
            original=self._own(self._original),
            strata=self._strata,
            exchangeable=self.exchangeable,
            random_state=self._seed,
        )

    def _distances(self, ours: Answers) -> list[Statistic]:
        """Distance to the references, there against elsewhere, and everywhere."""

        def distance(a: Answers, b: Answers) -> Floats:
            return np.concatenate([total_variation(a.parts[side], b.parts[side]) for side in self._sides])

        others = self._references
        to_theirs = np.array([distance(ours, other) for other in others])
        among = np.array([[distance(a, b) for b in others] for a in others])
        agreement = agreement_statistic(
            to_theirs,
            among,
            self._is_forget,
            original=np.array([distance(self._original, other) for other in others]),
            strata=self._strata,
            exchangeable=self.exchangeable,
            random_state=self._seed,
        )
        return [agreement, distance_statistic(to_theirs, among)]

    def _performance(self, ours: Answers) -> Statistic:
        def own(said: Answers) -> Floats:
            return np.concatenate([said.parts[name].own for name in self._tested()])

        return level_statistic(own(ours), np.array([own(reference) for reference in self._references]))

    def _tested(self) -> tuple[str, ...]:
        return ("test_pos", "test_neg") if self._links else ("test",)

    def _own(self, said: Answers) -> Floats:
        return np.concatenate([said.parts[side].own for side in self._sides])

    def _alike(self) -> bool:
        """Whether the references tell forgotten from unseen no better than chance."""
        mean = np.mean([self._own(reference) for reference in self._references], axis=0)
        targets = np.concatenate([self._original.parts[side].target for side in self._sides])
        strata = np.unique(targets, return_inverse=True)[1]
        difference = over_rows(mean, self._is_forget, strata, None, self._seed)
        return difference.p_value >= UNLIKE
