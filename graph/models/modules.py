"""The relational network of the published protocol; for one kind of edge, take torch-geometric's own models."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import RGCNConv

_BLOCKS, _MANY_RELATIONS = 4, 20


class _RelationalConv(RGCNConv):
    """The layer of the paper, which multiplies by a relation's weights only where the relation arrives.

    Its parent does so at every node for every relation: the same sums, and many products of zeros.
    """

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        n = len(x)
        arrivals, where = torch.unique(edge_type * n + edge_index[1], return_inverse=True)
        counts = torch.bincount(where, minlength=len(arrivals))
        sums = x.new_zeros(len(arrivals), x.shape[1]).index_add(0, where, x.index_select(0, edge_index[0]))
        sizes = torch.bincount(arrivals // n, minlength=self.num_relations).tolist()
        parts = zip((sums / counts[:, None]).split(sizes), self.weight, strict=True)
        sent = torch.cat([self._times(part, weight) for part, weight in parts])
        out = x @ self.root if self.root is not None else x.new_zeros(n, self.out_channels)
        out = out.index_add(0, arrivals % n, sent)
        return out if self.bias is None else out + self.bias

    def _times(self, h: Tensor, weight: Tensor) -> Tensor:
        if self.num_blocks is None:
            return h @ weight
        blocks = h.view(len(h), self.num_blocks, weight.shape[1])
        return torch.einsum("nbi,bio->nbo", blocks, weight).reshape(len(h), self.out_channels)


class RGCN(nn.Module):
    """A relational graph network with an embedding for every node, and DistMult as decoder.

    Parameters
    ----------
    n_nodes : int
        Nodes of the graph.
    n_relations : int
        Relations, inverses not counted; the layers have a weight for every relation and for every inverse.
    hidden_channels : int, default=128
        Width of node embeddings and of all layers but the last.
    out_channels : int, default=64
        Width of the last layer.
    num_layers : int, default=2
        Message-passing layers.

    Notes
    -----
    With more than 20 relations the weights are block-diagonal, with four blocks. The score of a triple is
    ``sum_k z[u, k] * w[r, k] * z[v, k]``.

    References
    ----------
    "Modeling Relational Data with Graph Convolutional Networks", arXiv:1703.06103. "Embedding Entities and Relations
    for Learning and Inference in Knowledge Bases" (DistMult), arXiv:1412.6575.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph import RGCN
    >>> module = RGCN(n_nodes=3, n_relations=2, hidden_channels=8, out_channels=4)
    >>> z = module(torch.arange(3), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 2]))
    >>> z.shape, module.decode(z, torch.tensor([[0], [2]]), torch.tensor([1])).shape
    (torch.Size([3, 4]), torch.Size([1]))
    """

    def __init__(
        self,
        n_nodes: int,
        n_relations: int,
        hidden_channels: int = 128,
        out_channels: int = 64,
        num_layers: int = 2,
    ):
        super().__init__()
        self.n_relations = n_relations
        self.embedding = nn.Embedding(n_nodes, hidden_channels)
        blocks = _BLOCKS if n_relations > _MANY_RELATIONS else None
        widths = [hidden_channels] * num_layers + [out_channels]
        self.convs = nn.ModuleList(
            _RelationalConv(a, b, 2 * n_relations, num_blocks=blocks) for a, b in pairwise(widths)
        )
        self.relation = nn.Parameter(torch.empty(n_relations, out_channels))
        self.reset_parameters()

    @property
    def layers(self) -> list[Any]:
        """The message-passing layers, first to last."""
        return list(self.convs)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.embedding.reset_parameters()
        for conv in self.layers:
            conv.reset_parameters()
        nn.init.xavier_uniform_(self.relation)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        """Embed the nodes.

        Parameters
        ----------
        x : Tensor of int, shape (n,)
            Which nodes: rows of the embedding.
        edge_index : Tensor of int, shape (2, n_messages)
            Messages, between rows of `x`.
        edge_type : Tensor of int, shape (n_messages,)
            Their relations; that of an inverse is ``n_relations`` higher.

        Returns
        -------
        Tensor, shape (n, out_channels)
            Embeddings.
        """
        h = self.embedding(x)
        *inner, last = self.layers
        for conv in inner:
            h = conv(h, edge_index, edge_type).relu()
        return last(h, edge_index, edge_type)

    def decode(self, z: Tensor, pairs: Tensor, types: Tensor) -> Tensor:
        """Score triples.

        Parameters
        ----------
        z : Tensor, shape (n, out_channels)
            Embeddings.
        pairs : Tensor of int, shape (2, m)
            Rows of heads and tails.
        types : Tensor of int, shape (m,)
            Relations.

        Returns
        -------
        Tensor, shape (m,)
            Scores.
        """
        return (z[pairs[0]] * self.relation[types] * z[pairs[1]]).sum(dim=-1)

    @torch.no_grad()
    def reset_nodes(self, positions: Tensor) -> None:
        """Draw the embeddings of nodes anew: they are those nodes' data.

        Parameters
        ----------
        positions : Tensor of int
            Which nodes.
        """
        self.embedding.weight[positions] = torch.randn_like(self.embedding.weight[positions])

    @torch.no_grad()
    def reset_relations(self, relations: Tensor) -> None:
        """Draw everything that belongs to relations alone anew: message weights of both directions, decoder rows.

        Parameters
        ----------
        relations : Tensor of int
            Which relations.
        """
        fresh = RGCN(
            1, self.n_relations, self.embedding.embedding_dim, self.relation.shape[1], num_layers=len(self.convs)
        ).to(self.relation.device)
        self.relation[relations] = fresh.relation[relations]
        both = torch.cat([relations, relations + self.n_relations])
        for conv, other in zip(self.layers, fresh.layers, strict=True):
            conv.weight[both] = other.weight[both]
