"""Influence functions on a graph: the change of the training loss, its curvature, and solvers for the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.base import is_classifier
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from mlunlearn.graph.estimators import GraphEstimator
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.layers import depth
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.sampling import generator, sample_non_edges
from mlunlearn.graph.training import pair_scores, run

_DIVERGED = 10.0  # a residual; without any step it is 1

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """A step, and how well it solves its equation.

    Parameters
    ----------
    step : Tensor, shape (n_parameters,)
        The step.
    residual : float
        Length of what is left of the right-hand side, as a share of its length.
    iterations : int
        Products with the matrix that it took.
    """

    step: Tensor
    residual: float
    iterations: int


class Influence:
    """What a request changes in the summed training loss, seen from the trained weights.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        Says what is learned, and by which L2 penalty.
    module : torch.nn.Module
        The trained network, in double precision and evaluation mode.
    deletion : Deletion
        The request.
    seed : int
        Draws the negatives of a link predictor, from the remaining graph.

    Notes
    -----
    The losses that change are those of the training nodes (or pairs) whose messages a forgotten part reaches; no test
    label and no validation label is among them. Every loss is one term of a sum over ``n`` of them, so the penalty
    on the weights is ``n * weight_decay / 2`` times their squared length.
    """

    def __init__(self, estimator: GraphEstimator, module: nn.Module, deletion: Deletion, seed: int):
        self.module = module
        self.deletion = deletion
        self.before, self.after = (precise(g).to(estimator.device) for g in (deletion.before, deletion.after))
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.n_before, self.n_after = estimator.n_trained(deletion.before), estimator.n_trained(deletion.after)
        self._weight_decay = estimator.weight_decay
        self._nodes = is_classifier(estimator)
        self._seed = seed

    @cached_property
    def theta(self) -> Tensor:
        """The trained weights in one vector."""
        return flat(p.detach() for p in self.parameters)

    @cached_property
    def gradient(self) -> Tensor:
        """Gradient of the loss before minus that after, at the trained weights: the right-hand side of the step."""
        near = self.deletion.affected(depth(self.module)).to(self.before.x.device)
        change = self._gradient(self.before, near) - self._gradient(self.after, near)
        return change + (self.n_before - self.n_after) * self._weight_decay * self.theta

    def gauss_newton(self, damping: float = 0.0) -> Product:
        """Return products with the Gauss-Newton matrix of the loss after, which has no negative eigenvalue.

        Parameters
        ----------
        damping : float, default=0.0
            Added to `weight_decay`, on the diagonal, once for each of the `n_after` terms.

        Returns
        -------
        callable
            Takes a vector and returns the product.
        """
        outputs, _ = self._losses(self.after)
        product = gauss_newton_product(outputs, self.parameters, 1.0 if self._nodes else 0.5)
        ridge = self.n_after * (self._weight_decay + damping)
        return lambda vector: product(vector) + ridge * vector

    def hessian(self) -> Product:
        """Return products with the Hessian of the loss before, the penalty included.

        Returns
        -------
        callable
            Takes a vector and returns the product.
        """
        product = hessian_product(self._losses(self.before)[1], self.parameters)
        return lambda vector: product(vector) + self.n_before * self._weight_decay * vector

    def move(self, step: Tensor) -> None:
        """Add a step to the network's weights.

        Parameters
        ----------
        step : Tensor, shape (n_parameters,)
            The step.
        """
        with torch.no_grad():
            for p, part in zip(self.parameters, step.split([p.numel() for p in self.parameters]), strict=True):
                p.add_(part.view_as(p))

    def _gradient(self, graph: Graph, near: Tensor) -> Tensor:
        return flat(torch.autograd.grad(self._losses(graph, near)[1], self.parameters, materialize_grads=True))

    def _losses(self, graph: Graph, near: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs that are learned, all or those at some nodes, and the sum of their losses."""
        near = torch.ones(graph.n_nodes, dtype=torch.bool, device=graph.x.device) if near is None else near
        if self._nodes:
            rows = graph.labelled & near
            outputs = run(self.module, graph)[rows]
            return outputs, nn.functional.cross_entropy(outputs, graph.y[rows], reduction="sum")
        negatives, types = self._negatives
        n = graph.n_edges
        pairs = torch.cat([graph.pairs, negatives[:, :n]], dim=1)
        there = near[pairs].any(dim=0)
        relations = None if graph.pair_types is None else torch.cat([graph.pair_types, types[:n]])[there]
        scores = pair_scores(self.module, run(self.module, graph), pairs[:, there], relations)
        true = (torch.arange(2 * n, device=there.device) < n)[there]
        return scores, nn.functional.softplus(torch.where(true, -scores, scores)).sum() / 2

    @cached_property
    def _negatives(self) -> tuple[Tensor, Tensor]:
        """As many non-edges of the remaining graph as there were edges; the first ones stay as edges go."""
        n, kept, device = self.before.n_edges, self.deletion.kept, self.before.x.device
        drawn = kept[sample_non_edges(self.deletion.remaining, n, generator(self._seed))].to(device)
        if self.before.pair_types is None:
            return drawn, torch.zeros(n, dtype=torch.long)
        stay, go = (self.before.pair_types[there.to(device)] for there in (~self.deletion.edges, self.deletion.edges))
        return drawn, torch.cat([stay, go])


def precise(graph: Graph) -> Graph:
    """Return a graph with features in double precision.

    Parameters
    ----------
    graph : Graph
        The graph.

    Returns
    -------
    Graph
        A copy, where there are features; positions of nodes stay as they are.
    """
    return replace(graph, x=graph.x.double()) if graph.has_features else graph


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Write tensors into one vector.

    Parameters
    ----------
    tensors : iterable of Tensor
        In the order of the parameters.

    Returns
    -------
    Tensor, shape (n,)
        The vector.
    """
    return parameters_to_vector([t.contiguous() for t in tensors])


def output_curvature(outputs: Tensor, tangents: Tensor) -> Tensor:
    """Multiply with the Hessian of the cross-entropy with respect to the outputs.

    Parameters
    ----------
    outputs : Tensor, shape (n, n_classes) or (n,)
        Logits of nodes, or scores of pairs; the label does not matter.
    tangents : Tensor, of the same shape
        What to multiply.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.influence import output_curvature
    >>> output_curvature(torch.zeros(1), torch.ones(1))
    tensor([0.2500])
    """
    if outputs.ndim == 1:
        p = outputs.sigmoid()
        return p * (1 - p) * tangents
    p = outputs.softmax(dim=1)
    return p * (tangents - (p * tangents).sum(dim=1, keepdim=True))


def gauss_newton_product(outputs: Tensor, parameters: list[nn.Parameter], weight: float = 1.0) -> Product:
    """Return products with the Gauss-Newton matrix ``J' H J`` of a sum of cross-entropies.

    Parameters
    ----------
    outputs : Tensor, shape (n, n_classes) or (n,)
        Outputs that carry gradients; ``J`` is their Jacobian, ``H`` the losses' Hessian with respect to them.
    parameters : list of torch.nn.Parameter
        What the Jacobian is taken of.
    weight : float, default=1.0
        Weight of every loss.

    Returns
    -------
    callable
        Takes a vector and returns the product, by two passes backwards.
    """
    probe = torch.zeros_like(outputs, requires_grad=True)
    pulled = flat(torch.autograd.grad(outputs, parameters, probe, create_graph=True, materialize_grads=True))

    def product(vector: Tensor) -> Tensor:
        (tangents,) = torch.autograd.grad(pulled, probe, vector, retain_graph=True)
        bent = weight * output_curvature(outputs.detach(), tangents)
        return flat(torch.autograd.grad(outputs, parameters, bent, retain_graph=True, materialize_grads=True))

    return product


def hessian_product(loss: Tensor, parameters: list[nn.Parameter]) -> Product:
    """Return products with the Hessian of a loss.

    Parameters
    ----------
    loss : Tensor
        One number that carries gradients.
    parameters : list of torch.nn.Parameter
        What it is differentiated by.

    Returns
    -------
    callable
        Takes a vector and returns the product, by one pass backwards through the gradient.
    """
    gradient = flat(torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True))
    return lambda vector: flat(
        torch.autograd.grad(gradient, parameters, vector, retain_graph=True, materialize_grads=True)
    )


def conjugate_gradient(product: Product, right: Tensor, *, tol: float = 1e-8, max_iter: int = 100) -> Solution:
    """Solve a symmetric, positive equation by conjugate gradients.

    Parameters
    ----------
    product : callable
        Multiplies with the matrix.
    right : Tensor, shape (n,)
        The right-hand side.
    tol : float, default=1e-8
        Stops when the residual is this share of the right-hand side.
    max_iter : int, default=100
        Bound on the iterations.

    Returns
    -------
    Solution
        The solution; its residual is computed anew at the end.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.influence import conjugate_gradient
    >>> conjugate_gradient(lambda x: 4 * x, torch.ones(2).double()).step
    tensor([0.2500, 0.2500], dtype=torch.float64)
    """
    calls = 0

    def multiply(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return product(torch.from_numpy(np.ascontiguousarray(x)).to(right.device)).cpu().numpy()

    operator = LinearOperator((len(right), len(right)), matvec=multiply, dtype=np.float64)
    found, _ = cg(operator, right.cpu().numpy(), rtol=tol, atol=0.0, maxiter=max_iter)
    step = torch.from_numpy(found).to(right.device)
    return Solution(step, _share_left(right - product(step), right), calls)


def lissa(product: Product, right: Tensor, *, steps: int, scale: float, damping: float = 0.0) -> Solution:
    """Iterate ``x <- right + (1 - damping) x - matrix x / scale`` from `right`, and divide by the scale.

    Parameters
    ----------
    product : callable
        Multiplies with the matrix.
    right : Tensor, shape (n,)
        The right-hand side.
    steps : int
        Iterations.
    scale : float
        Divides the matrix; it must exceed half its largest eigenvalue.
    damping : float, default=0.0
        Share of the iterate that is dropped in every step.

    Returns
    -------
    Solution
        Near to the solution for ``matrix + damping * scale * I`` after many steps, except where the matrix has
        eigenvalues well below ``scale / steps``; the residual says how near.

    Raises
    ------
    FloatingPointError
        If the iteration diverges.
    """
    x = right
    for _ in range(steps):
        x = right + (1 - damping) * x - product(x) / scale
    step = x / scale
    residual = _share_left(right - product(step) - damping * scale * step, right)
    if not residual < _DIVERGED:
        raise FloatingPointError(
            f"the iteration diverges: its residual is {residual:.3g} times the right-hand side, where no step at all "
            f"leaves 1. The matrix has an eigenvalue above twice scale={scale:g}; raise the scale."
        )
    return Solution(step, residual, steps + 1)


def _share_left(left: Tensor, right: Tensor) -> float:
    return float(left.norm() / right.norm()) if right.any() else 0.0
