"""Several networks that answer as one, by their votes, the mean of their posteriors, or a weighted mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from mlunlearn.graph.models.layers import depth
from mlunlearn.graph.models.training import pair_scores


class Ensemble(nn.Module):
    """Networks side by side; what they say is combined into the logarithm of one posterior.

    Parameters
    ----------
    modules : mapping of int to torch.nn.Module
        Networks by the number of their shard.
    votes : bool, default=False
        Whether each counts by its most probable class alone (of equal ones: the first), and not by its posterior.
    """

    def __init__(self, modules: Mapping[int, nn.Module], votes: bool = False):
        super().__init__()
        self.shards = nn.ModuleDict({str(shard): module for shard, module in modules.items()})
        self.votes = votes
        self.register_buffer("weights", torch.full((len(modules),), 1 / len(modules)))

    @property
    def by_shard(self) -> dict[int, nn.Module]:
        """The networks by the number of their shard."""
        return {int(shard): module for shard, module in self.shards.items()}

    @property
    def depth(self) -> int:
        """Hops that a message travels in the deepest of them."""
        return max(depth(module) for module in self.shards.values())

    def outputs(self, *messages: Tensor) -> list[Tensor]:
        """Run every network.

        Parameters
        ----------
        *messages : Tensor
            Features, messages and, in a knowledge graph, relations.

        Returns
        -------
        list of Tensor, each of shape (n_nodes, d)
            One a network.
        """
        return [module(*messages) for module in self.shards.values()]

    def combine(self, posteriors: Tensor) -> Tensor:
        """Combine posteriors.

        Parameters
        ----------
        posteriors : Tensor, shape (n_shards, n, n_classes)
            What the networks say.

        Returns
        -------
        Tensor, shape (n, n_classes)
            Logarithm of their weighted mean; where that is 0, of the smallest number there is.
        """
        if self.votes:
            posteriors = nn.functional.one_hot(posteriors.argmax(dim=2), posteriors.shape[2]).to(posteriors.dtype)
        mean = torch.tensordot(self.get_buffer("weights").to(posteriors.dtype), posteriors, dims=1)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


class NodeEnsemble(Ensemble):
    """Networks that classify nodes."""

    def posteriors(self, *messages: Tensor) -> Tensor:
        """Ask every network about all nodes.

        Parameters
        ----------
        *messages : Tensor
            Features, messages and, in a knowledge graph, relations.

        Returns
        -------
        Tensor, shape (n_shards, n_nodes, n_classes)
            Class posteriors.
        """
        return torch.stack(self.outputs(*messages)).softmax(dim=2)

    def forward(self, *messages: Tensor) -> Tensor:
        """Classify nodes.

        Parameters
        ----------
        *messages : Tensor
            Features, messages and, in a knowledge graph, relations.

        Returns
        -------
        Tensor, shape (n_nodes, n_classes)
            Logarithms of the combined posteriors.
        """
        return self.combine(self.posteriors(*messages))


class PairEnsemble(Ensemble):
    """Networks that embed nodes and score pairs of them."""

    def posteriors(self, z: Tensor, pairs: Tensor, types: Tensor | None = None) -> Tensor:
        """Ask every network about pairs.

        Parameters
        ----------
        z : Tensor, shape (n_nodes, n_shards * d)
            The embeddings of all networks, side by side.
        pairs : Tensor of int, shape (2, n)
            Pairs.
        types : Tensor of int, shape (n,), or None
            Relations.

        Returns
        -------
        Tensor, shape (n_shards, n, 2)
            Probabilities of no edge and of an edge.
        """
        parts = zip(self.shards.values(), z.chunk(len(self.shards), dim=1), strict=True)
        true = torch.stack([pair_scores(module, part, pairs, types) for module, part in parts]).sigmoid()
        return torch.stack([1 - true, true], dim=2)

    def forward(self, *messages: Tensor) -> Tensor:
        """Embed nodes.

        Parameters
        ----------
        *messages : Tensor
            Features, messages and, in a knowledge graph, relations.

        Returns
        -------
        Tensor, shape (n_nodes, n_shards * d)
            The embeddings of all networks, side by side.
        """
        return torch.cat(self.outputs(*messages), dim=1)

    def decode(self, z: Tensor, pairs: Tensor, types: Tensor | None = None) -> Tensor:
        """Score pairs.

        Parameters
        ----------
        z : Tensor, shape (n_nodes, n_shards * d)
            What `forward` returned.
        pairs : Tensor of int, shape (2, n)
            Pairs.
        types : Tensor of int, shape (n,), or None
            Relations.

        Returns
        -------
        Tensor, shape (n,)
            Log odds of the combined probability.
        """
        logs = self.combine(self.posteriors(z, pairs, types))
        return logs[:, 1] - logs[:, 0]


def learn_weights(true: Any) -> np.ndarray:
    """Weigh networks by how probable their mixture finds the true answers.

    Parameters
    ----------
    true : array-like of shape (n, n_shards)
        Probability that each network gives to the true label of each element.

    Returns
    -------
    ndarray of shape (n_shards,)
        Weights ``w`` on the simplex that minimise ``-mean(log(true @ w)) + norm(w)``. The norm, which is smallest for
        equal weights, makes the minimum the only one.

    Notes
    -----
    The optimal aggregation of GraphEraser, arXiv:2103.14991. Published code takes the softmax of log-posteriors a
    second time, which makes another mixture, and reaches the simplex by dividing at the end.

    Examples
    --------
    >>> from mlunlearn.graph.models.ensemble import learn_weights
    >>> w = learn_weights([[0.9, 0.2], [0.8, 0.1]])
    >>> bool(w[0] > w[1] > 0), round(float(w.sum()), 6)
    (True, 1.0)
    """
    true = np.asarray(true, dtype=np.float64)
    k = true.shape[1]

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixture, norm = np.maximum(true @ w, 1e-300), np.linalg.norm(w)
        return float(norm - np.log(mixture).mean()), w / norm - (true / mixture[:, None]).mean(axis=0)

    found = minimize(
        objective,
        np.full(k, 1 / k),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    w = np.maximum(found.x, 0)
    return w / w.sum()
