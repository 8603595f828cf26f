"""Restart: train from scratch on the retained rows, with as few samples as a method may read."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import learn_again
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows


@described
class RestartClassifier(EditedClassifier):
    """Forget by training from scratch on the retained rows, for a fraction of the time that training took.

    The trained weights are thrown away. An untrained network of the same architecture learns from the retained rows
    while its learning rate falls to zero.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one the architecture is taken.
    %(budget)s
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
    FineTuneClassifier : The other control: the same from the trained weights.
    ShrinkPerturbClassifier : The same from weights between the two.

    Notes
    -----
    Guarantee: approximate, though no trainable weight is a function of a forgotten row: the training is shorter than
    that of `fit`, the outputs of a forgotten class stay, and layers of a frozen network that are not trainable are kept
    with whatever they know of the rows. Needs the retained rows with labels; reads nothing of the forgotten ones, which
    may have been erased. Where the network was passed as an instance of a module, its weights as passed are the
    untrained ones; otherwise they are drawn anew. Changes all weights and the statistics of batch normalisation. Cost:
    `budget` of training from scratch, whatever is asked.

    It is a control: a method that is no nearer to retraining than this one, with as many samples read, is not worth its
    trouble. It is weakest where so few steps cannot fit the retained rows.

    References
    ----------
    Training from scratch is the reference of all work on unlearning, for instance "Machine Unlearning",
    arXiv:1912.03817.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import RestartClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RestartClassifier(nn.Linear(4, 3), n_steps=10, batch_size=32, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    294
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.18,
        n_steps: int | None = None,
        lr: float = 1e-2,
        batch_size: int | None = None,
        autocast: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.autocast = autocast
        self.random_state = random_state
        self.verbose = verbose

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        learn_again(
            module,
            retain,
            run,
            keep=0.0,
            n_steps=self.n_steps or run.steps_within(self.budget, self.batch_size),
            lr=self.lr,
            batch_size=self.batch_size,
            autocast=self.autocast,
        )
