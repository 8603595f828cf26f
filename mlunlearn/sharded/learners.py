"""How a constituent model learns slice by slice, for each kind of estimator.

A learner turns the checkpoint of one slice into that of the next. What it makes depends on the estimator, the rows it
is shown and the seeds, so the same call gives the same bits whenever it is made.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Protocol

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mlunlearn.rows.data import Block
from mlunlearn.training.estimators import accepts, fit_block, fresh_copy
from mlunlearn.training.labels import fit_labels
from mlunlearn.training.passes import FEWEST_ROWS, n_samples_of, pass_seeds, split_passes
from mlunlearn.training.seeds import derive_seeds, seed_parameters, set_seed

DEFAULT_EPOCHS = 20


class Learner(Protocol):
    """What a sharded model asks of a way to learn."""

    call: ClassVar[str]
    """The method of the estimator that is shown the rows."""

    @property
    def estimator(self) -> BaseEstimator:
        """The constituent, not fitted."""

    @property
    def n_slices(self) -> int:
        """Slices it learns in."""

    def advance(
        self, previous: BaseEstimator | None, block: Block, n_seen: int, key: tuple[int, ...], classes: Any
    ) -> BaseEstimator | None:
        """Learn the next slice.

        Parameters
        ----------
        previous : estimator or None
            Checkpoint of the slices before; left as it is.
        block : Block
            Rows of all slices up to the new one.
        n_seen : int
            Rows at the head of `block` that `previous` has seen.
        key : tuple of int
            Root seed, shard and slice.
        classes : ndarray or None
            Labels of the shard.

        Returns
        -------
        estimator or None
            The new checkpoint; None while there is too little to start from.
        """

    def samples(self, n_seen: int, n_new: int) -> int:
        """Count the samples one call of `advance` processes."""


@dataclass(frozen=True)
class OneShot:
    """Fit once on the whole shard: every estimator can."""

    estimator: BaseEstimator
    n_slices: int = 1
    call: ClassVar[str] = "fit"

    def advance(
        self, previous: BaseEstimator | None, block: Block, n_seen: int, key: tuple[int, ...], classes: Any
    ) -> BaseEstimator:
        """Fit a fresh copy."""
        return fit_labels(fresh_copy(self.estimator, derive_seeds(*key)[0]), block)

    def samples(self, n_seen: int, n_new: int) -> int:
        """All rows, once."""
        return n_seen + n_new


@dataclass(frozen=True)
class Iterative:
    """Go on with `partial_fit` over the union of the slices so far: stochastic gradient methods, neural networks.

    The budget of all slices together is that of `epochs` passes over the shard, ``2 * epochs / (n_slices + 1)`` passes
    over the union for each slice. Estimators that count epochs themselves are given a whole slice's budget at once.
    """

    estimator: BaseEstimator
    n_slices: int
    epochs: float
    counts_epochs: bool
    seed_names: tuple[str, ...]
    call: ClassVar[str] = "partial_fit"

    @property
    def slice_epochs(self) -> float:
        """Passes over the union of slices at each slice."""
        return 2 * self.epochs / (self.n_slices + 1)

    def advance(
        self, previous: BaseEstimator | None, block: Block, n_seen: int, key: tuple[int, ...], classes: Any
    ) -> BaseEstimator:
        """Pass over the union as often as the budget says."""
        model = clone(self.estimator) if previous is None else copy.deepcopy(previous)
        if self.counts_epochs:
            set_seed(model, derive_seeds(*key)[0])
            return _partial_fit(model, block, classes, epochs=self.samples(0, len(block)) / len(block))
        draw, *seeds = pass_seeds(*key, epochs=self.slice_epochs)
        for seed, part in zip(seeds, split_passes(len(block), self.slice_epochs, draw), strict=False):
            _partial_fit(set_seed(model, seed, self.seed_names), block.part(part), classes)
        return _detached(model, block)

    def samples(self, n_seen: int, n_new: int) -> int:
        """The budget of one slice."""
        return n_samples_of(n_seen + n_new, self.slice_epochs, FEWEST_ROWS if self.counts_epochs else 1)


@dataclass(frozen=True)
class Additive:
    """Add each slice once with `partial_fit`: models that are sums over rows, such as naive Bayes."""

    estimator: BaseEstimator
    n_slices: int
    call: ClassVar[str] = "partial_fit"

    def advance(
        self, previous: BaseEstimator | None, block: Block, n_seen: int, key: tuple[int, ...], classes: Any
    ) -> BaseEstimator:
        """Add the rows of the new slice alone."""
        model = fresh_copy(self.estimator, derive_seeds(*key)[0]) if previous is None else copy.deepcopy(previous)
        return _detached(_partial_fit(model, block.part(slice(n_seen, len(block))), classes), block)

    def samples(self, n_seen: int, n_new: int) -> int:
        """The new rows, once."""
        return n_new


@dataclass(frozen=True)
class WarmStart:
    """Fit again from where the last slice ended: estimators with ``warm_start=True``.

    Ensembles grow: each slice adds its share of the members, learned on the union of the slices so far.
    """

    estimator: BaseEstimator
    n_slices: int
    call: ClassVar[str] = "fit"

    def advance(
        self, previous: BaseEstimator | None, block: Block, n_seen: int, key: tuple[int, ...], classes: Any
    ) -> BaseEstimator | None:
        """Fit on the union; wait while it lacks a class of the shard, which warm starts cannot add later."""
        if classes is not None and len(np.unique(block.y)) < len(classes):
            return None
        model = clone(self.estimator) if previous is None else copy.deepcopy(previous)
        set_seed(model, derive_seeds(*key)[0])
        return fit_block(model.set_params(**self._size(stage=key[-1] + 1)), block)

    def _size(self, stage: int) -> dict[str, int]:
        boosting = isinstance(self.estimator, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))
        name = "max_iter" if boosting else "n_estimators"
        members = self.estimator.get_params(deep=False).get(name)
        return {} if members is None else {name: ceil(members * stage / self.n_slices)}

    def samples(self, n_seen: int, n_new: int) -> int:
        """The union, once."""
        return n_seen + n_new


def learner_for(estimator: BaseEstimator, n_slices: int, epochs: float | None) -> Learner:
    """Choose how an estimator learns slice by slice.

    Parameters
    ----------
    estimator : estimator
        The constituent model.
    n_slices : int
        Slices asked for.
    epochs : float or None
        Passes over a shard; None takes the estimator's own ``max_epochs``, or 20.

    Returns
    -------
    Learner
        One slice (`OneShot`) where the estimator cannot go on, or only one was asked for.
    """
    params = estimator.get_params(deep=False)
    if n_slices == 1:
        return OneShot(estimator)
    if params.get("warm_start"):
        return WarmStart(estimator, n_slices)
    if not hasattr(estimator, "partial_fit"):
        return OneShot(estimator)
    if "max_iter" not in params and not hasattr(estimator, "max_epochs"):
        return Additive(estimator, n_slices)
    budget = getattr(estimator, "max_epochs", DEFAULT_EPOCHS) if epochs is None else epochs
    counts_epochs, seed_names = accepts(estimator.partial_fit, "epochs"), tuple(seed_parameters(estimator))
    return Iterative(estimator, n_slices, budget, counts_epochs, seed_names)


def _partial_fit(model: BaseEstimator, block: Block, classes: Any, **options: Any) -> BaseEstimator:
    if classes is not None:
        options["classes"] = classes
    if block.weight is not None:
        options["sample_weight"] = block.weight
    return model.partial_fit(block.X, block.y, **options)


def _detached(model: BaseEstimator, block: Block) -> BaseEstimator:
    """Copy what a model keeps of its input, or it would keep the rows beside it in memory as well."""
    for name, value in vars(model).items():
        is_view = isinstance(value, np.ndarray) and value.base is not None
        if is_view and np.may_share_memory(value, block.X):
            vars(model)[name] = value.copy()
    return model
