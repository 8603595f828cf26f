"""Torch models as scikit-learn estimators: skorch trains them, seeds and threads are fixed here."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from mlunlearn.nets.seeds import seeded
from mlunlearn.nets.torch_estimator import TorchEstimator, served
from mlunlearn.training.seeds import root_seed

_BY_CLASS = (nn.CrossEntropyLoss, nn.NLLLoss)  # they take one output a class
_ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)  # they broadcast, and only warn


class TorchClassifier(ClassifierMixin, TorchEstimator):
    """A torch classifier that keeps scikit-learn's rules and gives the same bits for the same seed.

    Parameters
    ----------
    net : torch module (class or instance) or skorch net
        A bare module returns one logit a class and is trained by Adam (lr 0.001, batches of 128, 20 epochs, cross
        entropy). The weights of an instance, as passed, are the initial weights. Never changed.
    autocast : bool, default=False
        Train in ``bfloat16`` where torch thinks it safe, in about half the time on processors that compute in it.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout; torch's global generator is left alone.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net.
    classes_ : ndarray of shape (n_classes,)
        Labels; output i of the module stands for ``classes_[i]``, spare outputs are ignored.

    Notes
    -----
    Inputs are cast to float32 (integers stay integers for modules with embeddings). A map-style
    ``torch.utils.data.Dataset``, or a dictionary of arrays that the module takes by name, is read, and images kept as
    bytes are cast, a batch at a time, through the net's own loaders. Every `fit` and `partial_fit`
    starts with a fresh optimiser, scheduler and history, so a checkpoint is the module's ``state_dict`` alone.
    Training runs on one thread, since the number of threads changes the last bits.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.nets import TorchClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TorchClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    _default_net = NeuralNetClassifier
    _default_criterion = nn.CrossEntropyLoss
    _multi_output = False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train from the initial weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.
        y : array-like of shape (n_samples,)
            Labels; None takes those of a dataset.

        Returns
        -------
        self
            The trained model.
        """
        return self._fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, *, epochs: float = 1.0) -> Self:
        """Go on training.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like or None, default=None
            All labels there will ever be, at the first call; None takes those in `y`.
        epochs : float, default=1.0
            Passes over the rows; a fraction passes over some of them.

        Returns
        -------
        self
            The trained model.
        """
        return self._partial_fit(X, y, classes, epochs)

    def _learn_targets(self, y: Any, classes: Any) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)

    def _check_output(self, X: Any) -> None:
        output, k = self._output_of(X), len(self.classes_)
        self._refuse_several_outputs(output)
        if not isinstance(self.net_.criterion_, _BY_CLASS):
            return
        output = output[0] if isinstance(output, tuple) else output
        if output.ndim < 2 or output.shape[1] < k:
            raise ValueError(
                f"the module returns shape {tuple(output.shape)} for two rows, too few outputs for {k} classes; it "
                f"should return (n_samples, {k}): give its last layer {k} outputs."
            )

    def _encode(self, y: np.ndarray) -> np.ndarray:
        kind = np.float32 if isinstance(self.net_, NeuralNetBinaryClassifier) else np.int64
        return np.searchsorted(self.classes_, y).astype(kind)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities.

        Raises
        ------
        ValueError
            If the module has fewer outputs than there are classes.
        """
        check_is_fitted(self, "net_")
        proba = self._answers(self._check_X(X, reset=False), "predict_proba")
        if proba.shape[1] < len(self.classes_):
            raise ValueError(f"The module has {proba.shape[1]} outputs for {len(self.classes_)} classes.")
        known = proba[:, : len(self.classes_)]
        return known / known.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        proba = self.predict_proba(X)
        return self.classes_[np.argmax(proba, axis=1)]


class TorchRegressor(RegressorMixin, TorchEstimator):
    """A torch regressor that keeps scikit-learn's rules and gives the same bits for the same seed.

    Parameters
    ----------
    net : torch module (class or instance) or skorch net
        A bare module returns ``(n_samples, n_outputs)``, or ``(n_samples,)`` for one output, and is trained by Adam
        (lr 0.001, batches of 128, 20 epochs, squared error). Never changed.
    autocast : bool, default=False
        Train in ``bfloat16`` where torch thinks it safe.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net.

    See Also
    --------
    TorchClassifier : The same for classes, with notes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.nets import TorchRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> TorchRegressor(nn.Linear(10, 1), random_state=0).fit(X, y).predict(X[:2]).shape
    (2,)
    """

    _default_net = NeuralNetRegressor
    _default_criterion = nn.MSELoss
    _multi_output = True

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train from the initial weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; None takes those of a dataset.

        Returns
        -------
        self
            The trained model.
        """
        return self._fit(X, y)

    def partial_fit(self, X: Any, y: Any, *, epochs: float = 1.0) -> Self:
        """Go on training.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        epochs : float, default=1.0
            Passes over the rows.

        Returns
        -------
        self
            The trained model.
        """
        return self._partial_fit(X, y, None, epochs)

    def _learn_targets(self, y: Any, classes: Any) -> None:
        self._flat, self._bare = np.ndim(y) == 1, False

    def _start(self, X: Any, y: np.ndarray, classes: Any) -> Any:
        X = super()._start(X, y, classes)
        few, targets = self._ready(X[:2]), self._encode(np.asarray(y)[:2])
        with seeded(root_seed(self.random_state), self.net_.device):
            # where callbacks give the module its widths
            self.net_.notify("on_train_begin", X=served(few, targets), y=targets)
            output = self._output_of(few)
        self._refuse_several_outputs(output)
        self._bare = isinstance(output, torch.Tensor) and output.ndim == 1  # (n_samples,)
        target = self._encode(targets).shape
        if isinstance(self.net_.criterion_, _ELEMENTWISE) and getattr(output, "shape", target) != target:
            raise ValueError(
                f"the module returns shape {tuple(output.shape)} for targets of shape {target}; it should return "
                "(n_samples, n_outputs), or (n_samples,) for one output."
            )
        return X

    def _encode(self, y: np.ndarray) -> np.ndarray:
        y = np.require(y, np.float32, ["C", "W"]).reshape(len(y), -1)
        return y[:, 0] if self._bare and y.shape[1] == 1 else y

    def predict(self, X: Any) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values.
        """
        check_is_fitted(self, "net_")
        values = self._answers(self._check_X(X, reset=False), "predict")
        return values.ravel() if self._flat else values[:, None] if values.ndim == 1 else values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
