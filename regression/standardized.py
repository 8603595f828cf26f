"""A torch regressor whose targets are standardised inside, so that step sizes and weights mean the same everywhere."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.regression.losses import first_output
from mlunlearn.regression.outputs import check_network, unit_layer
from mlunlearn.seeds import root_seed
from mlunlearn.torch_seeds import seeded
from mlunlearn.training import as_estimator, fresh_copy, inherit_tags


class StandardizedRegressor(RegressorMixin, BaseEstimator):
    """Train a torch network on standardised targets, and predict in the units of `y`.

    Targets are standardised where the network's output comes straight from a linear layer. A network that does
    something on the way out, such as a ReLU, a Softplus, a sigmoid or a clamp, means the values that it can put out: it
    is trained in the units of `y`.

    Parameters
    ----------
    estimator : torch module (class or instance), skorch net, TorchRegressor or Pipeline ending in one of them
        What to train, never changed. The steps before the network are fitted on the training rows alone. The loss
        is the net's criterion, read in standard deviations of the targets.
    random_state : int, RandomState instance or None, default=None
        Seeds every ``random_state`` inside.

    Attributes
    ----------
    steps_ : list of transformer
        What inputs go through before the network.
    regressor_ : TorchRegressor
        The network, trained on ``(y - mean_) / scale_``.
    mean_, scale_ : ndarray of shape () or (n_outputs,)
        Mean and standard deviation of the training targets; a constant target has scale 1. They are 0 and 1 for a
        network that is trained in the units of `y`.

    Notes
    -----
    Means are summed without rounding, so the order of the rows does not change a bit of them.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import StandardizedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = StandardizedRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    """

    def __init__(self, estimator: Any, *, random_state: Any = None):
        self.estimator = estimator
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the steps and train the network from its initial weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        self
            The trained model.
        """
        steps, final = split_pipeline(self.estimator)
        if steps:
            validate_data(self, X, y, skip_check_array=True)
        else:
            X, y = validate_data(self, X, y, dtype=None, allow_nd=True, multi_output=True, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        seed = root_seed(self.random_state)
        self.steps_ = [fresh_copy(step, seed) for step in steps]
        X = self.refit_steps(X, y)
        self.mean_, self.scale_ = moments(y) if _takes_units(final, seed, X, y) else own_units(y)
        self.regressor_ = fresh_copy(final, seed).fit(X, (y - self.mean_) / self.scale_)
        return self

    def refit_steps(self, X: Any, y: Any) -> Any:
        """Fit the steps before the network, and leave the network as it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        array of shape (n_samples, ...)
            `X` after the steps.
        """
        self.steps_ = [clone(step) for step in self.steps_]
        for step in self.steps_:
            X = step.fit(X, y).transform(X)
        return X

    def prepare(self, X: Any) -> np.ndarray:
        """Pass inputs through the fitted steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            What the network reads.
        """
        check_is_fitted(self)
        if not self.steps_:
            X = validate_data(self, X, dtype=None, allow_nd=True, reset=False)
        for step in self.steps_:
            X = step.transform(X)
        return X

    def predict_all(self, X: Any) -> np.ndarray:
        """Predict everything the network puts out, such as all quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, ...)
            In the units of `y`.
        """
        X = self.prepare(X)
        out = self.regressor_.net_.predict(self.regressor_.cast(np.asarray(X))).astype(np.float64)
        return out * aligned(self.scale_, out) + aligned(self.mean_, out)

    def predict(self, X: Any) -> np.ndarray:
        """Predict values: of several quantiles the middle one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.
        """
        values = self.predict_all(X)
        if values.ndim == 3:
            values = values[..., values.shape[-1] // 2]
        return values.ravel() if np.ndim(self.mean_) == 0 else values

    def __sklearn_tags__(self) -> Tags:
        steps, final = split_pipeline(self.estimator)
        tags = inherit_tags(super().__sklearn_tags__(), steps[0] if steps else final)
        tags.target_tags.multi_output = get_tags(final).target_tags.multi_output
        return tags


def _takes_units(final: TorchRegressor, seed: int, X: Any, y: np.ndarray) -> bool:
    """Whether targets can be standardised for a network, asked of an untrained copy."""
    regressor = fresh_copy(final, seed)
    regressor.net_ = net = regressor.untrained_net(seed)
    few, targets = regressor.cast(np.asarray(X[:8])), y[:8]
    with seeded(seed, net.device):
        net.notify("on_train_begin", X=few, y=targets)  # where callbacks give the module its widths
        module, inputs = net.module_.eval(), torch.as_tensor(few).to(net.device)
        check_network(module, inputs, targets, net.criterion_)
        return unit_layer(module, inputs) is not None


def split_pipeline(estimator: Any) -> tuple[list[Any], TorchRegressor]:
    """Take a pipeline apart into its transformers and the network at its end.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor or Pipeline
        What the user passed.

    Returns
    -------
    steps : list of transformer
        Empty where there is no pipeline.
    final : TorchRegressor
        The network.

    Raises
    ------
    TypeError
        If there is no torch network at the end.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.regression.standardized import split_pipeline
    >>> split_pipeline(nn.Linear(2, 1))[0]
    []
    """
    steps = [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    final = as_estimator(last, "regressor")
    if not isinstance(final, TorchRegressor):
        raise TypeError(
            f"expected a torch module, a skorch regression net or a TorchRegressor, got {type(last).__name__}: "
            "gradient methods edit the weights of a network."
        )
    return [step for step in steps if step not in (None, "passthrough")], final


def moments(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of targets, free of the order of the rows.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, n_outputs)
        Targets.

    Returns
    -------
    mean, scale : ndarray of shape () or (n_outputs,)
        A constant target has scale 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.regression.standardized import moments
    >>> [float(v) for v in moments(np.array([1.0, 3.0]))]
    [2.0, 1.0]
    """
    columns = y.reshape(len(y), -1).T
    mean = np.array([math.fsum(column) / len(y) for column in columns])
    variance = np.array([math.fsum((column - m) ** 2) / len(y) for column, m in zip(columns, mean, strict=True)])
    scale = np.where(variance > 1e-24 * np.maximum(mean**2, 1e-300), np.sqrt(variance), 1.0)
    return mean.reshape(y.shape[1:]), scale.reshape(y.shape[1:])


def own_units(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean 0 and scale 1, with which targets are in their own units.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, n_outputs)
        Targets.

    Returns
    -------
    mean, scale : ndarray of shape () or (n_outputs,)
        Zeros and ones.
    """
    return np.zeros(y.shape[1:]), np.ones(y.shape[1:])


def aligned(values: np.ndarray, like: Any) -> np.ndarray:
    """Shape one number an output so that it meets outputs with further axes, such as quantiles.

    Parameters
    ----------
    values : ndarray of shape () or (n_outputs,)
        Means or scales.
    like : array or tensor of shape (n, n_outputs, ...)
        What they are to meet.

    Returns
    -------
    ndarray
        Broadcasts against `like`.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.regression.standardized import aligned
    >>> aligned(np.ones(4), np.zeros((2, 4, 3))).shape
    (4, 1)
    """
    return values if values.ndim == 0 else values.reshape(-1, *(1,) * (like.ndim - 2))


def rescale_output(module: nn.Module, X: torch.Tensor, gain: np.ndarray, shift: np.ndarray) -> bool:
    """Fold ``gain * output + shift`` into the last linear layer, where the output comes straight from one.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place, and left in evaluation mode.
    X : torch.Tensor of shape (n, ...)
        A few inputs, to find the layer with, see `unit_layer`.
    gain, shift : ndarray of shape () or (n_outputs,)
        The new units in terms of the old.

    Returns
    -------
    bool
        Whether there was such a layer; otherwise nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.regression.standardized import rescale_output
    >>> net, X = torch.nn.Linear(2, 1), torch.ones(3, 2)
    >>> before = net(X)
    >>> rescale_output(net, X, np.array(2.0), np.array(1.0)), torch.allclose(net(X), 2 * before + 1)
    (True, True)
    """
    layer = unit_layer(module.eval(), X)
    if layer is None:
        return False
    with torch.no_grad():
        output = first_output(module(X))
        each = torch.ones_like(output[0])
        gains, shifts = (
            (each * torch.as_tensor(aligned(v, output), dtype=each.dtype, device=each.device)).flatten()
            for v in (gain, shift)
        )
        layer.weight.mul_(gains[:, None])
        layer.bias.mul_(gains).add_(shifts)
    return True


def same_model(
    model: StandardizedRegressor, module: nn.Module, mean: np.ndarray, scale: np.ndarray
) -> StandardizedRegressor:
    """Dress another network of the same architecture in the steps of a model.

    Parameters
    ----------
    model : StandardizedRegressor
        Fitted; not changed.
    module : torch.nn.Module
        The network, not copied.
    mean, scale : ndarray of shape () or (n_outputs,)
        Units of the network's output.

    Returns
    -------
    StandardizedRegressor
        Predicts with `module`.
    """
    twin = _shallow(model)
    twin.regressor_ = _shallow(model.regressor_)
    twin.regressor_.net_ = _shallow(model.regressor_.net_)
    vars(twin.regressor_.net_)["module_"] = module
    twin.mean_, twin.scale_ = mean, scale
    return twin


def _shallow(model: Any) -> Any:
    twin = object.__new__(type(model))
    vars(twin).update(vars(model))
    return twin
