"""Shards that are trained alone, slice by slice, and trained again from the slice that has to forget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.dummy import DummyClassifier
from sklearn.utils import Tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from mlunlearn.base import UnlearnerMixin
from mlunlearn.parameters import check_choice, check_count, check_positive, check_share
from mlunlearn.receipts import Work
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.data import Block
from mlunlearn.sharded.aggregation import weighted_mean
from mlunlearn.sharded.allocation import Allocation, allocate_by_id, allocate_by_risk, allocate_uniform
from mlunlearn.sharded.learners import Learner, learner_for
from mlunlearn.state import Exactness, Task
from mlunlearn.training.estimators import as_estimator, check_takes_weight, inherit_tags, template_of
from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators
from mlunlearn.training.nesting import no_threads_inside
from mlunlearn.training.reproducibility import from_known_libraries, irreproducible_parts, rows_for, warn_irreproducible
from mlunlearn.training.seeds import GENERATORS, derive_seeds
from mlunlearn.training.threads import one_thread

Checkpoints = list[BaseEstimator | None]


def train_shard(
    learner: Learner, block: Block, sizes: np.ndarray, kept: Checkpoints, classes: Any, key: tuple[int, int]
) -> tuple[Checkpoints, list[int]]:
    """Train a shard from the first slice that has no checkpoint to the last.

    Parameters
    ----------
    learner : Learner
        How the constituent learns.
    block : Block
        The retained rows of the shard, slice by slice.
    sizes : ndarray of int, shape (n_slices,)
        Retained rows of each slice; empty slices are passed over.
    kept : list of estimator or None
        Checkpoints of the slices before the first one to train.
    classes : ndarray or None
        Labels of the shard; None for regression.
    key : tuple of int
        Root seed and shard.

    Returns
    -------
    checkpoints : list of estimator or None, length n_slices
        One after each slice; None where nothing has been learned yet.
    spent : list of int
        Samples processed at each slice that was trained.
    """
    if classes is not None and len(classes) == 1:
        constant = DummyClassifier(strategy="most_frequent").fit(np.zeros((1, 1)), classes)
        return [None] * (len(sizes) - 1) + [constant], [0] * (len(sizes) - len(kept))
    ends = [0, *np.cumsum(sizes).tolist()]
    checkpoints, model = list(kept), kept[-1] if kept else None
    spent = []
    private = not from_known_libraries(learner.estimator)  # it may write into what it is shown
    for part in range(len(kept), len(sizes)):
        if sizes[part]:
            seen, union = ends[part] if model is not None else 0, slice(0, ends[part + 1])
            shown = block.take(np.arange(ends[part + 1])) if private else block.part(union)
            seed = derive_seeds(*key, part, GENERATORS)[0]
            with TURNS, one_thread(), KeptGenerators(), SeededGenerators(seed), no_threads_inside(learner.estimator):
                model = learner.advance(model, shown, seen, (*key, part), classes)
        trained = sizes[part] and model is not None
        spent.append(learner.samples(ends[part], int(sizes[part])) if trained else 0)
        checkpoints.append(model)
    return checkpoints, spent


class Job(NamedTuple):
    """A shard to train.

    Parameters
    ----------
    shard, start : int
        Which one, and from which slice on.
    block : Block
        Its retained rows, in training order.
    sizes : ndarray of int, shape (n_slices,)
        How many of them are in each slice.
    """

    shard: int
    start: int
    block: Block
    sizes: np.ndarray


class ShardedUnlearner(UnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """What sharded classifiers and regressors share: allocation, training by shard and slice, and forgetting."""

    guarantee = "exact"
    exactness = "bits"
    _task: Task

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        sample_ids: Any = None,
        id_key: bytes | None = None,
        exclude: Any = None,
        deletion_probability: Any = None,
    ) -> Self:
        """Learn each shard on its own, slice by slice, from all rows but those in `exclude`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features), Dataset or dict of arrays
            Training inputs. The model keeps a reference, not a copy, until it is asked to forget. Torch networks also
            take a map-style ``torch.utils.data.Dataset``, whose items are read when a batch needs them, and a few at
            once to tell it from another; and arrays that the network takes by name.
        y : array-like of shape (n_samples,)
            Targets; None takes a dataset's ``targets`` or ``labels``, or reads every item once.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights, passed on to the estimator. Zero weight is not removal.
        sample_ids : array-like of shape (n_samples,) or None, default=None
            Integer or string ids of records, persons or sources, stored as keyed hashes. The id alone then decides
            the shard and slice, so all rows of an id are together; `unlearn` takes ids as ``forget_ids``. A Series is
            aligned with a data frame `X`.
        id_key : bytes of length 16 or more, or None, default=None
            Secret key of the hashes. It is never saved with the model: `attach_key` gives it back, and once it is
            destroyed nobody can tell whose the hashes were. Without it the key follows from the seed.
        exclude : array-like of int, boolean mask, slice or labels, default=None
            Rows to leave out, in the forms that `unlearn` takes, as if they had been forgotten already: the model that
            `unlearn` has to match.
        deletion_probability : array-like of shape (n_samples,) or None, default=None
            Known probability that each row is asked to be forgotten. Shards are then filled so that each expects
            fewer than ``max_requests`` requests, and their number follows from that.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            If the input is not what the estimator takes; an earlier fit is left as it was.
        """
        given = (X, y, sample_weight, sample_ids, id_key, exclude)
        return self._fit_anew(*given, deletion_probability=deletion_probability)

    # ------------------------------------------------------- the two hooks

    def _fit(self, deletion_probability: Any = None) -> None:
        self._check_parameters()
        template = template_of(self.estimator, type(self).__name__, self._task)
        self._learner = learner_for(template, self.n_slices, self.max_epochs)
        self._flat = np.ndim(self._data.y) == 1
        check_takes_weight(self._learner.estimator, self._data.weight, self._learner.call)
        self.n_slices_ = self._learner.n_slices
        self.allocation_ = self._allocate(deletion_probability).without(self._forgotten)
        self.n_shards_ = self.allocation_.n_shards
        self._shard_classes: list[Any] = [None] * self.n_shards_
        self._spent: list[list[int]] = [[] for _ in range(self.n_shards_)]
        self.checkpoints_: list[Checkpoints] = [[] for _ in range(self.n_shards_)]
        self._try_out()
        self._train(self._fresh_jobs(), self.n_shards_)

    def _unlearn(self, request: ForgetRequest) -> Work:
        rows = request.rows
        shards = self.allocation_.cells(rows) // self.n_slices_
        hit = np.unique(shards).tolist()
        starts = self._train((self._cut_out(shard, rows[shards == shard]) for shard in hit), len(hit))
        self.allocation_ = self.allocation_.without(rows)
        samples = sum(sum(self._spent[shard][start:]) for shard, start in zip(hit, starts, strict=True))
        return Work(samples, sum(map(sum, self._spent)), {"shards": hit, "slices": starts})

    def _cut_out(self, shard: int, gone: np.ndarray) -> Job:
        """Take what is left of a shard, refuse it if it was edited, and find the slice to restart from."""
        rows, slices = self._retained_rows(shard), self._slices(shard)
        keep = ~np.isin(rows, gone, assume_unique=True)
        block = self._read(rows[keep])
        start = int(slices[~keep].min())
        if self._task == "classifier" and not np.array_equal(np.unique(block.y), self._shard_classes[shard]):
            start = 0  # the shard lost a label, and its first slice was told all labels
        return Job(shard, start, block, np.bincount(slices[keep], minlength=self.n_slices_))

    # ------------------------------------------------------------ training

    def _check_parameters(self) -> None:
        check_count("n_shards", self.n_shards)
        check_count("n_slices", self.n_slices)
        check_positive("max_epochs", self.max_epochs, optional=True)
        check_share("max_requests", self.max_requests, zero=False, optional=True)
        check_choice("weighting", self.weighting, ("uniform", "size"))

    def _try_out(self) -> None:
        """Let the fit earn exactness to the bit: train what is not known to repeat itself twice, on few rows."""
        parts: tuple[str, ...] = ()
        if not from_known_libraries(self._learner.estimator):
            parts = irreproducible_parts(self._trial, self._rows_to_try())
        self.irreproducible_parts_, self.reproducible_ = parts, not parts
        warn_irreproducible(parts, type(self).__name__)

    def _rows_to_try(self) -> Block:
        """Rows of the shard that has most classes, or of the first one."""
        shards = [rows for rows in map(self._retained_rows, range(self.n_shards_)) if len(rows)]
        if self._task == "regressor":
            return self._data.block(shards[0])
        return self._data.block(max(shards, key=lambda rows: len(self._data.labels_among(rows))))

    def _trial(self, block: Block) -> BaseEstimator | None:
        sizes = np.array([len(part) for part in np.array_split(np.arange(len(block)), self.n_slices_)])
        classes = np.unique(block.y) if self._task == "classifier" else None
        return train_shard(self._learner, block, sizes, [], classes, (self.seed_, 0))[0][-1]

    def _earned_exactness(self) -> Exactness | None:
        return "bits" if self.reproducible_ else "influence"

    def _allocate(self, deletion_probability: Any) -> Allocation:
        n_samples, n_slices = self.n_samples_fit_, self.n_slices_
        if deletion_probability is not None:
            probability, units = self._risk_by_unit(np.asarray(deletion_probability, dtype=float))
            bound = self.max_requests or probability.sum() / self.n_shards
            return allocate_by_risk(probability, units, min(bound, 1.0), n_slices, self.seed_)
        if self._ids is not None:
            return allocate_by_id(self._ids.hashes, self.n_shards, n_slices)
        if n_samples < self.n_shards:
            raise ValueError(f"n_samples={n_samples} rows cannot fill n_shards={self.n_shards}; use fewer shards.")
        return allocate_uniform(n_samples, self.n_shards, n_slices, self.seed_)

    def _risk_by_unit(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if probability.shape != (self.n_samples_fit_,) or not ((probability >= 0) & (probability <= 1)).all():
            raise ValueError(
                f"deletion_probability must be {self.n_samples_fit_} numbers between 0 and 1, one for each row; got "
                f"shape {probability.shape}."
            )
        if self._ids is None:
            return probability, np.arange(self.n_samples_fit_)
        names, units = np.unique(self._ids.hashes, return_inverse=True)
        highest = np.zeros(len(names))
        np.maximum.at(highest, units, probability)
        return highest, units

    def _fresh_jobs(self) -> Iterator[Job]:
        for shard in range(self.n_shards_):
            rows = self._retained_rows(shard)
            sizes = np.bincount(self._slices(shard), minlength=self.n_slices_)
            yield Job(shard, 0, self._data.block(rows), sizes)

    def _train(self, jobs: Iterable[Job], n_total: int) -> list[int]:
        """Train shards, in parallel, put the results in place at the end, and tell which slices they started from.

        Jobs are drawn one by one, so that the rows of few shards are in memory at once.
        """
        checkpoints, spent, classes = list(self.checkpoints_), list(self._spent), list(self._shard_classes)
        shards: list[int] = []
        starts: list[int] = []

        def tasks() -> Iterator[Any]:
            for shard, start, block, sizes in jobs:
                shards.append(shard)
                starts.append(start)
                classes[shard] = np.unique(block.y) if self._task == "classifier" else None
                kept = self.checkpoints_[shard][:start]
                yield delayed(train_shard)(self._learner, block, sizes, kept, classes[shard], (self.seed_, shard))

        trained = Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks())
        if self.verbose:  # without a bar no lock of tqdm's is taken, which an interrupt might leave locked
            trained = tqdm(trained, desc=type(self).__name__, total=n_total, unit="shard")
        for place, result in enumerate(trained):
            shard, (checkpoints[shard], newly_spent) = shards[place], result
            spent[shard] = [*spent[shard][: self.n_slices_ - len(newly_spent)], *newly_spent]
        self.checkpoints_, self._spent, self._shard_classes = checkpoints, spent, classes
        return starts

    def _retained_rows(self, shard: int) -> np.ndarray:
        return self.allocation_.rows(shard)

    def _slices(self, shard: int) -> np.ndarray:
        """Slice of each retained row of a shard, in training order."""
        return np.repeat(np.arange(self.n_slices_), self.allocation_.sizes[shard])[: len(self._retained_rows(shard))]

    @property
    def _n_groups(self) -> int:
        return self.n_shards_ * self.n_slices_

    def _groups_of(self, rows: np.ndarray) -> np.ndarray:
        """Slices: what is read again may be less than a shard."""
        return self.allocation_.cells(rows)

    # ---------------------------------------------------------- prediction

    @property
    def estimators_(self) -> list[BaseEstimator]:
        """Fitted constituents of the shards that have rows left."""
        check_is_fitted(self, "checkpoints_")
        return [parts[-1] for parts in self.checkpoints_ if parts[-1] is not None]

    def _aggregate(self, predict: Any, X: Any) -> np.ndarray:
        X = self._check_input(X, reset=False)
        sizes = self.allocation_.sizes.sum(axis=1)
        weights = sizes if self.weighting == "size" else (sizes > 0).astype(int)
        inner = self._learner.estimator
        return weighted_mean([predict(model, rows_for(inner, X)) for model in self.estimators_], weights[weights > 0])

    def __sklearn_tags__(self) -> Tags:
        return inherit_tags(super().__sklearn_tags__(), as_estimator(self.estimator, self._task))
