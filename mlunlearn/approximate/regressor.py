"""The base of methods that edit a regressor's network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from mlunlearn.approximate.base import EditedModel
from mlunlearn.networks.adoption import final_of
from mlunlearn.state import Task


class EditedRegressor(RegressorMixin, EditedModel):
    """Base of methods that edit the weights of a trained regressor's network; `EditedClassifier` says how.

    The estimator is a torch module, a skorch net, a `TorchRegressor` or a pipeline that ends in one of them.

    Attributes
    ----------
    estimator_ : TorchRegressor or Pipeline
        The model after forgetting.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Outputs and targets have the shape (n, n_outputs) in the hook, in the units of `y`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.approximate import EditedRegressor
    >>> from mlunlearn.networks import adam
    >>> class GoOn(EditedRegressor):
    ...     needs = frozenset({"retain", "retain_labels"})
    ...
    ...     def __init__(self, estimator, *, random_state=None):
    ...         self.estimator = estimator
    ...         self.random_state = random_state
    ...
    ...     def _edit(self, module, forget, retain, run):
    ...         def loss_of(batch):
    ...             return run.loss(run.outputs(module, batch), batch.y)
    ...
    ...         run.descend(module, loss_of, retain.steps(32, 5, run.seed("batches")), optimizer=adam(1e-3))
    >>> X, y = load_diabetes(return_X_y=True)
    >>> GoOn(nn.Linear(10, 1), random_state=0).fit(X, y).unlearn([0]).receipts_[-1].work.samples
    160
    """

    _task: ClassVar[Task] = "regressor"

    def _encode(self, y: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(y, dtype=np.float32).reshape(len(y), -1))

    def _outputs_and_loss(self) -> tuple[Any, Any]:
        criterion = final_of(self.estimator_).net_.criterion_
        return _as_columns, criterion

    def _n_outputs(self) -> int:
        y = self._data.labels(self._data.positions[:1])
        return int(np.prod(y.shape[1:], dtype=int))

    def predict(self, X: Any) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.
        """
        check_is_fitted(self)
        return self.estimator_.predict(self._check_input(X, reset=False))


def _as_columns(output: Tensor) -> Tensor:
    return output[:, None] if output.ndim == 1 else output
