"""How a graph module is made, run and trained: fixed seeds, one thread."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.inference import in_parts
from mlunlearn.graph.structure.neighbours import Neighbourhood, true_degrees
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import reset_parameters
from mlunlearn.networks.loop import MakeOptimizer, MakeSchedule, descend


def make_module(module: Any, seed: int, device: str = "cpu") -> nn.Module:
    """Make the module that training starts from.

    Parameters
    ----------
    module : torch.nn.Module or callable
        An instance is copied, and its weights as passed are the initial weights; a class or factory is called.
    seed : int
        Draws the initial weights where a factory is called.
    device : str, default='cpu'
        Where to put it.

    Returns
    -------
    torch.nn.Module
        Shares nothing with what was passed. Layers that would cache the graph no longer do.

    Raises
    ------
    TypeError
        If `module` is neither.
    """
    if isinstance(module, nn.Module):
        made = copy.deepcopy(module)
    elif callable(module):
        with seeded(seed, device):
            made = module()
    else:
        raise TypeError(f"expected a torch module or a function that makes one, got {type(module).__name__}.")
    return without_caches(made).to(device)


def without_caches(module: nn.Module) -> nn.Module:
    """Switch off layers' caches, which would go on answering from a graph that is gone.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place; ``GCNConv(cached=True)`` and its like keep propagation weights of the first graph they see.

    Returns
    -------
    torch.nn.Module
        The same object.
    """
    for part in module.modules():
        if getattr(part, "cached", False) is True:
            vars(part)["cached"] = False
        for name in [name for name in vars(part) if name.startswith("_cached_")]:
            setattr(part, name, None)
    return module


def redraw(module: nn.Module, seed: int) -> nn.Module:
    """Draw all weights of a copy anew.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it is; see `mlunlearn.networks.reset_parameters`. Parts that are frozen stay as they are.
    seed : int
        The drawn weights depend on the seed and on their shapes, and on nothing that was learned.

    Returns
    -------
    torch.nn.Module
        The copy.

    Raises
    ------
    TypeError
        If a part has weights or buffers of its own and no ``reset_parameters()``: they could hold what was learned.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.models.training import redraw
    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.equal(redraw(layer, seed=0).weight, layer.weight)
    False
    """
    if stale := _buffers_that_stay(module):
        raise TypeError(f"the buffers of {', '.join(stale)} cannot be drawn anew: give the module reset_parameters().")
    return reset_parameters(copy.deepcopy(module), seed)


def _buffers_that_stay(module: nn.Module) -> list[str]:
    """Name the classes of the parts whose buffers no ``reset_parameters()`` resets."""
    if callable(getattr(module, "reset_parameters", None)):
        return []
    own = [type(module).__name__] if any(True for _ in module.buffers(recurse=False)) else []
    return own + [name for part in module.children() for name in _buffers_that_stay(part)]


def device_of(module: nn.Module) -> str:
    """Name the device a module is on."""
    return str(next((parameter.device for parameter in module.parameters()), "cpu"))


def run(module: nn.Module, graph: Graph | Neighbourhood) -> Tensor:
    """Pass messages over a graph.

    Parameters
    ----------
    module : torch.nn.Module
        Called as ``module(x, edge_index)``, and for a knowledge graph as ``module(x, edge_index, edge_type)``; with
        the nodes' ``positions`` besides if it has an attribute ``takes_positions`` that is true.
    graph : Graph or Neighbourhood
        On the module's device.

    Returns
    -------
    Tensor, shape (n_nodes, n_outputs)
        One row a node.
    """
    messages = (graph.edge_index, graph.edge_type) if graph.n_relations else (graph.edge_index,)
    options = {"positions": graph.positions} if getattr(module, "takes_positions", False) else {}
    if isinstance(graph, Graph):
        return module(graph.x, *messages, **options)
    with true_degrees(module, graph):
        return module(graph.x, *messages, **options)


def evaluate(module: nn.Module, graph: Graph | Neighbourhood) -> Tensor:
    """Pass messages over a graph in evaluation mode, without gradients; a large one layer by layer, in parts.

    Parameters
    ----------
    module : torch.nn.Module
        Left in the mode it was in.
    graph : Graph
        On the module's device.

    Returns
    -------
    Tensor, shape (n_nodes, n_outputs)
        One row a node.
    """
    training = module.training
    with torch.no_grad(), seeded(0, device_of(module)), in_parts(module):
        outputs = run(module.eval(), graph)
    module.train(training)
    return outputs


def pair_scores(module: nn.Module, z: Tensor, pairs: Tensor, types: Tensor | None = None) -> Tensor:
    """Score pairs of nodes.

    Parameters
    ----------
    module : torch.nn.Module
        If it has ``decode(z, pairs)`` (``decode(z, pairs, types)`` for a knowledge graph), that is the score; the
        inner product of the two embeddings otherwise.
    z : Tensor, shape (n_nodes, d)
        Embeddings.
    pairs : Tensor of int, shape (2, n)
        Rows of the two nodes.
    types : Tensor of int, shape (n,), or None
        Relations.

    Returns
    -------
    Tensor, shape (n,)
        Scores; their sigmoid is the probability of an edge.
    """
    decode: Any = getattr(module, "decode", None)
    if decode is not None:
        return decode(z, pairs) if types is None else decode(z, pairs, types)
    return (z[pairs[0]] * z[pairs[1]]).sum(dim=-1)


def train(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    *,
    n_steps: int,
    optimizer: MakeOptimizer,
    seed: int,
    schedule: MakeSchedule | None = None,
    parameters: Iterable[nn.Parameter] | None = None,
    label: str | None = None,
) -> None:
    """Take gradient steps on a loss, with dropout drawn from a seed.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place; in training or evaluation mode, as it comes.
    loss : callable
        Takes the number of the step, from 0, and returns the loss.
    n_steps : int
        How many.
    optimizer : callable
        From a list of parameters to an optimiser, see `mlunlearn.networks.loop`.
    seed : int
        Seeds dropout.
    schedule : callable or None, default=None
        From optimiser and number of steps to a scheduler of the learning rate.
    parameters : iterable of torch.nn.Parameter or None, default=None
        What to change; None means every parameter of the module.
    label : str or None, default=None
        Show a progress bar of this name.

    Raises
    ------
    FloatingPointError
        If a loss or a weight stops being finite.
    """
    with seeded(seed, device_of(module)):
        descend(
            module,
            loss,
            range(n_steps),
            optimizer=optimizer,
            n_steps=n_steps,
            schedule=schedule,
            mode=None,
            parameters=parameters,
            label=label,
        )
