"""Batches for distillation on large graphs: a fixed number of forgotten elements, filled up with retained ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import Tensor, nn

from mlunlearn.graph.distillation.destroyers import Destroyer, Scene
from mlunlearn.graph.distillation.divergences import response_divergence
from mlunlearn.graph.elements import Elements
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.layers import evaluate_layers, run_layers
from mlunlearn.graph.structure.sampling import generator, negatives_for
from mlunlearn.training.seeds import derive_seeds

_RETAINED, _NEGATIVES, _AROUND, _FORGOTTEN = 2, 3, 4, 5


class Batches:
    """What a student learns from in each step.

    Parameters
    ----------
    scene : Scene
        The request; its estimator says how large a batch is.
    destroyer : Destroyer
        Asked once what to answer about everything that is forgotten.
    share : float
        Of each batch that is forgotten elements.

    Attributes
    ----------
    n_forgotten, n_retained : int
        Elements in each batch, the same in all: the smaller of their share and of all there are.
    per_epoch : int
        Batches until every forgotten element was in one; 0 if there is none.
    """

    def __init__(self, scene: Scene, destroyer: Destroyer, share: float):
        self.scene = scene
        self.total = len(scene.elements)
        self.taught = destroyer.response(scene).detach() if self.total else torch.empty(0)
        size = scene.estimator.batch_size
        assert size is not None
        self.n_forgotten = min(max(round(share * size), 1), self.total)
        self.kept = scene.deletion.remaining
        self.n_retained = min(max(size - self.n_forgotten, 1), scene.estimator.n_trained(self.kept))
        self.per_epoch = -(-self.total // max(self.n_forgotten, 1))

    def forgotten(self, step: int) -> Tensor:
        """Choose the forgotten elements of a step.

        Parameters
        ----------
        step : int
            Which step.

        Returns
        -------
        Tensor of int, shape (n_forgotten,)
            All different; those of an epoch together are all there are, some of them twice.
        """
        epoch, batch = divmod(step, self.per_epoch)
        order = torch.randperm(self.total, generator=generator(self.scene.seed, _FORGOTTEN, epoch))
        return order[(batch * self.n_forgotten + torch.arange(self.n_forgotten)) % self.total]

    def retained(self, step: int) -> Elements:
        """Choose the retained elements of a step: labelled nodes, or edges and as many non-edges.

        Parameters
        ----------
        step : int
            Which step.

        Returns
        -------
        Elements
            By their rows in the graph before.
        """
        scene, graph = self.scene, self.kept
        rng = np.random.default_rng(derive_seeds(scene.seed, _RETAINED, step)[0])
        n = scene.estimator.n_trained(graph)
        chosen = torch.from_numpy(rng.choice(n, self.n_retained, replace=False, shuffle=False))
        if is_classifier(scene.estimator):
            return Elements(rows=scene.deletion.kept[graph.labelled_rows[chosen]])
        pairs, types = graph.chosen_pairs(chosen)
        negatives = negatives_for(graph, generator(scene.seed, _NEGATIVES, step), chosen)
        types = None if types is None else types.repeat(2)
        return Elements(pairs=scene.deletion.kept[torch.cat([pairs, negatives], dim=1)], types=types)

    def divergences(self, student: nn.Module, step: int, temperature: float) -> tuple[Tensor, Tensor]:
        """Compare the student with its teachers on one batch.

        Parameters
        ----------
        student : torch.nn.Module
            In evaluation mode.
        step : int
            Which step.
        temperature : float
            Softens answers.

        Returns
        -------
        retain, forget : Tensor
            Mean divergence from the preserver over the retained elements, and from the destroyer over the forgotten
            ones.
        """
        scene, retained, chosen = self.scene, self.retained(step), self.forgotten(step)
        forgotten = scene.elements.take(chosen)
        together = scene.probe is scene.after
        nodes = torch.cat([retained.nodes, forgotten.nodes]) if together else retained.nodes
        near, answers = self._run(student, scene.after, nodes, step)
        preserved = evaluate_layers(scene.preserver, near)
        mine = retained.within(near)
        retain = response_divergence(
            mine.response(student, answers), mine.response(scene.preserver, preserved).detach(), temperature
        )
        if not together:
            near, answers = self._run(student, scene.probe, forgotten.nodes, step)
        shown = forgotten.within(near).response(student, answers)
        return retain, response_divergence(shown, self.taught[chosen], temperature)

    def _run(self, student: nn.Module, graph: Graph, nodes: Tensor, step: int) -> tuple[Any, list[Tensor]]:
        rng = generator(self.scene.seed, _AROUND, step)
        near = self.scene.estimator.around(student, graph, nodes, rng)
        return near, run_layers(student, near)
