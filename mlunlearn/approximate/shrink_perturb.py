"""Shrink and perturb: learn the retained rows again, from weights between the trained ones and new ones."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import learn_again
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_share


@described
class ShrinkPerturbClassifier(EditedClassifier):
    r"""Forget by learning the retained rows again, from shrunken weights and in a fraction of the time.

    The network starts between its trained weights and untrained ones, :math:`k\, \theta^* + (1 - k)\, \theta_0` with
    :math:`k` given by `keep`, and learns from the retained rows while its learning rate falls to zero.

    Parameters
    ----------
    %(estimator)s
    %(budget)s
    keep : float, default=0.6
        Share of the trained weights that the network starts with, between 0 and 1: 1 is fine-tuning, 0 is training
        anew.
    %(steps_of_budget)s
    %(batch_size)s
    autocast : bool, default=False
        Compute in ``bfloat16`` where torch thinks it safe.
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    FineTuneClassifier : From the trained weights as they are.
    RestartClassifier : From untrained weights, with as many samples read.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones, which may have
    been erased. Changes all weights; the statistics of batch normalisation start from those of the untrained network.
    Cost: `budget` of training from scratch, whatever is asked. Shrunken weights lose small things before large ones;
    what is memorised need not be small. Fails, as fine-tuning does, where `keep` is so large that what was memorised
    survives, and as training anew does where the budget is too small to recover what was lost.

    References
    ----------
    "On Warm-Starting Neural Network Training", arXiv:1910.08475, for the weights; their use to forget is ours.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import ShrinkPerturbClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ShrinkPerturbClassifier(nn.Linear(4, 3), n_steps=10, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].guarantee
    'approximate'
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.18,
        keep: float = 0.6,
        n_steps: int | None = None,
        lr: float = 1e-2,
        batch_size: int | None = None,
        autocast: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.keep = keep
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.autocast = autocast
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_share("keep", self.keep)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        learn_again(
            module,
            retain,
            run,
            keep=self.keep,
            n_steps=self.n_steps or run.steps_within(self.budget, self.batch_size),
            lr=self.lr,
            batch_size=self.batch_size,
            autocast=self.autocast,
        )
