"""What a network returns, its head and its embedding, and what passes through its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mlunlearn.nets.casting import Inputs

_HEADS = (nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def forward(module: nn.Module, X: Inputs) -> Tensor:
    """Run a network, and take its first output.

    Parameters
    ----------
    module : torch.nn.Module
        In the mode it is in.
    X : torch.Tensor or dict of them
        Inputs; those of a dictionary are passed by name.

    Returns
    -------
    torch.Tensor
        What it returns, or the first of several things.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import forward
    >>> forward(torch.nn.Linear(3, 2), torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """
    output = module(**X) if isinstance(X, dict) else module(X)
    return output[0] if isinstance(output, tuple) else output


def device_of(module: nn.Module) -> torch.device:
    """Name the device a module is on.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    torch.device
        That of its first parameter or buffer; the CPU where it has none.
    """
    return next((value.device for values in (module.parameters(), module.buffers()) for value in values), _CPU)


_CPU = torch.device("cpu")


@contextmanager
def recorded(module: nn.Module, layers: Sequence[str], *, inputs: bool = False) -> Iterator[list[Tensor]]:
    """Record what passes through the named layers while the module runs.

    Parameters
    ----------
    module : torch.nn.Module
        Any network.
    layers : sequence of str
        Names of submodules, as in ``module.named_modules()``; one that runs twice is recorded twice.
    inputs : bool, default=False
        Record what a layer is given, not what it returns.

    Yields
    ------
    list of torch.Tensor
        Filled at each forward pass, in the order of execution; of several tensors the first is taken.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks import recorded
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> with recorded(net, ["1"]) as maps:
    ...     _ = net(torch.zeros(2, 3))
    >>> maps[0].shape
    torch.Size([2, 4])
    """
    maps: list[Tensor] = []

    def hook(part: nn.Module, given: Any, output: Any) -> None:
        value = given if inputs else output
        maps.append(value[0] if isinstance(value, tuple) else value)

    handles = [module.get_submodule(name).register_forward_hook(hook) for name in layers]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Head:
    """The part of a network that turns an embedding into its output.

    Parameters
    ----------
    name : str
        Of the submodule.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks import Head
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> Head("2").embed(net, torch.zeros(5, 3)).shape
    torch.Size([5, 4])
    """

    name: str

    def part(self, module: nn.Module) -> nn.Module:
        """Return the head of a network.

        Parameters
        ----------
        module : torch.nn.Module
            Of the architecture that this head was found in.

        Returns
        -------
        torch.nn.Module
            The submodule itself.
        """
        return module.get_submodule(self.name)

    def parameters(self, module: nn.Module) -> list[nn.Parameter]:
        """List the parameters of the head.

        Parameters
        ----------
        module : torch.nn.Module
            The network.

        Returns
        -------
        list of torch.nn.Parameter
            Weights and bias.
        """
        return list(self.part(module).parameters())

    def extractor(self, module: nn.Module) -> list[nn.Parameter]:
        """List the parameters of everything but the head.

        Parameters
        ----------
        module : torch.nn.Module
            The network.

        Returns
        -------
        list of torch.nn.Parameter
            Those that the embedding depends on.
        """
        head = {id(p) for p in self.parameters(module)}
        return [p for p in module.parameters() if id(p) not in head]

    def embed(self, module: nn.Module, X: Inputs) -> Tensor:
        """Return what the head is given.

        Parameters
        ----------
        module : torch.nn.Module
            The network, in the mode it is in.
        X : torch.Tensor of shape (n, ...) or dict of them
            Inputs.

        Returns
        -------
        torch.Tensor of shape (n, ...)
            Embeddings, through which gradients flow.
        """
        with recorded(module, [self.name], inputs=True) as given:
            forward(module, X)
        if len(given) != 1:
            raise ValueError(f"the head {self.name!r} runs {len(given)} times in one pass; name a part that runs once.")
        return given[0]


def find_head(module: nn.Module, X: Inputs, named: str | None = None) -> Head:
    """Find the head of a network: the last linear or convolutional layer that runs, and runs once.

    Parameters
    ----------
    module : torch.nn.Module
        Any network; run once in evaluation mode.
    X : torch.Tensor of shape (n, ...) or dict of them
        A few inputs.
    named : str or None, default=None
        The submodule that the user takes for the head.

    Returns
    -------
    Head
        Says which part it is by its name.

    Raises
    ------
    ValueError
        If there is no part of that name, or nothing that looks like a head.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mlunlearn.networks import find_head
    >>> find_head(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.zeros(1, 3))
    Head(name='2')
    """
    parts = dict(module.named_modules())
    if named is not None:
        if named not in parts:
            raise ValueError(f"head is {named!r}, which is no submodule of {type(module).__name__}.")
        return Head(named)
    candidates = {part: name for name, part in parts.items() if name and isinstance(part, _HEADS)}
    ran: list[str] = []
    handles = [
        part.register_forward_hook(lambda part, given, output: ran.append(candidates[part])) for part in candidates
    ]
    modes = {part: part.training for part in parts.values()}
    try:
        with torch.no_grad():
            module.eval()(**X) if isinstance(X, dict) else module.eval()(X)
    finally:
        for handle in handles:
            handle.remove()
        for part, training in modes.items():
            part.training = training
    if not ran or ran.count(ran[-1]) > 1:
        raise ValueError(
            f"{type(module).__name__} has no linear layer that runs once at its end: name the part that turns the "
            "embedding into the output by head=."
        )
    return Head(ran[-1])
