"""Auditing graph unlearners: one question to every model, figures with intervals over nodes, attacks and a verdict."""

from mlunlearn.graph.audit.figures import Figure, area, average, mean_of
from mlunlearn.graph.audit.inversion import EdgeInversion, pair_distances, trend_features
from mlunlearn.graph.audit.memory import PeakMemory, peak_memory
from mlunlearn.graph.audit.result import GraphAudit, over_graphs
from mlunlearn.graph.audit.run import audit_graph
from mlunlearn.graph.audit.shadow import ShadowAttack

__all__ = [
    "EdgeInversion",
    "Figure",
    "GraphAudit",
    "PeakMemory",
    "ShadowAttack",
    "area",
    "audit_graph",
    "average",
    "mean_of",
    "over_graphs",
    "pair_distances",
    "peak_memory",
    "trend_features",
]
