"""Small graphs whose answers are known, and the unlearners that keep the contract."""

import copy
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

from mlunlearn.graph import RGCN, LinkPredictor, NodeClassifier, split_edges, stochastic_block_model


def undirected(*pairs, n_nodes=None, **values):
    """Make a graph from pairs, stored in both directions."""
    ends = torch.tensor(pairs).t()
    return Data(edge_index=torch.cat([ends, ends.flip(0)], dim=1), num_nodes=n_nodes, **values)


@pytest.fixture(name="undirected")
def _undirected():
    return undirected


@pytest.fixture(name="same_state")
def _same_state():
    def same(a, b):
        a, b = a.estimator_.module_.state_dict(), b.estimator_.module_.state_dict()
        return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

    return same


@pytest.fixture(scope="session")
def blocks():
    """Three blocks of 20 nodes."""
    return stochastic_block_model([20, 20, 20], n_features=6, random_state=0)


@pytest.fixture(scope="session")
def links():
    """Two blocks of 40 nodes, edges split."""
    data = stochastic_block_model([40, 40], n_features=6, degree_in=8.0, random_state=0)
    return split_edges(data, val=0.1, test=0.1, random_state=0)


@pytest.fixture(scope="session")
def triples():
    """A knowledge graph of 30 nodes and 3 relations."""
    rng = torch.Generator().manual_seed(0)
    keys = torch.randperm(30 * 3 * 30, generator=rng)[:150]
    edges, relations = torch.stack([keys // 90, keys % 30]), keys // 30 % 3
    return Data(
        edge_index=edges[:, :120],
        edge_type=relations[:120],
        val_pos_edge_index=edges[:, 120:],
        val_pos_edge_type=relations[120:],
        num_nodes=30,
    )


def node_classifier(data, **options):
    """Make a small node classifier that draws its weights from the seed."""
    make = partial(GCN, data.num_features, 8, 2, out_channels=3, dropout=options.pop("dropout", 0.5))
    return NodeClassifier(make, **{"max_epochs": 15, **options})


def link_predictor(data, **options):
    """Make a small link predictor that draws its weights from the seed."""
    make = partial(GCN, data.num_features, 16, 2, out_channels=8)
    return LinkPredictor(make, **{"max_epochs": 15, **options})


def relational(**options):
    """Make a small link predictor for the knowledge graph."""
    return LinkPredictor(partial(RGCN, 30, 3, 8, 4), **{"max_epochs": 5, **options})


@pytest.fixture(name="node_classifier")
def _node_classifier():
    return node_classifier


@pytest.fixture(name="link_predictor")
def _link_predictor():
    return link_predictor


@pytest.fixture(name="relational")
def _relational():
    return relational


@pytest.fixture(scope="session")
def data_root():
    """Folder of real data sets."""
    root = os.environ.get("MLUNLEARN_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("MLUNLEARN_DATA names no folder")
    return Path(root)


@pytest.fixture(scope="session")
def cora(data_root, tmp_path_factory):
    """Planetoid Cora."""
    if not (data_root / "planetoid" / "Cora").is_dir():
        pytest.skip("no Cora under MLUNLEARN_DATA")
    from mlunlearn.graph import load_planetoid

    return load_planetoid("Cora", root=data_root, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def untouched():
    """Check that a graph is left as it was."""

    class Untouched:
        def __init__(self, data):
            self.data, self.before = data, copy.deepcopy(data)

        def check(self):
            assert self.data.keys() == self.before.keys()
            after, before = self.data.to_dict(), self.before.to_dict()
            assert all(torch.equal(after[name], before[name]) for name in after if torch.is_tensor(after[name]))

    return Untouched
