"""GraphEraser: one model for each part of the graph, and only the parts that are touched are trained again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from torch import Tensor, nn

from mlunlearn.exceptions import ForgetRequestError
from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.ensemble import Ensemble, NodeEnsemble, PairEnsemble, learn_weights
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.layers import evaluate_layers
from mlunlearn.graph.models.training import evaluate, run
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.partition import partition_by_embedding, partition_by_labels
from mlunlearn.graph.structure.sampling import generator, negatives_for
from mlunlearn.parameters import check_choice, check_count
from mlunlearn.receipts import Work
from mlunlearn.sharded.allocation import allocate_uniform
from mlunlearn.state import Exactness, Guarantee
from mlunlearn.training.estimators import refuse_frozen
from mlunlearn.training.seeds import derive_seeds, set_seed

_PARTITION, _SHARD, _WEIGHTS = range(3)  # names the draws among those of a fit's root seed
PARTITIONS = ("random", "blpa", "bekm")
AGGREGATIONS = ("mean", "vote", "learned")


class GraphEraser(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Cut the graph into shards, train a model on each, and train again only those that a request touches.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train on each shard; never changed.
    n_shards : int, default=10
        Parts of the graph.
    partition : {'random', 'blpa', 'bekm'}, default='random'
        How nodes are dealt out: at random; by balanced label propagation, which keeps neighbours together; or by
        balanced k-means of the embeddings of a model trained for that purpose.
    aggregation : {'mean', 'vote', 'learned'}, default='mean'
        How the models answer together: by the mean of their posteriors, by majority, or by a mean with weights that
        are learned on the training data.
    random_state : int, RandomState instance or None, default=None
        Seeds the partition and every shard.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model; its network is an ensemble of those of the shards, each asked about the whole graph.
    shard_ : ndarray of int, shape (n_nodes,)
        Shard of each node, by position; -1 for nodes that are in none.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work.details["shards"]`` are those that were trained again.

    See Also
    --------
    Retrain : Exact as well, with one model for the whole graph.
    mlunlearn.SISAClassifier : The same idea for tables.

    Notes
    -----
    Guarantee: exact to the bit with the random partition, which is drawn from the number of nodes and the seed and
    from nothing in the data: after `unlearn`, all weights, those of the aggregation included, are those of
    ``fit(data, exclude=forgotten)``. Approximate with the others: **the partition was computed with what is forgotten
    now, and stays.** Each shard's network is the one trained without it, given the partition; all that is left of it
    is where the remaining nodes stand. (Computed anew, the partition would move most nodes, and so retrain most
    shards.)

    Node classifiers learn, in each shard, from its labelled nodes and the edges among them; link predictors from all
    its nodes. Edges between shards are never learned from, and forgetting them trains nothing. Every model answers
    about the whole remaining graph. Learned weights are learned again after every request. The random partition
    deals out all nodes evenly, so that labelled ones are even up to chance; the others keep every shard below
    ``n / n_shards + 0.005 (n - n / n_shards)``, rounded up. A shard that is empty, or is emptied by requests, has no
    model and no say.

    Cost: the touched shards, each about a share of ``1 / n_shards`` of a full training; accuracy suffers the more, the
    more shards there are, since cut edges carry nothing. Every answer asks all models.

    References
    ----------
    "Graph Unlearning", arXiv:2103.14991.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import GraphEraser, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([30, 30], random_state=0)
    >>> classifier = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20)
    >>> model = GraphEraser(classifier, n_shards=3, random_state=0).fit(data)
    >>> model.unlearn([5]).receipts_[-1].work.details["shards"]
    (2,)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_shards: int = 10,
        partition: Literal["random", "blpa", "bekm"] = "random",
        aggregation: Literal["mean", "vote", "learned"] = "mean",
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.n_shards = n_shards
        self.partition = partition
        self.aggregation = aggregation
        self.random_state = random_state

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """Exact if the partition knows nothing of the data, approximate otherwise."""
        return "exact" if self.partition == "random" else "approximate"

    @property
    def exactness(self) -> Exactness | None:  # type: ignore[override]
        """To the bit, where it is exact."""
        return "bits" if self.partition == "random" else None

    # ------------------------------------------------------- the two hooks

    def _fit(self) -> None:
        self.estimator.check_trainable(self._data)
        if self.n_shards > (n := len(self._in_shards(self._data))):
            raise ValueError(f"n_shards={self.n_shards} cannot be filled with {n} nodes; use fewer shards.")
        self.shard_ = self._partitioned(self._data)
        modules = self._trained_shards(self._data, range(self.n_shards))
        if not modules:
            raise ValueError(f"no shard holds anything to learn from; n_shards={self.n_shards} are too many.")
        self.estimator_ = self._assembled(self._data, modules)

    def _unlearn(self, deletion: Deletion) -> Work:
        touched = self._touched(deletion)
        ensemble: Any = self.estimator_.module_
        kept = {shard: module for shard, module in ensemble.by_shard.items() if shard not in touched}
        trained = self._trained_shards(deletion.remaining, touched)
        if self.partition != "random":
            self.shard_ = self.shard_.copy()
            self.shard_[deletion.before.positions[deletion.nodes]] = -1
        modules = dict(sorted((kept | trained).items()))
        self.estimator_ = self._assembled(deletion.remaining, modules)
        epochs = self.estimator.max_epochs
        sizes = {s: self.estimator.n_trained(self._part(deletion.remaining, s)) for s in modules}
        return Work(
            samples=epochs * sum(sizes[s] for s in trained),
            full=epochs * sum(sizes.values()),
            details={"shards": touched},
        )

    # -------------------------------------------------------------- checks

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("partition", self.partition, PARTITIONS)
        check_choice("aggregation", self.aggregation, AGGREGATIONS)
        check_count("n_shards", self.n_shards)

    def _accept(self, graph: Graph) -> None:
        super()._accept(graph)
        refuse_frozen(self.estimator, type(self).__name__)
        if not graph.has_features:
            raise ValueError(
                "GraphEraser needs features: a network with an embedding for every node learns those of its own shard "
                "alone, and has nothing to say of other nodes. Give data.x, or take Retrain."
            )

    def _check_something_is_left(self, deletion: Deletion) -> None:
        super()._check_something_is_left(deletion)
        shards = (self._part(deletion.remaining, s) for s in range(self.n_shards))
        if not any(self.estimator.n_trained(part) for part in shards):
            raise ForgetRequestError("the request leaves no shard anything to learn from. Delete the model instead.")

    # -------------------------------------------------------------- shards

    def _in_shards(self, graph: Graph) -> Tensor:
        """Rows of the nodes that are in shards: those that something is learned from."""
        everyone = torch.arange(graph.n_nodes)
        return everyone[graph.labelled] if is_classifier(self.estimator) else everyone

    def _partitioned(self, graph: Graph) -> np.ndarray:
        (seed,) = derive_seeds(self.seed_, _PARTITION)
        if self.partition == "random":
            return allocate_uniform(graph.n_nodes_fit, self.n_shards, 1, seed).shard
        members = self._in_shards(graph)
        part = _induced(graph, members)
        if self.partition == "blpa":
            shards = partition_by_labels(part.pairs.numpy(), part.n_nodes, self.n_shards, seed)
        else:
            embedder = set_seed(clone(self.estimator), seed).fit_graph(part)
            layers = evaluate_layers(embedder.module_, part.to(embedder.device))
            embedding = layers[-2 if len(layers) > 1 and is_classifier(self.estimator) else -1]
            shards = partition_by_embedding(embedding.cpu().numpy(), self.n_shards, seed)
        everyone = np.full(graph.n_nodes_fit, -1)
        everyone[part.positions] = shards
        return everyone

    def _part(self, graph: Graph, shard: int) -> Graph:
        """The graph of a shard: its members and the edges among them."""
        members = self._in_shards(graph)
        there = torch.from_numpy(self.shard_[graph.positions[members].numpy()] == shard)
        return _induced(graph, members[there])

    def _touched(self, deletion: Deletion) -> tuple[int, ...]:
        """The shards whose graphs are not what they were."""
        shards = np.unique(self.shard_[deletion.before.positions[deletion.endpoints].numpy()])
        graphs = (deletion.before, deletion.remaining)
        before, after = ([self._part(graph, s).checksum for s in shards] for graph in graphs)
        return tuple(int(s) for s, a, b in zip(shards, before, after, strict=True) if s >= 0 and a != b)

    def _trained_shards(self, graph: Graph, shards: Iterable[int]) -> dict[int, nn.Module]:
        parts = {shard: self._part(graph, shard) for shard in shards}
        full = {shard: part for shard, part in parts.items() if self.estimator.n_trained(part)}
        return {
            shard: set_seed(clone(self.estimator), derive_seeds(self.seed_, _SHARD, shard)[0]).fit_graph(part).module_
            for shard, part in full.items()
        }

    # ----------------------------------------------------------- aggregation

    def _assembled(self, graph: Graph, modules: dict[int, nn.Module]) -> GraphEstimator:
        kind = NodeEnsemble if is_classifier(self.estimator) else PairEnsemble
        ensemble = kind(modules, votes=self.aggregation == "vote").to(self.estimator.device).eval()
        if self.aggregation == "learned":
            weights = learn_weights(self._true_probabilities(graph, ensemble))
            ensemble.get_buffer("weights").copy_(torch.from_numpy(weights))
        whole = set_seed(clone(self.estimator), self.seed_)
        if is_classifier(whole):
            whole.classes_ = np.arange(evaluate(ensemble, graph.to(whole.device)).shape[1])
        else:
            whole.classes_ = np.arange(2)
        return whole.moved(graph, ensemble)

    @torch.no_grad()
    def _true_probabilities(self, graph: Graph, ensemble: Ensemble) -> np.ndarray:
        """What each network says of the true answer about each thing that is learned, shape (n, n_shards)."""
        placed = graph.to(self.estimator.device)
        if isinstance(ensemble, NodeEnsemble):
            messages = (placed.edge_index,) if placed.edge_type is None else (placed.edge_index, placed.edge_type)
            posteriors = ensemble.posteriors(placed.x, *messages)[:, placed.labelled]
            true = posteriors[:, torch.arange(posteriors.shape[1]), placed.y[placed.labelled]]
        else:
            assert isinstance(ensemble, PairEnsemble)
            z = run(ensemble, placed)
            negatives = negatives_for(graph, generator(self.seed_, _WEIGHTS)).to(z.device)
            edges = ensemble.posteriors(z, placed.pairs, placed.pair_types)[..., 1]
            true = torch.cat([edges, ensemble.posteriors(z, negatives, placed.pair_types)[..., 0]], dim=1)
        return true.T.cpu().numpy()


def _induced(graph: Graph, rows: Tensor) -> Graph:
    others = torch.ones(graph.n_nodes, dtype=torch.bool)
    others[rows] = False
    return graph.without_nodes(others.nonzero().flatten())
