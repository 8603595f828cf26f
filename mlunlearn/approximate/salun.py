"""SalUn: random labels for the rows to forget, learned by the weights that these rows weigh on most."""

from __future__ import annotations

from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.wrong_labels import wrong_labels
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.gradients import mean_gradient, top_share
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_count, check_share


@described
class SalUnClassifier(EditedClassifier):
    r"""Forget by learning wrong labels with those weights alone that are salient for the rows to forget.

    The mask marks the weights on which the loss of the rows to forget depends most,

    .. math:: m_i = \mathbb{1}\left[\,\left|\nabla_\theta \mathbb{E}_{D_f} \ell(f_{\theta^*}(x), y)\right|_i
        \text{ is among the largest share}\right]

    over all weights together. Then passes alternate, one over the rows to forget with labels :math:`y'` drawn
    uniformly from the other classes, anew in each pass, and one over the retained rows with their own labels, and all
    gradients are multiplied by :math:`m`. Weights with :math:`m_i = 0` keep every bit.

    Parameters
    ----------
    %(estimator)s
    share : float, default=0.5
        Share of the weights that may change.
    max_epochs : int, default=10
        Passes over the rows to forget, and as many over the retained rows.
    lr : float, default=0.013
        Learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the descent.
    weight_decay : float, default=0.0005
        L2 penalty on the weights that may change.
    %(batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs all rows with their labels. Changes the marked weights and the statistics of batch
    normalisation. Cost: one pass over the rows to forget for the mask, and `max_epochs` over all rows. The receipt
    tells how many weights were marked. Fails like every method with random labels: the error on forgotten rows becomes
    larger than a retrained model's, which shows that they were members.

    Labels drawn by the authors' code may be the true ones; here they never are. Weights that are not marked are put
    back after each step, because momentum and weight decay move them without any gradient.

    See Also
    --------
    FineTuneClassifier : The passes over the retained rows alone.

    References
    ----------
    "SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency in Both Image Classification and
    Generation", arXiv:2310.12508. `published` gives its settings for a tenth of CIFAR-10.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import SalUnClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SalUnClassifier(nn.Linear(4, 3), share=0.4, max_epochs=2, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.details
    {'marked': 6}
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        share: float = 0.5,
        max_epochs: int = 10,
        lr: float = 0.013,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.share = share
        self.max_epochs = max_epochs
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the paper for a tenth of CIFAR-10 and a ResNet-18.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        SalUnClassifier
            Unfitted.
        """
        return cls(estimator, **{"share": 0.5, "max_epochs": 10, "lr": 0.013, "batch_size": 256, **others})

    def _check_settings(self) -> None:
        check_share("share", self.share, zero=False)
        check_count("max_epochs", self.max_epochs)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        marked = top_share(mean_gradient(module, run.training_loss(module), forget.in_order(batch_size)), self.share)
        labels = torch.Generator().manual_seed(run.seed("labels"))

        def loss_of(batch: Batch) -> Tensor:
            y = wrong_labels(batch.y, run.n_outputs, labels) if batch.forget.all() else batch.y
            return run.loss(run.outputs(module, batch), y)

        passes = [
            chain(
                forget.passes(batch_size, 1, run.seed(f"forget {epoch}")),
                retain.passes(batch_size, 1, run.seed(f"retain {epoch}")),
            )
            for epoch in range(self.max_epochs)
        ]
        run.descend(
            module,
            loss_of,
            chain.from_iterable(passes),
            optimizer=sgd(self.lr, self.momentum, self.weight_decay),
            n_steps=self.max_epochs * (forget.n_steps(batch_size) + retain.n_steps(batch_size)),
            masks=marked,
            label="relabelling",
        )
        return {"marked": sum(int(mask.sum()) for mask in marked.values())}
