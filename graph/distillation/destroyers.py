"""Destroyers: teachers that say what a model shall answer about what it is to forget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mlunlearn.graph.elements import Elements, forgotten_elements
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.layers import evaluate_layers
from mlunlearn.graph.models.training import pair_scores, redraw
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator, sample_non_edges


@dataclass(frozen=True, eq=False)
class Scene:
    """All that teachers may look at: no label of a test node, no message over a forgotten edge.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        How the model was trained.
    deletion : Deletion
        What is forgotten.
    preserver : torch.nn.Module
        The trained network, frozen.
    seed : int
        Seeds whatever a teacher draws.
    """

    estimator: GraphEstimator
    deletion: Deletion
    preserver: nn.Module
    seed: int

    @property
    def sampled(self) -> bool:
        """Whether the model learns from batches, and the graph stays on the CPU."""
        return self.estimator.batch_size is not None

    @cached_property
    def after(self) -> Graph:
        """The graph that messages pass over, on the model's device unless that takes it in parts."""
        return self.deletion.after if self.sampled else self.deletion.after.to(self.estimator.device)

    @cached_property
    def probe(self) -> Graph:
        """The same graph, showing what was forgotten; the same object where that is no difference."""
        return (
            self.after
            if self.deletion.probe is self.deletion.after
            else self.deletion.probe.to(str(self.after.x.device))
        )

    @cached_property
    def elements(self) -> Elements:
        """The answers that count as knowledge of what is forgotten."""
        return forgotten_elements(self.estimator, self.deletion).to(self.estimator.device)

    @cached_property
    def preserved(self) -> list[Tensor]:
        """What the preserver's layers say on the graph after."""
        return self.ask(self.preserver, self.after)

    @cached_property
    def remembered(self) -> Tensor:
        """What the preserver still answers about what is forgotten."""
        limit = self.estimator.batch_size
        if limit is not None and len(torch.unique(self.elements.nodes)) <= limit:
            rng = generator(self.seed)
            near = self.estimator.around(self.preserver, self.probe, self.elements.nodes, rng, complete=True)
            layers = evaluate_layers(self.preserver, near)
            return self.elements.within(near).response(self.preserver, layers)
        layers = self.preserved if self.probe is self.after else self.ask(self.preserver, self.probe)
        return self.elements.response(self.preserver, layers)

    def ask(self, module: nn.Module, graph: Graph) -> list[Tensor]:
        """Return what the layers of a network say on a whole graph.

        Parameters
        ----------
        module : torch.nn.Module
            A teacher.
        graph : Graph
            The graph after, or one like it.

        Returns
        -------
        list of Tensor, each of shape (n_nodes, d_l)
            Outputs of the layers.
        """
        return evaluate_layers(module, graph.to(self.estimator.device))


class Destroyer(Protocol):
    """A teacher of forgetting; `D2DGN` takes any object with these two methods."""

    def response(self, scene: Scene) -> Tensor:
        """Return the logits or scores that the student shall give for ``scene.elements``."""
        ...

    def layers(self, scene: Scene) -> list[Tensor]:
        """Return the layer outputs that the student shall come near to where the request touches the graph."""
        ...


class _Network(ABC):
    """A destroyer that is a network."""

    @abstractmethod
    def network(self, scene: Scene) -> nn.Module:
        """Make it."""

    def layers(self, scene: Scene) -> list[Tensor]:
        return scene.ask(self.network(scene), scene.probe)

    def response(self, scene: Scene) -> Tensor:
        network = self.network(scene)
        return scene.elements.response(network, scene.ask(network, scene.probe))


class Untrained(_Network):
    """The same network with freshly drawn weights: it knows nothing about anything."""

    def network(self, scene: Scene) -> nn.Module:
        """Draw all weights anew, from the seed alone."""
        return redraw(scene.estimator.module_, scene.seed).eval()


class NegativeGraph(_Network):
    """The same network, trained from scratch where every edge is replaced by a pair without one.

    Parameters
    ----------
    max_epochs : int or None, default=None
        Steps; None trains as long as the model was, which costs as much as retraining.
    """

    def __init__(self, max_epochs: int | None = None):
        self.max_epochs = max_epochs

    def network(self, scene: Scene) -> nn.Module:
        """Train on the negative graph."""
        estimator, remaining = scene.estimator, scene.deletion.remaining
        pairs = sample_non_edges(remaining, remaining.n_edges, generator(scene.seed, 0))
        network = redraw(scene.estimator.module_, scene.seed)
        max_epochs = estimator.max_epochs if self.max_epochs is None else self.max_epochs
        estimator.train_module(network, replace(remaining, pairs=pairs), scene.seed, 1, max_epochs=max_epochs)
        return network.eval()


class _Targets:
    """A destroyer without a network: it knows answers, and no embeddings."""

    def layers(self, scene: Scene) -> list[Tensor]:
        raise ValueError(f"{type(self).__name__} has no embeddings to teach; use knowledge='response'.")


class RandomPairs(_Targets):
    """Forgotten pairs shall score as random pairs without an edge do: the target of GNNDelete."""

    def response(self, scene: Scene) -> Tensor:
        """Score as many random pairs by the preserver."""
        elements = scene.elements
        if elements.pairs is None:
            raise ValueError("random pairs say nothing about the classes of nodes; choose another destroyer.")
        drawn = sample_non_edges(scene.deletion.remaining, len(elements), generator(scene.seed))
        pairs = scene.deletion.kept[drawn].to(elements.pairs.device)
        return replace(elements, pairs=pairs).response(scene.preserver, scene.preserved)


class Calibrated(_Targets):
    """What was forgotten shall look like what was never trained on: neither remembered nor suppressed.

    The preserver's scores of forgotten edges are moved as a whole, so that their mean is that of its scores of
    validation edges: memory raises the scores of all that was trained on, and what is left of the differences is
    about the pairs themselves. (Taking over the whole distribution, rank by rank, is farther from retraining.)
    A relation that is forgotten as a whole has its own weights drawn anew before anybody is asked, and what they say
    stays: to move it would be to teach the relation again.
    Forgotten edges of a node classifier are moved to the similarities of one end with other nodes of the class that
    the other end is put in.

    The preserver's answers about forgotten nodes, as odds of their labels, keep their order, and take over the
    distribution of those about validation nodes, which are shown without edges, as the forgotten ones are. A class
    that is forgotten as a whole leaves its probability to the others, in their proportions.
    """

    def response(self, scene: Scene) -> Tensor:
        """Move the preserver's answers."""
        if scene.elements.rows is not None:
            return _calibrated_posteriors(scene)
        if scene.deletion.relations:
            return scene.remembered
        held_out = _hidden_reference(scene) if scene.elements.hidden else _edge_reference(scene)
        return scene.remembered + (held_out.mean() - scene.remembered.mean())


def map_ranks(values: Tensor, reference: Tensor) -> Tensor:
    """Give values the distribution of others, and keep their order.

    Parameters
    ----------
    values : Tensor, shape (n,)
        What to map.
    reference : Tensor, shape (m,)
        Whose distribution to take.

    Returns
    -------
    Tensor, shape (n,)
        The i-th smallest becomes the quantile ``(i + 1/2) / n`` of `reference`.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.distillation.destroyers import map_ranks
    >>> map_ranks(torch.tensor([9.0, 7.0, 8.0]), torch.tensor([0.0, 1.0, 2.0]))
    tensor([1.6667, 0.3333, 1.0000])
    """
    n = len(values)
    if not n:
        return values
    levels = (torch.arange(n, device=values.device) + 0.5) / n
    places = levels * (len(reference) - 1)
    ordered = reference.sort().values
    below, above = ordered[places.floor().long()], ordered[places.ceil().long()]
    mapped = torch.empty_like(values)
    mapped[values.argsort()] = below + (above - below) * places.frac()
    return mapped


def _edge_reference(scene: Scene) -> Tensor:
    """Score held-out edges; for forgotten nodes, which have no edges left, one end is shown without any."""
    graph = scene.after
    if not graph.held_out_pairs.shape[1]:
        raise ValueError(
            "the calibrated destroyer compares with true edges that were never trained on, and data has none: keep "
            "some as data.val_pos_edge_index (split_edges does), or choose another destroyer."
        )
    pairs, z = graph.held_out_pairs, scene.preserved[-1]
    if len(scene.deletion.nodes):
        z = torch.cat([z, scene.ask(scene.preserver, _edgeless(graph))[-1]])
        pairs = torch.stack([pairs[0], pairs[1] + graph.n_nodes])
    with torch.no_grad():
        return pair_scores(scene.preserver, z, pairs, graph.held_out_types)


def _hidden_reference(scene: Scene) -> Tensor:
    """Score each forgotten pair's first node with another node that the preserver puts in the second one's class."""
    elements, rng = scene.elements, generator(scene.seed)
    assert elements.pairs is not None
    classes = scene.preserved[-1].argmax(dim=1).cpu()
    by_class, sizes = classes.argsort(stable=True), classes.bincount()
    first, second = elements.pairs.cpu()
    wanted = classes[second]
    places = (torch.rand(len(wanted), generator=rng) * sizes[wanted]).long()
    others = by_class[(sizes.cumsum(0) - sizes)[wanted] + places]
    pairs = torch.stack([first, others]).to(elements.pairs.device)
    return replace(elements, pairs=pairs).response(scene.preserver, scene.preserved)


def _calibrated_posteriors(scene: Scene) -> Tensor:
    logits, graph = scene.remembered, scene.after
    if scene.deletion.of == "nodes" and scene.deletion.classes:
        gone = torch.tensor(scene.deletion.classes)
        return logits.index_fill(1, gone.to(logits.device), float(logits.min()) - 10)
    held_out = graph.held_out_y >= 0
    if not held_out.any():
        raise ValueError(
            "the calibrated destroyer compares with nodes that were never trained on, and data has none: mark some in "
            "data.val_mask, or choose another destroyer."
        )
    layers = scene.ask(scene.preserver, _edgeless(graph)) if len(scene.deletion.nodes) else scene.preserved
    assert scene.elements.rows is not None
    labels = scene.deletion.before.y.to(logits.device)[scene.elements.rows]
    reference = log_odds(layers[-1][held_out], graph.held_out_y[held_out].to(logits.device))
    return with_log_odds(logits, labels, map_ranks(log_odds(logits, labels), reference))


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log odds of labels.

    Parameters
    ----------
    logits : Tensor, shape (n, n_classes)
        Logits.
    labels : Tensor of int, shape (n,)
        One class a row.

    Returns
    -------
    Tensor, shape (n,)
        Logarithm of the class's probability over that of all others.
    """
    chosen = labels[:, None]
    return logits.gather(1, chosen)[:, 0] - logits.scatter(1, chosen, -torch.inf).logsumexp(dim=1)


def with_log_odds(logits: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    """Move the logits of labels, so that their log odds become what is wanted.

    Parameters
    ----------
    logits : Tensor, shape (n, n_classes)
        Logits; the proportions of the other classes stay.
    labels : Tensor of int, shape (n,)
        One class a row.
    wanted : Tensor, shape (n,)
        Log odds.

    Returns
    -------
    Tensor, shape (n, n_classes)
        New logits.
    """
    chosen = labels[:, None]
    return logits.scatter_add(1, chosen, (wanted - log_odds(logits, labels))[:, None])


def _edgeless(graph: Graph) -> Graph:
    return graph.without_pairs(torch.ones(graph.n_edges, dtype=torch.bool, device=graph.x.device))


DESTROYERS: dict[str, Any] = {
    "calibrated": Calibrated,
    "negative_graph": NegativeGraph,
    "random_pairs": RandomPairs,
    "untrained": Untrained,
}
