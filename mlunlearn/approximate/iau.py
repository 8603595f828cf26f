"""Influence approximation: one gradient step, up the loss on the rows to forget and down that on the others."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import torch
from torch import nn

from mlunlearn.approximate.ceiling import mean_loss
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.held_out import kept, require_held_out
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.curvature import Vector, add
from mlunlearn.networks.gradients import mean_gradient
from mlunlearn.parameters import check_choice, check_count, check_flag, check_positive

_EPSILON = 1e-8  # of Adam
_DOUBLINGS, _HALVINGS = 12, 6


class IAUClassifier(EditedClassifier):
    r"""Forget by one step that stands for a step of influence functions.

    Removing a row has, to first order, the effect of adding one with the opposite gradient, and adding rows is what
    gradient descent does. So the inverse Hessian of influence functions becomes a learning rate :math:`\eta`,

    .. math:: \theta \leftarrow \theta^* - \eta \left[\nabla L_r(\theta^*) - \nabla L_f(\theta^*)\right]

    with the mean losses :math:`L_r` and :math:`L_f` over the retained rows and those to forget.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited. The paper trains it as
        `mlunlearn.networks.GradientRestrictedClassifier` does.
    lr : float, default=0.1
        :math:`\eta`. Where all losses are quadratic with curvature :math:`a`, the one that leads to the minimum over
        the retained rows is :math:`|D_f| / (a |D|)`.
    step : {'sgd', 'sign'}, default='sgd'
        The equation, or the first step of Adam, as published: all weights move by `lr`, whatever the gradient's size.
    line_search : bool, default=False
        Choose :math:`\eta` so that the loss on the rows to forget rises to that of the network before on held-out rows,
        and no further; `lr` is then where the search begins. The held-out rows come as ``fit(..., held_out=(X, y))``;
        those of a class that is forgotten are left out.
    batch_size : int or None, default=None
        Rows that are read at once, which changes nothing but rounding; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training; forgetting draws nothing.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_, n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Guarantee: approximate. Needs all rows with their labels. Changes all weights, and no statistics of batch
    normalisation, since the network stays in evaluation mode. Cost: one pass over all rows, and two without
    gradients over the rows to forget, of which a line search takes up to eighteen more. The receipt names the rate,
    and the loss on the rows to forget before and after. Fails on a whole class, for which one step is not enough; with
    a rate that nobody has chosen; and where the network was trained without the restriction and a few rows of large
    gradient decide about the step.

    References
    ----------
    "Efficient Machine Unlearning via Influence Approximation", arXiv:2507.23257. `published` gives the settings of
    its code.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import IAUClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = IAUClassifier(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn([3, 17, 60])
    >>> sorted(model.receipts_[-1].work.details)
    ['forget_loss', 'lr']
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    takes_held_out = True

    def __init__(
        self,
        estimator: Any,
        *,
        lr: float = 0.1,
        step: Literal["sgd", "sign"] = "sgd",
        line_search: bool = False,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.lr = lr
        self.step = step
        self.line_search = line_search
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the authors' code.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        IAUClassifier
            Unfitted.
        """
        return cls(estimator, **{"step": "sign", "lr": 1e-3, **others})

    def _check_settings(self) -> None:
        check_positive("lr", self.lr)
        check_choice("step", self.step, ("sgd", "sign"))
        check_flag("line_search", self.line_search)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        if self.line_search:
            require_held_out(run, "line_search")
        start = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}
        direction = self._direction(module, run)

        def loss_at(lr: float) -> float:
            _put(module, moved(start, direction, lr))
            return mean_loss(module, forget, run)

        losses = [loss_at(0.0)]
        lr = self.lr
        if self.line_search:
            lr = self._searched(loss_at, losses[0], mean_loss(module, kept(run), run))
        losses.append(loss_at(lr))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(
                f"the loss on the rows to forget is {losses[-1]} after the step; try a lower learning rate."
            )
        return {"lr": lr, "forget_loss": losses}

    def _direction(self, module: nn.Module, run: Run) -> Vector:
        """Return the gradients that the step goes down, or their signs."""
        size = self.batch_size or run.batch_size
        sides = (run.progress(rows.in_order(size), "gradients") for rows in (run.retain, run.forget))
        retain, forget = (mean_gradient(module, run.training_loss(module), side) for side in sides)
        gradient = add(retain, forget, -1.0)
        return signs(gradient) if self.step == "sign" else gradient

    def _searched(self, loss_at: Any, before: float, level: float) -> float:
        """Find the largest rate at which the loss on the rows to forget is no higher than a level."""
        if before >= level:
            return 0.0
        low, high = 0.0, self.lr
        for _ in range(_DOUBLINGS):
            if not loss_at(high) <= level:
                break
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if loss_at(middle) <= level else (low, middle)
        return low


def moved(start: Vector, direction: Vector, lr: float) -> Vector:
    """Take one step.

    Parameters
    ----------
    start, direction : dict of str to torch.Tensor
        Weights, and what is taken from them.
    lr : float
        Its multiple.

    Returns
    -------
    dict of str to torch.Tensor
        New weights.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.iau import moved
    >>> moved({"w": torch.ones(2)}, {"w": torch.tensor([1.0, -2.0])}, 0.5)["w"].tolist()
    [0.5, 2.0]
    """
    return add(start, direction, -lr)


def signs(gradient: Vector) -> Vector:
    r"""Divide each number by its absolute value, :math:`g / (|g| + 10^{-8})`: the first step of Adam.

    Parameters
    ----------
    gradient : dict of str to torch.Tensor
        Any numbers.

    Returns
    -------
    dict of str to torch.Tensor
        Between -1 and 1.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.iau import signs
    >>> signs({"w": torch.tensor([3.0, -0.2, 0.0])})["w"].round().tolist()
    [1.0, -1.0, 0.0]
    """
    return {name: g / (g.abs() + _EPSILON) for name, g in gradient.items()}


@torch.no_grad()
def _put(module: nn.Module, weights: Vector) -> None:
    named = dict(module.named_parameters())
    for name, value in weights.items():
        named[name].copy_(value)
