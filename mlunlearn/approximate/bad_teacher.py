"""Bad Teacher: imitate an untrained network on the rows to forget, and the network before on some others."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.divergences import kl
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_count, check_positive, check_share


class BadTeacherClassifier(EditedClassifier):
    r"""Forget by imitating an untrained network on the rows to forget, and the network before on some retained ones.

    With the network before, :math:`\theta^*`, an untrained one, :math:`\theta_0`, and softmax outputs :math:`p` at
    temperature :math:`T`, the network descends

    .. math:: \mathbb{E}_{x}\, \mathrm{KL}(p_{t(x)}(x) \,\|\, p_\theta(x)), \qquad
        t(x) = \theta_0 \text{ on } D_f, \quad \theta^* \text{ on a share of } D_r

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=5
        Passes over the rows to forget and the share of the retained ones.
    retain_share : float, default=0.3
        Share of the retained rows that are read.
    temperature : float, default=1
        :math:`T`.
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training, the untrained network, the retained rows that are read and the batches.
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
    RandomLabelClassifier : Teaches wrong labels.

    Notes
    -----
    Guarantee: approximate. Needs the inputs of the retained rows and of the rows to forget, no label. Changes all
    weights and the statistics of batch normalisation. The divergence is the sum over classes and the mean over rows;
    public code also divides by the number of classes, which Adam hardly notices. Cost: `max_epochs` passes over
    `retain_share` of the retained rows and over the rows to forget. Fails by what it teaches: an untrained network
    predicts nearly the same for all rows, and a network that does so on rows that it would get right shows that they
    were members.

    References
    ----------
    "Can Bad Teaching Induce Forgetting? Unlearning in Deep Networks using an Incompetent Teacher", arXiv:2205.08096.
    `published` gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import BadTeacherClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BadTeacherClassifier(nn.Linear(4, 3), max_epochs=1, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    47
    """

    needs = frozenset({"retain", "forget"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 5,
        retain_share: float = 0.3,
        temperature: float = 1.0,
        lr: float = 1e-3,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.retain_share = retain_share
        self.temperature = temperature
        self.lr = lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the paper: one pass.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        BadTeacherClassifier
            Unfitted.
        """
        return cls(estimator, **{"max_epochs": 1, "lr": 1e-4, "batch_size": 256, **others})

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_share("retain_share", self.retain_share)
        for name in ("temperature", "lr"):
            check_positive(name, getattr(self, name))
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        bad = run.fresh("bad teacher").requires_grad_(False)
        rows = forget | retain.draw(round(self.retain_share * len(retain)), run.seed("retained rows"))
        batch_size = self.batch_size or run.batch_size

        def loss_of(batch: Batch) -> Tensor:
            taught = torch.where(batch.forget[:, None], run.outputs(bad, batch), run.outputs(run.original, batch))
            return kl(taught, run.outputs(module, batch), self.temperature)

        run.descend(
            module,
            loss_of,
            rows.passes(batch_size, self.max_epochs, run.seed("batches")),
            optimizer=adam(self.lr),
            n_steps=self.max_epochs * rows.n_steps(batch_size),
            label="bad teaching",
        )
