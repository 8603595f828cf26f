"""NegGrad: climb the loss of the rows to forget, but no higher than ignorance."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mlunlearn.approximate.ceiling import ceiling, mean_loss
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.loop import Descent, sgd
from mlunlearn.parameters import check_count, check_positive, check_share


class NegGradClassifier(EditedClassifier):
    r"""Forget by raising the loss on the rows to forget until it is that of a network that does not know them.

    .. math:: \max_\theta \mathbb{E}_{D_f} \ell(f_\theta(x), y), \qquad \theta_0 = \theta^*

    The ascent ends before the first pass at which the mean loss is at the ceiling, and within a pass takes no step on a
    batch whose loss is there. The ceiling is :math:`\ln C` for :math:`C` classes, or the loss on held-out rows.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=10
        Passes over the rows to forget, at most.
    lr : float, default=0.01
        Learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the optimiser.
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
    NegGradPlusClassifier : Holds the loss on the retained rows besides.

    Notes
    -----
    Guarantee: approximate. Needs the rows to forget with labels; reads no retained row, so that those may be gone.
    Held-out rows given as ``fit(..., held_out=(X, y))`` set the ceiling, unless a class is forgotten. Changes all
    weights, in evaluation mode: the statistics of batch normalisation stay, since rows to forget alone would move them.
    Cost: `max_epochs` passes over the rows to forget, which are read twice in each: to see how far it is, and to climb.
    The receipt names the ceiling and the losses. The ceiling is ours; the plain form has none and ends in chance.
    Fails on the retained rows, which nothing holds: those that resemble the forgotten ones are lost with them.

    References
    ----------
    A baseline of most papers, such as "Eternal Sunshine of the Spotless Net", arXiv:1911.04933.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import NegGradClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NegGradClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> round(model.unlearn([3, 17, 60]).receipts_[-1].work.details["ceiling"], 3)
    1.099
    """

    needs = frozenset({"forget", "forget_labels"})
    takes_held_out = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 10,
        lr: float = 0.01,
        momentum: float = 0.9,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.lr = lr
        self.momentum = momentum
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)
        check_share("momentum", self.momentum, one=False)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        highest, losses = ceiling(run), []
        loss_of = run.training_loss(module)
        batch_size = self.batch_size or run.batch_size
        n_steps = self.max_epochs * forget.n_steps(batch_size)
        with Descent(module, sgd(self.lr, self.momentum), n_steps=n_steps, mode="eval") as descent:
            for epoch in run.progress(range(self.max_epochs), "climbing"):
                losses.append(mean_loss(module, forget, run))
                if highest <= losses[-1] < float("inf"):
                    break
                for batch in forget.passes(batch_size, 1, run.seed(f"batches {epoch}")):
                    loss = loss_of(batch)
                    if loss < highest or not torch.isfinite(loss):
                        descent.step(-loss)
        return {"ceiling": highest, "loss": losses}
