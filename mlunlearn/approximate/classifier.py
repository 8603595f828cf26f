"""The base of methods that edit a classifier's network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from mlunlearn.approximate.base import EditedModel
from mlunlearn.base import UnlearnerMixin
from mlunlearn.networks.adoption import final_of
from mlunlearn.networks.criteria import class_loss, logits_of
from mlunlearn.state import Task


class EditedClassifier(ClassifierMixin, EditedModel, UnlearnerMixin, BaseEstimator):
    """Base of methods that edit the weights of a trained classifier's network.

    A method is a subclass with a constructor that takes at least `estimator` and `random_state`, with ``needs``, and
    with one hook::

        def _edit(self, module, forget, retain, run): ...

    `module` is a copy of the trained network, in evaluation mode, to be changed in place. `forget` and `retain` are
    `mlunlearn.networks.Rows`: their ``steps``, ``passes`` and ``in_order`` give batches with inputs ``X``, numbers of
    the labels ``y`` and the mask ``forget``, read when they are asked for, cast and moved to where the network is;
    ``forget | retain`` are all of them. `run` is a `mlunlearn.approximate.Run`: the request with its classes, seeds by
    purpose, outputs as logits, the loss, the loop, untrained networks, the network before, head and embedding. What
    the hook returns, a dictionary or None, is filed with the receipt. ``self.estimator_`` is the model around `module`.

    The estimator is a torch module, a skorch net, a `TorchClassifier` or a pipeline that ends in one of them. An
    unfitted one is trained by `fit`; of one inside ``FrozenEstimator`` a copy is edited. The steps of a pipeline before
    the network are fitted anew on the retained rows at each request.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_ : ndarray of shape (n_classes,)
        Labels that the outputs stand for; those of a forgotten class stay, since masking an output is not forgetting.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    ``needs`` names what the hook reads, of ``"retain"``, ``"retain_labels"``, ``"forget"``, ``"forget_labels"``,
    ``"initial"`` (weights from which the network was trained) and ``"held_out"`` (rows it was not trained on). Reading
    anything else raises `mlunlearn.networks.UndeclaredNeedError`, and rows that are not needed may have been erased
    at the source; rows that are read must be what they were at `fit`, and are compared as they are read. Of a dataset
    a few items are compared. A method that can do without held-out rows, and reads them where they are given, sets
    ``takes_held_out = True``; methods that say neither refuse them.

    The base restores modes, gradient flags and the global random generators. It restores buffers, such as the
    statistics of batch normalisation, unless the class sets ``moves_buffers = True``. A network that is not finite
    after the hook is refused, and the model stays as it was. Samples are counted where rows are read.

    A frozen estimator stays as it was trained, inside the ``estimator`` parameter: pass on ``estimator_`` where nothing
    may lead back to it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import EditedClassifier
    >>> from mlunlearn.networks import sgd
    >>> class Ascent(EditedClassifier):
    ...     needs = frozenset({"forget", "forget_labels"})
    ...
    ...     def __init__(self, estimator, *, random_state=None):
    ...         self.estimator = estimator
    ...         self.random_state = random_state
    ...
    ...     def _edit(self, module, forget, retain, run):
    ...         def loss_of(batch):
    ...             return -run.loss(run.outputs(module, batch), batch.y)
    ...
    ...         run.descend(module, loss_of, forget.passes(8, 1, run.seed("batches")), optimizer=sgd(0.01), mode="eval")
    >>> X, y = load_iris(return_X_y=True)
    >>> model = Ascent(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn([0, 1, 2])
    >>> model.receipts_[-1].work.samples
    3
    """

    _task: ClassVar[Task] = "classifier"

    def _fit(self, held_out: Any = None) -> None:
        super()._fit(held_out)
        self.classes_ = final_of(self.estimator_).classes_

    def _encode(self, y: np.ndarray) -> Tensor:
        return torch.as_tensor(np.searchsorted(self.classes_, y))

    def _outputs_and_loss(self) -> tuple[Any, Any]:
        net = final_of(self.estimator_).net_
        return logits_of(net), class_loss(net)

    def _numbers_of(self, classes: tuple[Any, ...]) -> tuple[int, ...]:
        return tuple(np.searchsorted(self.classes_, list(classes)).tolist()) if classes else ()

    def _n_outputs(self) -> int:
        return len(self.classes_)

    # ------------------------------------------------------------ predict

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns as in ``classes_``, forgotten classes included.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(self._check_input(X, reset=False))

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
