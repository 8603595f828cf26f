"""Shrink and perturb: learn the retained rows again, from weights between the trained ones and new ones."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import learn_again
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_share


@described
class ShrinkPerturbRegressor(EditedRegressor):
    r"""Forget by learning the retained rows again, from shrunken weights and in a fraction of the time.

    The network starts between its trained weights and untrained ones, :math:`k\, \theta + (1 - k)\, \theta_0` with
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
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    BlindspotRegressor : Imitates a model that never saw the forgotten rows.
    FineTuneRegressor : From the trained weights as they are.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones. Cost: `budget`
    of training from scratch.

    Shrunken weights lose what was memorised before what is general, so learning again comes closer to retraining
    than fine-tuning does. It does not beat the control that reads as many samples: `RestartRegressor`, which owes
    nothing to the forgotten rows, was nearer to retraining in 9 of 12 requests for many rows on the table of diabetes
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

    def _check_settings(self) -> None:
        check_share("keep", self.keep)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        n_steps = self.n_steps or run.steps_within(self.budget, self.batch_size)
        learn_again(module, retain, run, keep=self.keep, n_steps=n_steps, lr=self.lr, batch_size=self.batch_size)
