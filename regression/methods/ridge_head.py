"""Exact forgetting in the last layer: a ridge regression on features that the data did not shape."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.linalg import solve
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mlunlearn.base import UnlearnerMixin
from mlunlearn.exceptions import DataChangedError
from mlunlearn.parameters import check_positive
from mlunlearn.receipts import Work
from mlunlearn.regression.methods.features import features_checksum, module_features
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.data import Block
from mlunlearn.training.generators import TURNS
from mlunlearn.training.threads import one_thread

_ROWS = 1024  # of a block of sufficient statistics

Sums = tuple[np.ndarray, np.ndarray]


class RidgeHeadRegressor(RegressorMixin, UnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Fit a ridge regression on fixed features, and forget from its sufficient statistics.

    With features :math:`H` and weights :math:`W` of the rows, the head is
    :math:`(H^\top W H + \alpha I)^{-1} H^\top W y`. The two sums are kept for blocks of 1,024 rows; forgetting sums
    the touched blocks again without the forgotten rows and solves.

    Parameters
    ----------
    estimator : FrozenEstimator of a transformer, torch module or None, default=None
        Turns inputs into features. It must not have learned from the rows to forget: a network pretrained
        elsewhere, or nothing. A module is run in evaluation mode, as it is. None takes the inputs themselves.
    layer : str or None, default=None
        Of a module, the submodule whose output is the feature; None takes the module's own output.
    alpha : float, default=1.0
        Ridge penalty, positive; the intercept is not penalised.
    random_state : int, RandomState instance or None, default=None
        Key of the hashes that stand for ids; nothing else is drawn.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Weights of the head.
    intercept_ : float or ndarray of shape (n_outputs,)
        Its intercept.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Guarantee: exact to the bit, in the head: after any requests ``coef_`` and ``intercept_`` are those of
    ``fit(X, y, exclude=forgotten)``. Nothing is subtracted, so no rounding adds up over thousands of removals.
    It is exact for the whole model only if the features owe nothing to the forgotten rows; a network trained on
    them remembers. The features have to stay what they were: a module that was changed since `fit` is refused. Cost:
    features and sums of the touched blocks, and one solve.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from mlunlearn.regression import RidgeHeadRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RidgeHeadRegressor(alpha=0.1).fit(X, y).unlearn(y <= 90)
    >>> never = RidgeHeadRegressor(alpha=0.1).fit(X, y, exclude=y <= 90)
    >>> np.array_equal(model.coef_, never.coef_)
    True
    """

    guarantee = "exact"
    exactness = "bits"

    def __init__(
        self, estimator: Any = None, *, layer: str | None = None, alpha: float = 1.0, random_state: Any = None
    ):
        self.estimator = estimator
        self.layer = layer
        self.alpha = alpha
        self.random_state = random_state

    def _fit(self) -> None:
        check_positive("alpha", self.alpha)
        self._check_features()
        self._features_at_fit = features_checksum(self.estimator)
        blocks = [self._data.block(self._rows_left(b)) for b in range(self._n_groups)]
        self._flat = np.ndim(blocks[0].y) == 1
        self._refuse_random_features(next(block for block in blocks if len(block)))
        with TURNS, one_thread():
            self._sums: list[Sums | None] = [self._summed(block) for block in blocks]
            self._solve(self._sums)

    def _check_features(self) -> None:
        given = self.estimator
        if given is None or isinstance(given, (FrozenEstimator, nn.Module)):
            return
        raise TypeError(
            f"{type(self).__name__} is exact only on features that learn nothing from the data: pass None, a torch "
            f"module, or FrozenEstimator({type(given).__name__}(...).fit(other_data))."
        )

    def _refuse_random_features(self, block: Block) -> None:
        few = block.X[:32] if isinstance(block.X, np.ndarray) else block.take(np.arange(min(32, len(block)))).X
        if not np.array_equal(self._features(few), self._features(few), equal_nan=True):
            raise ValueError(
                f"{type(self.estimator).__name__} gives other features of the same rows each time: no sums of them can "
                "be kept exactly. Take a module that draws nothing when it is evaluated."
            )

    @property
    def _n_groups(self) -> int:
        return -(-self.n_samples_fit_ // _ROWS)

    def _groups_of(self, rows: np.ndarray) -> np.ndarray:
        return rows // _ROWS

    def _rows_left(self, block: int, without: Any = ()) -> np.ndarray:
        rows = np.arange(block * _ROWS, min((block + 1) * _ROWS, self.n_samples_fit_))
        return rows[~self._is_forgotten(rows) & ~np.isin(rows, without)]

    def _unlearn(self, request: ForgetRequest) -> Work:
        if features_checksum(self.estimator) != self._features_at_fit:
            raise DataChangedError(
                f"The {type(self.estimator).__name__} that makes the features was changed after fit: the sums that are "
                "kept are of other features, and no exact head can be solved from both. Restore it, or fit again."
            )
        rows = request.rows
        sums, samples = list(self._sums), 0
        with TURNS, one_thread():
            for b in np.unique(rows // _ROWS).tolist():
                block = self._read(self._rows_left(b, without=rows))
                sums[b] = self._summed(block)
                samples += len(block)
            self._solve(sums)
        self._sums = sums
        return Work(samples=samples, full=self._count_retained(request.of) - len(rows))

    def _features(self, X: Any) -> np.ndarray:
        if isinstance(self.estimator, nn.Module):
            X = module_features(self.estimator, X, self.layer)
        elif self.estimator is not None:
            X = self.estimator.transform(X)
        H = np.asarray(X, dtype=np.float64).reshape(X.shape[0], -1)
        return np.column_stack([np.ones(len(H)), H])

    def _summed(self, block: Block) -> Sums | None:
        if not len(block):
            return None
        H, y = self._features(block.X), np.asarray(block.y, dtype=np.float64).reshape(len(block), -1)
        weighted = H if block.weight is None else H * block.weight[:, None]
        return weighted.T @ H, weighted.T @ y

    def _solve(self, sums: list[Sums | None]) -> None:
        held = [pair for pair in sums if pair is not None]
        gram, moment = (np.sum([pair[i] for pair in held], axis=0) for i in (0, 1))
        penalty = np.full(len(gram), float(self.alpha))
        penalty[0] = 0.0
        weights = solve(gram + np.diag(penalty), moment, assume_a="sym")
        self.coef_ = weights[1:, 0] if self._flat else np.ascontiguousarray(weights[1:].T)
        self.intercept_ = float(weights[0, 0]) if self._flat else weights[0]

    def predict(self, X: Any) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values.
        """
        check_is_fitted(self)
        now = copy.copy(self)  # another thread may put a later state in the place of this one
        H = now._features(now._check_input(X, reset=False))
        return H[:, 1:] @ now.coef_.T + now.intercept_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if isinstance(self.estimator, FrozenEstimator):
            tags.input_tags = get_tags(self.estimator).input_tags
        tags.input_tags.three_d_array = isinstance(self.estimator, nn.Module)
        tags.target_tags.multi_output = True
        return tags
