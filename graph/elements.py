"""What a model answers about the forgotten parts of a graph: rows of nodes, or pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from sklearn.base import is_classifier
from torch import Tensor, nn

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import pair_scores
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.neighbours import Neighbourhood


@dataclass(frozen=True, eq=False)
class Elements:
    """The answers in which knowledge of what is forgotten would show.

    Parameters
    ----------
    rows : Tensor of int, shape (n,), or None
        Nodes whose class posteriors count.
    pairs : Tensor of int, shape (2, n), or None
        Pairs of nodes whose scores count.
    types : Tensor of int, shape (n,), or None
        Their relations.
    hidden : bool, default=False
        Whether pairs are scored by the inner product of the last hidden layer, because the model has no output for
        pairs.
    """

    rows: Tensor | None = None
    pairs: Tensor | None = None
    types: Tensor | None = None
    hidden: bool = False

    def __len__(self) -> int:
        return len(self.rows) if self.rows is not None else self.pairs.shape[1] if self.pairs is not None else 0

    def take(self, chosen: Tensor) -> Elements:
        """Return some of the elements.

        Parameters
        ----------
        chosen : Tensor of int, shape (n,)
            Which.

        Returns
        -------
        Elements
            As many.
        """
        if self.rows is not None:
            return replace(self, rows=self.rows[chosen])
        assert self.pairs is not None
        return replace(self, pairs=self.pairs[:, chosen], types=None if self.types is None else self.types[chosen])

    @property
    def nodes(self) -> Tensor:
        """Rows of all nodes that the answers are about."""
        if self.rows is not None:
            return self.rows
        assert self.pairs is not None
        return self.pairs.flatten()

    def within(self, graph: Graph | Neighbourhood) -> Elements:
        """Return the elements by the places their nodes have in a part of the graph.

        Parameters
        ----------
        graph : Graph or Neighbourhood
            The graph, or a part of it with all their nodes.

        Returns
        -------
        Elements
            The same elements.
        """
        if self.rows is not None:
            return replace(self, rows=graph.local(self.rows))
        assert self.pairs is not None
        return replace(self, pairs=graph.local(self.pairs))

    def to(self, device: str) -> Elements:
        """Return the elements with all tensors on a device.

        Parameters
        ----------
        device : str
            Where to.

        Returns
        -------
        Elements
            A copy.
        """
        moved: dict[str, Any] = {name: v.to(device) for name, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def response(self, module: nn.Module, layers: list[Tensor]) -> Tensor:
        """Read a model's answers from the outputs of its layers.

        Parameters
        ----------
        module : torch.nn.Module
            Scores pairs.
        layers : list of Tensor
            What `run_layers` returned.

        Returns
        -------
        Tensor, shape (n, n_outputs) or (n,)
            Logits of nodes, or scores of pairs.
        """
        if self.rows is not None:
            return layers[-1][self.rows]
        assert self.pairs is not None
        if self.hidden:
            z = layers[-2 if len(layers) > 1 else -1]
            return (z[self.pairs[0]] * z[self.pairs[1]]).sum(dim=-1)
        return pair_scores(module, layers[-1], self.pairs, self.types)


def forgotten_elements(estimator: GraphEstimator, deletion: Deletion) -> Elements:
    """Tell what a request is about, in the answers of a model.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        The model.
    deletion : Deletion
        The request.

    Returns
    -------
    Elements
        Node classifiers: the labelled nodes among the forgotten ones or among those whose features are forgotten, or
        the pairs of forgotten edges by hidden layer. Link predictors: the forgotten edges, or those at nodes whose
        features are forgotten.
    """
    if is_classifier(estimator):
        if deletion.of == "edges":
            return Elements(pairs=deletion.pairs, hidden=True)
        rows = torch.cat([deletion.nodes, deletion.features])
        return Elements(rows=rows[deletion.before.labelled[rows]])
    types = deletion.before.pair_types
    return Elements(
        pairs=deletion.before.pairs[:, deletion.touched], types=None if types is None else types[deletion.touched]
    )
