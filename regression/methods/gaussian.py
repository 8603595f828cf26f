"""Gaussian-amnesiac fine-tuning: random labels for the rows to forget."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.regressor import EditedRegressor
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.loop import adam
from mlunlearn.networks.units import moments
from mlunlearn.parameters import check_choice, check_flag


@described
class GaussianAmnesiacRegressor(EditedRegressor):
    r"""Forget by fine-tuning on labels drawn at random for the rows to forget.

    Each row to forget gets one draw, kept through the request, of a normal distribution with the mean and the variance
    of all labels; the retained rows keep theirs. The network learns from both,

    .. math:: \min_\theta \mathbb{E}_{D_r \cup D_f} \ell(f_\theta(x), \tilde y), \qquad
              \tilde y = y \text{ on } D_r, \quad \tilde y \sim N(\mu_y, \sigma_y^2) \text{ on } D_f

    Parameters
    ----------
    %(estimator)s
    %(steps_of_one_pass)s
    %(lr_of_adam)s
    %(published_batch_size)s
    clip_to_range : bool, default=False
        Cut draws to the range of the retained labels; as published, ages below zero occur.
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs all rows with labels; of the labels to forget it takes the mean and the variance of
    all labels, and nothing of a single one. Cost: one pass.

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

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True

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
    def published(
        cls, estimator: Any, *, n_samples: int, data: Literal["faces", "sentences"] = "faces", **others: Any
    ) -> Self:
        """Use the settings of the paper's notebooks, passes whatever the size of the data.

        Parameters
        ----------
        estimator : as for the class
            The network.
        n_samples : int
            Rows that will be given to `fit`.
        data : {'faces', 'sentences'}, default='faces'
            Of their experiments: 1 pass for faces, 5 for sentence pairs.
        **others
            Further parameters of the class.

        Returns
        -------
        GaussianAmnesiacRegressor
            Unfitted.
        """
        check_choice("data", data, ("faces", "sentences"))
        epochs = 1 if data == "faces" else 5
        return cls(estimator, **{"n_steps": default_steps(n_samples, 256, epochs, at_least=1), **others})

    def _check_settings(self) -> None:
        check_flag("clip_to_range", self.clip_to_range)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        everything, batch_size = forget | retain, self.batch_size or run.batch_size
        y, kept = run.labels(everything), run.labels(retain)
        draws = amnesiac_labels(y, kept, len(forget), run.seed("labels"), clip_to_range=self.clip_to_range)

        def loss_of(batch: Batch) -> Tensor:
            gone, y = batch.rows[batch.forget.cpu()], batch.y.clone()
            y[batch.forget] = draws[np.searchsorted(forget.positions, gone.numpy())]
            return run.loss(run.outputs(module, batch), y)

        n_steps = self.n_steps or default_steps(len(everything), batch_size, epochs=1, at_least=48)
        batches = everything.steps(batch_size, n_steps, run.seed("batches"))
        run.descend(module, loss_of, batches, optimizer=adam(self.lr), n_steps=n_steps, label="Gaussian amnesiac")


def amnesiac_labels(y: Tensor, kept: Tensor, n_rows: int, seed: int, *, clip_to_range: bool = False) -> Tensor:
    """Draw labels of the distribution of all labels.

    Parameters
    ----------
    y : torch.Tensor of shape (n, n_outputs)
        Labels of all rows.
    kept : torch.Tensor of shape (n_retained, n_outputs)
        Those of the rows that are retained.
    n_rows : int
        How many to draw.
    seed : int
        Seed of the generator that draws.
    clip_to_range : bool, default=False
        Cut draws to the range of the retained labels.

    Returns
    -------
    torch.Tensor of shape (n_rows, n_outputs)
        New labels, where `y` is.
    """
    noise = torch.randn(n_rows, y.shape[1], generator=torch.Generator().manual_seed(seed)).to(y.device)
    mean, scale = (torch.as_tensor(value).to(y) for value in moments(y.double().cpu().numpy()))
    draws = mean + scale * noise
    return torch.clamp(draws, kept.min(dim=0).values, kept.max(dim=0).values) if clip_to_range else draws
