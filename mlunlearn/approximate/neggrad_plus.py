"""NegGrad+: climb the loss of the rows to forget and descend that of the others, in one step."""

from __future__ import annotations

from itertools import count
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.ceiling import ceiling
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows, paired
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_choice, check_count, check_flag, check_positive, check_share

Form = Literal["deep_unlearn", "mufac"]


class NegGradPlusClassifier(EditedClassifier):
    r"""Forget by raising the loss on the rows to forget while holding it on the retained ones.

    .. math:: \min_\theta \alpha\, \mathbb{E}_{D_r} \ell(f_\theta(x), y)
        - (1 - \alpha) \min(\mathbb{E}_{D_f} \ell(f_\theta(x), y), c)

    A step takes a batch of each; that of the rows to forget begins again where it ends. The ceiling :math:`c` is
    :math:`\ln C` for :math:`C` classes, or the loss on held-out rows: a batch whose loss is there adds no ascent.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=5
        Passes over the retained rows.
    alpha : float, default=0.95
        :math:`\alpha`, between 0 and 1: 1 is fine-tuning.
    capped : bool, default=True
        Keep to the ceiling; False is the published form.
    lr : float, default=0.01
        Learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the optimiser.
    weight_decay : float, default=0.0005
        L2 penalty of the optimiser.
    batch_size : int or None, default=None
        Rows of either kind in a step; None takes the network's own.
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
    FineTuneClassifier : The descent alone.
    NegGradClassifier : The ascent alone.

    Notes
    -----
    Guarantee: approximate. Needs all rows with labels, those to forget included. Held-out rows given as
    ``fit(..., held_out=(X, y))`` set the ceiling, unless a class is forgotten. Changes all weights and the statistics
    of batch normalisation, which see batches of both kinds. Cost: `max_epochs` passes over the retained rows, and as
    many batches of rows to forget. The ceiling is ours: without it a class that is forgotten at the default settings
    can take all others with it within a pass. Fails by its one scalar: how much is forgotten depends on `alpha`, the
    learning rate and the passes together.

    References
    ----------
    "Towards Unbounded Machine Unlearning", arXiv:2302.09880, names it; "Deep Unlearn", arXiv:2410.01276, and "Towards
    Machine Unlearning Benchmarks", arXiv:2311.02240, use the forms that `published` gives.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import NegGradPlusClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NegGradPlusClassifier(nn.Linear(4, 3), max_epochs=1, batch_size=50, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    156
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True
    takes_held_out = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 5,
        alpha: float = 0.95,
        capped: bool = True,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.alpha = alpha
        self.capped = capped
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(
        cls, estimator: Any, *, form: Literal["deep_unlearn", "mufac"] = "deep_unlearn", **others: Any
    ) -> Self:
        """Use the settings of a paper, without a ceiling.

        Parameters
        ----------
        estimator : as for the class
            The network.
        form : {'deep_unlearn', 'mufac'}, default='deep_unlearn'
            That of Deep Unlearn, with the weight from which its search starts; or that of the benchmark on faces, the
            plain difference of the losses, descended without momentum at a rate of 0.001: in terms of this class half
            the difference at twice the rate.
        **others
            Further parameters of the class.

        Returns
        -------
        NegGradPlusClassifier
            Unfitted.
        """
        check_choice("form", form, ("deep_unlearn", "mufac"))
        faces = {"max_epochs": 2, "alpha": 0.5, "lr": 2e-3, "momentum": 0.0, "weight_decay": 0.0, "batch_size": 64}
        return cls(estimator, **{"capped": False, **(faces if form == "mufac" else {}), **others})

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_share("alpha", self.alpha)
        check_flag("capped", self.capped)
        check_positive("lr", self.lr)
        check_share("momentum", self.momentum, one=False)
        check_positive("weight_decay", self.weight_decay, zero=True)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        highest = ceiling(run) if self.capped else None
        batch_size = self.batch_size or run.batch_size
        again, training_loss = count(), run.training_loss(module)

        def loss_of(pair: tuple[Batch, Batch]) -> Tensor:
            keep, drop = map(training_loss, pair)
            drop = drop if highest is None else torch.clamp(drop, max=highest)
            return self.alpha * keep - (1 - self.alpha) * drop

        pairs = paired(
            retain.passes(batch_size, self.max_epochs, run.seed("batches")),
            lambda: forget.passes(batch_size, 1, run.seed(f"forget {next(again)}")),
        )
        run.descend(
            module,
            loss_of,
            pairs,
            optimizer=sgd(self.lr, self.momentum, self.weight_decay),
            n_steps=self.max_epochs * retain.n_steps(batch_size),
            label="climbing and descending",
        )
