"""Fine-tuning: go on training on the retained rows, and hope that the others fade."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.learning import make_optimizer, train_on
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_flag


@described
class FineTuneRegressor(EditedRegressor):
    r"""Forget by training on with the retained rows alone.

    .. math:: \min_\theta \mathbb{E}_{D_r} \ell(f_\theta(x), y), \qquad \theta_0 = \theta^*

    Parameters
    ----------
    %(estimator)s
    %(steps_or_budget)s
    %(lr_of_adam)s
    %(decay)s
    %(published_batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones. Cost: five
    passes. Fails where the network keeps predicting well what it no longer sees, which is the rule when similar
    rows remain. With the ``budget``, ``lr`` and ``decay`` of `ShrinkPerturbRegressor` it is continued training, a
    control that every approximate method has to beat; `RestartRegressor` is the other.

    See Also
    --------
    RestartRegressor : The same from untrained weights.
    ShrinkPerturbRegressor : The same from weights that remember less.

    References
    ----------
    "Deep Regression Unlearning", arXiv 2210.08196, where it is a baseline.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import FineTuneRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = FineTuneRegressor(nn.Linear(10, 1), n_steps=10, random_state=0).fit(X, y)
    >>> model.unlearn(y <= 90).receipts_[-1].guarantee
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
        decay: bool = False,
        batch_size: int | None = 256,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.n_steps = n_steps
        self.lr = lr
        self.decay = decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_flag("decay", self.decay)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        train_on(
            module,
            retain,
            run,
            optimizer=make_optimizer("adam", self.lr),
            budget=self.budget,
            n_steps=self.n_steps,
            decay=self.decay,
            batch_size=self.batch_size,
        )
