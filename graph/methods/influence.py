"""Influence functions on a graph: the change of the training loss, its curvature, and solvers for the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property

import torch
from sklearn.base import is_classifier
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.layers import depth
from mlunlearn.graph.models.training import pair_scores, run
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator, sample_non_edges
from mlunlearn.networks.solvers import Product, Solution, output_curvature


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


def influence_step(
    estimator: GraphEstimator,
    module: nn.Module,
    deletion: Deletion,
    seed: int,
    solve: Callable[[Influence], Solution],
) -> tuple[nn.Module, Influence, Solution]:
    """Take one step from the trained weights to where the minimum moves.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        Says what is learned.
    module : torch.nn.Module
        The trained network, changed in place.
    deletion : Deletion
        The request.
    seed : int
        Draws the negatives of a link predictor.
    solve : callable
        Takes the influence of the request and solves for the step.

    Returns
    -------
    module : torch.nn.Module
        The network after the step, in single precision.
    influence : Influence
        What the request changes.
    solution : Solution
        The step.
    """
    influence = Influence(estimator, module.double().eval(), deletion, seed)
    solution = solve(influence)
    influence.move(solution.step)
    return module.float(), influence, solution


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
