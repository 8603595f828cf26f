"""Answers for a whole large graph, layer by layer and a part of the nodes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, GINConv, GraphConv, RGCNConv, SAGEConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from mlunlearn.graph.graphs import sorted_by
from mlunlearn.graph.structure.neighbours import overridden

_MAX_MESSAGES = 2**21
_ONE_HOP = (GCNConv, GATConv, GATv2Conv, GINConv, GraphConv, RGCNConv, SAGEConv)


@contextmanager
def in_parts(module: nn.Module, max_messages: int | None = None) -> Iterator[None]:
    """Let message-passing layers work on a part of the nodes at a time, each with all its messages.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was afterwards. Layers of kinds whose output at a node may depend on more than what its neighbours
        send compute as ever.
    max_messages : int or None, default=None
        About how many messages to pass at once; None is 2 ** 21. Smaller graphs are not divided.

    Notes
    -----
    The outputs are the same up to rounding; memory grows with the nodes and no longer with the edges. For evaluation:
    gradients would keep all parts in memory.
    """
    layers = [part for part in module.modules() if isinstance(part, _ONE_HOP)]
    limit = _MAX_MESSAGES if max_messages is None else max_messages
    with overridden({layer: _divided(layer, limit) for layer in layers}):
        yield


def _divided(layer: Any, limit: int) -> Callable[..., Tensor]:
    forward = layer.forward

    def run(x: Tensor, edge_index: Tensor, *args: Any, **options: Any) -> Tensor:
        if edge_index.shape[1] <= limit:
            return forward(x, edge_index, *args, **options)
        if not (isinstance(layer, GCNConv) and layer.normalize):
            return _run_parts(forward, x, edge_index, args, options, limit)
        weights = args[0] if args else options.get("edge_weight")
        edge_index, weights = gcn_norm(
            edge_index, weights, len(x), layer.improved, layer.add_self_loops, layer.flow, x.dtype
        )
        layer.normalize = False
        try:
            return _run_parts(forward, x, edge_index, (), {"edge_weight": weights}, limit)
        finally:
            layer.normalize = True

    return run


def _run_parts(
    forward: Callable[..., Tensor], x: Tensor, edge_index: Tensor, args: Any, options: Any, limit: int
) -> Tensor:
    n, n_messages = len(x), edge_index.shape[1]
    starts, order = sorted_by(edge_index[1], n)
    wanted = torch.arange(limit, n_messages, limit, device=starts.device)
    ends = torch.unique(torch.cat([torch.searchsorted(starts, wanted).clamp(1, n), wanted.new_tensor([n])]))
    places = torch.full((n,), -1, device=x.device)
    outputs, first = [], 0
    for last in ends.tolist():
        messages = order[starts[first] : starts[last]]
        pairs = edge_index[:, messages]
        outside = torch.unique(pairs[0][(pairs[0] < first) | (pairs[0] >= last)])
        nodes = torch.cat([torch.arange(first, last, device=x.device), outside])
        places[nodes] = torch.arange(len(nodes), device=x.device)

        def part(value: Any, messages: Tensor = messages) -> Any:
            aligned = isinstance(value, Tensor) and value.ndim and len(value) == n_messages
            return value[messages] if aligned else value

        inner = {name: part(value) for name, value in options.items()}
        outputs.append(forward(x[nodes], places[pairs], *map(part, args), **inner)[: last - first])
        first = last
    return torch.cat(outputs)
