"""Negative gradient, capped: climb the loss of the rows to forget, but no higher than ignorance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_positive


@described
class NegativeGradientRegressor(EditedRegressor):
    r"""Forget by raising the loss on the rows to forget while holding it on the others.

    With :math:`w` given by `weight` one step descends

    .. math:: \ell(D_r) - w \min(\ell(D_f), c)

    The cap :math:`c` is the loss of predicting the mean of the retained labels for the rows to forget: who never saw
    them does not do worse for long.

    Parameters
    ----------
    %(estimator)s
    n_steps : int or None, default=None
        Largest number of gradient steps of a request. None takes one pass over all rows, at least 48 steps. It ends
        early once the loss of a batch of rows to forget reaches the cap.
    weight : float, default=0.1
        Weight of the ascent.
    %(lr_of_adam)s
    max_norm : float, default=1.0
        Largest norm of a gradient.
    %(published_batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs all rows with labels, those to forget included. Cost: up to one pass. Plain ascent
    diverges in regression, where the loss has no upper bound; the cap, the weight and the clipped gradient are ours.
    It makes the model wrong on the forgotten rows rather than like one that never saw them: in a random deletion,
    where the retrained model is right about them, it moves away from it. For a band around the mean the cap is soon
    reached, and next to nothing happens. So it can do harm: on faces (mufac, a random tenth) predictions for the
    forgotten rows ended 2.9 times as far from a retrained model's as those of the untouched model. `RestartRegressor`
    is the control to compare with.

    References
    ----------
    "Deep Regression Unlearning", arXiv 2210.08196, where the plain form is a baseline.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import NegativeGradientRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = NegativeGradientRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    >>> int(model.unlearn(y <= 90).forgotten_.sum()) == int((y <= 90).sum())
    True
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        n_steps: int | None = None,
        weight: float = 0.1,
        lr: float = 1e-3,
        max_norm: float = 1.0,
        batch_size: int | None = 256,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_steps = n_steps
        self.weight = weight
        self.lr = lr
        self.max_norm = max_norm
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        check_positive("weight", self.weight)
        check_positive("max_norm", self.max_norm)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        cap = ignorance(module, forget, retain, run)

        def loss_of(batch: Batch) -> Tensor | None:
            prediction, gone = run.outputs(module, batch), batch.forget
            loss = prediction.sum() * 0 if gone.all() else run.loss(prediction[~gone], batch.y[~gone])
            if not gone.any():
                return loss
            forgotten = run.loss(prediction[gone], batch.y[gone])
            return loss - self.weight * forgotten if forgotten.item() < cap else None

        everything, batch_size = forget | retain, self.batch_size or run.batch_size
        n_steps = self.n_steps or default_steps(len(everything), batch_size, epochs=1, at_least=48)
        run.descend(
            module,
            loss_of,
            everything.steps(batch_size, n_steps, run.seed("batches")),
            optimizer=adam(self.lr),
            n_steps=n_steps,
            max_norm=self.max_norm,
            label="negative gradient",
        )


@torch.no_grad()
def ignorance(module: nn.Module, forget: Rows, retain: Rows, run: Run) -> float:
    """Loss, on the rows to forget, of predicting the mean of the retained labels.

    Parameters
    ----------
    module : torch.nn.Module
        For the shape of its output.
    forget, retain : Rows
        Whose labels are read.
    run : Run
        The loss.

    Returns
    -------
    float
        The cap of the ascent.
    """
    further = run.outputs(module, next(forget.in_order(1))).shape[2:]  # quantiles
    y, mean = run.labels(forget), run.labels(retain).mean(dim=0)
    return float(run.loss(mean.reshape(1, -1, *(1,) * len(further)).expand(*y.shape, *further), y))
