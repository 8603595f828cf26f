"""What the gradient methods share: a trained network, the rows to keep and to forget, and one hook that edits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mlunlearn.base import UnlearnerMixin
from mlunlearn.data import Block
from mlunlearn.nets import TorchRegressor
from mlunlearn.networks.batches import step_batches
from mlunlearn.parameters import check_count, check_positive
from mlunlearn.receipts import Work
from mlunlearn.regression.budgets import descend
from mlunlearn.regression.frozen import Reset, adopt
from mlunlearn.regression.losses import agreeing, first_output
from mlunlearn.regression.outputs import check_network
from mlunlearn.regression.standardized import StandardizedRegressor, moments, rescale_output
from mlunlearn.requests import ForgetRequest
from mlunlearn.seeds import derive_seeds
from mlunlearn.torch_seeds import seeded
from mlunlearn.training import inherit_tags

START, EDIT = 1, 2  # what derived seeds are for


@dataclass
class Edit:
    """Everything a method needs to edit a network.

    Targets are in standard deviations of the retained ones where the network can take these units up, and in the units
    that it was trained in elsewhere, see `StandardizedRegressor`.

    Parameters
    ----------
    module : torch.nn.Module
        The network at its trained weights, to be changed in place.
    X : torch.Tensor of shape (n, ...)
        Inputs of all rows that are still held, those to forget included.
    y : torch.Tensor of shape (n, n_outputs)
        Their targets, in the units of the network's output.
    forget : torch.Tensor of bool, shape (n,)
        Rows to forget.
    criterion : callable
        The loss of a prediction against a target.
    fresh : callable
        From a seed to an untrained network of the same architecture, in the same units.
    mean, scale : ndarray of shape () or (n_outputs,)
        What the units are: a target is `mean` and `scale` times what stands in `y`.
    label_mean, label_scale : torch.Tensor of shape (n_outputs,)
        Moments of the targets of all rows, those to forget included, in the units of `y`.
    batch_size, epochs : int
        Of the training that a request saves.
    seed : int
        Of this request.
    """

    module: nn.Module
    X: torch.Tensor
    y: torch.Tensor
    forget: torch.Tensor
    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    fresh: Callable[[int], nn.Module]
    mean: np.ndarray
    scale: np.ndarray
    label_mean: torch.Tensor
    label_scale: torch.Tensor
    batch_size: int
    epochs: int
    seed: int

    @property
    def retained(self) -> torch.Tensor:
        """Row numbers of the rows to keep."""
        return torch.nonzero(~self.forget).flatten()

    @property
    def forgotten(self) -> torch.Tensor:
        """Row numbers of the rows to forget."""
        return torch.nonzero(self.forget).flatten()

    def around(self, module: nn.Module) -> Edit:
        """The same for another network."""
        return replace(self, module=module)

    def inputs(self, rows: torch.Tensor) -> torch.Tensor:
        """Inputs of a batch, where the network is."""
        return self.X[rows].to(_device(self.module))

    def predict(self, rows: torch.Tensor) -> torch.Tensor:
        """Run the network on a batch, in the mode it is in."""
        return first_output(self.module(self.inputs(rows)))

    def loss(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Criterion between tensors whose shapes agree."""
        return self.criterion(*agreeing(prediction, target.to(prediction.device)))


def learn_retained(
    edit: Edit, *, batch_size: int, n_steps: int, seed: int, lr: float, decay: bool = False, label: str | None = None
) -> int:
    """Take Adam steps on the rows to keep alone.

    Parameters
    ----------
    edit : Edit
        Its network is changed in place.
    batch_size, n_steps : int
        Rows of a step, and steps.
    seed : int
        Draws the batches.
    lr : float
        Learning rate.
    decay : bool, default=False
        Let it fall to zero along half a cosine.
    label : str or None, default=None
        Show a progress bar of this name.

    Returns
    -------
    int
        Samples read.
    """
    retained = edit.retained

    def loss_of(places: torch.Tensor) -> torch.Tensor:
        rows = retained[places]
        return edit.loss(edit.predict(rows), edit.y[rows])

    batches = step_batches(len(retained), batch_size, n_steps, seed)
    return descend(edit.module, loss_of, batches, lr=lr, n_steps=n_steps, decay=decay, label=label)


class EditedRegressor(RegressorMixin, UnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of methods that edit the weights of a trained network; a method implements `_edit`."""

    guarantee = "approximate"
    _needs_forgotten = True

    estimator: Any
    random_state: Any

    if TYPE_CHECKING:  # what a method brings along: it changes ``edit.module`` and returns the number of samples read
        _edit: Callable[[Edit], int]

    def _check_parameters(self) -> None:
        """Refuse settings that make no sense; a method adds those that it has of its own."""
        given = self.get_params(deep=False)
        for name in {"n_steps", "batch_size"} & given.keys():
            check_count(name, given[name], optional=True)
        if "lr" in given:
            check_positive("lr", given["lr"])

    def _fit(self) -> None:
        self._check_parameters()
        block = self._data.block(self._retained())
        if self._data.weight is not None:
            raise ValueError(f"{type(self).__name__} trains a torch network, which takes no sample_weight.")
        if isinstance(self.estimator, FrozenEstimator):
            self.estimator_ = adopt(self.estimator.estimator, np.asarray(block.y))
            check_network(*_a_few(self.estimator_, block), self.estimator_.regressor_.net_.criterion_)
        else:
            template = clone(_as_standardized(self.estimator))
            template.set_params(random_state=derive_seeds(self.seed_, START)[0])
            self.estimator_ = template.fit(block.X, block.y)
        regressor = self.estimator_.regressor_
        knows_its_start = not getattr(self.estimator_, "adopted_", False)
        self._fresh: Callable[[int], nn.Module] = (
            _Rebuild(regressor) if knows_its_start else Reset(regressor.net_.module_)
        )

    def _unlearn(self, request: ForgetRequest) -> Work:
        self._check_parameters()
        rows = self._retained() if self._needs_forgotten else self._retained_without(request.rows)
        block = self._read(rows)
        keep = ~np.isin(rows, request.rows, assume_unique=True)
        model = copy.deepcopy(self.estimator_)
        kept = block.take(keep)
        model.refit_steps(kept.X, kept.y)
        model.regressor_.net_.initialize_history()  # it holds losses of the rows that go
        seed = derive_seeds(self.seed_, EDIT, len(self.receipts_))[0]
        with seeded(seed, model.regressor_.net_.device):
            edit = self._prepare(model, block, keep, seed)
            samples = self._edit(edit)
        self._edited(model, edit)
        if getattr(model, "adopted_", False):  # back to the units it came in
            _move_units(model, edit.X[:8], np.zeros_like(edit.mean), np.ones_like(edit.scale))
        self.estimator_ = model
        return Work(samples=samples, full=len(kept) * model.regressor_.max_epochs)

    def _edited(self, model: StandardizedRegressor, edit: Edit) -> None:
        """Keep what else the method made; nothing by default."""

    def _prepare(self, model: StandardizedRegressor, block: Block, keep: np.ndarray, seed: int) -> Edit:
        module = model.regressor_.net_.module_.eval()
        X = torch.as_tensor(model.regressor_.cast(np.asarray(model.prepare(block.X))))
        y = np.asarray(block.y, dtype=np.float64)
        _move_units(model, X[:8], *moments(y[keep]))
        mean, scale = model.mean_, model.scale_
        all_mean, all_scale = moments(y)
        batch_size = model.regressor_.net_.batch_size
        z = (y - mean) / scale
        return Edit(
            module=module,
            X=X,
            y=torch.as_tensor(z.reshape(len(z), -1), dtype=torch.float32),
            forget=torch.as_tensor(~keep),
            criterion=model.regressor_.net_.criterion_,
            fresh=self._fresh,
            mean=mean,
            scale=scale,
            label_mean=torch.as_tensor((all_mean - mean) / scale, dtype=torch.float32).reshape(-1),
            label_scale=torch.as_tensor(all_scale / scale, dtype=torch.float32).reshape(-1),
            batch_size=batch_size if batch_size > 0 else int(keep.sum()),
            epochs=model.regressor_.max_epochs,
            seed=seed,
        )

    def predict(self, X: Any) -> np.ndarray:
        """Predict values; of several quantiles the middle one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.
        """
        check_is_fitted(self)
        return self.estimator_.predict(self._check_input(X, reset=False))

    def __sklearn_tags__(self) -> Tags:
        return inherit_tags(super().__sklearn_tags__(), _as_standardized(self.estimator))


def _as_standardized(estimator: Any) -> Any:
    if isinstance(estimator, FrozenEstimator):
        return _as_standardized(estimator.estimator)
    return estimator if isinstance(estimator, StandardizedRegressor) else StandardizedRegressor(estimator)


def _move_units(model: StandardizedRegressor, X: torch.Tensor, mean: np.ndarray, scale: np.ndarray) -> None:
    """Standardise by the retained targets alone: a constant of all targets would give the forgotten ones away.

    A network that cannot take the units up keeps its own, which owe nothing to any target.
    """
    module = model.regressor_.net_.module_
    if rescale_output(module, X.to(_device(module)), model.scale_ / scale, (model.mean_ - mean) / scale):
        model.mean_, model.scale_ = mean, scale


def _a_few(model: StandardizedRegressor, block: Block) -> tuple[nn.Module, torch.Tensor, np.ndarray]:
    """The network in evaluation mode, with a few inputs and targets."""
    few = block.part(slice(0, min(len(block), 8)))
    module = model.regressor_.net_.module_.eval()
    X = torch.as_tensor(model.regressor_.cast(np.asarray(model.prepare(few.X))))
    return module, X.to(_device(module)), np.asarray(few.y)


class _Rebuild:
    """Untrained networks as training would start from them."""

    def __init__(self, regressor: TorchRegressor):
        self._template = clone(regressor)

    def __call__(self, seed: int) -> nn.Module:
        return self._template.untrained_net(seed).module_


def _device(module: nn.Module) -> torch.device:
    return next(iter(module.parameters())).device
