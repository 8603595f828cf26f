"""The figures of one model, from what it and the retrained models answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit.metrics.agreement import js_per_sample
from mlunlearn.graph.audit.asking import Answers, Part
from mlunlearn.graph.audit.figures import NOTHING, Figure, area, mean_of

Floats = NDArray[np.float64]
Figures = dict[str, Figure]


def total_variation(ours: Part, theirs: Part) -> Floats:
    """Half the sum of absolute differences of probabilities; of a pair the difference of the edge's probability."""
    return np.abs(ours.proba - theirs.proba).sum(axis=1) / 2


def js_distance(ours: Part, theirs: Part) -> Floats:
    """Square root of the Jensen-Shannon divergence to base 2: from 0, the same, to 1, apart."""
    return np.sqrt(np.clip(js_per_sample(ours.proba, theirs.proba) / np.log(2.0), 0.0, 1.0))


def same_label(ours: Part, theirs: Part) -> Floats:
    """One where two models decide alike, 0 where not."""
    return (ours.labels == theirs.labels).astype(float)


def logit_distance(ours: Part, theirs: Part) -> Floats:
    """Euclidean distance of logits."""
    return np.linalg.norm(ours.logits - theirs.logits, axis=1)


# Name of a figure, how a node or pair is measured, the largest value, and on which parts.
DISTANCES = (
    ("gap", total_variation, 1.0, ("forget", "retain", "test")),
    ("js", js_distance, 1.0, ("forget",)),
    ("fidelity", same_label, 1.0, ("forget", "affected", "test")),
    ("logit_distance", logit_distance, np.inf, ("forget", "affected", "test")),
)


def compares_references(name: str) -> bool:
    """Whether a figure, by its name, is a distance to the references."""
    return name in {f"{figure}_{part}" for figure, _, _, parts in DISTANCES for part in parts}


def compare(ours: Answers, references: Sequence[Answers]) -> Figures:
    """Compute all figures of one model that need no attacker.

    Parameters
    ----------
    ours : Answers
        The model's.
    references : sequence of Answers
        Those of models that never saw what was forgotten; figures that need them are not a number without.

    Returns
    -------
    dict of str to Figure
        By name, see `audit_graph`.
    """
    parts, figures = ours.parts, {}
    links = "test_pos" in parts
    if links:
        figures["auc_unseen"] = _area(parts["forget"], parts["test_pos"])
        figures["auc_unseen_attached"] = _area(parts["forget_attached"], parts["test_pos_attached"])
        figures["auc_forget"] = _area(parts["retain"], parts["forget"])
        figures["auc_inversion"] = _area(parts["forget"], parts["test_neg"])
        figures["auc_test"] = _area(parts["test_pos"], parts["test_neg"])
    else:
        for end in ("", "_attached") if "own_forget" in parts else ():
            figures[f"auc_unseen{end}"] = _area(parts[f"own_forget{end}"], parts[f"own_unseen{end}"])
        for name in ("test", "forget", "affected", "near"):
            right = (parts[name].labels == parts[name].target).astype(float)
            figures[f"accuracy_{name}"] = mean_of(right, parts[name].places)
    for figure, measure, upper, names in DISTANCES:
        for name in names:
            asked = "test_pos" if links and name == "test" else name
            if asked not in parts:
                continue
            each = [measure(parts[asked], other.parts[asked]) for other in references]
            places = parts[asked].places
            figures[f"{figure}_{name}"] = mean_of(np.mean(each, axis=0), places, upper) if each else NOTHING
    return figures


def _area(ones: Part, zeros: Part) -> Figure:
    """Area under the ROC curve by the probability of the truth; of pairs, by that of an edge."""
    pairs = ones.places.ndim == 2
    scores = [part.proba[:, 1] if pairs else part.own for part in (ones, zeros)]
    return area(scores[0], scores[1], (ones.places, zeros.places))
