"""Auditing a graph unlearner: against retraining, its noise floor, and mere unlinking."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import jensenshannon
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.graph.attack import ShadowAttack, edge_features, node_features
from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.estimators import GraphEstimator
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.layers import depth
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import Deletion, Of, delete
from mlunlearn.graph.training import device_of, evaluate, pair_scores, redraw
from mlunlearn.graph.utu import UtU
from mlunlearn.seeds import derive_seeds

Values = dict[str, float]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What one network answers, as probabilities on the CPU, by the name of who is asked about."""

    parts: Mapping[str, Tensor]
    seconds: float


@dataclass(frozen=True, eq=False)
class GraphAudit:
    """The figures of an audit.

    Parameters
    ----------
    rows : dict of str to dict of str to float
        Figures by model: ``Original``, ``Retrain`` (mean over the references), ``UtU`` and the audited ones.
    spread : dict of str to float
        Standard deviation of each figure over the references.

    Examples
    --------
    >>> from mlunlearn.graph.audit import GraphAudit
    >>> GraphAudit({"UtU": {"auc_unseen": 0.6}}, {"auc_unseen": 0.01}).to_frame().loc["UtU", "auc_unseen"]
    np.float64(0.6)
    """

    rows: Mapping[str, Values]
    spread: Values

    def to_frame(self) -> pd.DataFrame:
        """Return the figures as a table, one row a model, with the references' spread as the last row.

        Returns
        -------
        pandas.DataFrame
            Columns are described at `audit_graph`.
        """
        return pd.DataFrame([*self.rows.values(), self.spread], index=[*self.rows, "Retrain (sd)"])


def audit_graph(
    original: GraphEstimator,
    data: Data,
    forget_idx: Any = None,
    *,
    methods: Mapping[str, Callable[[FrozenEstimator], GraphUnlearnerMixin]],
    of: Of = "nodes",
    classes: Any = None,
    n_references: int = 3,
    attack: bool = False,
    random_state: int = 0,
) -> GraphAudit:
    """Serve one request by several methods, and compare each with retraining.

    Parameters
    ----------
    original : NodeClassifier or LinkPredictor
        The model, fitted on `data`.
    data : torch_geometric.data.Data
        The graph; ``test_mask`` and labels for a node classifier, ``test_pos_edge_index`` and
        ``test_neg_edge_index`` for a link predictor.
    forget_idx : as for `unlearn`
        The request.
    methods : mapping of str to callable
        Each takes the frozen original and returns an unlearner around it, such as ``D2DGN``.
    of, classes : as for `unlearn`
        The rest of the request.
    n_references : int, default=3
        Models trained from weights of their own without what is forgotten; how far they are from each other is the
        noise floor.
    attack : bool, default=False
        Whether to attack every model, too; see `mlunlearn.graph.attack.ShadowAttack`. Costs one training more.
    random_state : int, default=0
        Seeds the references and the attack.

    Returns
    -------
    GraphAudit
        Figures of every model, all on the remaining graph (``Original``: on the graph before).

        - ``auc_unseen``: forgotten against never trained on (test edges, or test nodes shown without edges, as
          forgotten nodes are), by the probability of the edge or of the true label. Retraining gives about 0.5; below,
          what was forgotten stands out as suppressed, above, it is still remembered. Absent where a node classifier
          forgets edges or features, for which it has no answer of their own.
        - ``gap_forget``, ``gap_retain``, ``gap_test``: mean distance of probabilities to those of the references.
        - ``js_forget``: mean Jensen-Shannon distance (base 2, from 0 to 1) of the answers about what is forgotten to
          those of the references.
        - ``auc_test``, or ``accuracy_test``, ``accuracy_forget`` (forgotten nodes, or the nodes at forgotten edges and
          features), ``accuracy_affected`` (all nodes whose output could change, forgotten ones left out) and
          ``accuracy_near`` (the test nodes among them).
        - ``auc_forget``: retained against forgotten edges. The value of retraining is the aim: above, the model
          over-forgets.
        - ``auc_unseen_attached``: forgotten nodes shown with the edges they had, against test nodes.
        - ``mi_ratio``, by attack, of link predictors: mean over the forgotten edges of the attacker's probability of
          membership before (the original on the graph before) divided by that after. Above 1, membership became
          harder to see; the value of retraining is the aim.
        - ``auc_attack``, by attack, where a node classifier forgets nodes: forgotten against unseen nodes, all shown
          without edges, by the attacker's probability of membership. Retraining gives about 0.5.
        - ``seconds``: of the request, with all preparation.

    Notes
    -----
    Cost: `n_references` trainings and the methods' own. Each reference is compared with the other ones, so the rows of
    ``Retrain`` show what a figure is where there is nothing but chance; figures against references need two.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import D2DGN, NodeClassifier, audit_graph, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=10).fit(data)
    >>> result = audit_graph(model, data, [3, 5, 8], methods={"D2DGN": D2DGN}, n_references=2)
    >>> list(result.to_frame().index)
    ['Original', 'Retrain', 'UtU', 'D2DGN', 'Retrain (sd)']
    """
    request = {"forget_idx": forget_idx, "of": of, "classes": classes}
    served = {name: _serve(method, original, data, request) for name, method in {"UtU": UtU, **methods}.items()}
    receipt = served["UtU"][0].receipts_[-1]
    deletion = delete(read_graph(data), of, receipt.rows, receipt.classes)
    attacker = ShadowAttack(original, data, deletion, random_state) if attack else None
    asked = partial(_ask, data, deletion, attacker)
    references = []
    for seed in derive_seeds(random_state, n=n_references):
        reference = clone(original).set_params(module=redraw(original.module_, seed), random_state=seed)
        started = perf_counter()
        reference.fit_graph(deletion.remaining)
        seconds = perf_counter() - started
        references.append(asked(reference.module_, deletion.after, seconds))
    first = asked(original.module_, deletion.before, 0.0)
    rows = {"Original": _figures(first, references, attacker, first)}
    own = [_figures(a, [b for b in references if b is not a], attacker, first) for a in references]
    rows["Retrain"] = {name: float(np.mean([values[name] for values in own])) for name in own[0]}
    for name, (model, seconds) in served.items():
        rows[name] = _figures(asked(model.estimator_.module_, deletion.after, seconds), references, attacker, first)
    return GraphAudit(rows, {name: float(np.std([values[name] for values in own])) for name in own[0]})


def _serve(
    method: Callable[[FrozenEstimator], GraphUnlearnerMixin],
    original: GraphEstimator,
    data: Data,
    request: dict[str, Any],
) -> tuple[GraphUnlearnerMixin, float]:
    """Serve the request, and time it with all preparation."""
    model = method(FrozenEstimator(original)).fit(data)
    started = perf_counter()
    model.unlearn(**request)
    return model, perf_counter() - started


def _ask(
    data: Data, deletion: Deletion, attacker: ShadowAttack | None, module: nn.Module, graph: Graph, seconds: float
) -> Outputs:
    """Ask a network all that the figures need."""
    if getattr(data, "test_pos_edge_index", None) is not None:
        return Outputs(_ask_pairs(module, data, deletion, graph), seconds)
    parts = _ask_nodes(module, data, deletion, graph)
    if attacker is not None and deletion.of == "nodes":
        for name, rows in (("forget", deletion.nodes), ("unseen", attacker.unseen)):
            parts[f"member_{name}"] = attacker.membership(node_features(module, deletion.after, data, rows))
    return Outputs(parts, seconds)


def _ask_pairs(module: nn.Module, data: Data, deletion: Deletion, graph: Graph) -> dict[str, Tensor]:
    device = device_of(module)
    z = evaluate(module, graph.to(device)).cpu()
    module = copy.deepcopy(module).cpu()
    kept = ~deletion.edges
    types = deletion.before.pair_types
    asked: dict[str, tuple[Tensor, Tensor | None]] = {
        "forget": (deletion.pairs, deletion.pair_types),
        "retain": (deletion.before.pairs[:, kept], None if types is None else types[kept]),
    }
    for name in ("test_pos", "test_neg"):
        pairs, relations = data[f"{name}_edge_index"], data[f"{name}_edge_type"] if types is not None else None
        there = ~torch.isin(pairs, deletion.nodes).any(dim=0)
        asked[name] = (pairs[:, there], None if relations is None else relations[there])
    with torch.no_grad():
        return {name: pair_scores(module, z, *pairs).sigmoid() for name, pairs in asked.items()}


def _ask_nodes(module: nn.Module, data: Data, deletion: Deletion, graph: Graph) -> dict[str, Tensor]:
    def posteriors(graph: Graph) -> Tensor:
        return evaluate(module, graph.to(device_of(module))).softmax(dim=1).cpu()

    answers = posteriors(graph)
    test = data.test_mask.clone()
    test[deletion.nodes] = False
    rows = deletion.nodes if deletion.of == "nodes" else deletion.endpoints
    affected = deletion.affected(depth(module))
    affected[deletion.nodes] = False
    near = test & affected
    parts = {"forget": answers[rows], "retain": answers[deletion.after.labelled], "test": answers[test]}
    for name, chosen in {"forget": rows, "test": test, "affected": affected, "near": near}.items():
        parts[f"right_{name}"] = (answers[chosen].argmax(dim=1) == data.y[chosen]).float()
    if deletion.of == "nodes":
        edgeless = deletion.after.without_pairs(torch.ones(deletion.after.n_edges, dtype=torch.bool))
        attached = posteriors(deletion.before)
        parts["own_forget"] = answers[rows].gather(1, data.y[rows, None])[:, 0]
        parts["own_unseen"] = posteriors(edgeless)[test].gather(1, data.y[test, None])[:, 0]
        parts["own_forget_attached"] = attached[rows].gather(1, data.y[rows, None])[:, 0]
        parts["own_unseen_attached"] = attached[test].gather(1, data.y[test, None])[:, 0]
    return parts


def _figures(ours: Outputs, references: list[Outputs], attacker: ShadowAttack | None, original: Outputs) -> Values:
    links = "test_pos" in ours.parts
    parts = ours.parts
    figures: Values = {}
    if links:
        figures["auc_unseen"] = auc(parts["forget"], parts["test_pos"])
        figures["auc_forget"] = auc(parts["retain"], parts["forget"])
        figures["auc_test"] = auc(parts["test_pos"], parts["test_neg"])
    else:
        for end in ("", "_attached") if "own_forget" in parts else ():
            figures[f"auc_unseen{end}"] = auc(parts[f"own_forget{end}"], parts[f"own_unseen{end}"])
        for name in ("test", "forget", "affected", "near"):
            figures[f"accuracy_{name}"] = float(parts[f"right_{name}"].mean())
    for name in ("forget", "retain", "test_pos" if links else "test"):
        gaps = [mean_gap(parts[name], other.parts[name]) for other in references]
        figures[f"gap_{name.removesuffix('_pos')}"] = float(np.mean(gaps)) if gaps else float("nan")
    distances = [mean_distance(parts["forget"], other.parts["forget"]) for other in references]
    figures["js_forget"] = float(np.mean(distances)) if distances else float("nan")
    if attacker is not None and links:
        before, after = (attacker.membership(edge_features(o.parts["forget"])) for o in (original, ours))
        figures["mi_ratio"] = float((before / after).mean())
    if "member_forget" in parts:
        figures["auc_attack"] = auc(parts["member_forget"], parts["member_unseen"])
    return {**figures, "seconds": ours.seconds}


def auc(ones: Tensor, zeros: Tensor) -> float:
    """Return the area under the ROC curve of two samples.

    Parameters
    ----------
    ones, zeros : Tensor, shape (n,) and (m,)
        Scores of those that should be high and of those that should be low.

    Returns
    -------
    float
        Probability that a one is above a zero; not a number if a sample is empty.
    """
    if not len(ones) or not len(zeros):
        return float("nan")
    return float(roc_auc_score(np.repeat([1, 0], [len(ones), len(zeros)]), torch.cat([ones, zeros]).numpy()))


def mean_gap(a: Tensor, b: Tensor) -> float:
    """Return the mean distance of probabilities.

    Parameters
    ----------
    a, b : Tensor, shape (n,) or (n, n_classes)
        Probabilities of an edge, or class posteriors.

    Returns
    -------
    float
        Mean absolute difference, or mean total variation distance.
    """
    difference = (a - b).abs()
    return float((difference if difference.ndim == 1 else difference.sum(dim=1) / 2).mean())


def mean_distance(a: Tensor, b: Tensor) -> float:
    """Return the mean Jensen-Shannon distance of answers.

    Parameters
    ----------
    a, b : Tensor, shape (n,) or (n, n_classes)
        Probabilities of an edge, which stand for two outcomes, or class posteriors.

    Returns
    -------
    float
        Mean of the square roots of the divergences, to base 2: from 0, the same, to 1, apart.
    """
    p, q = (edge_features(part) if part.ndim == 1 else part.numpy() for part in (a, b))
    return float(np.nan_to_num(jensenshannon(p.astype(float), q.astype(float), base=2, axis=1)).mean())
