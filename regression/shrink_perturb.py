"""Shrink and perturb: learn the retained rows again, from weights between the trained ones and new ones."""

from __future__ import annotations

from typing import Any

from mlunlearn.networks.budgets import steps_within
from mlunlearn.networks.fresh import shrink
from mlunlearn.parameters import check_positive, check_share
from mlunlearn.regression.editing import Edit, EditedRegressor, learn_retained
from mlunlearn.seeds import derive_seeds

_START, _BATCHES = range(2)


class ShrinkPerturbRegressor(EditedRegressor):
    r"""Forget by learning the retained rows again, from shrunken weights and in a fraction of the time.

    The network starts between its trained weights and untrained ones, :math:`k\, \theta + (1 - k)\, \theta_0` with
    :math:`k` given by `keep`, and learns from the retained rows while its learning rate falls to zero.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one a copy is
        edited. Its criterion is the loss.
    budget : float, default=0.18
        Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
        least 60 steps are taken.
    keep : float, default=0.6
        Share of the trained weights that the network starts with, between 0 and 1: 1 is fine-tuning, 0 is training
        anew.
    n_steps : int or None, default=None
        Gradient steps. None follows `budget`.
    lr : float, default=0.01
        Learning rate of Adam at the start; it falls along half a cosine.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training, the untrained weights and the batches.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : StandardizedRegressor
        The model after forgetting.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    See Also
    --------
    BlindspotRegressor : Imitates a model that never saw the forgotten rows.
    FineTuneRegressor : From the trained weights as they are.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones. Cost: `budget`
    of training from scratch. How long a frozen module was trained is not known and is taken for 20 epochs, so give
    the steps there.

    Shrunken weights lose what was memorised before what is general, so learning again comes closer to retraining
    than fine-tuning does. It does not beat the control that reads as many samples: `RestartRegressor`, which owes
    nothing to the forgotten rows, was nearer to retraining in 10 of 12 requests for many rows on the table of diabetes
    progression. Try that first, and this where so few steps do not fit the retained rows from scratch
    (``benchmarks/results/regression_*.json`` holds the figures). The cost is the same for one row as for a third of
    them; `CrossFitRegressor` is cheaper for few rows.

    In random deletions doing nothing is already about as far from a retrained model as another one is, unless the
    network memorises single rows. There it can do harm: on faces (mufac, a random tenth) predictions for the forgotten
    rows ended 4.1 times as far from a retrained model's as those of the untouched model.

    References
    ----------
    "On Warm-Starting Neural Network Training", arXiv:1910.08475, for the weights; their use to forget is ours.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import ShrinkPerturbRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    >>> model = ShrinkPerturbRegressor(net, random_state=0).fit(X, y)
    >>> model.unlearn(y <= 90).receipts_[-1].guarantee
    'approximate'
    """

    _needs_forgotten = False

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.18,
        keep: float = 0.6,
        n_steps: int | None = None,
        lr: float = 1e-2,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.keep = keep
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive("budget", self.budget)
        check_share("keep", self.keep)

    def _edit(self, edit: Edit) -> int:
        return learn_again(
            edit,
            keep=self.keep,
            budget=self.budget,
            n_steps=self.n_steps,
            lr=self.lr,
            batch_size=self.batch_size,
            verbose=self.verbose,
        )


def learn_again(
    edit: Edit,
    *,
    keep: float,
    budget: float,
    lr: float,
    n_steps: int | None = None,
    batch_size: int | None = None,
    verbose: int = 0,
) -> int:
    """Shrink a network's weights, and have it learn the retained rows again while its learning rate falls to zero.

    Parameters
    ----------
    edit : Edit
        Its network is changed in place.
    keep, budget, lr, n_steps, batch_size, verbose
        As for `ShrinkPerturbRegressor`.

    Returns
    -------
    int
        Samples read.
    """
    batch_size = batch_size or edit.batch_size
    n_steps = n_steps or steps_within(budget, len(edit.retained), batch_size, edit.epochs)
    shrink(edit.module, edit.fresh(derive_seeds(edit.seed, _START)[0]), keep)
    return learn_retained(
        edit,
        batch_size=batch_size,
        n_steps=n_steps,
        seed=derive_seeds(edit.seed, _BATCHES)[0],
        lr=lr,
        decay=True,
        label="learning again" if verbose else None,
    )
