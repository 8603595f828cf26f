"""Linear networks on propagated features: a strictly convex problem, about which things can be proved."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn
from torch_geometric.nn import Linear

from mlunlearn.graph.estimators import GraphEstimator
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.influence import Product, Solution, conjugate_gradient, output_curvature, precise
from mlunlearn.graph.layers import depth
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.training import make_module, run
from mlunlearn.seeds import set_seed

# The third derivative of the log-sum-exp along u is the third central moment of u under the posterior: at most
# r**3 / (6 sqrt(3)), where the range r of u is at most sqrt(2) times its length.
CURVATURE_CHANGE = 2**1.5 / (6 * 3**0.5)
STEEPEST = 2**0.5  # the longest gradient of a cross-entropy with respect to its logits
_SHORTEST_STEP, _ROUNDING = 2.0**-40, 1e-12  # the latter of the objective


@dataclass(frozen=True, eq=False)
class LinearProblem:
    """Multinomial logistic regression on propagated features, with an L2 penalty and a linear tilt.

    The objective is ``mean cross-entropy(z @ w.T, y) + penalty / 2 * |w|^2 + sum(tilt * w)``.

    Parameters
    ----------
    z : Tensor, shape (n, d)
        Propagated features of the training nodes, in double precision; a column of ones for the bias.
    y : Tensor of int, shape (n,)
        Labels.
    penalty : float
        L2 penalty, positive.
    tilt : Tensor, shape (n_classes, d)
        The random slope of objective perturbation; zeros without.
    """

    z: Tensor
    y: Tensor
    penalty: float
    tilt: Tensor

    @property
    def n(self) -> int:
        """Number of training nodes."""
        return len(self.y)

    @cached_property
    def norm(self) -> float:
        """Largest singular value of `z`, by a full decomposition: iterations would come from below."""
        gram = self.z @ self.z.T if self.n < self.z.shape[1] else self.z.T @ self.z
        return float(torch.linalg.eigvalsh(gram)[-1].clamp(min=0).sqrt())

    @cached_property
    def longest(self) -> float:
        """Length of the longest row of `z`."""
        return float(self.z.norm(dim=1).max())

    @property
    def smoothness(self) -> float:
        """Bound on the largest eigenvalue of the Hessian; `penalty` is one on the smallest."""
        return self.norm**2 / (2 * self.n) + self.penalty

    def value(self, w: Tensor) -> float:
        """Return the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        float
            Its value.
        """
        loss = nn.functional.cross_entropy(self.z @ w.T, self.y)
        return float(loss + self.penalty / 2 * w.square().sum() + (self.tilt * w).sum())

    def gradient(self, w: Tensor) -> Tensor:
        """Return the gradient of the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        Tensor, shape (n_classes, d)
            The gradient.
        """
        error = (self.z @ w.T).softmax(dim=1)
        error[torch.arange(self.n, device=error.device), self.y] -= 1
        return error.T @ self.z / self.n + self.penalty * w + self.tilt

    def hessian(self, w: Tensor) -> Product:
        """Return products with the Hessian of the objective.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Weights.

        Returns
        -------
        callable
            Takes a vector of length ``n_classes * d`` and returns the product.
        """
        logits = self.z @ w.T

        def product(vector: Tensor) -> Tensor:
            v = vector.view_as(w)
            bent = output_curvature(logits, self.z @ v.T)
            return (bent.T @ self.z / self.n + self.penalty * v).flatten()

        return product

    def newton_step(self, w: Tensor, *, tol: float = 1e-8, max_iter: int = 500) -> tuple[Tensor, Solution]:
        """Take one full Newton step.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Where to start.
        tol : float, default=1e-8
            Residual of the conjugate gradients, as a share of the gradient.
        max_iter : int, default=500
            Bound on their iterations.

        Returns
        -------
        w : Tensor, shape (n_classes, d)
            Where it ends.
        solution : Solution
            The step, and how well it was solved for.
        """
        solution = conjugate_gradient(self.hessian(w), -self.gradient(w).flatten(), tol=tol, max_iter=max_iter)
        return w + solution.step.view_as(w), solution

    def minimise(self, tol: float, *, max_iter: int = 100) -> Tensor:
        """Minimise the objective from zero by Newton's method with halved steps.

        Parameters
        ----------
        tol : float
            Length of the gradient to reach.
        max_iter : int, default=100
            Bound on the steps.

        Returns
        -------
        Tensor, shape (n_classes, d)
            The weights.

        Raises
        ------
        FloatingPointError
            If the gradient stays longer than `tol`.
        """
        w = torch.zeros_like(self.tilt)
        for _ in range(max_iter):
            gradient = self.gradient(w)
            if gradient.norm() <= tol:
                return w
            _, solution = self.newton_step(w, tol=1e-4)
            step, share, value = solution.step.view_as(w), 1.0, self.value(w)
            slope, slack = float((gradient * step).sum()), _ROUNDING * (abs(value) + 1)
            while share > _SHORTEST_STEP and self.value(w + share * step) > value + 1e-4 * share * slope + slack:
                share /= 2
            w = w + share * step
        raise FloatingPointError(
            f"the gradient is still {float(self.gradient(w).norm()):.3g} long after {max_iter} Newton steps, wanted "
            f"{tol:.3g}; raise weight_decay."
        )

    def descend(self, w: Tensor, steps: int) -> Tensor:
        """Take gradient steps, each of which brings the minimum nearer by the factor `contraction`.

        Parameters
        ----------
        w : Tensor, shape (n_classes, d)
            Where to start.
        steps : int
            How many.

        Returns
        -------
        Tensor, shape (n_classes, d)
            Where they end.
        """
        rate = 2 / (self.smoothness + self.penalty)
        for _ in range(steps):
            w = w - rate * self.gradient(w)
        return w

    @property
    def contraction(self) -> float:
        """Factor by which a step of `descend` shortens the distance to the minimum, at least."""
        return (self.smoothness - self.penalty) / (self.smoothness + self.penalty)

    def remainder(self, step: Tensor) -> float:
        """Bound what a Newton step leaves of the gradient, by what it does to the logits.

        Parameters
        ----------
        step : Tensor, shape (n_classes, d)
            The step.

        Returns
        -------
        float
            Bound on the length of ``gradient(w + step) - gradient(w) - hessian(w) @ step``, for whatever `w`.
        """
        moved = (self.z @ step.T).square().sum(dim=1)
        return CURVATURE_CHANGE / 2 * self.norm * float(moved.norm()) / self.n

    def worst_remainder(self, length: float) -> float:
        """Bound the same by the length of the step alone.

        Parameters
        ----------
        length : float
            Length of the step, or a bound on it.

        Returns
        -------
        float
            Never below what `remainder` says of a step of that length.
        """
        return CURVATURE_CHANGE / 2 * self.longest**3 * length**2


def design(module: nn.Module, graph: Graph) -> Tensor | None:
    """Return the propagated features of a linear network, or None if it is not one.

    Parameters
    ----------
    module : torch.nn.Module
        Linear is one whose only weights are those of a linear layer that comes last and sees no weight's work.
    graph : Graph
        On the module's device.

    Returns
    -------
    Tensor, shape (n_nodes, d), or None
        What the linear layer is given, in double precision, with a column of ones if it has a bias.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from torch_geometric.nn import GCN, SGConv
    >>> from mlunlearn.graph.linear_problem import design
    >>> from mlunlearn.graph.reading import read_graph
    >>> path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> graph = read_graph(Data(x=torch.eye(3), edge_index=path))
    >>> design(SGConv(3, 2, K=2), graph).shape, design(GCN(3, 4, 2), graph)
    (torch.Size([3, 4]), None)
    """
    twin = copy.deepcopy(module).double().eval()
    layers = [part for part in twin.modules() if isinstance(part, (nn.Linear, Linear))]
    if len(layers) != 1 or {id(p) for p in twin.parameters()} != {id(p) for p in layers[0].parameters()}:
        return None
    seen: list[tuple[Tensor, Tensor]] = []
    layers[0].register_forward_hook(lambda _layer, inputs, output: seen.append((inputs[0], output)))
    result = run(twin, precise(graph))
    if len(seen) != 1 or seen[0][1] is not result or seen[0][0].requires_grad:
        return None
    z = seen[0][0]
    return z if layers[0].bias is None else torch.cat([z, torch.ones_like(z[:, :1])], dim=1)


def problem_of(estimator: GraphEstimator, module: nn.Module, graph: Graph, tilt: Tensor | None = None) -> LinearProblem:
    """State what a linear network learns from a graph.

    Parameters
    ----------
    estimator : NodeClassifier
        Its `weight_decay` is the penalty.
    module : torch.nn.Module
        A network that `design` takes for linear.
    graph : Graph
        What is learned from.
    tilt : Tensor, shape (n_classes, d), or None, default=None
        The random slope.

    Returns
    -------
    LinearProblem
        The problem.
    """
    placed = graph.to(estimator.device)
    z = design(module, placed)
    assert z is not None
    if tilt is None:
        tilt = torch.zeros(len(estimator.classes_), z.shape[1], dtype=z.dtype, device=z.device)
    return LinearProblem(z[placed.labelled], placed.y[placed.labelled], estimator.weight_decay, tilt)


def with_weights(module: nn.Module, w: Tensor) -> nn.Module:
    """Put weights into a copy of a linear network, rounded to its precision.

    Parameters
    ----------
    module : torch.nn.Module
        A network that `design` takes for linear.
    w : Tensor, shape (n_classes, d)
        Weights, the bias last.

    Returns
    -------
    torch.nn.Module
        The copy.
    """
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.copy_(w[:, -1] if parameter.ndim == 1 else w[:, : parameter.shape[1]])
    return twin


def linear_start(estimator: Any, graph: Graph, seed: int, method: str) -> tuple[GraphEstimator, nn.Module] | None:
    """Make a seeded copy of an estimator and its network, if that is linear.

    Parameters
    ----------
    estimator : NodeClassifier, LinkPredictor or FrozenEstimator
        What a certified method was given.
    graph : Graph
        What it is fitted on.
    seed : int
        Seeds the copy.
    method : str
        Name of the method, for the errors.

    Returns
    -------
    tuple of GraphEstimator and torch.nn.Module, or None
        The copy and the network; None if the network is not linear.

    Raises
    ------
    ValueError
        If the network is linear, but was trained elsewhere or has no penalty: there is nothing to prove then.
    """
    frozen = isinstance(estimator, FrozenEstimator)
    inner = estimator.estimator if frozen else estimator
    if not is_classifier(inner) or not graph.has_features:
        return None
    inner.check_trainable(graph)
    whole = set_seed(clone(inner), seed)
    module = inner.module_ if frozen else make_module(whole.module, seed, whole.device)
    placed = graph.to(whole.device)
    if design(module, placed) is None:
        return None
    if frozen:
        raise ValueError(
            f"{method} trains a linear network by itself, to the minimum and with its noise; a FrozenEstimator was not "
            "trained so. Pass the unfitted estimator."
        )
    if not whole.weight_decay > 0:
        raise ValueError(f"{method} needs a positive weight_decay, without which nothing can be proved.")
    whole._learn_classes(module, placed)
    return whole, module


def change_bound(module: nn.Module, before: LinearProblem, after: LinearProblem, deletion: Deletion) -> float:
    """Bound, before anything is computed, how far a request moves the gradient, wherever it is taken.

    Parameters
    ----------
    module : torch.nn.Module
        The linear network.
    before, after : LinearProblem
        With and without what is forgotten.
    deletion : Deletion
        The request.

    Returns
    -------
    float
        Bound on the length of the difference of the two gradients: ``sqrt(2)`` times the longest row of propagated
        features, times the training nodes that are reached (before and after) or gone, over those that are left.
    """
    near = deletion.affected(depth(module))
    reached = sum(int((near & graph.labelled).sum()) for graph in (deletion.before, deletion.after))
    longest = max(before.longest, after.longest)
    return STEEPEST * longest * (reached + before.n - after.n) / after.n
