"""Pipelines that end in an unlearner: every step before it forgets too, or is refused."""

from __future__ import annotations

import copy
from functools import wraps
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metaestimators import available_if

from mlunlearn.base import UnlearnerMixin
from mlunlearn.receipts import Work
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.checksums import checksum
from mlunlearn.state import Exactness, Guarantee


def _of_one_state(name: str) -> Any:
    """Read all steps at once: another thread may put later ones in their place while the first ones transform."""
    inherited = getattr(Pipeline, name)

    @available_if(lambda self: bool(getattr(super(UnlearningPipeline, self), name)))
    @wraps(inherited)
    def method(self: UnlearningPipeline, *args: Any, **params: Any) -> Any:
        return inherited(copy.copy(self), *args, **params)

    return method


class UnlearningPipeline(UnlearnerMixin, Pipeline):
    """A pipeline whose last step is an unlearner, and whose other steps remember no row or can forget.

    A scaler before an unlearner still holds the forgotten rows in its mean. So steps before the last one are let
    through if they learn nothing from data (``Normalizer``, ``FunctionTransformer``, ``HashingVectorizer``: their tag
    ``requires_fit`` is false), are asked to forget if they have ``unlearn``, and are refused otherwise. Preprocessing
    that learns belongs inside the unlearner: ``SISAClassifier(make_pipeline(StandardScaler(), LogisticRegression()))``.

    Parameters
    ----------
    steps : list of (str, estimator)
        Names and steps, as in scikit-learn's ``Pipeline``; the last one has ``unlearn``. As there, `fit` puts the
        fitted steps in their place.
    transform_input : list of str or None, default=None
        As in scikit-learn's ``Pipeline``.
    memory : str, object or None, default=None
        Must stay None: a cache on disk would keep rows after they are forgotten.
    verbose : bool, default=False
        As in scikit-learn's ``Pipeline``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the retained rows; classifiers only.
    n_samples_fit_ : int
        Rows given to `fit`.
    forgotten_ : ndarray of bool, shape (n_samples_fit_,)
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work`` is that of the last step.

    See Also
    --------
    make_unlearning_pipeline : The same without names.

    Notes
    -----
    Guarantee: that of the last step. When a transformer forgets and then transforms the retained rows differently
    from before, the last step is fitted again on them, because its training data has changed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import Normalizer
    >>> from mlunlearn import SISAClassifier, UnlearningPipeline
    >>> X, y = load_iris(return_X_y=True)
    >>> sisa = SISAClassifier(LogisticRegression(), n_shards=3, random_state=0)
    >>> model = UnlearningPipeline([("unit", Normalizer()), ("sisa", sisa)]).fit(X, y)
    >>> int(model.unlearn([3, 17, 60]).forgotten_.sum())
    3
    """

    steps: list[tuple[str, Any]]

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """The guarantee of the last step."""
        return self.steps[-1][1].guarantee

    @property
    def exactness(self) -> Exactness | None:  # type: ignore[override]
        """The sense in which the last step is exact."""
        return getattr(self.steps[-1][1], "exactness", None)

    @property
    def random_state(self) -> Any:
        """The seed of the last step."""
        return getattr(self.steps[-1][1], "random_state", None)

    # ----------------------------------------------------------- prediction

    predict = _of_one_state("predict")
    predict_proba = _of_one_state("predict_proba")
    predict_log_proba = _of_one_state("predict_log_proba")
    decision_function = _of_one_state("decision_function")
    score_samples = _of_one_state("score_samples")
    score = _of_one_state("score")
    transform = _of_one_state("transform")
    inverse_transform = _of_one_state("inverse_transform")

    # ------------------------------------------------------- the two hooks

    def _fit(self) -> None:
        self._refuse_steps()
        excluded = np.flatnonzero(self.forgotten_)
        options: dict[str, Any] = {"exclude": excluded} if len(excluded) else {}
        X, y, weight = self._full_size(self._retained())
        steps = [(name, clone(step, safe=False)) for name, step in self.steps]
        for _, step in _transformers(steps):
            X = step.fit(X, y, **(options if _can_forget(step) else {})).transform(X)
        if self._ids is not None:
            options["sample_ids"] = self._ids
        if weight is not None:
            options["sample_weight"] = weight
        steps[-1][1].fit(X, y, **options)
        self.steps = steps

    def _unlearn(self, request: ForgetRequest) -> Work:
        rows = request.rows
        steps = [(name, _working_copy(step) if _can_forget(step) else step) for name, step in self.steps[:-1]]
        changed = self._forget_in(steps, rows)
        last = self._refitted(steps, rows) if changed else self._forget_last(rows)
        self.steps = [*steps, (self.steps[-1][0], last)]
        n_retained = self._count_retained(request.of) - len(rows)
        return Work(n_retained, n_retained) if changed else last.receipts_[-1].work

    def _forget_last(self, rows: np.ndarray) -> Any:
        last = _working_copy(self.steps[-1][1])
        asked = self._mask(rows)
        if not is_classifier(self):
            return last.unlearn(asked)
        gone = self._labels_lost(rows)
        return last.unlearn(classes=gone) if len(gone) else last.unlearn(asked)

    def _forget_in(self, steps: list[tuple[str, Any]], rows: np.ndarray) -> bool:
        """Ask transformers to forget; tell whether any retained row is transformed differently now."""
        forgetful = [step for _, step in _transformers([*steps, ("last", None)]) if _can_forget(step)]
        if not forgetful:
            return False
        retained = self._read(self._retained_without(rows))
        before = checksum(_transformed(steps, retained.X))
        for step in forgetful:
            step.unlearn(rows)
        return checksum(_transformed(steps, retained.X)) != before

    def _refitted(self, steps: list[tuple[str, Any]], rows: np.ndarray) -> Any:
        X, y, weight = self._full_size(self._retained_without(rows))
        exclude = np.union1d(rows, np.flatnonzero(self.forgotten_))
        options = {} if weight is None else {"sample_weight": weight}
        last = clone(self.steps[-1][1])
        return last.fit(_transformed(steps, X), y, sample_ids=self._ids, exclude=exclude, **options)

    def _full_size(self, retained: np.ndarray) -> tuple[Any, Any, Any]:
        """Return data with a row for each position; where a row is not retained, another one stands in its place."""
        if len(retained) == self.n_samples_fit_:
            X = self._data.X  # in the memory order of selected rows, which transformers may round by
            return np.ascontiguousarray(X) if isinstance(X, np.ndarray) else X, self._data.y, self._data.weight
        block = self._data.block(retained).spread(retained, self.n_samples_fit_)
        return block.X, block.y, block.weight

    def _refuse_steps(self) -> None:
        self._validate_steps()
        if self.memory is not None:
            raise ValueError("memory must be None: a cache of transformed rows would outlive their being forgotten.")
        name, last = self.steps[-1]
        if not hasattr(last, "unlearn"):
            raise TypeError(f"The last step {name!r} is a {type(last).__name__}, which has no unlearn; wrap it first.")
        for name, step in _transformers(self.steps):
            if get_tags(step).requires_fit and not _can_forget(step):
                raise TypeError(
                    f"The step {name!r} ({type(step).__name__}) learns from the rows and cannot forget them. Put it "
                    f"inside the unlearner: {type(last).__name__}(make_pipeline({type(step).__name__}(...), "
                    "estimator)); or use a transformer that learns nothing or has unlearn."
                )

    # ---------------------------------------------------------------- data

    def _take_data(self, X: Any, y: Any, sample_weight: Any, erased: Any = None, erased_ids: Any = None) -> None:
        super()._take_data(X, y, sample_weight, erased, erased_ids)
        steps: list[tuple[str, Any]] = []
        for name, step in self.steps:
            if _can_forget(step):
                step = self._attached(_working_copy(step), steps)
            steps.append((name, step))
        self.steps = steps

    def _attached(self, step: Any, before: list[tuple[str, Any]]) -> Any:
        """Give a step its data back, transformed by those before it."""
        held, gone = self._data.positions, self._erased.rows
        block = self._data.block(held)
        options: dict[str, Any] = {}
        if len(gone):
            options["erased"] = self._mask(gone)
            block = block.spread(held, self.n_samples_fit_)
        return step.attach_data(_transformed(before, block.X), block.y, block.weight, **options)

    def _mask(self, rows: np.ndarray) -> np.ndarray:
        """Name rows in the form that nobody takes for ids."""
        mask = np.zeros(self.n_samples_fit_, dtype=bool)
        mask[rows] = True
        return mask

    def _take_key(self, id_key: bytes) -> None:
        super()._take_key(id_key)
        name, last = self.steps[-1]
        if isinstance(last, UnlearnerMixin):
            self.steps = [*self.steps[:-1], (name, copy.copy(last).attach_key(id_key))]

    def _check_training_input(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, Any, Any]:
        """Leave validation to the steps."""
        y, weight = (None if values is None else np.asarray(values) for values in (y, sample_weight))
        X = X.tocsr() if sparse.issparse(X) else X if hasattr(X, "shape") else np.asarray(X)
        check_consistent_length(X, y, weight)
        return X, y, weight

    def _learn_classes(self, labels: np.ndarray) -> None:
        """The last step knows them."""


def make_unlearning_pipeline(*steps: Any) -> UnlearningPipeline:
    """Make an `UnlearningPipeline` from steps, named after their classes.

    Parameters
    ----------
    *steps : estimators
        Transformers, and an unlearner last.

    Returns
    -------
    UnlearningPipeline
        The pipeline, not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import Normalizer
    >>> from mlunlearn import Retrain, make_unlearning_pipeline
    >>> list(make_unlearning_pipeline(Normalizer(), Retrain(LogisticRegression())).named_steps)
    ['normalizer', 'retrain']
    """
    return UnlearningPipeline(make_pipeline(*steps).steps)


def _transformers(steps: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, step) for name, step in steps[:-1] if step is not None and not isinstance(step, str)]


def _can_forget(step: Any) -> bool:
    return hasattr(step, "unlearn")


def _transformed(steps: list[tuple[str, Any]], X: Any) -> Any:
    for _, step in _transformers([*steps, ("last", None)]):
        X = step.transform(X)
    return X


def _working_copy(step: Any) -> Any:
    """Return a copy that can unlearn without a trace in the original."""
    return copy.copy(step) if isinstance(step, UnlearnerMixin) else copy.deepcopy(step)
