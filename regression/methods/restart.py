"""Restart: train anew on the retained rows, for a fraction of the time."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from torch import nn

from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import learn_again
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.state import Exactness, Guarantee


@described
class RestartRegressor(EditedRegressor):
    r"""Forget by training from scratch on the retained rows, for a fraction of the time that training took.

    .. math:: \min_\theta \mathbb{E}_{D_r} \ell(f_\theta(x), y), \qquad \theta_0 \text{ untrained}

    The trained weights are thrown away. An untrained network of the same architecture, or a module instance at the
    weights that were passed, learns from the retained rows while its learning rate falls to zero.

    Parameters
    ----------
    %(estimator)s
    %(budget)s
    %(steps_of_budget)s
    %(batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

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
    `budget` of training from scratch, whatever is asked.

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

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        n_steps = self.n_steps or run.steps_within(self.budget, self.batch_size)
        learn_again(module, retain, run, keep=0.0, n_steps=n_steps, lr=self.lr, batch_size=self.batch_size)
