"""Auditing a graph unlearner: against retraining, its noise floor, and mere unlinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from torch_geometric.data import Data

from mlunlearn.audit.verdict import favourable_only_if_found
from mlunlearn.graph.audit.asking import Answers, Part, Questions
from mlunlearn.graph.audit.comparison import Figures, compare, compares_references
from mlunlearn.graph.audit.figures import Figure, area, average, mean_of
from mlunlearn.graph.audit.inversion import EdgeInversion
from mlunlearn.graph.audit.judging import Judge
from mlunlearn.graph.audit.memory import peak_memory
from mlunlearn.graph.audit.naming import ORIGINAL, RETRAIN, UNLINKED, Method, named_unlearners
from mlunlearn.graph.audit.result import COSTS, GraphAudit
from mlunlearn.graph.audit.shadow import ShadowAttack, posterior_features
from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import redraw
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import Of, delete
from mlunlearn.parameters import check_count, check_flag, check_share
from mlunlearn.training.seeds import derive_seeds


def audit_graph(
    original: GraphEstimator,
    data: Data,
    forget_idx: Any = None,
    *,
    methods: Mapping[str, Method] | Sequence[Method],
    of: Of = "nodes",
    classes: Any = None,
    n_references: int = 5,
    attack: bool = False,
    exchangeable: bool | None = None,
    alpha: float = 0.05,
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
    methods : mapping of str to callable, or list of classes
        Each takes the frozen original and returns an unlearner around it, such as ``D2DGN``. In a list, classes and
        functions name themselves.
    of, classes : as for `unlearn`
        The rest of the request.
    n_references : int, default=5
        Models trained from weights of their own without what is forgotten; how far they are from each other is the
        noise floor. A verdict on fewer finds little.
    attack : bool, default=False
        Whether to attack every model, too: see `ShadowAttack`, and `EdgeInversion` where a node classifier forgets
        edges. Each costs one training more.
    exchangeable : bool or None, default=None
        Whether what was forgotten and what is unseen are exchangeable to a model that learned from neither, as where
        nodes or edges were forgotten at random. If not, only the difference between references says what chance is,
        and a verdict takes more of them. None asks the references, as `mlunlearn.audit.audit` does.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable, over all statistics of its verdict together.
    random_state : int, default=0
        Seeds the references, the attacks and the permutations of the verdict.

    Returns
    -------
    GraphAudit
        For every model a verdict, from few statistics declared beforehand (see `mlunlearn.graph.audit.judging`), and
        figures with intervals over nodes, which describe it. **All models are asked the same**: on the graph that is
        left, where forgotten nodes have no edges. The original then answers as ``UtU`` does, which has its weights:
        what counts is what the weights remember. Figures that end in ``_attached`` are of all models on the graph
        before, where messages pass over what was forgotten.

        - ``auc_unseen``: forgotten against never trained on (test edges, or test nodes shown without edges, as
          forgotten nodes are), by the probability of the edge or of the true label. Retraining gives about 0.5; below,
          what was forgotten stands out as suppressed, above, it is still remembered. Absent where a node classifier
          forgets edges or features, for which it has no answer of their own.
        - ``gap_forget``, ``gap_retain``, ``gap_test``: mean distance of probabilities to those of the references:
          absolute difference for edges, total variation for nodes.
        - ``js_forget``: mean Jensen-Shannon distance (base 2, from 0 to 1) of the answers about what is forgotten to
          those of the references.
        - ``fidelity_test``, ``fidelity_forget``, ``fidelity_affected``: share of nodes, or edges, on which the model
          and a reference decide alike, mean over the references; see `GraphAudit.per_node`.
        - ``logit_distance_test``, ``logit_distance_forget``, ``logit_distance_affected``: mean Euclidean distance of
          the logits to those of the references.
        - ``auc_test``, or ``accuracy_test``, ``accuracy_forget`` (forgotten nodes, or the nodes at forgotten edges and
          features), ``accuracy_affected`` (all nodes whose output could change, forgotten ones left out) and
          ``accuracy_near`` (the test nodes among them).
        - ``auc_forget``: retained against forgotten edges. The value of retraining is the aim: above, the model
          over-forgets.
        - ``auc_inversion``: forgotten edges against pairs that never had one, by a link predictor's own probability,
          or, by attack, by an attacker that asks a node classifier. The value of retraining is the aim.
        - ``mi_ratio``, by attack, of link predictors: mean over the forgotten edges of the attacker's probability of
          membership by the original's answers, divided by that after. Above 1, membership became harder to see; the
          value of retraining is the aim.
        - ``auc_attack``, by attack, where a node classifier forgets nodes: forgotten against unseen nodes, all shown
          without edges, by the attacker's probability of membership. Retraining gives about 0.5.
        - ``seconds``: of the request, with all preparation; ``peak_mib``: memory it needed above what was held before,
          see `peak_memory`.

    Raises
    ------
    ValueError
        Before any training: if a setting makes no sense, a method is none, or its name is one of ``Original``,
        ``Retrain``, ``UtU`` and ``Retrain (sd)``, which are always there.

    Notes
    -----
    Cost: `n_references` trainings and the methods' own. Each reference is compared with the other ones, so the rows of
    ``Retrain`` show what a figure is where there is nothing but chance; figures against references need two.

    Fidelity, logit distance, time, peak memory and the inversion of edges are what the benchmark "Is Graph Unlearning
    Ready for Practice?" (ICLR 2026) reports, there against one retrained model; here they stand beside those of
    retrained models with each other. Published code divides, for ``mi_ratio``, by the original's answer on the graph
    before, which takes mere unlinking for forgetting.

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
    check_count("n_references", n_references)
    check_share("alpha", alpha, zero=False, one=False)
    if exchangeable is not None:
        check_flag("exchangeable", exchangeable)
    request = {"forget_idx": forget_idx, "of": of, "classes": classes}
    unlearners = named_unlearners(methods, original)
    served = {name: _serve(model, original, data, request) for name, model in unlearners.items()}
    receipt = served[UNLINKED][0].receipts_[-1]
    deletion = delete(read_graph(data), of, receipt.rows, receipt.classes)
    questions = Questions(data, deletion)
    answers = {ORIGINAL: questions.ask(original.module_)}
    for name, (model, seconds, mib) in served.items():
        answers[name] = questions.ask(model.estimator_.module_, seconds, mib)
    references = []
    for seed in derive_seeds(random_state, n=n_references):
        reference = clone(original).set_params(module=redraw(original.module_, seed), random_state=seed)
        started = perf_counter()
        with peak_memory(original.device) as peak:
            reference.fit_graph(deletion.remaining)
        seconds = perf_counter() - started
        references.append(questions.ask(reference.module_, seconds, peak.mib))
    attackers = _Attackers(original, data, questions, deletion, random_state) if attack else None

    def figures(ours: Answers) -> Figures:
        others = [other for other in references if other is not ours]
        found = {**compare(ours, others), **(attackers.attack(ours, answers[ORIGINAL]) if attackers else {})}
        return {**found, **{name: Figure(getattr(ours, name)) for name in COSTS}}

    of_references = [figures(reference) for reference in references]
    rows = {name: figures(said) for name, said in answers.items()}
    rows = {
        ORIGINAL: rows.pop(ORIGINAL),
        RETRAIN: {name: average([each[name] for each in of_references]) for name in of_references[0]},
        **rows,
    }
    spread = {name: _spread(name, [each[name].estimate for each in of_references]) for name in of_references[0]}
    judge = Judge(references, answers[ORIGINAL], exchangeable, alpha, random_state)
    verdicts = {name: judge.judge(said) for name, said in answers.items()} if n_references > 1 else {}
    verdicts = {name: favourable_only_if_found(verdict, verdicts[ORIGINAL]) for name, verdict in verdicts.items()}
    return GraphAudit(rows, spread, verdicts, answers, references)


def _spread(name: str, of_references: list[float]) -> float:
    """Standard deviation over references; of distances to each other it takes three, since one pair has one."""
    enough = 3 if compares_references(name) else 2
    return float(np.std(of_references, ddof=1)) if len(of_references) >= enough else float("nan")


def _serve(
    model: GraphUnlearnerMixin,
    original: GraphEstimator,
    data: Data,
    request: dict[str, Any],
) -> tuple[GraphUnlearnerMixin, float, float]:
    """Serve the request; time it with all preparation, and measure the memory it needs."""
    model = model.fit(data)
    started = perf_counter()
    with peak_memory(original.device) as peak:
        model.unlearn(**request)
    return model, perf_counter() - started, peak.mib


class _Attackers:
    """The attacks that a request allows, the same on every model."""

    def __init__(self, original: GraphEstimator, data: Data, questions: Questions, deletion: Any, seed: int):
        self._of_edges = not questions.links and deletion.of == "edges"
        self._inversion = EdgeInversion(original, deletion, seed) if self._of_edges else None
        possible = questions.links or deletion.of == "nodes"
        self._shadow = ShadowAttack(original, data, deletion, seed) if possible else None

    def attack(self, ours: Answers, original: Answers) -> Figures:
        """Attack one model."""
        found: Figures = {}
        if self._inversion is not None and ours.everybody is not None:
            found["auc_inversion"] = self._inversion.area(ours.everybody.proba)
        if self._shadow is None:
            return found
        if ours.everybody is None:
            part = ours.parts["forget"]
            before, after = (self._members(said.parts["forget"], posterior=False) for said in (original, ours))
            found["mi_ratio"] = mean_of(before / after, part.places, np.inf)
        else:
            forget, unseen = ours.parts["own_forget"], ours.parts["own_unseen"]
            known = np.isin(unseen.places, self._shadow.unseen.numpy())
            scores = [self._members(part, posterior=True) for part in (forget, unseen)]
            found["auc_attack"] = area(scores[0], scores[1][known], (forget.places, unseen.places[known]))
        return found

    def _members(self, part: Part, *, posterior: bool) -> np.ndarray:
        assert self._shadow is not None
        features = posterior_features(part.proba, part.target) if posterior else part.proba
        return self._shadow.membership(features).numpy()
