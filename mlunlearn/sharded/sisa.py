"""SISA: sharded, isolated, sliced, aggregated training, and exact forgetting by retraining slices."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mlunlearn.parameters import check_choice
from mlunlearn.sharded.aggregation import probabilities, votes
from mlunlearn.sharded.shards import ShardedUnlearner
from mlunlearn.training.estimators import as_estimator, offers
from mlunlearn.training.labels import one_column


def _has_probabilities(self: SISAClassifier) -> bool:
    return offers(as_estimator(self.estimator, "classifier"), "predict_proba")


def _mean_needs_probabilities(self: SISAClassifier) -> bool:
    return self.aggregation != "mean" or _has_probabilities(self)


class SISAClassifier(ClassifierMixin, ShardedUnlearner):
    """Classify with shards that forget exactly and cheaply (SISA).

    The rows are dealt out to shards, and one copy of `estimator` learns each shard alone, slice by slice, with a
    checkpoint after every slice. To forget a row, its shard goes back to the checkpoint before the row's slice and
    learns the rest again without it. Predictions are aggregated over the shards.

    Parameters
    ----------
    estimator : classifier, torch module or skorch net
        The constituent; never changed. Preprocessing that learns from data belongs inside:
        ``SISAClassifier(make_pipeline(StandardScaler(), LogisticRegression()))``.
    n_shards : int, default=5
        Shards. More of them forget faster and, beyond about 20, predict worse.
    n_slices : int, default=1
        Slices a shard. Used where the estimator can go on learning: through ``partial_fit``, or through
        ``warm_start=True``; others have one slice (see ``n_slices_``).
    aggregation : {'auto', 'vote', 'mean'}, default='auto'
        Majority vote, ties going to the first class; or the mean of the shards' probabilities, which ranks better.
        'auto' takes the mean where the estimator has ``predict_proba``.
    weighting : {'uniform', 'size'}, default='uniform'
        Whether every shard counts the same or by its retained rows.
    max_epochs : float or None, default=None
        Passes over a shard, whatever the number of slices, where slices go through ``partial_fit``. None takes the
        ``max_epochs`` of a skorch net, and 20 otherwise.
    max_requests : float or None, default=None
        With ``deletion_probability``: the bound, at most 1, on the expected requests of a shard. None chooses it so
        that there are about `n_shards` shards.
    n_jobs : int or None, default=None
        Shards trained at once, through joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Decides the allocation and seeds every shard and slice.
    verbose : int, default=0
        Show progress by shard.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the retained rows.
    aggregation_ : {'vote', 'mean'}
        Aggregation in use.
    estimators_ : list of classifier
        Constituents of the shards that have rows left; a shard with one class has a constant one.
    checkpoints_ : list of list of classifier or None
        The state of each shard after each slice; None where nothing was learned yet.
    allocation_ : Allocation
        Shard and slice of every retained row.
    n_shards_, n_slices_ : int
        Shards and slices in use.
    n_samples_fit_ : int
        Rows given to `fit`.
    forgotten_ : ndarray of bool, shape (n_samples_fit_,)
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work.details`` names the shards and the slices they restarted from.
    seed_ : int
        Root seed of the fit.
    reproducible_ : bool
        Whether training the estimator twice gives the same bits, on which exactness to the bit rests.
    irreproducible_parts_ : tuple of str
        Where it does not: places in the fitted estimator and their classes.

    See Also
    --------
    SISARegressor : The same for continuous targets.
    mlunlearn.Retrain : One model on all rows, fitted again.

    Notes
    -----
    Guarantee: exact to the bit. After any sequence of requests every parameter and every checkpoint equals that of
    ``fit(X, y, exclude=forgotten)`` with the same seed and ids. Against someone who chooses what to delete after
    seeing the model, equality in law with fresh shards is lost [2]_.

    Seeds reach every ``random_state``, splitter, torch net and global generator inside the estimator. One with parts of
    other libraries than scikit-learn and torch is first trained twice on a fiftieth of the rows of a shard, 32 at
    least and 256 at most: if it gives two results, `fit` warns, and shards are free of the forgotten rows, not equal to
    the bit.
    Estimators that take no labels but 0, ..., k - 1 are shown those.

    Cost: one request retrains one shard from one slice on, ``2/3 + 1/(3 n_slices)`` of the shard on average. Batches
    of many more than ``3 n_shards`` rows train as many samples as fitting again, never more, and take about its time:
    0.99 ± 0.12 of it for 300 of 100,000 rows in 20 shards, 1.04 ± 0.16 for the first batch after a fit.
    What a request does beside training takes 0.16 of its time at 1,000,000 rows of 50 features in 64 shards of 8 slices
    (SGD), and as long at 250,000 or 2,000,000 rows in shards of that size; the first one after a fit copies the data.

    A shard that loses its last row of a class learns all its slices again.

    References
    ----------
    .. [1] Bourtoule et al., "Machine Unlearning", arXiv 1912.03817.
    .. [2] Gupta et al., "Adaptive Machine Unlearning", arXiv 2106.04378.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import SGDClassifier
    >>> from mlunlearn import SISAClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SISAClassifier(SGDClassifier(), n_shards=4, n_slices=5, random_state=0).fit(X, y)
    >>> never = SISAClassifier(SGDClassifier(), n_shards=4, n_slices=5, random_state=0).fit(X, y, exclude=[3, 17])
    >>> int(model.unlearn([3]).unlearn([17]).forgotten_.sum())
    2
    >>> all(np.array_equal(a.coef_, b.coef_) for a, b in zip(model.estimators_, never.estimators_))
    True
    """

    _task = "classifier"

    def __init__(
        self,
        estimator: Any,
        *,
        n_shards: int = 5,
        n_slices: int = 1,
        aggregation: Literal["auto", "vote", "mean"] = "auto",
        weighting: Literal["uniform", "size"] = "uniform",
        max_epochs: float | None = None,
        max_requests: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_shards = n_shards
        self.n_slices = n_slices
        self.aggregation = aggregation
        self.weighting = weighting
        self.max_epochs = max_epochs
        self.max_requests = max_requests
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("aggregation", self.aggregation, ("auto", "vote", "mean"))
        if not _mean_needs_probabilities(self):
            raise ValueError(
                f"aggregation='mean' averages probabilities, and {type(self.estimator).__name__} has no "
                "predict_proba; use aggregation='vote'."
            )
        auto = "mean" if _has_probabilities(self) else "vote"
        self.aggregation_ = auto if self.aggregation == "auto" else self.aggregation

    @available_if(_mean_needs_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the share of votes, or the mean probability, of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns as in ``classes_``.
        """
        check_is_fitted(self)
        now = copy.copy(self)  # another thread may put a later state in the place of this one
        predict = votes if now.aggregation_ == "vote" else probabilities
        return now._aggregate(lambda model, rows: predict(model, rows, now.classes_), X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with most votes, or with the highest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        now = copy.copy(self)
        return now.classes_[np.argmax(now.predict_proba(X), axis=1)]


class SISARegressor(RegressorMixin, ShardedUnlearner):
    """Regress with shards that forget exactly and cheaply (SISA); predictions are averaged.

    Parameters
    ----------
    estimator : regressor, torch module or skorch net
        The constituent; never changed. Preprocessing that learns from data belongs inside.
    n_shards : int, default=5
        Shards.
    n_slices : int, default=1
        Slices a shard, where the estimator can go on learning through ``partial_fit`` or ``warm_start=True``.
    weighting : {'uniform', 'size'}, default='uniform'
        Whether every shard counts the same or by its retained rows.
    max_epochs : float or None, default=None
        Passes over a shard where slices go through ``partial_fit``; None takes the ``max_epochs`` of a skorch net, and
        20 otherwise.
    max_requests : float or None, default=None
        With ``deletion_probability``: the bound, at most 1, on the expected requests of a shard.
    n_jobs : int or None, default=None
        Shards trained at once, through joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Decides the allocation and seeds every shard and slice.
    verbose : int, default=0
        Show progress by shard.

    Attributes
    ----------
    estimators_ : list of regressor
        Constituents of the shards that have rows left.
    checkpoints_ : list of list of regressor or None
        The state of each shard after each slice.
    allocation_ : Allocation
        Shard and slice of every retained row.
    n_shards_, n_slices_ : int
        Shards and slices in use.
    n_samples_fit_ : int
        Rows given to `fit`.
    forgotten_ : ndarray of bool, shape (n_samples_fit_,)
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.
    seed_ : int
        Root seed of the fit.
    reproducible_ : bool
        Whether training the estimator twice gives the same bits, on which exactness to the bit rests.
    irreproducible_parts_ : tuple of str
        Where it does not.

    See Also
    --------
    SISAClassifier : The same for classes, with guarantee and cost explained.

    References
    ----------
    .. [1] Bourtoule et al., "Machine Unlearning", arXiv 1912.03817.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from mlunlearn import SISARegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SISARegressor(Ridge(), n_shards=4, random_state=0).fit(X, y)
    >>> round(model.unlearn([0, 1, 2]).receipts_[-1].retrained_share, 2)
    0.75
    """

    _task = "regressor"

    def __init__(
        self,
        estimator: Any,
        *,
        n_shards: int = 5,
        n_slices: int = 1,
        weighting: Literal["uniform", "size"] = "uniform",
        max_epochs: float | None = None,
        max_requests: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_shards = n_shards
        self.n_slices = n_slices
        self.weighting = weighting
        self.max_epochs = max_epochs
        self.max_requests = max_requests
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean of the shards' predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values.
        """
        check_is_fitted(self)
        now = copy.copy(self)  # another thread may put a later state in the place of this one
        values = now._aggregate(lambda model, rows: np.asarray(model.predict(rows), dtype=float), X)
        return one_column(values) if now._flat else values
