"""Training that keeps gradients small, so that a trained network is easier to correct."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNetClassifier
from torch import Tensor


class GradientRestrictedClassifier(NeuralNetClassifier):
    r"""A skorch classifier whose loss has a penalty on its own gradient.

    In training each batch has the loss

    .. math:: \ell_{GR} = \ell + \alpha \sum_t \left\| \partial \ell / \partial \theta_t \right\|_2

    over the parameter tensors :math:`\theta_t` that require a gradient.

    Parameters
    ----------
    module : torch module (class or instance)
        As for ``skorch.NeuralNetClassifier``.
    *args : tuple
        Further ones of ``skorch.NeuralNetClassifier``.
    alpha : float, default=0.005
        :math:`\alpha`. 0 gives plain training, bit for bit.
    **kwargs : dict
        Further ones of ``skorch.NeuralNetClassifier``, such as ``criterion`` and ``lr``.

    See Also
    --------
    mlunlearn.approximate.IAUClassifier : What it prepares a network for.

    Notes
    -----
    Every step differentiates twice, which takes about twice the time. Parts that have no second derivative, such as
    fused attention, cannot be trained so.

    References
    ----------
    "Efficient Machine Unlearning via Influence Approximation", arXiv:2507.23257. The sum of norms is that of the
    authors' code, with its :math:`\alpha`.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from mlunlearn.networks import GradientRestrictedClassifier
    >>> X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> module, loss = nn.Linear(4, 2), nn.CrossEntropyLoss
    >>> net = GradientRestrictedClassifier(module, criterion=loss, alpha=0.01, train_split=None, verbose=0)
    >>> net.fit(X, y).predict(X).shape
    (4,)
    """

    def __init__(self, module: Any, *args: Any, alpha: float = 0.005, **kwargs: Any):
        super().__init__(module, *args, **kwargs)
        self.alpha = alpha

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch, in training with the penalty.

        Parameters
        ----------
        y_pred, y_true : torch.Tensor
            Outputs and targets.
        X : object, default=None
            Inputs, not read.
        training : bool, default=False
            Whether the network is being trained.

        Returns
        -------
        torch.Tensor of shape ()
            To be differentiated.
        """
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if not training or not self.alpha:
            return loss
        weights = [p for p in self.module_.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
        return loss + self.alpha * sum(torch.linalg.vector_norm(g) for g in gradients if g is not None)
