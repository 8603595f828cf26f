"""Restart: train anew on the retained rows, for a fraction of the time."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator

from mlunlearn.networks.budgets import steps_within
from mlunlearn.parameters import check_positive
from mlunlearn.regression.editing import Edit, EditedRegressor, learn_retained
from mlunlearn.seeds import derive_seeds
from mlunlearn.state import Exactness, Guarantee

_START, _BATCHES = range(2)


class RestartRegressor(EditedRegressor):
    """Forget by training from scratch on the retained rows, for a fraction of the time that training took.

    The trained weights are thrown away. An untrained network of the same architecture learns from the retained rows
    while its learning rate falls to zero.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one the
        architecture is taken. Its criterion is the loss.
    budget : float, default=0.18
        Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
        least 60 steps are taken.
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
        The model without the forgotten rows.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    See Also
    --------
    ShrinkPerturbRegressor : Starts between these weights and the trained ones.
    FineTuneRegressor : Starts at the trained weights.

    Notes
    -----
    Guarantee: exact in the sense that no parameter is a function of a forgotten row (``exactness`` is
    ``"influence"``). The model is not the one that `fit` would train, because it trains for a shorter time. For a
    frozen network the guarantee is approximate: layers that are not trainable are kept, and what they know of the
    rows cannot be known here. Needs the retained rows with labels; reads nothing of the forgotten ones. Cost:
    `budget` of training from scratch, whatever is asked. How long a frozen module was trained is not known and is
    taken for 20 epochs, so give the steps there.

    It is the control that every approximate method has to beat with the same number of samples read, and the method to
    try first. On the table of diabetes progression it came nearer to retraining than `ShrinkPerturbRegressor` in 10 of
    12 requests for many rows, and than `BlindspotRegressor` in 9 (``benchmarks/results/regression_diabetes.json``). It
    is weakest where so few steps cannot fit the retained rows.

    References
    ----------
    Training from scratch is the reference of all work on unlearning, for instance "Machine Unlearning",
    arXiv:1912.03817; the shortened training is the control of ``benchmarks/regression.py``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import RestartRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    >>> model = RestartRegressor(net, random_state=0).fit(X, y).unlearn(y <= 90)
    >>> model.guarantee, model.exactness
    ('exact', 'influence')
    """

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.18,
        n_steps: int | None = None,
        lr: float = 1e-2,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """What `unlearn` promises: exact, but approximate for a frozen network."""
        return "approximate" if isinstance(self.estimator, FrozenEstimator) else "exact"

    @property
    def exactness(self) -> Exactness | None:  # type: ignore[override]
        """In which sense it is exact: no parameter is a function of a forgotten row."""
        return None if isinstance(self.estimator, FrozenEstimator) else "influence"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive("budget", self.budget)

    def _edit(self, edit: Edit) -> int:
        batch_size = self.batch_size or edit.batch_size
        n_steps = self.n_steps or steps_within(self.budget, len(edit.retained), batch_size, edit.epochs)
        start, batches = (derive_seeds(edit.seed, purpose)[0] for purpose in (_START, _BATCHES))
        edit.module.load_state_dict(edit.fresh(start).state_dict())
        return learn_retained(
            edit,
            batch_size=batch_size,
            n_steps=n_steps,
            seed=batches,
            lr=self.lr,
            decay=True,
            label="training anew" if self.verbose else None,
        )
