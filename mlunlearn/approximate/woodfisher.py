"""WoodFisher influence: one Newton step, with the curvature that single gradients show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.curvature import Vector, per_sample_gradients, trainable
from mlunlearn.networks.gradients import mean_gradient
from mlunlearn.parameters import check_choice, check_count, check_positive

_AT_ONCE = 32


@described
class WoodFisherClassifier(EditedClassifier):
    r"""Forget by one Newton step, as influence functions estimate it.

    With :math:`n_f` rows to forget among :math:`n`, and gradients :math:`g_i` of the losses of :math:`N` single
    retained rows,

    .. math:: \theta = \theta^* + \alpha\, \hat H^{-1} v, \qquad
        v = \frac{n_f}{n} \left(\nabla L_f(\theta^*) - \nabla L_r(\theta^*)\right), \qquad
        \hat H = \lambda I + \frac1N \sum_{i=1}^N g_i g_i^\top

    where :math:`L_f` and :math:`L_r` are mean losses. The inverse is built up by one gradient at a time,

    .. math:: \hat H_i^{-1} = \hat H_{i-1}^{-1}
        - \frac{\hat H_{i-1}^{-1} g_i g_i^\top \hat H_{i-1}^{-1}}{N + g_i^\top \hat H_{i-1}^{-1} g_i}

    Parameters
    ----------
    %(estimator)s
    alpha : float, default=1
        :math:`\alpha`; 1 is the full step.
    damping : float, default=0.1
        :math:`\lambda`.
    n_gradients : int, default=50
        :math:`N`, or all retained rows where there are fewer.
    variant : {'definition', 'official'}, default='definition'
        The latter uses the recursion of the authors' code, which keeps one direction for all gradients.
    batch_size : int or None, default=None
        Rows that are read at once; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and the choice of rows.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate; exact for a quadratic loss whose curvature is :math:`\hat H`. Needs all rows with their
    labels. Changes all weights; the network stays in evaluation mode. Cost: one pass over all rows, `n_gradients`
    gradients of single rows, and memory for as many copies of the weights; the official variant needs memory for two.
    The receipt tells the length of the step. Fails on deep networks, where such a step is right in its order of
    magnitude at best, and on whole classes, for which one step is too little.

    References
    ----------
    "WoodFisher: Efficient Second-Order Approximation for Neural Network Compression", arXiv:2004.14340; as a method of
    unlearning in "Model Sparsity Can Simplify Machine Unlearning", arXiv:2304.04934. `published` gives the latter's.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import WoodFisherClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = WoodFisherClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    200
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 1.0,
        damping: float = 0.1,
        n_gradients: int = 50,
        variant: Literal["definition", "official"] = "definition",
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.damping = damping
        self.n_gradients = n_gradients
        self.variant = variant
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, alpha: float, **others: Any) -> Self:
        """Use the settings of the paper on sparsity, and its code's recursion.

        Parameters
        ----------
        estimator : as for the class
            The network.
        alpha : float
            Length of the step, which the paper searches for each task.
        **others
            Further parameters of the class.

        Returns
        -------
        WoodFisherClassifier
            Unfitted.
        """
        return cls(estimator, **{"alpha": alpha, "n_gradients": 1000, "damping": 1.0, "variant": "official", **others})

    def _check_settings(self) -> None:
        check_positive("alpha", self.alpha, zero=True)
        check_positive("damping", self.damping)
        check_count("n_gradients", self.n_gradients)
        check_choice("variant", self.variant, ("definition", "official"))

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        loss_of, share = run.training_loss(module), len(forget) / (len(forget) + len(retain))
        on_forget, on_retain = (
            flat(mean_gradient(module, loss_of, rows.in_order(batch_size))) for rows in (forget, retain)
        )
        v = share * (on_forget - on_retain)
        some = retain.draw(self.n_gradients, run.seed("gradients"))
        gradients = iter(run.progress(self._gradients(module, some, run), "curvature", len(some)))
        if self.variant == "official":
            step = solve_along_one_direction(gradients, len(some), v / self.damping)
        else:
            step = solve(gradients, len(some), v, self.damping)
        change = self.alpha * step
        places = change.split([value.numel() for value in trainable(module).values()])
        for value, part in zip(trainable(module).values(), places, strict=True):
            value.add_(part.view_as(value))
        return {"step": float(change.norm())}

    @staticmethod
    def _gradients(module: nn.Module, rows: Rows, run: Run) -> Iterator[Tensor]:
        """Yield the flat gradient of each row's own loss."""

        def loss(output: Tensor, y: Tensor) -> Tensor:
            return run.loss(run.read_outputs(output), y)

        for batch in rows.in_order(_AT_ONCE):
            found = per_sample_gradients(module, loss, batch.X, batch.y)
            yield from torch.cat([value.flatten(start_dim=1) for value in found.values()], dim=1)


def flat(vector: Vector) -> Tensor:
    """Lay the parts of a vector end to end."""
    return torch.cat([value.flatten() for value in vector.values()])


def solve(gradients: Iterator[Tensor], n: int, v: Tensor, damping: float) -> Tensor:
    r"""Multiply :math:`(\lambda I + \frac1N \sum_i g_i g_i^\top)^{-1}` by a vector.

    Parameters
    ----------
    gradients : iterator of torch.Tensor of shape (n_weights,)
        :math:`g_i`, each used once.
    n : int
        :math:`N`, how many there are.
    v : torch.Tensor of shape (n_weights,)
        What is multiplied.
    damping : float
        :math:`\lambda`.

    Returns
    -------
    torch.Tensor of shape (n_weights,)
        The product.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.woodfisher import solve
    >>> solve(iter([torch.tensor([2.0, 0.0])]), 1, torch.tensor([10.0, 3.0]), damping=1.0).tolist()
    [2.0, 3.0]
    """
    directions = v.new_empty(n, len(v))
    for place, g in enumerate(gradients):
        before = directions[:place]
        image = g / damping - before.T @ (before @ g)
        directions[place] = image / (n + g @ image).sqrt()
    return v / damping - directions.T @ (directions @ v)


def solve_along_one_direction(gradients: Iterator[Tensor], n: int, v: Tensor) -> Tensor:
    """Follow the recursion of the authors' code, which updates the first gradient instead of beginning with each.

    Parameters
    ----------
    gradients : iterator of torch.Tensor of shape (n_weights,)
        Each used once.
    n : int
        How many there are.
    v : torch.Tensor of shape (n_weights,)
        What is multiplied.

    Returns
    -------
    torch.Tensor of shape (n_weights,)
        It differs from `v` by a multiple of the first gradient.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.woodfisher import solve_along_one_direction
    >>> solve_along_one_direction(iter(torch.eye(2)), 2, torch.tensor([10.0, 3.0])).tolist()
    [8.5, 3.0]
    """
    k, o = v.clone(), next(gradients).clone()
    for g in gradients:
        along = o @ g
        k = k - (k @ g) / (n + along) * o
        o = o - along / (n + along) * o
    return k
