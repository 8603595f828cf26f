"""What node classifiers and link predictors share, and how unlearners speak to them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.exceptions import DataNotAttachedError
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.layers import depth
from mlunlearn.graph.models.training import device_of, evaluate, make_module, train
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.structure.neighbours import Neighbourhood, neighbourhood
from mlunlearn.graph.structure.sampling import generator
from mlunlearn.networks.loop import adam, cosine
from mlunlearn.parameters import check_count, check_positive
from mlunlearn.training.seeds import root_seed


class GraphEstimator(BaseEstimator, ABC):
    """What node classifiers and link predictors share; unlearners speak to models through this.

    A kind of task says what it learns from (``check_trainable``, ``n_trained``) and by which loss (``loss``).

    Parameters
    ----------
    module : torch.nn.Module or callable
        The network, or a function without arguments that makes one.
    max_epochs : int, default=200
        Passes over the data, each one step by default.
    lr : float, default=0.01
        Adam's learning rate.
    weight_decay : float, default=5e-4
        L2 penalty.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights (where `module` is a function), dropout and negatives.
    device : str, default='cpu'
        Where to compute.
    batch_size : int or None, default=None
        How many labelled nodes or edges to learn from in one step, for graphs too large to learn from at once; None
        takes all.
    n_neighbors : int, sequence of int, or None, default=10
        With `batch_size`: how many neighbours a node hears at most in one step, drawn anew each time; one number for
        every hop, or one for each, from the nodes of the batch outwards. None takes all.
    verbose : int, default=0
        Show a progress bar.
    """

    _data: Graph | None

    def __init__(
        self,
        module: Any,
        *,
        max_epochs: int = 200,
        lr: float = 0.01,
        weight_decay: float = 5e-4,
        random_state: Any = None,
        device: str = "cpu",
        batch_size: int | None = None,
        n_neighbors: int | Sequence[int] | None = 10,
        verbose: int = 0,
    ):
        self.module = module
        self.max_epochs = max_epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device
        self.batch_size = batch_size
        self.n_neighbors = n_neighbors
        self.verbose = verbose

    def fit(self, data: Data) -> Self:
        """Train from the initial weights.

        Parameters
        ----------
        data : torch_geometric.data.Data
            The graph, undirected, with ``train_mask`` where only some labels are for training; or a knowledge graph
            with ``edge_type``, every triple once. Nothing in it is changed.

        Returns
        -------
        self
            The trained model, which refers to the data to answer for its nodes.

        Raises
        ------
        ValueError
            If the graph is not what the model takes.
        """
        return self.fit_graph(read_graph(data))

    def fit_graph(self, graph: Graph) -> Self:
        """Train on a graph that was read already.

        Parameters
        ----------
        graph : Graph
            What to learn from.

        Returns
        -------
        self
            The trained model.
        """
        self.check_settings()
        self.check_trainable(graph)
        seed = root_seed(self.random_state)
        module = make_module(self.module, seed, self.device)
        self._check_hops(module)
        self._learn_classes(module, graph)
        self.train_module(module, graph, seed, max_epochs=self.max_epochs, label="training" if self.verbose else None)
        self.module_ = module.eval()
        self._data = graph
        return self

    def train_module(
        self,
        module: nn.Module,
        graph: Graph,
        seed: int,
        *key: int,
        max_epochs: int,
        lr: float | None = None,
        decay: bool = False,
        label: str | None = None,
    ) -> None:
        """Train a network as this estimator trains.

        Parameters
        ----------
        module : torch.nn.Module
            Changed in place, left in training mode.
        graph : Graph
            What to learn from.
        seed : int
            Seeds dropout and, with the key, batches and negatives.
        *key : int
            What it is trained for, if it is not the model itself.
        max_epochs : int
            Passes over the data.
        lr : float or None, default=None
            Learning rate; None takes this estimator's.
        decay : bool, default=False
            Let it fall to zero along half a cosine.
        label : str or None, default=None
            Show a progress bar of this name.
        """
        if self.batch_size is None:
            placed, n_batches = graph.to(self.device), 1
        else:
            placed, n_batches = graph, -(-self.n_trained(graph) // self.batch_size)
        order = torch.empty(0)

        def loss(step: int) -> Tensor:
            nonlocal order
            epoch, batch = divmod(step, n_batches)
            if self.batch_size is None:
                return self.loss(module, placed, generator(seed, *key, epoch))
            if not batch:
                order = torch.randperm(self.n_trained(graph), generator=generator(seed, *key, epoch))
            chosen = order[batch * self.batch_size :][: self.batch_size]
            return self.loss(module, placed, generator(seed, *key, epoch, batch), chosen)

        train(
            module.train(),
            loss,
            n_steps=max_epochs * n_batches,
            optimizer=adam(self.lr if lr is None else lr, self.weight_decay, fused=False),
            seed=seed,
            schedule=cosine if decay else None,
            label=label,
        )

    def around(
        self, module: nn.Module, graph: Graph, rows: Tensor, rng: torch.Generator, *, complete: bool = False
    ) -> Graph | Neighbourhood:
        """Take as much of a graph as a step needs: all of it, or a sample around some nodes.

        Parameters
        ----------
        module : torch.nn.Module
            Says how far messages come from.
        graph : Graph
            The graph; on the CPU where `batch_size` is set.
        rows : Tensor of int
            The nodes whose outputs are needed.
        rng : torch.Generator
            Draws the neighbours.
        complete : bool, default=False
            Whether to take all neighbours.

        Returns
        -------
        Graph or Neighbourhood
            On the model's device.
        """
        if self.batch_size is None:
            return graph
        return neighbourhood(graph, rows, self._fan_outs(module, complete), rng).to(self.device)

    def _fan_outs(self, module: nn.Module, complete: bool) -> list[int | None]:
        if isinstance(self.n_neighbors, Sequence):
            return [None if complete else n for n in self.n_neighbors]
        return [None if complete else self.n_neighbors] * depth(module)

    def check_settings(self) -> None:
        """Refuse parameters that make no sense.

        Raises
        ------
        ParameterError
            If one is of the wrong type or out of range.
        """
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)
        check_positive("weight_decay", self.weight_decay, zero=True)
        check_count("batch_size", self.batch_size, optional=True)
        for limit in self.n_neighbors if isinstance(self.n_neighbors, Sequence) else (self.n_neighbors,):
            check_count("n_neighbors", limit, optional=True)

    def _check_hops(self, module: nn.Module) -> None:
        n = self.n_neighbors
        if self.batch_size is not None and isinstance(n, Sequence) and len(n) < depth(module):
            raise ValueError(
                f"n_neighbors names {len(n)} hops, but messages of this network come from {depth(module)} hops "
                "away; give one number for each."
            )

    def moved(self, graph: Graph, module: nn.Module | None = None) -> Self:
        """Return the same model on another graph, or with other weights.

        Parameters
        ----------
        graph : Graph
            What it answers for from now on.
        module : torch.nn.Module or None, default=None
            Its network; None keeps this one's.

        Returns
        -------
        GraphEstimator
            A shallow copy; this one is left as it is.
        """
        twin = copy.copy(self)
        twin._data = graph
        twin.module_ = self.module_ if module is None else module.eval()
        return twin

    @abstractmethod
    def check_trainable(self, graph: Graph) -> None:
        """Refuse a graph there is nothing to learn from.

        Parameters
        ----------
        graph : Graph
            The graph.

        Raises
        ------
        ValueError
            If it holds nothing that the loss counts.
        """

    @abstractmethod
    def n_trained(self, graph: Graph) -> int:
        """Count what the loss is a mean over.

        Parameters
        ----------
        graph : Graph
            The graph.

        Returns
        -------
        int
            Labelled nodes, or edges.
        """

    @abstractmethod
    def loss(self, module: nn.Module, graph: Graph, rng: torch.Generator, chosen: Tensor | None = None) -> Tensor:
        """Return the training loss.

        Parameters
        ----------
        module : torch.nn.Module
            The network.
        graph : Graph
            What to learn from, on the module's device if it is used as a whole.
        rng : torch.Generator
            Draws negatives and neighbours.
        chosen : Tensor of int or None, default=None
            Which labelled nodes or edges to learn from, by their order in the graph; None means all.

        Returns
        -------
        Tensor
            One number.
        """

    def _learn_classes(self, module: nn.Module, graph: Graph) -> None:
        self.classes_ = np.arange(2)

    def _outputs(self, data: Data | None) -> tuple[Tensor, Graph]:
        """Run the network, on the remembered graph or on another."""
        check_is_fitted(self, "module_")
        if data is None and self._data is None:
            raise DataNotAttachedError(
                f"This {type(self).__name__} was reloaded without its graph, which is never saved with a model; pass "
                "the graph to ask about as data."
            )
        relations = None if self._data is None else self._data.n_relations or None
        graph = self._data if data is None else read_graph(data, relations)
        assert graph is not None
        return evaluate(self.module_, graph.to(device_of(self.module_))), graph

    def __getstate__(self) -> dict[str, Any]:
        """The graph is never saved."""
        state = super().__getstate__()
        return {**state, "_data": None} if "_data" in state else state


def passes_within(budget: float, max_epochs: int) -> int:
    """Turn a share of a training into passes over the data.

    Parameters
    ----------
    budget : float
        Share of the samples that a training reads.
    max_epochs : int
        Passes of the training.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> from mlunlearn.graph.models.estimators import passes_within
    >>> passes_within(0.15, 200), passes_within(0.15, 2)
    (30, 1)
    """
    return max(round(budget * max_epochs), 1)
