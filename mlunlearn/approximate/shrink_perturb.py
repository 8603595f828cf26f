"""Shrink and perturb: learn the retained rows again, from weights between the trained ones and new ones."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.learning import learn
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.fresh import shrink
from mlunlearn.networks.loop import adam, cosine
from mlunlearn.parameters import check_count, check_flag, check_positive, check_share


class ShrinkPerturbClassifier(EditedClassifier):
    r"""Forget by learning the retained rows again, from shrunken weights and in a fraction of the time.

    The network starts between its trained weights and untrained ones, :math:`k\, \theta^* + (1 - k)\, \theta_0` with
    :math:`k` given by `keep`, and learns from the retained rows while its learning rate falls to zero.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    budget : float, default=0.18
        Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
        least 60 steps are taken.
    keep : float, default=0.6
        Share of the trained weights that the network starts with, between 0 and 1: 1 is fine-tuning, 0 is training
        anew.
    n_steps : int or None, default=None
        Gradient steps of a request. None follows `budget`.
    lr : float, default=0.01
        Learning rate of Adam at the start; it falls to zero along half a cosine.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    autocast : bool, default=False
        Compute in ``bfloat16`` where torch thinks it safe.
    random_state : int, RandomState instance or None, default=None
        Seeds training, the untrained weights and the batches.
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
    _label = "learning again"

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
        for name in ("budget", "lr"):
            check_positive(name, getattr(self, name))
        for name in ("n_steps", "batch_size"):
            check_count(name, getattr(self, name), optional=True)
        check_flag("autocast", self.autocast)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        shrink(module, run.fresh("weights"), self.keep)
        batch_size = self.batch_size or run.batch_size
        learn(
            module,
            retain,
            run,
            batch_size=batch_size,
            n_steps=self.n_steps or run.steps_within(self.budget, batch_size),
            optimizer=adam(self.lr),
            schedule=cosine,
            autocast=self.autocast,
            label=self._label,
        )
