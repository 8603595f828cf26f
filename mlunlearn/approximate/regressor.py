"""The base of methods that edit a regressor's network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from mlunlearn.approximate.base import WHY, EditedModel
from mlunlearn.base import UnlearnerMixin
from mlunlearn.exceptions import ForgetRequestError
from mlunlearn.networks.adoption import final_of, through_steps
from mlunlearn.networks.units import evenly_spread, moments
from mlunlearn.state import Task

_CHUNK = 4096
_RUINED = 1.25


class EditedRegressor(RegressorMixin, EditedModel, UnlearnerMixin, BaseEstimator):
    """Base of methods that edit the weights of a trained regressor's network; `EditedClassifier` says how.

    The estimator is a torch module, a skorch net, a `TorchRegressor` or a pipeline that ends in one of them. An
    unfitted one is trained on standardised targets, see `mlunlearn.networks.StandardizedRegressor`.

    Attributes
    ----------
    estimator_ : StandardizedRegressor or Pipeline
        The model after forgetting.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Outputs and targets have the shape (n, n_outputs) in the hook, outputs that are quantiles (n, n_outputs,
    n_quantiles). They are in standard deviations of the retained targets where the network can take these units up, so
    that steps and weights mean the same whatever the units of `y`, and in the units of `y` elsewhere.

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

    @contextmanager
    def _refitted(self, model: Any, left: np.ndarray) -> Iterator[None]:
        """Fit the units of the targets anew as well, and bring a network from elsewhere back to its own at the end.

        The edited model has to predict the retained rows better than a constant, unless the one before did not either.
        """
        places = evenly_spread(len(left))
        some, final = self._read(left[places], WHY), final_of(model)
        y = np.concatenate([self._read(chunk, WHY).y for chunk in np.array_split(left, -(-len(left) // _CHUNK))])
        before = _unexplained(model, some.X, some.y)
        with super()._refitted(model, left), final.standardized_by(y, places, through_steps(model, some.X)):
            yield
        after = _unexplained(model, some.X, some.y)
        if after > _RUINED * max(before, 1.0):
            raise ForgetRequestError(
                f"the edit ruined the network: its squared error on the retained rows is {after:.3g} times the "
                f"variance of their targets, and was {before:.3g} before. The model was left as it was. Take more "
                "steps or another lr; a network that ends in a linear layer with a bias is edited in standard "
                "deviations of its targets, whatever their size."
            )

    def _encode(self, y: np.ndarray) -> Tensor:
        return torch.as_tensor(final_of(self.estimator_)._encode(y).reshape(len(y), -1))

    def _outputs_and_loss(self) -> tuple[Any, Any]:
        return _as_columns, final_of(self.estimator_).net_.criterion_

    def _n_outputs(self) -> int:
        y = self._data.labels(self._data.positions[:1])
        return int(np.prod(y.shape[1:], dtype=int))

    def predict_all(self, X: Any) -> np.ndarray:
        """Predict everything the network puts out, such as all quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, ...)
            In the units of `y`.
        """
        check_is_fitted(self)
        X, model = self._check_input(X, reset=False), self.estimator_
        return final_of(model).predict_all(through_steps(model, X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict values: of several quantiles the middle one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.
        """
        values = self.predict_all(X)
        return final_of(self.estimator_).middle(values)


def _unexplained(model: Any, X: Any, y: np.ndarray) -> float:
    """Squared error as a share of the variance of the targets, the mean over outputs."""
    final = final_of(model)
    error = final.middle(final.predict_all(through_steps(model, X))) - y
    return float(np.mean(np.square(error) / np.square(moments(np.asarray(y, dtype=np.float64))[1])))


def _as_columns(output: Tensor) -> Tensor:
    return output[:, None] if output.ndim == 1 else output
