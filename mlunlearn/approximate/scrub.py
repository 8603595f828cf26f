"""SCRUB: move away from the network before on the rows to forget, and stay with it on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self

from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.learning import OPTIMIZERS, Optimizer, make_optimizer
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.divergences import kl
from mlunlearn.networks.loop import drops
from mlunlearn.parameters import check_choice, check_count, check_positive


class SCRUBClassifier(EditedClassifier):
    r"""Forget by disagreeing with the network before, the teacher, on the rows to forget, and obeying it elsewhere.

    With :math:`d(x) = T^2\, \mathrm{KL}(p_{\theta^*}(x) \,\|\, p_\theta(x))` at temperature :math:`T` passes alternate,
    one over the rows to forget that increases :math:`d`, as long as there are some of `forget_epochs` left, and one
    over the retained rows that decreases

    .. math:: \alpha\, d(x) + \gamma\, \ell(f_\theta(x), y)

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=10
        Passes over the retained rows.
    forget_epochs : int, default=3
        Passes over the rows to forget, before the first ones of those.
    alpha : float, default=0.5
        Weight :math:`\alpha` of the distance on retained rows.
    gamma : float, default=1
        Weight :math:`\gamma` of the loss on retained rows.
    temperature : float, default=2
        :math:`T`.
    lr : float, default=0.0005
        Learning rate, divided by ten after 50, 80 and 90 per cent of the steps.
    optimizer : {'adam', 'sgd'}, default='adam'
        The latter with momentum 0.9.
    weight_decay : float, default=0.0005
        L2 penalty of the optimiser.
    batch_size, forget_batch_size : int or None, default=None
        Rows of a step over the retained rows, and over those to forget; None takes the network's own.
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

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels and the inputs of the rows to forget; never reads a
    label of one. Changes all weights and the statistics of batch normalisation. Cost: `max_epochs` passes over the
    retained rows and `forget_epochs` over the others. Fails by oscillating where the batches to forget are too large
    or their passes too many, and makes the error on forgotten rows larger than a retrained model's, which shows that
    they were members. The published weight decay of 0.1 with Adam is an L2 penalty that shrinks small networks; the
    default is that of the paper's large-scale settings.

    See Also
    --------
    SCRUBRewindClassifier : Goes back to the pass whose error on the rows to forget is that of rows never seen.
    FineTuneClassifier : The passes over the retained rows alone.

    References
    ----------
    "Towards Unbounded Machine Unlearning", arXiv:2302.09880. `published` gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import SCRUBClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SCRUBClassifier(nn.Linear(4, 3), max_epochs=2, forget_epochs=1, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    297
    """

    needs = frozenset({"retain", "retain_labels", "forget"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 10,
        forget_epochs: int = 3,
        alpha: float = 0.5,
        gamma: float = 1.0,
        temperature: float = 2.0,
        lr: float = 5e-4,
        optimizer: Optimizer = "adam",
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        forget_batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.forget_epochs = forget_epochs
        self.alpha = alpha
        self.gamma = gamma
        self.temperature = temperature
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.forget_batch_size = forget_batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, *, scale: Literal["small", "large"] = "small", **others: Any) -> Self:
        """Use the settings of the authors' code.

        Parameters
        ----------
        estimator : as for the class
            The network.
        scale : {'small', 'large'}, default='small'
            Of their experiments: a few thousand images of some classes, or all of CIFAR-10.
        **others
            Further parameters of the class.

        Returns
        -------
        SCRUBClassifier
            Unfitted.
        """
        check_choice("scale", scale, ("small", "large"))
        small = {"weight_decay": 0.1, "forget_batch_size": 64}
        large = {
            "max_epochs": 3,
            "forget_epochs": 2,
            "alpha": 1e-3,
            "gamma": 0.99,
            "temperature": 4.0,
            "optimizer": "sgd",
            "batch_size": 128,
            "forget_batch_size": 32,
        }
        return cls(estimator, **{**(small if scale == "small" else large), **others})

    def _check_settings(self) -> None:
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_count("max_epochs", self.max_epochs)
        check_count("forget_epochs", self.forget_epochs, at_least=0)
        for name in ("temperature", "lr"):
            check_positive(name, getattr(self, name))
        for name in ("alpha", "gamma", "weight_decay"):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("batch_size", "forget_batch_size"):
            check_count(name, getattr(self, name), optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> Mapping[str, Any] | None:
        self._scrub(module, forget, retain, run)
        return None

    def _scrub(
        self, module: nn.Module, forget: Rows, retain: Rows, run: Run, after_pass: Callable[[], None] = lambda: None
    ) -> None:
        def loss_of(batch: Batch) -> Tensor:
            outputs = run.outputs(module, batch)
            distance = self.temperature**2 * kl(run.outputs(run.original, batch), outputs, self.temperature)
            if batch.forget.all():
                return -distance
            return self.alpha * distance + self.gamma * run.loss(outputs, batch.y)

        sizes = self.forget_batch_size or run.batch_size, self.batch_size or run.batch_size

        def batches() -> Iterator[Batch]:
            for epoch in range(self.max_epochs):
                yield from forget.passes(sizes[0], int(epoch < self.forget_epochs), run.seed(f"forget {epoch}"))
                yield from retain.passes(sizes[1], 1, run.seed(f"retain {epoch}"))
                after_pass()  # the step on the last batch is taken when the next one is asked for

        n_forget = min(self.forget_epochs, self.max_epochs) * forget.n_steps(sizes[0])
        run.descend(
            module,
            loss_of,
            batches(),
            optimizer=make_optimizer(self.optimizer, self.lr, self.weight_decay),
            n_steps=n_forget + self.max_epochs * retain.n_steps(sizes[1]),
            schedule=drops(0.5, 0.8, 0.9),
            label="scrubbing",
        )
