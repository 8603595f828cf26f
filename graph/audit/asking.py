"""What every model is asked, the same of each: on the graph that is left, and on the one before."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.layers import depth
from mlunlearn.graph.models.training import device_of, evaluate, pair_scores
from mlunlearn.graph.requests import Deletion

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """What one model answers about some nodes or pairs.

    Parameters
    ----------
    places : ndarray of int, shape (n,) or (2, n)
        The nodes, or both ends of the pairs.
    logits : ndarray of shape (n, n_classes) or (n, 1)
        As the network puts them out; a pair has one score.
    proba : ndarray of shape (n, n_classes)
        Class probabilities; those of a pair are of no edge and of an edge.
    target : ndarray of int, shape (n,)
        True classes, 1 for an edge.
    """

    places: NDArray[np.intp]
    logits: Floats
    proba: Floats
    target: NDArray[np.intp]

    @property
    def own(self) -> Floats:
        """Probability of the truth."""
        return self.proba[np.arange(len(self.target)), self.target]

    @property
    def labels(self) -> NDArray[np.intp]:
        """What the model decides."""
        return self.proba.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model answers to everything it is asked, and what it cost.

    Parameters
    ----------
    parts : mapping of str to Part
        By the name of who is asked about.
    everybody : Part or None
        All nodes, by a node classifier on the graph that is left.
    seconds : float, default=nan
        What serving the request took, or training.
    peak_mib : float, default=nan
        Memory it needed beyond what was held before.
    members : dict of str to ndarray
        What attackers make of it, by part.
    """

    parts: Mapping[str, Part]
    everybody: Part | None
    seconds: float = float("nan")
    peak_mib: float = float("nan")
    members: dict[str, Floats] = field(default_factory=dict)


class Questions:
    """What all models of an audit are asked.

    Parameters
    ----------
    data : torch_geometric.data.Data
        The graph, with its test nodes or test edges.
    deletion : Deletion
        The request.

    Notes
    -----
    Every model, the original and the retrained ones among them, is asked on the graph that is left, where no message
    passes over what was forgotten: what differs then is in the weights. A forgotten node is shown without edges, and
    so are the test nodes that it is compared with. Parts that end in ``_attached`` are asked of every model on the
    graph before, where messages do pass.
    """

    def __init__(self, data: Data, deletion: Deletion):
        self.links = getattr(data, "test_pos_edge_index", None) is not None
        self._data, self._deletion = data, deletion

    def ask(self, module: nn.Module, seconds: float = float("nan"), peak_mib: float = float("nan")) -> Answers:
        """Ask one model everything.

        Parameters
        ----------
        module : torch.nn.Module
            Its network.
        seconds, peak_mib : float, default=nan
            What it cost.

        Returns
        -------
        Answers
            On the CPU, in double precision.
        """
        if self.links:
            return Answers(self._ask_pairs(module), None, seconds, peak_mib)
        everybody = self._answers(module, self._deletion.after)
        return Answers(self._ask_nodes(module, everybody), everybody, seconds, peak_mib)

    def _ask_pairs(self, module: nn.Module) -> dict[str, Part]:
        data, deletion = self._data, self._deletion
        kept, types = ~deletion.edges, deletion.before.pair_types
        asked: dict[str, tuple[Tensor, Tensor | None]] = {
            "forget": (deletion.pairs, deletion.pair_types),
            "retain": (deletion.before.pairs[:, kept], None if types is None else types[kept]),
        }
        for name in ("test_pos", "test_neg"):
            pairs, relations = data[f"{name}_edge_index"], data[f"{name}_edge_type"] if types is not None else None
            there = ~torch.isin(pairs, deletion.nodes).any(dim=0)
            asked[name] = (pairs[:, there], None if relations is None else relations[there])
        parts = self._scored(module, deletion.after, asked)
        attached = self._scored(module, deletion.before, {name: asked[name] for name in ("forget", "test_pos")})
        return {**parts, **{f"{name}_attached": part for name, part in attached.items()}}

    def _scored(
        self, module: nn.Module, graph: Graph, asked: Mapping[str, tuple[Tensor, Tensor | None]]
    ) -> dict[str, Part]:
        z = evaluate(module, graph.to(device_of(module))).cpu()
        module = copy.deepcopy(module).cpu()
        parts = {}
        for name, (pairs, types) in asked.items():
            with torch.no_grad():
                score = pair_scores(module, z, pairs, types).double()
            p = score.sigmoid()
            truth = np.full(pairs.shape[1], int(name != "test_neg"))
            parts[name] = Part(pairs.numpy(), score[:, None].numpy(), torch.stack([1 - p, p], dim=1).numpy(), truth)
        return parts

    def _ask_nodes(self, module: nn.Module, everybody: Part) -> dict[str, Part]:
        data, deletion = self._data, self._deletion
        test = data.test_mask.clone()
        test[deletion.nodes] = False
        forgotten = deletion.nodes if deletion.of == "nodes" else deletion.endpoints
        affected = deletion.affected(depth(module))
        affected[deletion.nodes] = False
        chosen = {
            "forget": forgotten,
            "retain": deletion.after.labelled,
            "test": test,
            "affected": affected,
            "near": test & affected,
            "elsewhere": test.clone().index_fill_(0, deletion.endpoints, False),
        }
        parts = {name: _taken(everybody, rows) for name, rows in chosen.items()}
        if deletion.of == "nodes":
            edgeless = deletion.after.without_pairs(torch.ones(deletion.after.n_edges, dtype=torch.bool))
            for end, graph in (("", edgeless), ("_attached", deletion.before)):
                answers = self._answers(module, graph)
                parts[f"own_forget{end}"] = _taken(answers, forgotten)
                parts[f"own_unseen{end}"] = _taken(answers, test)
        return parts

    def _answers(self, module: nn.Module, graph: Graph) -> Part:
        logits = evaluate(module, graph.to(device_of(module))).cpu().double()
        nodes = np.arange(graph.n_nodes)
        return Part(nodes, logits.numpy(), logits.softmax(dim=1).numpy(), self._data.y.numpy())


def _taken(part: Part, rows: Tensor) -> Part:
    chosen = rows.nonzero().flatten().numpy() if rows.dtype == torch.bool else rows.numpy()
    return Part(part.places[chosen], part.logits[chosen], part.proba[chosen], part.target[chosen])
