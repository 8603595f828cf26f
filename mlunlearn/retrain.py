"""Retraining from scratch: the gold standard that every other method is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mlunlearn.base import UnlearnerMixin
from mlunlearn.receipts import Work
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.data import Block
from mlunlearn.state import Exactness
from mlunlearn.training.estimators import (
    as_estimator,
    check_estimator,
    check_takes_weight,
    fresh_copy,
    inherit_tags,
    template_of,
)
from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators
from mlunlearn.training.labels import fit_labels, one_column
from mlunlearn.training.nesting import no_threads_inside
from mlunlearn.training.reproducibility import from_known_libraries, irreproducible_parts, rows_for, warn_irreproducible
from mlunlearn.training.seeds import GENERATORS, derive_seeds
from mlunlearn.training.threads import one_thread


def _estimator_has(method: str) -> Any:
    def check(self: Retrain) -> bool:
        return hasattr(getattr(self, "estimator_", None) or as_estimator(self.estimator), method)

    return check


class Retrain(UnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Forget by fitting again without the forgotten rows.

    Classifies or regresses as `estimator` does. It is as exact as unlearning can be, and as slow.

    Parameters
    ----------
    estimator : estimator, torch module or skorch net
        What to fit; never changed. A bare module is taken for a classifier.
    random_state : int, RandomState instance or None, default=None
        Seeds every ``random_state`` inside `estimator`, the same at every retraining.

    Attributes
    ----------
    estimator_ : estimator
        The model fitted on the retained rows.
    classes_ : ndarray of shape (n_classes,)
        Labels of the retained rows; classifiers only.
    n_samples_fit_ : int
        Rows given to `fit`.
    forgotten_ : ndarray of bool, shape (n_samples_fit_,)
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.
    reproducible_ : bool
        Whether training the estimator twice gives the same bits, on which exactness to the bit rests.
    irreproducible_parts_ : tuple of str
        Where it does not: places in the fitted estimator and their classes.

    See Also
    --------
    mlunlearn.SISAClassifier : Exact as well, and faster for few rows.

    Notes
    -----
    Guarantee: exact to the bit; after `unlearn` the state is that of ``fit(X, y, exclude=forgotten)``. Seeds reach
    every ``random_state``, splitter, torch net and global generator inside. An estimator with parts of other libraries
    is first trained twice on a fiftieth of the rows, 32 at least and 256 at most: if it gives two results, `fit` warns,
    and the state is only free of the forgotten rows.
    Cost: one fit on the retained rows per request.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> X, y = load_iris(return_X_y=True)
    >>> model = Retrain(LogisticRegression(max_iter=500), random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].n_retained
    147
    """

    guarantee = "exact"
    exactness = "bits"

    def __init__(self, estimator: Any, *, random_state: Any = None):
        self.estimator = estimator
        self.random_state = random_state

    def _fit(self) -> None:
        self._template = template_of(self.estimator, type(self).__name__)
        self._flat = np.ndim(self._data.y) == 1
        check_takes_weight(self._template, self._data.weight)
        block = self._data.block(self._retained())
        self._try_out(block)
        self.estimator_ = self._trained(block)

    def _try_out(self, block: Block) -> None:
        known = from_known_libraries(self._template)
        self.irreproducible_parts_ = () if known else irreproducible_parts(self._trained, block)
        self.reproducible_ = not self.irreproducible_parts_
        warn_irreproducible(self.irreproducible_parts_, type(self).__name__)

    def _earned_exactness(self) -> Exactness | None:
        return "bits" if self.reproducible_ else "influence"

    def _unlearn(self, request: ForgetRequest) -> Work:
        block = self._read(self._retained_without(request.rows))
        self.estimator_ = self._trained(block)
        return Work(samples=len(block), full=len(block))

    def _trained(self, block: Block) -> BaseEstimator:
        seed = derive_seeds(self.seed_, GENERATORS)[0]
        with TURNS, one_thread(), KeptGenerators(), SeededGenerators(seed), no_threads_inside(self._template):
            return fit_labels(fresh_copy(self._template, self.seed_), block)

    def _rows(self, X: Any) -> Any:
        return rows_for(self._template, self._check_input(X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """Predict with the model fitted on the retained rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels or values.
        """
        check_is_fitted(self)
        predicted = self.estimator_.predict(self._rows(X))
        return one_column(predicted) if self._flat else predicted

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns as in ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(self._rows(X))

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision values of the model fitted on the retained rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision values.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(self._rows(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score as the estimator does: accuracy for classifiers, R2 for regressors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.
        y : array-like of shape (n_samples,)
            True targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights.

        Returns
        -------
        float
            The score.
        """
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(self._rows(X), y, **weights)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        check_estimator(as_estimator(self.estimator), type(self).__name__)
        inner = get_tags(as_estimator(self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags.required = inner.target_tags.required
        return inherit_tags(tags, as_estimator(self.estimator))
