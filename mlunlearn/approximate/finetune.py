"""Fine-tuning: go on training on the retained rows, the control that every other method has to beat."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import OPTIMIZERS, Optimizer, make_optimizer, train_on
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_choice, check_flag


@described
class FineTuneClassifier(EditedClassifier):
    r"""Forget by training on with the retained rows alone.

    .. math:: \min_\theta \mathbb{E}_{D_r} \ell(f_\theta(x), y), \qquad \theta_0 = \theta^*

    Parameters
    ----------
    %(estimator)s
    %(steps_or_budget)s
    lr : float, default=0.001
        Learning rate.
    %(optimizer)s
    %(weight_decay)s
    %(decay)s
    %(batch_size)s
    autocast : bool, default=False
        Compute in ``bfloat16`` where torch thinks it safe.
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

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
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_flag("decay", self.decay)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        train_on(
            module,
            retain,
            run,
            optimizer=make_optimizer(self.optimizer, self.lr, self.weight_decay),
            budget=self.budget,
            n_steps=self.n_steps,
            decay=self.decay,
            batch_size=self.batch_size,
            autocast=self.autocast,
        )
