"""Fine-tuning: go on training on the retained rows, and hope that the others fade."""

from __future__ import annotations

from typing import Any

from mlunlearn.networks.budgets import default_steps, steps_within
from mlunlearn.parameters import check_flag, check_positive
from mlunlearn.regression.editing import Edit, EditedRegressor, learn_retained


class FineTuneRegressor(EditedRegressor):
    """Forget by training on with the retained rows alone.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one a copy is
        edited.
    n_steps : int or None, default=None
        Gradient steps of a request. None follows `budget`; where that is None, too, takes five passes over the
        retained rows, at least 50 steps.
    budget : float or None, default=None
        Samples that a request may read, as a share of what training on the retained rows from scratch reads.
    lr : float, default=0.001
        Learning rate of Adam.
    decay : bool, default=False
        Let it fall to zero along half a cosine.
    batch_size : int or None, default=256
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : StandardizedRegressor
        The model without the forgotten rows.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

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

    _needs_forgotten = False

    def __init__(
        self,
        estimator: Any,
        *,
        n_steps: int | None = None,
        budget: float | None = None,
        lr: float = 1e-3,
        decay: bool = False,
        batch_size: int | None = 256,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_steps = n_steps
        self.budget = budget
        self.lr = lr
        self.decay = decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive("budget", self.budget, optional=True)
        check_flag("decay", self.decay)

    def _edit(self, edit: Edit) -> int:
        batch_size = self.batch_size or edit.batch_size
        label = "fine-tuning" if self.verbose else None
        return learn_retained(
            edit,
            batch_size=batch_size,
            n_steps=self.n_steps or self._default_steps(edit, batch_size),
            seed=edit.seed,
            lr=self.lr,
            decay=self.decay,
            label=label,
        )

    def _default_steps(self, edit: Edit, batch_size: int) -> int:
        n_retained = len(edit.retained)
        if self.budget is None:
            return default_steps(n_retained, batch_size, epochs=5, at_least=50)
        return steps_within(self.budget, n_retained, batch_size, edit.epochs)
