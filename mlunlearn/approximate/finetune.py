"""Fine-tuning: go on training on the retained rows, the control that every other method has to beat."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.learning import OPTIMIZERS, Optimizer, learn, make_optimizer
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.loop import cosine
from mlunlearn.parameters import check_choice, check_count, check_flag, check_positive


class FineTuneClassifier(EditedClassifier):
    r"""Forget by training on with the retained rows alone.

    .. math:: \min_\theta \mathbb{E}_{D_r} \ell(f_\theta(x), y), \qquad \theta_0 = \theta^*

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    budget : float or None, default=None
        Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
        least 60 steps are taken. Give it to compare with a method that reads as many.
    n_steps : int or None, default=None
        Gradient steps of a request. None follows `budget`, and without one takes five passes over the retained rows,
        at least 50 steps.
    lr : float, default=0.001
        Learning rate.
    optimizer : {'adam', 'sgd'}, default='adam'
        The latter with momentum 0.9.
    weight_decay : float, default=0
        L2 penalty of the optimiser.
    decay : bool, default=False
        Let the learning rate fall to zero along half a cosine.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    autocast : bool, default=False
        Compute in ``bfloat16`` where torch thinks it safe.
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
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones, which may have
    been erased. Changes all weights and the statistics of batch normalisation. Cost: five passes over the retained
    rows, or `budget`. Fails where similar rows remain: at a low learning rate it forgets hardly anything, at a high
    one it forgets by unlearning everything and learning it again.

    See Also
    --------
    RestartClassifier : The other control: the same from untrained weights.
    SCRUBClassifier : Moves away from the network before on the rows to forget besides.

    References
    ----------
    A baseline of most papers, such as "Eternal Sunshine of the Spotless Net", arXiv:1911.04933.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import FineTuneClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = FineTuneClassifier(nn.Linear(4, 3), n_steps=10, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].guarantee
    'approximate'
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float | None = None,
        n_steps: int | None = None,
        lr: float = 1e-3,
        optimizer: Optimizer = "adam",
        weight_decay: float = 0.0,
        decay: bool = False,
        batch_size: int | None = None,
        autocast: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.n_steps = n_steps
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.decay = decay
        self.batch_size = batch_size
        self.autocast = autocast
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_positive("lr", self.lr)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_positive("weight_decay", self.weight_decay, zero=True)
        check_positive("budget", self.budget, optional=True)
        for name in ("n_steps", "batch_size"):
            check_count(name, getattr(self, name), optional=True)
        for name in ("decay", "autocast"):
            check_flag(name, getattr(self, name))

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        batch_size = self.batch_size or run.batch_size
        learn(
            module,
            retain,
            run,
            batch_size=batch_size,
            n_steps=self.n_steps or self._default_steps(len(retain), batch_size, run),
            optimizer=make_optimizer(self.optimizer, self.lr, self.weight_decay),
            schedule=cosine if self.decay else None,
            autocast=self.autocast,
            label="fine-tuning",
        )

    def _default_steps(self, n_retained: int, batch_size: int, run: Run) -> int:
        if self.budget is not None:
            return run.steps_within(self.budget, batch_size)
        return default_steps(n_retained, batch_size, epochs=5, at_least=50)
