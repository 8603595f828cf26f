"""Gaussian-amnesiac fine-tuning: random labels for the rows to forget."""

from __future__ import annotations

from typing import Any, Self

import torch

from mlunlearn.networks.batches import step_batches
from mlunlearn.networks.budgets import default_steps
from mlunlearn.parameters import check_flag
from mlunlearn.regression.budgets import descend
from mlunlearn.regression.editing import Edit, EditedRegressor
from mlunlearn.seeds import derive_seeds

_DRAW = 3


class GaussianAmnesiacRegressor(EditedRegressor):
    r"""Forget by fine-tuning on labels drawn at random for the rows to forget.

    Each forgotten row gets one draw of a normal distribution with the mean and variance of all labels, kept through
    the request; the retained rows keep theirs. Then the network trains on both.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one a copy is
        edited.
    n_steps : int or None, default=None
        Gradient steps of a request. None takes one pass over all rows, at least 48 steps.
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int or None, default=256
        Rows of a step; None takes the network's own.
    clip_to_range : bool, default=False
        Cut draws to the range of the retained labels; as published, ages below zero occur.
    random_state : int, RandomState instance or None, default=None
        Seeds training, the draws and forgetting.
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
    Guarantee: approximate. Needs the inputs of the forgotten rows, the retained rows with labels, and mean and
    variance of all labels; it reads no single label of a forgotten row. Cost: one pass.

    The best answer to random labels is their mean, so predictions on the forgotten rows are drawn towards the
    global mean. Where the retrained model extrapolates to the edge of a removed band instead, training longer
    overshoots: fewer steps are better there. Several outputs are drawn independently.

    It can do harm: in a random deletion random labels are worse than none, and on faces (mufac) predictions for the
    forgotten rows ended 1.8 times as far from a retrained model's as those of the untouched model. `RestartRegressor`
    is the control to compare with.

    References
    ----------
    "Deep Regression Unlearning", arXiv 2210.08196, algorithm 2.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import GaussianAmnesiacRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GaussianAmnesiacRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    >>> model.unlearn(y <= 90).predict(X[:3]).shape
    (3,)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_steps: int | None = None,
        lr: float = 1e-3,
        batch_size: int | None = 256,
        clip_to_range: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.clip_to_range = clip_to_range
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, *, n_samples: int, epochs: int = 1, random_state: Any = None) -> Self:
        """Use the published budget, whatever the size of the data.

        Parameters
        ----------
        estimator : as for the class
            The network.
        n_samples : int
            Rows that will be given to `fit`.
        epochs : int, default=1
            Passes over them: 1 for faces, 5 for sentence pairs.
        random_state : int, RandomState instance or None, default=None
            Seed.

        Returns
        -------
        GaussianAmnesiacRegressor
            Unfitted.
        """
        return cls(estimator, n_steps=default_steps(n_samples, 256, epochs, at_least=1), random_state=random_state)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_flag("clip_to_range", self.clip_to_range)

    def _edit(self, edit: Edit) -> int:
        batch_size = self.batch_size or edit.batch_size
        n_steps = self.n_steps or default_steps(len(edit.X), batch_size, epochs=1, at_least=48)
        y = amnesiac_labels(edit, derive_seeds(edit.seed, _DRAW)[0], clip_to_range=self.clip_to_range)

        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            return edit.loss(edit.predict(rows), y[rows])

        batches = step_batches(len(edit.X), batch_size, n_steps, edit.seed)
        label = "Gaussian amnesiac" if self.verbose else None
        return descend(edit.module, loss_of, batches, lr=self.lr, n_steps=n_steps, label=label)


def amnesiac_labels(edit: Edit, seed: int, *, clip_to_range: bool = False) -> torch.Tensor:
    """Replace the labels of the rows to forget by draws of the distribution of all labels.

    Parameters
    ----------
    edit : Edit
        Labels, and which rows are to be forgotten.
    seed : int
        Of a generator of its own.
    clip_to_range : bool, default=False
        Cut draws to the range of the retained labels.

    Returns
    -------
    torch.Tensor of shape (n, n_outputs)
        New labels; those of retained rows are unchanged.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(int(edit.forget.sum()), edit.y.shape[1], generator=generator)
    draws = edit.label_mean + edit.label_scale * noise
    if clip_to_range:
        kept = edit.y[~edit.forget]
        draws = torch.clamp(draws, kept.min(dim=0).values, kept.max(dim=0).values)
    y = edit.y.clone()
    y[edit.forget] = draws
    return y
