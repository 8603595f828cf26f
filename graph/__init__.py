"""Graph unlearning: nodes, edges, features and classes of a graph.

>>> from mlunlearn import graph
>>> graph.__name__
'mlunlearn.graph'
"""

from mlunlearn.graph.audit import GraphAudit, audit_graph
from mlunlearn.graph.certified_gnn import CertifiedGNN
from mlunlearn.graph.ceu import CEU
from mlunlearn.graph.d2dgn import D2DGN
from mlunlearn.graph.data import (
    load_citation_full,
    load_coauthor,
    load_ogb_links,
    load_ogb_nodes,
    load_planetoid,
    load_wordnet18rr,
)
from mlunlearn.graph.descent_to_delete import DescentToDelete
from mlunlearn.graph.eraser import GraphEraser
from mlunlearn.graph.finetune import FineTuneGNN
from mlunlearn.graph.gif import GIF
from mlunlearn.graph.gnndelete import DeletionOperator, GNNDelete
from mlunlearn.graph.gradient_ascent import GradientAscent
from mlunlearn.graph.lazy_push import LazySGC
from mlunlearn.graph.link_predictor import LinkPredictor
from mlunlearn.graph.logistic_gnn import LogisticGNN
from mlunlearn.graph.megu import MEGU
from mlunlearn.graph.modules import RGCN
from mlunlearn.graph.node_classifier import NodeClassifier
from mlunlearn.graph.propagation import APPNP, SGC, SIGN
from mlunlearn.graph.reading import edge_list
from mlunlearn.graph.requests import edges_between, edges_where
from mlunlearn.graph.restart import RestartGNN
from mlunlearn.graph.retrain import Retrain
from mlunlearn.graph.ridge_gnn import RidgeGNN
from mlunlearn.graph.splits import choose_forgotten, deletion_masks, split_edges, split_nodes
from mlunlearn.graph.stress import find_leaks, poison_recovery, replay
from mlunlearn.graph.synthetic import stochastic_block_model
from mlunlearn.graph.utu import UtU

__all__ = [
    "APPNP",
    "CEU",
    "D2DGN",
    "GIF",
    "MEGU",
    "RGCN",
    "SGC",
    "SIGN",
    "CertifiedGNN",
    "DeletionOperator",
    "DescentToDelete",
    "FineTuneGNN",
    "GNNDelete",
    "GradientAscent",
    "GraphAudit",
    "GraphEraser",
    "LazySGC",
    "LinkPredictor",
    "LogisticGNN",
    "NodeClassifier",
    "RestartGNN",
    "Retrain",
    "RidgeGNN",
    "UtU",
    "audit_graph",
    "choose_forgotten",
    "deletion_masks",
    "edge_list",
    "edges_between",
    "edges_where",
    "find_leaks",
    "load_citation_full",
    "load_coauthor",
    "load_ogb_links",
    "load_ogb_nodes",
    "load_planetoid",
    "load_wordnet18rr",
    "poison_recovery",
    "replay",
    "split_edges",
    "split_nodes",
    "stochastic_block_model",
]
