"""D2DGN: distil the network anew from a teacher that preserves and a teacher that destroys."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from torch import Tensor, nn

from mlunlearn.graph.base import GraphUnlearnerMixin, unfrozen
from mlunlearn.graph.distillation.batches import Batches
from mlunlearn.graph.distillation.destroyers import DESTROYERS, Destroyer, Scene
from mlunlearn.graph.distillation.divergences import feature_distance, response_divergence
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.layers import run_layers
from mlunlearn.graph.models.training import pair_scores, train
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator, negatives_for
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_choice, check_count, check_positive, check_share
from mlunlearn.receipts import Work

Knowledge = Literal["response", "feature", "both"]
Loss = Callable[[nn.Module, list[Tensor], list[Tensor], int], tuple[Tensor, Tensor]]


class D2DGN(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Distill to Delete: a student learns what stays from a preserver, and what goes from a destroyer.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere.
    destroyer : {'calibrated', 'untrained', 'negative_graph', 'random_pairs'} or object, default='calibrated'
        Who says what to answer about what is forgotten; see `mlunlearn.graph.distillation.destroyers`, also for one of
        your own.
    knowledge : {'response', 'feature', 'both'}, default='response'
        What is distilled: soft answers by Kullback-Leibler divergence, layer outputs by squared distance.
    alpha : float, default=0.5
        Weight of what is retained against what is forgotten.
    temperature : float, default=1.0
        Softens answers.
    max_epochs : int, default=30
        Passes over what is forgotten, each one step unless the estimator learns in batches.
    lr : float or None, default=None
        Adam's learning rate; None takes that of a node classifier, and a quarter of that of a link predictor.
    forget_share : float, default=0.25
        Where the estimator learns in batches: share of each batch that is to be forgotten; the rest is retained.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator, the destroyer, batches and negatives.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model: the network has the shape, the size and the cost of the trained one.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    See Also
    --------
    UtU : What is left of it without the distillation.
    FineTuneGNN : Training on for as many passes, the control; on Cora better where nodes are forgotten.
    RestartGNN : Training from scratch for as many passes, the other control.

    Notes
    -----
    Guarantee: approximate. The student starts from the trained weights. The loss is ``alpha`` times the divergence
    from the preserver, a frozen copy of the trained network on the remaining graph, plus ``1 - alpha`` times that
    from the destroyer. Retained are the labelled nodes of a node classifier, or the edges of a link predictor with as
    many non-edges, drawn anew in every epoch; forgotten are the nodes or edges of the request. Teachers are asked
    once. The last epoch counts: nothing is selected by a score.

    Needs: the remaining graph and, for the default destroyer, held-out edges or nodes (`val_pos_edge_index` or
    `val_mask`), of which no label is read. Cost: `max_epochs` passes, besides what the destroyer's own training takes.

    Where the estimator has a `batch_size`, every batch holds the same number of forgotten elements, and retained ones
    drawn from all; both terms are means over their own. The preserver is asked about each batch, with the same sample
    of neighbours, the destroyer once. The number of steps then grows with the request and not with the graph; memory
    does with the nodes, not with the edges.

    Where it helps: forgotten edges of a link predictor. On Cora it ranks them as retrained models do, more nearly than
    both controls; its mean distance to retrained models there is that of `FineTuneGNN`.

    Where it does not help: forgotten training nodes and classes of a node classifier. On Cora `FineTuneGNN`, with as
    many passes, answers about them more like retrained models do, and `RestartGNN` about as much or more, though it is
    further off on test nodes: take `FineTuneGNN` there, see ``docs/results.md``. Nor does it help with forgotten edges
    of a node classifier, for which the model has no answer of its own. The similarity of hidden layers is distilled
    instead; on Cora `UtU` is as near to retraining as two retrained models are to each other already, so there is
    nothing to gain.

    The paper's destroyers drive what is forgotten below what a retrained model says of it, which an attacker can see;
    ``'calibrated'`` is not the paper's.

    References
    ----------
    "Distill to Delete: Unlearning in Graph Networks with Knowledge Distillation", arXiv:2309.16173.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import D2DGN, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = D2DGN(NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20), random_state=0)
    >>> str(model.fit(data).unlearn([0, 1, 2]).receipts_[-1])[:23]
    'D2DGN: forgot 3 nodes i'
    """

    guarantee = "approximate"

    def __init__(
        self,
        estimator: Any,
        *,
        destroyer: Any = "calibrated",
        knowledge: Knowledge = "response",
        alpha: float = 0.5,
        temperature: float = 1.0,
        max_epochs: int = 30,
        lr: float | None = None,
        forget_share: float = 0.25,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.destroyer = destroyer
        self.knowledge = knowledge
        self.alpha = alpha
        self.temperature = temperature
        self.max_epochs = max_epochs
        self.lr = lr
        self.forget_share = forget_share
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        super()._check_settings()
        if not hasattr(self.destroyer, "response") or not hasattr(self.destroyer, "layers"):
            check_choice("destroyer", self.destroyer, tuple(DESTROYERS))
        check_choice("knowledge", self.knowledge, ("response", "feature", "both"))
        check_share("alpha", self.alpha)
        check_positive("temperature", self.temperature)
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr, optional=True)
        check_share("forget_share", self.forget_share, zero=False, one=False)

    def _accept(self, graph: Graph) -> None:
        super()._accept(graph)
        if self.knowledge != "response" and unfrozen(self.estimator).batch_size is not None:
            raise ValueError(
                f"knowledge={self.knowledge!r} compares the layers' outputs at all nodes, and the estimator learns in "
                "batches; use knowledge='response', or an estimator with batch_size=None."
            )

    def _unlearn(self, deletion: Deletion) -> Work:
        student = self._starting_module(deletion).eval()
        preserver = copy.deepcopy(student).requires_grad_(False)
        scene = Scene(self.estimator_, deletion, preserver, self._request_seed())
        learn = self._learn_batches if scene.sampled else self._learn_whole
        learned = learn(student, scene)
        self.estimator_ = self.estimator_.moved(deletion.remaining, student)
        return self._work(learned, deletion)

    def _learn_whole(self, student: nn.Module, scene: Scene) -> int:
        """Take one step an epoch, on everything."""
        losses = self._losses(scene)

        def loss(epoch: int) -> Tensor:
            layers = run_layers(student, scene.after)
            shown = layers if scene.probe is scene.after else run_layers(student, scene.probe)
            parts = [part(student, layers, shown, epoch) for part in losses]
            retain, forget = (sum(terms, torch.zeros(())) for terms in zip(*parts, strict=True))
            return self.alpha * retain + (1 - self.alpha) * forget

        self._train(student, loss, self.max_epochs)
        return self.max_epochs * self.estimator_.n_trained(scene.deletion.remaining)

    def _learn_batches(self, student: nn.Module, scene: Scene) -> int:
        """Pass over what is forgotten, in batches filled up with what is retained."""
        batches = Batches(scene, self._destroyer(), self.forget_share)

        def loss(step: int) -> Tensor:
            retain, forget = batches.divergences(student, step, self.temperature)
            return self.alpha * retain + (1 - self.alpha) * forget

        steps = self.max_epochs * batches.per_epoch
        self._train(student, loss, steps)
        return steps * (batches.n_forgotten + batches.n_retained)

    def _train(self, student: nn.Module, loss: Callable[[int], Tensor], n_steps: int) -> None:
        optimizer, label = adam(self._rate(), fused=False), "distilling" if self.verbose else None
        train(student, loss, n_steps=n_steps, optimizer=optimizer, seed=self.seed_, label=label)

    def _rate(self) -> float:
        if self.lr is not None:
            return self.lr
        return self.estimator_.lr if is_classifier(self.estimator_) else self.estimator_.lr / 4

    def _losses(self, scene: Scene) -> list[Loss]:
        destroyer = self._destroyer()
        parts: dict[Knowledge, list[Any]] = {
            "response": [self._response_losses],
            "feature": [self._feature_losses],
            "both": [self._response_losses, self._feature_losses],
        }
        return [part(scene, destroyer) for part in parts[self.knowledge]]

    def _destroyer(self) -> Destroyer:
        if not isinstance(self.destroyer, str):
            return self.destroyer
        return DESTROYERS[self.destroyer]()

    def _response_losses(self, scene: Scene, destroyer: Destroyer) -> Loss:
        """Distil soft answers: of labelled nodes, or of edges and non-edges."""
        elements, after, remaining = scene.elements, scene.after, scene.deletion.remaining
        taught = destroyer.response(scene).detach() if len(elements) else scene.remembered
        kept = scene.deletion.kept.to(after.x.device)

        def divergences(
            student: nn.Module, layers: list[Tensor], shown: list[Tensor], epoch: int
        ) -> tuple[Tensor, Tensor]:
            if is_classifier(scene.estimator):
                mine, preserved = layers[-1][after.labelled], scene.preserved[-1][after.labelled]
            else:
                negatives = negatives_for(remaining, generator(scene.seed, 2, epoch)).to(kept.device)
                pairs = torch.cat([after.pairs, kept[negatives]], dim=1)
                types = None if after.pair_types is None else after.pair_types.repeat(2)
                mine = pair_scores(student, layers[-1], pairs, types)
                with torch.no_grad():
                    preserved = pair_scores(scene.preserver, scene.preserved[-1], pairs, types)
            retain = response_divergence(mine, preserved, self.temperature)
            return retain, response_divergence(elements.response(student, shown), taught, self.temperature)

        return divergences

    def _feature_losses(self, scene: Scene, destroyer: Destroyer) -> Loss:
        """Distil layer outputs: where the request touches the graph, and everywhere else."""
        deletion = scene.deletion
        touched = torch.zeros(deletion.before.n_nodes, dtype=torch.bool, device=scene.after.x.device)
        touched[deletion.nodes if deletion.of == "nodes" else deletion.endpoints] = True
        taught = [h.detach() for h in destroyer.layers(scene)]

        def distances(
            student: nn.Module, layers: list[Tensor], shown: list[Tensor], epoch: int
        ) -> tuple[Tensor, Tensor]:
            retain = feature_distance(layers, scene.preserved, ~touched)
            return retain, feature_distance(shown, taught, touched)

        return distances
