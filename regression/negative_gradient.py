"""Negative gradient, capped: climb the loss of the rows to forget, but no higher than ignorance."""

from __future__ import annotations

from typing import Any

import torch

from mlunlearn.networks.batches import step_batches
from mlunlearn.networks.budgets import default_steps
from mlunlearn.parameters import check_positive
from mlunlearn.regression.budgets import descend
from mlunlearn.regression.editing import Edit, EditedRegressor


class NegativeGradientRegressor(EditedRegressor):
    """Forget by raising the loss on the rows to forget while holding it on the others.

    One step descends ``loss(retained) - weight * min(loss(forgotten), cap)``. The cap is the loss of predicting the
    mean of the retained labels for the rows to forget: who never saw them does not do worse for long.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one a copy is
        edited.
    n_steps : int or None, default=None
        Largest number of gradient steps of a request. None takes one pass over all rows, at least 48 steps. It ends
        early once the loss of a batch of rows to forget reaches the cap.
    weight : float, default=0.1
        Weight of the ascent.
    lr : float, default=0.001
        Learning rate of Adam.
    max_norm : float, default=1.0
        Largest norm of a gradient.
    batch_size : int or None, default=256
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : StandardizedRegressor
        The model after forgetting.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive("weight", self.weight)
        check_positive("max_norm", self.max_norm)

    def _edit(self, edit: Edit) -> int:
        batch_size = self.batch_size or edit.batch_size
        n_steps = self.n_steps or default_steps(len(edit.X), batch_size, epochs=1, at_least=48)
        cap = ignorance(edit)

        def loss_of(rows: torch.Tensor) -> torch.Tensor | None:
            keep, forget = rows[~edit.forget[rows]], rows[edit.forget[rows]]
            prediction = edit.predict(rows)
            mask = edit.forget[rows].to(prediction.device)
            loss = edit.loss(prediction[~mask], edit.y[keep]) if len(keep) else prediction.sum() * 0
            if not len(forget):
                return loss
            forgotten = edit.loss(prediction[mask], edit.y[forget])
            return loss - self.weight * forgotten if forgotten.item() < cap else None

        batches = step_batches(len(edit.X), batch_size, n_steps, edit.seed)
        label = "negative gradient" if self.verbose else None
        return descend(edit.module, loss_of, batches, lr=self.lr, n_steps=n_steps, max_norm=self.max_norm, label=label)


def ignorance(edit: Edit) -> float:
    """Loss, on the rows to forget, of predicting the mean of the retained labels.

    Parameters
    ----------
    edit : Edit
        Labels, and which rows are to be forgotten.

    Returns
    -------
    float
        The cap of the ascent.
    """
    with torch.no_grad():
        shape = edit.predict(edit.forgotten[:1]).shape[1:]
        y = edit.y[edit.forgotten]
        mean = edit.y[edit.retained].mean(dim=0).reshape(1, -1, *(1,) * (len(shape) - 1))
        return float(edit.loss(mean.expand(len(y), -1, *shape[1:]).reshape(len(y), *shape), y))
