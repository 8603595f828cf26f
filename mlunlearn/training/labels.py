"""Labels and outputs of estimators that ask for, or give, another form than labels in one column."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if

from mlunlearn.rows.data import Block
from mlunlearn.training.estimators import fit_block


def one_column(values: Any) -> np.ndarray:
    """Read predictions of shape (n_samples, 1) as the (n_samples,) that they mean; leave others alone.

    Parameters
    ----------
    values : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_outputs)
        What an estimator predicted.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The same values.

    Examples
    --------
    >>> from mlunlearn.training.labels import one_column
    >>> one_column([["a"], ["b"]]).tolist()
    ['a', 'b']
    """
    values = np.asarray(values)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def fit_labels(model: BaseEstimator, block: Block) -> BaseEstimator:
    """Fit an estimator; a classifier that takes no labels but 0, ..., k - 1 is shown those.

    Parameters
    ----------
    model : estimator
        Seeded, not fitted.
    block : Block
        Rows.

    Returns
    -------
    estimator
        `model`, fitted on the labels as they are, or a `CodedClassifier` if it refused them.
    """
    try:
        return fit_block(model, block)
    except ValueError:
        if not is_classifier(model) or not _could_be_coded(block.y):
            raise
    return fit_block(CodedClassifier(clone(model)), block)


def _could_be_coded(y: Any) -> bool:
    labels = np.unique(y)
    return not np.array_equal(labels, np.arange(len(labels)))


def _inner_has(method: str) -> Any:
    return lambda self: hasattr(self.estimator, method)


class CodedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that is shown labels as 0, ..., k - 1 and answers in the labels themselves.

    Parameters
    ----------
    estimator : classifier
        Takes no other labels.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray of shape (n_classes,)
        Labels; number i stands for ``classes_[i]``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn.training.labels import CodedClassifier
    >>> CodedClassifier(LogisticRegression()).fit([[0.0], [1.0]], ["a", "b"]).predict([[9.0]]).tolist()
    ['b']
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit on numbers in place of labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights.

        Returns
        -------
        self
            The fitted classifier.
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.estimator_ = fit_block(clone(self.estimator), Block(X, codes, sample_weight))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        return self.classes_[one_column(self.estimator_.predict(X)).astype(np.intp)]

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns as in ``classes_``.
        """
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return decision values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            As the classifier inside orders its numbers.
        """
        return self.estimator_.decision_function(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags
