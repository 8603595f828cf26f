"""Blindspot unlearning: imitate, on the rows to forget, a model that has hardly trained and never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mlunlearn.regression.activations import MapKind, attention_distance, find_layers, recorded
from mlunlearn.regression.budgets import default_steps, descend, step_batches
from mlunlearn.regression.editing import Edit, EditedRegressor
from mlunlearn.regression.losses import agreeing, first_output
from mlunlearn.regression.standardized import StandardizedRegressor, same_model
from mlunlearn.seeds import derive_seeds

_BLIND, _DISTIL = 4, 5


class BlindspotRegressor(EditedRegressor):
    r"""Forget by imitating blindspot models: networks trained briefly, from scratch, without the forgotten rows.

    A blindspot model :math:`B` of the same architecture learns from the retained rows for a few steps. Then the
    trained network :math:`M` goes on learning; with the share :math:`c` of rows to forget in a batch it descends

    .. math:: (1 - c)\, \ell(M(x_r), y_r) + w c \left[\ell(M(x_f), B(x_f))
              + \lambda \sum_j \mathrm{mean} (a(A_j^M) - a(A_j^B))^2\right]

    where :math:`a` normalises the attention map of activation :math:`A_j` and :math:`w` is `forget_weight`.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit` (see `StandardizedRegressor`), of a frozen one a copy is
        edited. Its criterion is the loss everywhere.
    n_blind : int, default=1
        Blindspot models, whose outputs are averaged. Three of 200 steps each come closer to the retrained model, at
        six times the cost of one of 100.
    blind_steps : int or None, default=None
        Gradient steps of each. None takes two passes over the retained rows, at least 100 steps.
    n_steps : int or None, default=None
        Gradient steps of the network. None takes one pass over all rows, at least 60 steps.
    blind_lr : float, default=0.01
        Learning rate of Adam for the blindspot models.
    lr : float, default=0.005
        Learning rate of Adam for the network.
    forget_weight : float, default=3
        Factor on everything about the rows to forget. Published is 1, with which few steps leave the network
        halfway between the original and the blindspot model.
    decay : bool, default=True
        Let both learning rates fall to zero along half a cosine.
    attention_weight : float, default=50
        Weight :math:`\lambda` of the attention term; 0 leaves it out.
    attention : {'unit', 'official'}, default='unit'
        Map of two-dimensional activations. The authors' code makes it 1 for every sample, so that the term and its
        gradient vanish; see `attention_map`.
    layers : sequence of str or None, default=None
        Names of the submodules whose activations are compared. None finds them, see `find_layers`.
    batch_size : int, default=256
        Rows of a step.
    random_state : int, RandomState instance or None, default=None
        Seeds training, blindspot models and forgetting.
    verbose : int, default=0
        Show progress bars.

    Attributes
    ----------
    estimator_ : StandardizedRegressor
        The model after forgetting.
    blindspots_ : list of StandardizedRegressor
        The blindspot models of the last request, empty before the first. A baseline of their own, see
        `predict_blindspot`.
    n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Guarantee: approximate. Needs the inputs of the forgotten rows and the retained rows with labels; it never reads
    a label of a forgotten row. Cost: `n_blind` short trainings and a few passes of distillation.

    Budgets count gradient steps: on a few hundred rows the published "two epochs" are two steps, the blindspot model
    is still its initialisation, and imitating it does not lead towards the retrained model. The blindspot model
    alone can be closer to the retrained one than the network that imitates it; compare `predict_blindspot`.

    It fails where so short a training from scratch learns little, as that of a convolutional network on small images
    of faces: the blindspot model then predicts badly, the network that imitates it loses accuracy on the retained
    rows too, and `FineTuneRegressor` is closer to retraining. Give `blind_steps` there. In random deletions doing
    nothing is already about as far from a retrained model as another one is. Figures of all of these are in
    ``benchmarks/results/regression_*.json``.

    References
    ----------
    "Deep Regression Unlearning", arXiv 2210.08196, algorithm 1. `published` gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.regression import BlindspotRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
    >>> model = BlindspotRegressor(net, n_blind=1, random_state=0).fit(X, y)
    >>> model.unlearn(y <= 90).receipts_[-1].guarantee, len(model.blindspots_)
    ('approximate', 1)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_blind: int = 1,
        blind_steps: int | None = None,
        n_steps: int | None = None,
        blind_lr: float = 1e-2,
        lr: float = 5e-3,
        forget_weight: float = 3.0,
        decay: bool = True,
        attention_weight: float = 50.0,
        attention: MapKind = "unit",
        layers: Sequence[str] | None = None,
        batch_size: int = 256,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_blind = n_blind
        self.blind_steps = blind_steps
        self.n_steps = n_steps
        self.blind_lr = blind_lr
        self.lr = lr
        self.forget_weight = forget_weight
        self.decay = decay
        self.attention_weight = attention_weight
        self.attention = attention
        self.layers = layers
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(
        cls, estimator: Any, *, n_retained: int, n_samples: int, blind_epochs: int = 2, epochs: int = 1, **others: Any
    ) -> Self:
        """Use the settings of the paper's notebooks, budgets in epochs whatever the size of the data.

        Parameters
        ----------
        estimator : as for the class
            The network.
        n_retained, n_samples : int
            Rows to be kept, and rows that will be given to `fit`.
        blind_epochs, epochs : int, default=2 and 1
            Passes of the blindspot model and of the network: 2 and 1 for faces, 10 and 5 for sentence pairs.
        **others
            Further parameters of the class.

        Returns
        -------
        BlindspotRegressor
            Unfitted: one blindspot model, constant learning rates 0.01 and 0.001, official attention maps.
        """
        return cls(
            estimator,
            n_blind=1,
            blind_steps=default_steps(n_retained, 256, blind_epochs, at_least=1),
            n_steps=default_steps(n_samples, 256, epochs, at_least=1),
            lr=1e-3,
            forget_weight=1.0,
            decay=False,
            attention="official",
            **others,
        )

    def _fit(self) -> None:
        if self.n_blind < 1:
            raise ValueError(f"n_blind must be at least 1, got {self.n_blind!r}: there is nothing else to imitate.")
        if self.attention not in ("unit", "official"):
            raise ValueError(f"attention must be 'unit' or 'official', got {self.attention!r}.")
        super()._fit()
        self.blindspots_: list[StandardizedRegressor] = []

    def _edit(self, edit: Edit) -> int:
        samples, self._teachers = 0, []
        for k in range(self.n_blind):
            teacher, read = self._blindspot(edit, *derive_seeds(edit.seed, _BLIND, k, n=2))
            self._teachers.append(teacher)
            samples += read
        n_steps = self.n_steps or default_steps(len(edit.X), self.batch_size, epochs=1, at_least=60)
        layers = find_layers(edit.module, self.layers) if self.attention_weight else []
        batches = step_batches(len(edit.X), self.batch_size, n_steps, derive_seeds(edit.seed, _DISTIL)[0])
        return samples + descend(
            edit.module,
            lambda rows: blindspot_loss(
                edit,
                self._teachers,
                rows,
                layers=layers,
                weight=self.attention_weight,
                forget_weight=self.forget_weight,
                kind=self.attention,
            ),
            batches,
            lr=self.lr,
            n_steps=n_steps,
            decay=self.decay,
            label="distilling" if self.verbose else None,
        )

    def _blindspot(self, edit: Edit, weights_seed: int, order_seed: int) -> tuple[nn.Module, int]:
        """Train one network on the retained rows alone, and freeze it."""
        module, retained = edit.fresh(weights_seed), edit.retained
        n_steps = self.blind_steps or default_steps(len(retained), self.batch_size, epochs=2, at_least=100)

        def loss_of(places: torch.Tensor) -> torch.Tensor:
            rows = retained[places]
            return edit.loss(first_output(module(edit.inputs(rows))), edit.y[rows])

        read = descend(
            module,
            loss_of,
            step_batches(len(retained), self.batch_size, n_steps, order_seed),
            lr=self.blind_lr,
            n_steps=n_steps,
            decay=self.decay,
            label="blindspot model" if self.verbose else None,
        )
        return module.requires_grad_(False), read

    def _edited(self, model: StandardizedRegressor, edit: Edit) -> None:
        mean, scale = edit.retained_mean, edit.retained_scale
        self.blindspots_ = [same_model(model, teacher, mean, scale) for teacher in self._teachers]
        del self._teachers

    def predict_blindspot(self, X: Any) -> np.ndarray:
        """Predict with the mean of the blindspot models alone, the baseline the network has to beat.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.

        Raises
        ------
        ValueError
            If nothing was forgotten yet.
        """
        check_is_fitted(self)
        if not self.blindspots_:
            raise ValueError("There are no blindspot models before the first call of unlearn.")
        X = self._check_input(X, reset=False)
        return np.mean([teacher.predict(X) for teacher in self.blindspots_], axis=0)


def blindspot_loss(
    edit: Edit,
    teachers: Sequence[nn.Module],
    rows: torch.Tensor,
    *,
    layers: Sequence[str] = (),
    weight: float = 50.0,
    forget_weight: float = 1.0,
    kind: MapKind = "unit",
) -> torch.Tensor:
    """Loss of one batch: labels for the rows to keep, blindspot models for those to forget.

    Parameters
    ----------
    edit : Edit
        The network, the data and which rows to forget.
    teachers : sequence of torch.nn.Module
        Frozen blindspot models, in evaluation mode.
    rows : torch.Tensor of int, shape (n,)
        The batch.
    layers : sequence of str, default=()
        Submodules whose activations are compared.
    weight : float, default=50
        Weight of the attention term.
    forget_weight : float, default=1
        Weight of everything about the rows to forget.
    kind : {'unit', 'official'}, default='unit'
        Map of two-dimensional activations.

    Returns
    -------
    torch.Tensor of shape ()
        The loss. A term without rows is left out; labels of rows to forget are never read.
    """
    forget = edit.forget[rows]
    share = forget.double().mean().item()
    with recorded(edit.module, layers) as activations:
        prediction = edit.predict(rows)
    mask = forget.to(prediction.device)
    total = torch.zeros((), device=prediction.device)
    if share < 1:
        total = total + (1 - share) * edit.loss(prediction[~mask], edit.y[rows[~forget]])
    if share > 0:
        student = [activation[mask] for activation in activations]
        imitation = _imitation(edit, teachers, rows[forget], prediction[mask], student, layers, weight, kind)
        total = total + forget_weight * share * imitation
    return total


def _imitation(
    edit: Edit,
    teachers: Sequence[nn.Module],
    rows: torch.Tensor,
    prediction: torch.Tensor,
    student: list[torch.Tensor],
    layers: Sequence[str],
    weight: float,
    kind: MapKind,
) -> torch.Tensor:
    """Distance to the mean output of the teachers, and the mean distance to their attention maps."""
    outputs, distances = [], []
    for teacher in teachers:
        with torch.no_grad(), recorded(teacher, layers) as activations:
            outputs.append(first_output(teacher(edit.inputs(rows))))
        if student:
            distances.append(attention_distance(student, activations, kind))
    loss = edit.criterion(*agreeing(prediction, torch.stack(outputs).mean(dim=0)))
    return loss + weight * torch.stack(distances).mean() if distances else loss
