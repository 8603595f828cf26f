"""Graph unlearning: nodes, edges, features and classes of a graph.

>>> from mlunlearn import graph
>>> graph.__name__
'mlunlearn.graph'
"""

from mlunlearn.graph.audit import GraphAudit, audit_graph
from mlunlearn.graph.audit.stress import find_leaks, poison_recovery, replay
from mlunlearn.graph.datasets.loaders import (
    load_citation_full,
    load_coauthor,
    load_ogb_links,
    load_ogb_nodes,
    load_planetoid,
    load_wordnet18rr,
)
from mlunlearn.graph.datasets.splits import choose_forgotten, deletion_masks, split_edges, split_nodes
from mlunlearn.graph.datasets.synthetic import stochastic_block_model
from mlunlearn.graph.linear.certified_gnn import CertifiedGNN
from mlunlearn.graph.linear.lazy_push import LazySGC
from mlunlearn.graph.linear.logistic_gnn import LogisticGNN
from mlunlearn.graph.linear.propagation import APPNP, SGC, SIGN
from mlunlearn.graph.linear.ridge_gnn import RidgeGNN
from mlunlearn.graph.methods.ceu import CEU
from mlunlearn.graph.methods.d2dgn import D2DGN
from mlunlearn.graph.methods.descent_to_delete import DescentToDelete
from mlunlearn.graph.methods.eraser import GraphEraser
from mlunlearn.graph.methods.finetune import FineTuneGNN
from mlunlearn.graph.methods.gif import GIF
from mlunlearn.graph.methods.gnndelete import DeletionOperator, GNNDelete
from mlunlearn.graph.methods.gradient_ascent import GradientAscent
from mlunlearn.graph.methods.megu import MEGU
from mlunlearn.graph.methods.restart import RestartGNN
from mlunlearn.graph.methods.retrain import Retrain
from mlunlearn.graph.methods.utu import UtU
from mlunlearn.graph.models.link_predictor import LinkPredictor
from mlunlearn.graph.models.modules import RGCN
from mlunlearn.graph.models.node_classifier import NodeClassifier
from mlunlearn.graph.reading import edge_list
from mlunlearn.graph.requests import edges_between, edges_where

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
