"""Linear networks on propagated features: a strictly convex problem, about which things can be proved."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn
from torch_geometric.nn import Linear

from mlunlearn.certified.softmax import STEEPEST, SoftmaxObjective
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.methods.influence import precise
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.layers import depth
from mlunlearn.graph.models.training import make_module, run
from mlunlearn.graph.requests import Deletion
from mlunlearn.state import Guarantee
from mlunlearn.training.seeds import set_seed


def design(module: nn.Module, graph: Graph) -> Tensor | None:
    """Return the propagated features of a linear network, or None if it is not one.

    Parameters
    ----------
    module : torch.nn.Module
        A network is linear if all its weights are those of one linear layer, which comes last, so that no weight has
        a part in what that layer is given.
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
    >>> from mlunlearn.graph.linear.linear_problem import design
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


def problem_of(
    estimator: GraphEstimator, module: nn.Module, graph: Graph, tilt: Tensor | None = None
) -> SoftmaxObjective:
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
        The random linear term.

    Returns
    -------
    SoftmaxObjective
        The problem.
    """
    placed = graph.to(estimator.device)
    z = design(module, placed)
    assert z is not None
    if tilt is None:
        tilt = torch.zeros(len(estimator.classes_), z.shape[1], dtype=z.dtype, device=z.device)
    return SoftmaxObjective(z[placed.labelled], placed.y[placed.labelled], estimator.weight_decay, tilt)


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


def change_bound(module: nn.Module, before: SoftmaxObjective, after: SoftmaxObjective, deletion: Deletion) -> float:
    """Bound, before anything is computed, how far a request moves the gradient, wherever it is taken.

    Parameters
    ----------
    module : torch.nn.Module
        The linear network.
    before, after : SoftmaxObjective
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


def _guarantee(model: Any) -> Guarantee:
    """Certified for linear networks, approximate for others; of a model that is not fitted, what it may be."""
    return "certified" if getattr(model, "certified_", True) else "approximate"


certified_if_linear: Any = property(_guarantee)
