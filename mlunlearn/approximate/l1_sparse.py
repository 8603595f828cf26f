"""l1-sparse: train on with the retained rows under a penalty on the size of the weights, which fades."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.learning import OPTIMIZERS, Optimizer, learn, make_optimizer
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import ParameterError, check_choice, check_count, check_positive


class L1SparseClassifier(EditedClassifier):
    r"""Forget by training on with the retained rows while a fading penalty makes weights small.

    In pass :math:`t = 0, 1, \dots` of :math:`E`, of which the last :math:`E_0` are free of the penalty,

    .. math:: \min_\theta \mathbb{E}_{D_r} \ell(f_\theta(x), y) + \gamma_t \lVert \theta \rVert_1, \qquad
        \gamma_t = \gamma \max\left(0, 1 - \frac{t}{E - E_0}\right)

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=10
        :math:`E`, passes over the retained rows.
    free_epochs : int, default=2
        :math:`E_0`, passes at the end that are free of the penalty; fewer than all.
    gamma : float, default=0.0005
        :math:`\gamma`, weight of the penalty in the first pass; 0 is fine-tuning.
    lr : float, default=0.01
        Learning rate.
    optimizer : {'adam', 'sgd'}, default='sgd'
        The latter with momentum 0.9.
    weight_decay : float, default=0.0005
        L2 penalty of the optimiser.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_, n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    See Also
    --------
    FineTuneClassifier : The same without a penalty.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones, which may have
    been erased. Changes all weights and the statistics of batch normalisation. The norm is the sum over all trainable
    weights, so that the same `gamma` weighs more in a large network. Cost: `max_epochs` passes over the retained rows.
    Fails as fine-tuning does where similar rows remain; a `gamma` that is too large for the passes left costs accuracy.

    References
    ----------
    "Model Sparsity Can Simplify Machine Unlearning", arXiv:2304.04934.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import L1SparseClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = L1SparseClassifier(nn.Linear(4, 3), max_epochs=2, free_epochs=1, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    294
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 10,
        free_epochs: int = 2,
        gamma: float = 5e-4,
        lr: float = 0.01,
        optimizer: Optimizer = "sgd",
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.free_epochs = free_epochs
        self.gamma = gamma
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_count("free_epochs", self.free_epochs, at_least=0)
        if self.free_epochs >= self.max_epochs:
            raise ParameterError(
                f"free_epochs must be smaller than max_epochs, got {self.free_epochs} of {self.max_epochs}."
            )
        check_positive("lr", self.lr)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        for name in ("gamma", "weight_decay"):
            check_positive(name, getattr(self, name), zero=True)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        batch_size = self.batch_size or run.batch_size
        steps_a_pass = retain.n_steps(batch_size)
        weights = [p for p in module.parameters() if p.requires_grad]

        def penalty(step: int) -> Tensor | None:
            gamma = self._weight_in(step // steps_a_pass)
            return gamma * torch.stack([p.abs().sum() for p in weights]).sum() if gamma else None

        learn(
            module,
            retain,
            run,
            batch_size=batch_size,
            n_steps=self.max_epochs * steps_a_pass,
            penalty=penalty,
            optimizer=make_optimizer(self.optimizer, self.lr, self.weight_decay),
            label="sparse fine-tuning",
        )

    def _weight_in(self, epoch: int) -> float:
        """Weight of the penalty in a pass."""
        return self.gamma * max(0.0, 1 - epoch / (self.max_epochs - self.free_epochs))
