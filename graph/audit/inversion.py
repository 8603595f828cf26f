"""An attack on forgotten edges: who asks a node classifier, and knows the edges that are left, guesses the others."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from mlunlearn.graph.audit.figures import Figure, area
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.models.training import device_of, evaluate, redraw
from mlunlearn.graph.requests import Deletion
from mlunlearn.graph.structure.sampling import generator, sample_non_edges
from mlunlearn.training.seeds import derive_seeds

Floats = NDArray[np.float64]


def pair_distances(a: Floats, b: Floats) -> Floats:
    """Distances between the answers about the two ends of pairs.

    Parameters
    ----------
    a, b : ndarray of shape (n, n_classes)
        Class probabilities of the first and of the second ends.

    Returns
    -------
    ndarray of shape (n, 8)
        Cosine, Euclidean, correlation, Chebyshev, Bray-Curtis, Canberra, city block and squared Euclidean distance.
        Where a distance is not defined (the correlation of equal probabilities) it is 0.

    References
    ----------
    "Stealing Links from Graph Neural Networks", arXiv:2005.02131.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import pair_distances
    >>> pair_distances(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])).round(2).tolist()
    [[1.0, 1.41, 2.0, 1.0, 1.0, 2.0, 2.0, 2.0]]
    """
    difference = np.abs(a - b)
    centred = [x - x.mean(axis=1, keepdims=True) for x in (a, b)]
    total = np.abs(a) + np.abs(b)
    squared = (difference**2).sum(axis=1)
    return np.column_stack(
        [
            _angle(a, b),
            np.sqrt(squared),
            _angle(*centred),
            difference.max(axis=1),
            difference.sum(axis=1) / np.abs(a + b).sum(axis=1),
            np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum(axis=1),
            difference.sum(axis=1),
            squared,
        ]
    )


def _angle(a: Floats, b: Floats) -> Floats:
    """One minus the cosine; 0 where a vector is 0."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), lengths, out=np.ones(len(a)), where=lengths > 0)
    return 1.0 - cosine


def trend_features(confidence: Floats, pairs: NDArray[np.intp], order: int = 2) -> NDArray[np.bool_]:
    """Tell nodes that are less certain than their surroundings from those that are more certain.

    Parameters
    ----------
    confidence : ndarray of shape (n_nodes,)
        Largest class probability of each node.
    pairs : ndarray of int, shape (2, n_edges)
        The edges that the attacker knows, each once.
    order : int, default=2
        Number of steps outwards.

    Returns
    -------
    ndarray of bool, shape (n_nodes, 2 * order)
        For every step: whether confidence, averaged once more over neighbours by ``D^-1/2 A D^-1/2``, falls, and
        whether it rises. Nodes without edges keep their own.

    Notes
    -----
    A node at an edge that was taken away is less certain than its surroundings (the confidence pitfall).

    References
    ----------
    "Unlearning Inversion Attacks for Graph Neural Networks", arXiv:2506.00808.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import trend_features
    >>> trend_features(np.array([0.9, 0.5]), np.array([[0], [1]]), order=1).tolist()
    [[True, False], [False, True]]
    """
    ends = np.concatenate([pairs, pairs[::-1]], axis=1)
    degree = np.bincount(ends[0], minlength=len(confidence))
    weight = 1.0 / np.sqrt(degree[ends[0]] * degree[ends[1]])
    step, found = confidence, []
    for _ in range(order):
        spread = np.bincount(ends[0], weight * step[ends[1]], len(confidence))
        after = np.where(degree > 0, spread, step)
        found += [after < step, after > step]
        step = after
    return np.column_stack(found)


class EdgeInversion:
    """Guess forgotten edges from a node classifier's answers, as learned from a shadow of that model.

    Parameters
    ----------
    original : NodeClassifier
        The attacked model: its network, weights drawn anew, and its way of training make the shadow.
    deletion : Deletion
        A request for edges; none of them is in the shadow's graph.
    seed : int
        Seeds the shadow, its forgotten edges, non-edges and the attacker.

    Notes
    -----
    The attacker asks for the class probabilities of all nodes and knows the edges that are left. The shadow is trained
    on the graph that is left, and as many edges as were forgotten are then unlinked from it: the attacker learns to
    tell these from pairs that never had an edge, by `pair_distances`, by both ends' confidence and by their
    `trend_features`, and judges the forgotten edges against other such pairs.

    **Retraining does not give 0.5**: neighbours are alike, so that an edge can be guessed from features of its ends.
    What counts is how much more there is to guess than from a retrained model. Where edges only carry messages, as in
    most node classifiers, the weights hardly remember single edges, and no method is far from retraining.

    The published attack serves the shadow's request by the method under audit, one training more for each method; here
    all models meet one attacker. The attack of the graph benchmark "Is Graph Unlearning Ready for Practice?" (ICLR
    2026) finds *nodes*, by a logistic regression that is scored on the nodes it learned from.

    References
    ----------
    "Unlearning Inversion Attacks for Graph Neural Networks" (TrendAttack), arXiv:2506.00808.

    Examples
    --------
    >>> import numpy as np
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import NodeClassifier, stochastic_block_model
    >>> from mlunlearn.graph.audit import EdgeInversion
    >>> from mlunlearn.graph.reading import read_graph
    >>> from mlunlearn.graph.requests import delete
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> model = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=10).fit(data)
    >>> deletion = delete(read_graph(data), "edges", np.arange(10))
    >>> attack = EdgeInversion(model, deletion, seed=0)
    >>> bool(0 <= attack.area(model.predict_proba(slice(None))).estimate <= 1)
    True
    """

    def __init__(self, original: GraphEstimator, deletion: Deletion, seed: int):
        seeds = derive_seeds(seed, 5, n=4)
        left = deletion.after
        n = min(int(deletion.edges.sum()), left.n_edges // 2)
        unlinked = torch.zeros(left.n_edges, dtype=torch.bool)
        unlinked[torch.randperm(left.n_edges, generator=generator(seeds[1]))[:n]] = True
        shadow = clone(original).set_params(module=redraw(original.module_, seeds[0]), random_state=seeds[0])
        shadow.fit_graph(left)
        known = left.without_pairs(unlinked)
        answers = evaluate(shadow.module_, known.to(device_of(shadow.module_))).softmax(dim=1).cpu().numpy()
        never = sample_non_edges(deletion.before, n + deletion.pairs.shape[1], generator(seeds[2]))
        members, others = left.pairs[:, unlinked], never[:, :n]
        features = [_features(answers.astype(float), known, pairs) for pairs in (members, others)]
        self._attacker = HistGradientBoostingClassifier(
            max_iter=50, max_leaf_nodes=8, early_stopping=False, random_state=seeds[3] % 2**32
        ).fit(np.concatenate(features), np.repeat([1, 0], n))
        self._known, self._asked, self._never = left, deletion.pairs, never[:, n:]

    def area(self, proba: Floats) -> Figure:
        """Attack a model.

        Parameters
        ----------
        proba : ndarray of shape (n_nodes, n_classes)
            Its class probabilities of all nodes of the graph before, asked on the graph that is left.

        Returns
        -------
        Figure
            Area under the ROC curve of forgotten edges against pairs that never had an edge.
        """
        pairs = (self._asked, self._never)
        scores = [self._attacker.decision_function(_features(proba, self._known, part)) for part in pairs]
        return area(scores[0], scores[1], (self._asked.numpy(), self._never.numpy()))


def _features(proba: Floats, known: Graph, pairs: Tensor) -> Floats:
    """What the attacker sees of pairs; the same whichever end comes first."""
    first, second = pairs.numpy()
    confidence = proba.max(axis=1)
    trends = trend_features(confidence, known.pairs.numpy()).astype(float)
    ends = np.stack([confidence[first], confidence[second]])
    return np.column_stack(
        [
            pair_distances(proba[first], proba[second]),
            ends.min(axis=0),
            ends.max(axis=0),
            trends[first] + trends[second],
        ]
    )
