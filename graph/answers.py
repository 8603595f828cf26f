"""Unlearners answer as the estimator inside them does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mlunlearn.graph.models.estimators import GraphEstimator


class AnswersAsEstimator:
    """The prediction methods of an unlearner: those of ``estimator_``, on the graph that is left."""

    estimator_: GraphEstimator

    @property
    def classes_(self) -> np.ndarray:
        """Labels of the outputs; those of forgotten classes stay."""
        return self.estimator_.classes_

    def predict(self, asked: Any, *args: Any, **options: Any) -> np.ndarray:
        """Predict as the estimator does, on the graph that is left.

        Parameters
        ----------
        asked : array-like
            Positions of nodes, or pairs of nodes, none of them forgotten.
        *args, **options : Any
            What the estimator's method takes besides.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(asked, *args, **options)

    def predict_proba(self, asked: Any, *args: Any, **options: Any) -> np.ndarray:
        """Predict probabilities as the estimator does, on the graph that is left.

        Parameters
        ----------
        asked : array-like
            Positions of nodes, or pairs of nodes, none of them forgotten.
        *args, **options : Any
            What the estimator's method takes besides.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Probabilities.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(asked, *args, **options)

    def decision_function(self, asked: Any, *args: Any, **options: Any) -> np.ndarray:
        """Score as the estimator does, on the graph that is left.

        Parameters
        ----------
        asked : array-like
            Positions of nodes, or pairs of nodes, none of them forgotten.
        *args, **options : Any
            What the estimator's method takes besides.

        Returns
        -------
        ndarray
            Logits of nodes, or scores of pairs.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.decision_function(asked, *args, **options)

    def score(self, asked: Any, y: Any, **options: Any) -> float:
        """Score as the estimator does: accuracy for nodes, area under the ROC curve for edges.

        Parameters
        ----------
        asked : array-like
            Positions of nodes, or pairs of nodes, none of them forgotten.
        y : array-like of shape (n,)
            True labels.
        **options : Any
            What the estimator's method takes besides.

        Returns
        -------
        float
            The score.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.score(asked, y, **options)
