"""Networks as estimators, alone or at the end of a pipeline, and those that were trained elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.nets.casting import takes_integers, tensors
from mlunlearn.networks.layers import device_of
from mlunlearn.networks.standardized import StandardizedRegressor
from mlunlearn.state import Task
from mlunlearn.training.estimators import as_estimator

Network = TorchClassifier | StandardizedRegressor


def as_network(estimator: Any, task: Task) -> Any:
    """Read what the user passed as a network, alone or at the end of a pipeline.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, TorchRegressor, Pipeline or FrozenEstimator
        Never changed. What is inside a ``FrozenEstimator`` is taken as it is.
    task : {'classifier', 'regressor'}
        What the network is for.

    Returns
    -------
    TorchClassifier, StandardizedRegressor or Pipeline that ends in one
        Unfitted where what was passed is unfitted. The targets of every regressor are standardised inside.

    Raises
    ------
    TypeError
        If there is no torch network of that kind at the end.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.networks import as_network
    >>> type(as_network(nn.Linear(2, 2), "classifier")).__name__
    'TorchClassifier'
    """
    if isinstance(estimator, FrozenEstimator):
        return as_network(estimator.estimator, task)
    model = as_estimator(estimator, task)
    kind = TorchClassifier if task == "classifier" else TorchRegressor
    if not isinstance(final_of(model), kind):
        raise TypeError(
            f"expected a torch module, a skorch net or a {kind.__name__}, alone or at the end of a Pipeline, got "
            f"{type(final_of(model)).__name__}: this method edits the weights of a {task}'s network."
        )
    return model if task == "classifier" else _ending_in(model, StandardizedRegressor.in_place_of(final_of(model)))


def _ending_in(model: Any, final: Network) -> Any:
    if not isinstance(model, Pipeline):
        return final
    params = model.get_params(deep=False)
    return type(model)(**params | {"steps": [*model.steps[:-1], (model.steps[-1][0], final)]})


def final_of(model: Any) -> Network:
    """Return the network at the end.

    Parameters
    ----------
    model : TorchClassifier, StandardizedRegressor or Pipeline
        As `as_network` returns it.

    Returns
    -------
    TorchClassifier or StandardizedRegressor
        The object inside, not a copy.
    """
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def steps_of(model: Any) -> list[Any]:
    """Return the transformers before the network.

    Parameters
    ----------
    model : TorchClassifier, StandardizedRegressor or Pipeline
        As `as_network` returns it.

    Returns
    -------
    list of transformer
        Empty where there is no pipeline.
    """
    steps = [step for _, step in model.steps[:-1]] if isinstance(model, Pipeline) else []
    return [step for step in steps if step is not None and step != "passthrough"]


def through_steps(model: Any, X: Any) -> Any:
    """Pass inputs through the fitted transformers before the network.

    Parameters
    ----------
    model : TorchClassifier, StandardizedRegressor or Pipeline
        As `as_network` returns it.
    X : array-like of shape (n_samples, ...)
        Inputs.

    Returns
    -------
    array-like of shape (n_samples, ...)
        What the network reads.
    """
    for step in steps_of(model):
        X = step.transform(X)
    return X


def refit_steps(model: Any, X: Any, y: Any) -> None:
    """Fit the transformers before the network anew, and leave the network as it is.

    Parameters
    ----------
    model : TorchClassifier, StandardizedRegressor or Pipeline
        Its steps are replaced by fitted clones.
    X : array-like of shape (n_samples, ...)
        Inputs.
    y : array-like of shape (n_samples,)
        Targets, for transformers that read them.
    """
    if not steps_of(model):
        return
    steps = []
    for name, step in model.steps[:-1]:
        if step is not None and step != "passthrough":
            step = clone(step).fit(X, y)
            X = step.transform(X)
        steps.append((name, step))
    model.steps = [*steps, model.steps[-1]]


def with_network(model: Any, module: nn.Module) -> Any:
    """Dress another network of the same architecture as a regressor.

    Parameters
    ----------
    model : StandardizedRegressor or Pipeline that ends in one
        Fitted; not changed.
    module : torch.nn.Module
        The network, not copied, with outputs in the same units.

    Returns
    -------
    same type as model
        Predicts with `module`.
    """
    return _ending_in(model, final_of(model).with_network(module))


def is_trained_elsewhere(estimator: Any) -> bool:
    """Tell whether the user brings a model that was trained already.

    Parameters
    ----------
    estimator : object
        What was passed for ``estimator``.

    Returns
    -------
    bool
        True for a ``FrozenEstimator``.
    """
    return isinstance(estimator, FrozenEstimator)


def adopt(trained: Any, task: Task, X: Any, y: np.ndarray) -> Any:
    """Take over a copy of a model that was trained elsewhere.

    Parameters
    ----------
    trained : torch module, skorch net, TorchClassifier, TorchRegressor or Pipeline, trained
        What stood inside ``FrozenEstimator``; never changed.
    task : {'classifier', 'regressor'}
        What it is for.
    X : array-like of shape (n, ...) or dict of arrays
        A few inputs, to see what the network returns for them.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets of all rows.

    Returns
    -------
    TorchClassifier, StandardizedRegressor or Pipeline
        Fitted; predicts what `trained` predicts.

    Raises
    ------
    TypeError
        If it is no torch network of that kind.
    ValueError
        If there are labels that no output stands for, or a regressor does not predict a value for each target.

    Notes
    -----
    Output i of a bare module or skorch net stands for label i where the labels are whole numbers below the number of
    outputs, and for the i-th of the labels in ascending order otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from mlunlearn.networks import adopt
    >>> net = nn.Linear(2, 3).requires_grad_(True)
    >>> adopt(net, "classifier", np.eye(2), np.array([0, 2])).classes_.tolist()
    [0, 1, 2]
    """
    model = copy.deepcopy(as_network(trained, task))
    for step in steps_of(model):
        check_is_fitted(step)
    X = through_steps(model, X)
    X = X if isinstance(X, dict) or hasattr(X, "detach") else np.require(X, requirements=["C", "W"])
    final = final_of(model)
    knows_classes = hasattr(final, "net_")
    if not knows_classes:
        initialised = isinstance(final.net, NeuralNet) and final.net.initialized_
        final.net_ = final.net if initialised else final.untrained_net(0)
        final.net = final.net_  # no second copy of the trained weights
    module = final.net_.module_.eval()
    few = tensors(X, device_of(module), takes_integers(module))
    if isinstance(final, StandardizedRegressor):
        final.adopt(few, y[: len(X)])
    elif knows_classes:
        _refuse_unknown(y, final.classes_)
    else:
        _learn_classes(final, final.net_.infer(few), y)
    return model


def _learn_classes(final: TorchClassifier, output: Any, y: np.ndarray) -> None:
    """Note what the outputs of a network stand for."""
    output = output[0] if isinstance(output, tuple) else output
    n_outputs = 2 if output.ndim == 1 else output.shape[1]
    labels = np.unique(y)
    counted = np.issubdtype(labels.dtype, np.integer) and labels.min() >= 0 and labels.max() < n_outputs
    final.classes_ = np.arange(n_outputs).astype(labels.dtype) if counted else labels
    if len(final.classes_) > n_outputs:
        raise ValueError(
            f"the network has {n_outputs} outputs for {len(labels)} labels; its last layer needs one for each."
        )


def _refuse_unknown(y: np.ndarray, classes: np.ndarray) -> None:
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y holds {unknown[0].item()!r}, which is none of the classes that the estimator was trained for "
            f"({', '.join(map(str, classes))})."
        )
