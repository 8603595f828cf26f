"""Random labels: learn the rows to forget with wrong labels, beside the others with their own."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.approximate.wrong_labels import WrongLabels
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_count, check_flag, check_positive


class RandomLabelClassifier(EditedClassifier):
    r"""Forget by learning wrong labels for the rows to forget, while the others are learned with their own.

    .. math:: \min_\theta \mathbb{E}_{D_r \cup D_f} \ell(f_\theta(x), y'), \qquad y' = y \text{ on } D_r, \quad
        y' \sim \mathrm{Uniform}(\{1, \dots, C\} \setminus \{y\}) \text{ on } D_f

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=3
        Passes over all rows.
    successive : bool, default=False
        Draw the wrong labels anew for each pass. By default they are drawn once, the amnesiac form.
    lr : float, default=0.01
        Learning rate of Adam.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training, the wrong labels and the batches.
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
    BadTeacherClassifier : Teaches the rows to forget as an untrained network sees them.

    Notes
    -----
    Guarantee: approximate. Needs all rows with labels. Those of the rows to forget are needed to keep them from being
    drawn: a label drawn from all classes would be the true one in one of :math:`C` rows, which then is learned again.
    Where classes are forgotten as a whole, none of them is drawn. Changes all weights and the statistics of batch
    normalisation. Cost: `max_epochs` passes over all rows. Fails by forgetting too much: the network is wrong on the
    rows to forget more often than one that never saw them, which shows that they were members. With wrong labels that
    are drawn once, it memorises these.

    References
    ----------
    "Amnesiac Machine Learning", arXiv:2010.10981. `published` gives the settings that it is commonly compared with.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import RandomLabelClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RandomLabelClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    450
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 3,
        successive: bool = False,
        lr: float = 0.01,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.successive = successive
        self.lr = lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings that the method is commonly compared with on images.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        RandomLabelClassifier
            Unfitted.
        """
        return cls(estimator, **{"lr": 1e-4, "batch_size": 128, **others})

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_flag("successive", self.successive)
        check_positive("lr", self.lr)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        rows = forget | retain
        batch_size = self.batch_size or run.batch_size
        steps_a_pass = rows.n_steps(batch_size)
        draws = [
            WrongLabels(forget, run.n_outputs, run.seed(f"wrong labels {epoch}"), never=run.classes)
            for epoch in range(self.max_epochs if self.successive else 1)
        ]

        def loss_of(numbered: tuple[int, Batch]) -> Tensor:
            step, batch = numbered
            wrong = draws[step // steps_a_pass if self.successive else 0]
            return run.loss(run.outputs(module, batch), wrong(batch))

        run.descend(
            module,
            loss_of,
            enumerate(rows.passes(batch_size, self.max_epochs, run.seed("batches"))),
            optimizer=adam(self.lr),
            n_steps=self.max_epochs * steps_a_pass,
            label="learning wrong labels",
        )
