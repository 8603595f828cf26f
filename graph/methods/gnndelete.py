"""GNNDelete: small learned operators after each layer change what affected nodes send on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from torch import Tensor, nn

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.models.layers import edited_layers, evaluate_layers, message_layers
from mlunlearn.graph.models.training import pair_scores, run, train
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator, sample_non_edges
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_count, check_positive, check_share
from mlunlearn.receipts import Work


class DeletionOperator(nn.Module):
    """A network whose layers' outputs at some nodes go through a matrix each.

    Parameters
    ----------
    module : torch.nn.Module
        The trained network; its weights are frozen.
    affected : list of Tensor of int
        For each layer, ascending positions of the nodes it is applied at.
    outputs : list of Tensor, each of shape (n_nodes, d_l)
        An output of each layer, for its width.

    Notes
    -----
    The matrices start as the identity, where the network answers as before. (Published code starts from a constant
    matrix, where the outputs of all affected nodes collapse onto one line.)

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import DeletionOperator
    >>> module, h = GCN(3, 4, 1), torch.ones(2, 4)
    >>> operator = DeletionOperator(module, [torch.tensor([1])], [h])
    >>> torch.equal(operator.apply_at(0, h, torch.arange(2)), h)
    True
    """

    takes_positions = True

    def __init__(self, module: nn.Module, affected: list[Tensor], outputs: list[Tensor]):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.operators = nn.ParameterList(nn.Parameter(torch.eye(h.shape[1])) for h in outputs)
        for layer, positions in enumerate(affected):
            self.register_buffer(f"affected_{layer}", positions)

    def apply_at(self, layer: int, h: Tensor, positions: Tensor) -> Tensor:
        """Multiply the rows of affected nodes by the layer's matrix.

        Parameters
        ----------
        layer : int
            Which layer, from 0.
        h : Tensor, shape (n_nodes, d)
            Its output.
        positions : Tensor of int, shape (n_nodes,)
            Positions of the nodes.

        Returns
        -------
        Tensor, shape (n_nodes, d)
            Other rows are as they were.
        """
        there = torch.isin(positions, self.get_buffer(f"affected_{layer}"))
        return torch.where(there[:, None], h @ self.operators[layer], h)

    def forward(self, x: Tensor, edge_index: Tensor, *args: Tensor, positions: Tensor) -> Tensor:
        """Pass messages, and apply the operators after each layer.

        Parameters
        ----------
        x : Tensor, shape (n_nodes, ...)
            Features.
        edge_index : Tensor of int, shape (2, n_messages)
            Messages.
        *args : Tensor
            Relations, in a knowledge graph.
        positions : Tensor of int, shape (n_nodes,)
            Positions of the nodes.

        Returns
        -------
        Tensor, shape (n_nodes, n_outputs)
            One row a node.
        """
        inner = {"positions": positions} if getattr(self.module, "takes_positions", False) else {}
        with edited_layers(self.module, lambda layer, h: self.apply_at(layer, h, positions)):
            return self.module(x, edge_index, *args, **inner)

    def decode(self, z: Tensor, pairs: Tensor, types: Tensor | None = None) -> Tensor:
        """Score pairs as the network does.

        Parameters
        ----------
        z : Tensor, shape (n_nodes, d)
            Embeddings.
        pairs : Tensor of int, shape (2, n)
            Pairs.
        types : Tensor of int, shape (n,), or None
            Relations.

        Returns
        -------
        Tensor, shape (n,)
            Scores.
        """
        return pair_scores(self.module, z, pairs, types)


class GNNDelete(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Learn deletion operators: forgotten pairs shall look like random ones, their neighbours as before.

    .. math:: \min_W\ \alpha\, \mathcal{L}_{\text{consistency}}(W) + (1 - \alpha)\, \mathcal{L}_{\text{influence}}(W)

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere. Its network is made
        of torch-geometric's layers.
    alpha : float, default=0.5
        Weight :math:`\alpha` of *deleted edge consistency* against *neighbourhood influence*; 0 leaves the network as
        UtU does.
    max_epochs : int, default=600
        Steps.
    lr : float, default=1e-3
        Adam's learning rate.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator and the random pairs.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model; its network is a `DeletionOperator` around the trained one.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    Notes
    -----
    Guarantee: approximate. The trained weights stay, frozen, in the model. The operators are applied at the nodes
    within ``l`` hops of what is forgotten after layer ``l``, so **the model shows where it was changed**, and costs a
    multiplication by a ``d x d`` matrix at each of these nodes for ever; every request adds its own. It drives
    deleted edges below what a retrained model says of them. Needs: the remaining graph. Cost: `max_epochs` passes.

    Hops follow edges in both directions; all messages, in learning and in answers, go over the remaining graph;
    operators of layer ``l`` learn from the loss of layer ``l`` alone; the last epoch counts. In each of these points
    the published code does otherwise.

    References
    ----------
    "GNNDelete: A General Strategy for Unlearning in Graph Neural Networks", arXiv:2302.13406.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import GNNDelete, LinkPredictor, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> predictor = LinkPredictor(GCN(data.num_features, 8, 2, out_channels=4), max_epochs=5)
    >>> model = GNNDelete(predictor, max_epochs=3, random_state=0).fit(data).unlearn([0, 5], of="edges")
    >>> [tuple(operator.shape) for operator in model.estimator_.module_.operators]
    [(8, 8), (4, 4)]
    """

    guarantee = "approximate"

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 0.5,
        max_epochs: int = 600,
        lr: float = 1e-3,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.max_epochs = max_epochs
        self.lr = lr
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        super()._check_settings()
        check_share("alpha", self.alpha)
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)

    def _unlearn(self, deletion: Deletion) -> Work:
        trained = self._starting_module(deletion)
        graph = deletion.after.to(self.estimator_.device)
        targets = evaluate_layers(trained, graph)[: len(message_layers(trained))]
        affected = [deletion.affected(layer + 1) for layer in range(len(targets))]
        student = DeletionOperator(trained, [deletion.before.positions[there] for there in affected], targets)
        student = student.to(self.estimator_.device).eval()
        loss = self._loss(student, deletion, targets, affected)
        train(
            student,
            loss,
            n_steps=self.max_epochs,
            optimizer=adam(self.lr, fused=False),
            seed=self.seed_,
            parameters=student.operators,
            label="learning operators" if self.verbose else None,
        )
        self.estimator_ = self.estimator_.moved(deletion.remaining, _without_forgotten(student, deletion))
        return self._work(self.max_epochs * self.estimator_.n_trained(deletion.remaining), deletion)

    def _loss(
        self, student: DeletionOperator, deletion: Deletion, targets: list[Tensor], affected: list[Tensor]
    ) -> Callable[[int], Tensor]:
        """Sum the losses of the layers; what goes on to the next layer carries no gradient."""
        graph = deletion.after.to(self.estimator_.device)
        pairs = deletion.before.pairs[:, deletion.touched]
        rng = generator(self.seed_, len(self.receipts_))
        random_pairs = deletion.kept[sample_non_edges(deletion.remaining, pairs.shape[1], rng)]
        neighbours = [there.clone() for there in affected]
        for there in neighbours:
            there[deletion.endpoints] = False

        def loss(epoch: int) -> Tensor:
            total = torch.zeros((), device=graph.x.device)

            def edit(layer: int, h: Tensor) -> Tensor:
                nonlocal total
                edited = student.apply_at(layer, h, graph.positions)
                consistency = _mean_square(edited[pairs] - targets[layer][random_pairs])
                influence = _mean_square((edited - targets[layer])[neighbours[layer]])
                total = total + self.alpha * consistency + (1 - self.alpha) * influence
                return edited.detach()

            with edited_layers(student.module, edit):
                run(student.module, graph)
            return total

        return loss


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().sum() / max(difference.numel(), 1)


def _without_forgotten(student: DeletionOperator, deletion: Deletion) -> DeletionOperator:
    """Take the positions of forgotten nodes out of the operators, those of earlier requests included."""
    gone = deletion.before.positions[deletion.nodes].to(student.get_buffer("affected_0").device)
    for part in student.modules():
        if isinstance(part, DeletionOperator):
            for name, positions in list(part.named_buffers(recurse=False)):
                setattr(part, name, positions[~torch.isin(positions, gone)])
    return student
