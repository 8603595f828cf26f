"""Neighbourhoods: the part of a large graph that the answers for a few nodes need, whole or sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from mlunlearn.graph.graphs import Graph


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Nodes that were asked for, and those whose messages reach them.

    Parameters
    ----------
    places : Tensor of int, shape (n_rows,)
        Where each row of the graph is in here; -1 for those that are not.
    positions, x : Tensor, shape (n_nodes,) and (n_nodes, ...)
        Positions and features of the nodes in here, as in the graph.
    edge_index : Tensor of int, shape (2, n_messages)
        Messages, between places in here.
    edge_type : Tensor of int, shape (n_messages,), or None
        Their relations.
    n_relations : int
        As in the graph.
    degrees : Tensor of int, shape (n_nodes,)
        How many messages each node receives in the graph.
    scale : Tensor of float, shape (n_messages,)
        How many messages of the graph each one stands for: over all samples, sums of scaled messages are right on
        average.
    """

    places: Tensor
    positions: Tensor
    x: Tensor
    edge_index: Tensor
    edge_type: Tensor | None
    n_relations: int
    degrees: Tensor
    scale: Tensor

    def local(self, rows: Tensor) -> Tensor:
        """Find rows of the graph in here.

        Parameters
        ----------
        rows : Tensor of int
            Rows that were asked for, in any shape.

        Returns
        -------
        Tensor of int
            Their places, in the same shape.
        """
        return self.places[rows.to(self.places.device)]

    def to(self, device: str) -> Neighbourhood:
        """Return it with all tensors on a device.

        Parameters
        ----------
        device : str
            Where to.

        Returns
        -------
        Neighbourhood
            This one, if it is there already.
        """
        if self.x.device == torch.device(device):
            return self
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)


def neighbourhood(graph: Graph, rows: Tensor, n_neighbors: Sequence[int | None], rng: torch.Generator) -> Neighbourhood:
    """Collect what some nodes' answers need, following messages backwards.

    Parameters
    ----------
    graph : Graph
        On the CPU.
    rows : Tensor of int
        The nodes asked for.
    n_neighbors : sequence of int or None
        For each hop, from the nodes asked for outwards, how many messages a node receives at most; which ones is
        drawn uniformly without replacement. None takes all.
    rng : torch.Generator
        Source of randomness.

    Returns
    -------
    Neighbourhood
        Nodes met again at a later hop keep the messages of their first one.

    Notes
    -----
    Time grows with the degrees of the nodes met, memory with the number of nodes of the graph (one number for each)
    and with what is collected.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> from mlunlearn.graph.structure.neighbours import neighbourhood
    >>> from mlunlearn.graph.reading import read_graph
    >>> path = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    >>> graph = read_graph(Data(x=torch.eye(4), edge_index=path))
    >>> around = neighbourhood(graph, torch.tensor([0]), [None, None], torch.Generator())
    >>> around.positions.tolist(), around.edge_index.tolist(), around.degrees.tolist()
    ([0, 1, 2], [[1, 0, 2], [0, 1, 1]], [1, 2, 2])
    """
    starts, order = graph.arrivals
    places = torch.full((graph.n_nodes,), -1)
    known = frontier = torch.unique(rows)
    places[known] = torch.arange(len(known))
    drawn, scales = [order[:0]], [torch.empty(0)]
    for limit in n_neighbors:
        slots, scale = _receive(starts, frontier, limit, rng)
        drawn.append(order[slots])
        scales.append(scale)
        (source, _), _ = graph.messages(drawn[-1])
        frontier = torch.unique(source[places[source] < 0])
        places[frontier] = len(known) + torch.arange(len(frontier))
        known = torch.cat([known, frontier])
    edge_index, edge_type = graph.messages(torch.cat(drawn))
    return Neighbourhood(
        places=places,
        positions=graph.positions[known],
        x=graph.x[known],
        edge_index=places[edge_index],
        edge_type=edge_type,
        n_relations=graph.n_relations,
        degrees=starts[known + 1] - starts[known],
        scale=torch.cat(scales),
    )


def _receive(starts: Tensor, rows: Tensor, limit: int | None, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw some of the messages that nodes receive: their places in the sorted list, and what each stands for."""
    counts = starts[rows + 1] - starts[rows]
    owner = torch.repeat_interleave(counts)
    rank = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
    slots = starts[rows][owner] + rank
    if limit is None or not len(counts) or counts.max() <= limit:
        return slots, torch.ones(len(slots))
    shuffled = (owner + torch.rand(len(owner), generator=rng, dtype=torch.float64)).argsort()
    drawn = rank < limit
    scale = (counts / counts.clamp(max=limit).clamp(min=1))[owner[drawn]]
    return slots[shuffled[drawn]], scale.float()


@contextmanager
def overridden(forwards: dict[nn.Module, Callable[..., Tensor]]) -> Iterator[None]:
    """Let layers compute otherwise for a while.

    Parameters
    ----------
    forwards : dict of torch.nn.Module to callable
        What each layer's ``forward`` is meanwhile.
    """
    before = {layer: vars(layer)["forward"] for layer in forwards if "forward" in vars(layer)}
    for layer, forward in forwards.items():
        vars(layer)["forward"] = forward
    try:
        yield
    finally:
        for layer in forwards:
            del vars(layer)["forward"]
        for layer, forward in before.items():
            vars(layer)["forward"] = forward


@contextmanager
def true_degrees(module: nn.Module, around: Neighbourhood) -> Iterator[None]:
    """Let the GCN layers of a network weigh messages as in the whole graph, whatever was left out.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was afterwards. Other layers take the neighbourhood for the graph: their means over neighbours are
        right on average, their sums are too small where messages were left out.
    around : Neighbourhood
        What it runs on.
    """
    layers = [part for part in module.modules() if isinstance(part, GCNConv) and part.normalize]
    with overridden({layer: _weighing(layer, *gcn_weights(layer, around)) for layer in layers}):
        yield


def _weighing(layer: GCNConv, edge_index: Tensor, weights: Tensor) -> Callable[..., Tensor]:
    forward = layer.forward

    def weigh(x: Tensor, *_: Any, **__: Any) -> Tensor:
        layer.normalize = False
        try:
            return forward(x, edge_index, edge_weight=weights)
        finally:
            layer.normalize = True

    return weigh


def gcn_weights(layer: GCNConv, around: Neighbourhood) -> tuple[Tensor, Tensor]:
    """Normalise messages as a GCN layer does, by the degrees in the whole graph.

    Parameters
    ----------
    layer : torch_geometric.nn.GCNConv
        Says whether nodes hear themselves. (Its ``improved`` changes nothing where messages have no weights.)
    around : Neighbourhood
        The messages.

    Returns
    -------
    edge_index : Tensor of int, shape (2, n)
        Messages, and those of nodes to themselves.
    weights : Tensor of float, shape (n,)
        Their weights.
    """
    loop = float(layer.add_self_loops)
    root = (around.degrees + loop).pow(-0.5)
    root = root.masked_fill(root.isinf(), 0.0)
    source, target = around.edge_index
    weights = root[source] * around.scale * root[target]
    if not layer.add_self_loops:
        return around.edge_index, weights
    nodes = torch.arange(len(root), device=root.device)
    return torch.cat([around.edge_index, nodes.expand(2, -1)], dim=1), torch.cat([weights, root.square()])
