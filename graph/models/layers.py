"""The outputs of message-passing layers, read or changed while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.inference import in_parts
from mlunlearn.graph.models.training import device_of, run
from mlunlearn.graph.structure.neighbours import Neighbourhood
from mlunlearn.nets.seeds import seeded


def message_layers(module: nn.Module) -> list[nn.Module]:
    """List the message-passing layers of a network.

    Parameters
    ----------
    module : torch.nn.Module
        A network made of torch-geometric's layers.

    Returns
    -------
    list of torch.nn.Module
        The layers, in the order in which the network names them; layers inside of layers do not count.

    Raises
    ------
    ValueError
        If there is none.
    """
    layers = [part for part in module.modules() if isinstance(part, MessagePassing)]
    inner = {id(part) for layer in layers for part in layer.modules() if part is not layer}
    layers = [layer for layer in layers if id(layer) not in inner]
    if not layers:
        raise ValueError(
            f"{type(module).__name__} has no torch-geometric MessagePassing layer, so there are no layer outputs to "
            "work on."
        )
    return layers


def depth(module: nn.Module) -> int:
    """Count the hops that a message travels in a network.

    Parameters
    ----------
    module : torch.nn.Module
        A network made of torch-geometric's layers, or networks side by side that know their ``depth``.

    Returns
    -------
    int
        Message-passing layers in a row; a layer that propagates ``K`` times counts as many.
    """
    known = getattr(module, "depth", None)
    return known if isinstance(known, int) else sum(int(getattr(layer, "K", 1)) for layer in message_layers(module))


@contextmanager
def edited_layers(module: nn.Module, edit: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Pass the output of every message-passing layer, before its activation, through a function.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was afterwards.
    edit : callable
        Takes the number of the layer, from 0 in the order in which they run, and its output; returns what goes on.
    """
    counter = iter(range(10**9))
    # What was registered last runs first, so that edits inside of edits come in the order in which they were made.
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: edit(next(counter), output), prepend=True)
        for layer in message_layers(module)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def run_layers(module: nn.Module, graph: Graph | Neighbourhood) -> list[Tensor]:
    """Pass messages over a graph and keep what every layer returns.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    graph : Graph or Neighbourhood
        On the module's device.

    Returns
    -------
    list of Tensor, each of shape (n_nodes, d_l)
        Outputs of the message-passing layers before their activations, then the network's own output if it is not
        the last of these.
    """
    outputs: list[Tensor] = []

    def keep(_layer: int, output: Tensor) -> Tensor:
        outputs.append(output)
        return output

    with edited_layers(module, keep):
        result = run(module, graph)
    return outputs if result is outputs[-1] else [*outputs, result]


def evaluate_layers(module: nn.Module, graph: Graph | Neighbourhood) -> list[Tensor]:
    """Keep what every layer returns in evaluation mode, without gradients.

    Parameters
    ----------
    module : torch.nn.Module
        Left in the mode it was in.
    graph : Graph or Neighbourhood
        On the module's device.

    Returns
    -------
    list of Tensor, each of shape (n_nodes, d_l)
        As `run_layers` returns them.
    """
    training = module.training
    with torch.no_grad(), seeded(0, device_of(module)), in_parts(module):
        outputs = run_layers(module.eval(), graph)
    module.train(training)
    return outputs
