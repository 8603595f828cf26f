"""Linear feature maps: against dense formulas and torch-geometric's layers, and a deletion against starting anew."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.nn import APPNP as APPNPLayer
from torch_geometric.nn import SGConv

from mlunlearn.graph import APPNP, SGC, SIGN
from mlunlearn.graph.linear.hops import Adjacency
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete

MAPS = [
    SGC(2),
    SGC(0),
    SGC(3, normalisation="row"),
    SIGN(2),
    SIGN(1, normalisation="row"),
    APPNP(4, teleport=0.2),
]


def random_graph(seed, n=24, n_edges=40):
    """Draw a graph with isolated nodes now and then."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(n, size=(2, n_edges)), axis=0)
    ends = torch.from_numpy(np.unique(ends[:, ends[0] != ends[1]], axis=1))
    x = torch.from_numpy(rng.standard_normal((n, 3))).float()
    return Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1), y=torch.from_numpy(rng.integers(3, size=n)))


def dense_operator(graph, normalisation):
    """Write P down in full."""
    a = np.eye(graph.n_nodes)
    a[tuple(graph.edge_index.numpy())] = 1
    degrees = a.sum(axis=1)
    if normalisation == "row":
        return a / degrees[:, None]
    return a / np.sqrt(np.outer(degrees, degrees))


def everything(propagated, graph):
    return propagated.features(np.arange(graph.n_nodes))


@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
def test_hops_are_powers_of_the_dense_operator(normalisation):
    graph = read_graph(random_graph(0))
    p, x = dense_operator(graph, normalisation), graph.x.numpy().astype(float)
    found = everything(SIGN(3, normalisation=normalisation).propagate(graph), graph)
    expected = np.concatenate([np.linalg.matrix_power(p, hop) @ x for hop in range(4)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_torch_geometric_s_layers_propagate_alike():
    data = random_graph(1)
    graph = read_graph(data)
    layer = SGConv(3, 3, K=2, bias=False).double()
    layer.lin.weight.data = torch.eye(3, dtype=torch.double)
    with torch.no_grad():
        simple = layer(data.x.double(), data.edge_index).numpy()
        pagerank = APPNPLayer(K=5, alpha=0.3)(data.x.double(), data.edge_index).numpy()
    np.testing.assert_allclose(everything(SGC(2).propagate(graph), graph), simple, rtol=0, atol=1e-7)
    found = everything(APPNP(5, teleport=0.3).propagate(graph), graph)
    np.testing.assert_allclose(found, pagerank, rtol=0, atol=1e-7)


REQUEST = st.tuples(st.sampled_from(["nodes", "edges", "features"]), st.integers(0, 2**31), st.integers(1, 4))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(MAPS), st.integers(0, 2**31), st.lists(REQUEST, min_size=1, max_size=4))
def test_a_deletion_gives_the_bits_of_starting_anew(propagation, seed, requests):
    graph = read_graph(random_graph(seed))
    propagated = propagation.propagate(graph)
    for of, draw, n in requests:
        among = graph.pair_ids if of == "edges" else graph.positions
        if len(among) <= n:
            return
        ids = np.sort(np.random.default_rng(draw).choice(among.numpy(), n, replace=False))
        deletion = delete(graph, of, ids)
        before = everything(propagated, graph)
        propagated, reached = propagated.after(deletion)
        graph = deletion.remaining
        now = everything(propagated, graph)
        assert np.array_equal(now, everything(propagation.propagate(graph), graph))
        kept = deletion.kept.numpy()
        assert np.array_equal(now[~reached[kept]], before[kept][~reached[kept]])
        assert reached[deletion.nodes.numpy()].all()


@pytest.mark.parametrize(("normalisation", "radius"), [("symmetric", 3), ("row", 2)])
def test_a_deletion_reaches_no_farther_than_it_can(normalisation, radius):
    n = 21
    ends = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
    path = Data(x=torch.randn(n, 2), edge_index=torch.cat([ends, ends.flip(0)], dim=1))
    graph = read_graph(path)
    _, reached = SGC(2, normalisation=normalisation).propagate(graph).after(delete(graph, "nodes", np.array([10])))
    assert np.flatnonzero(reached).tolist() == list(range(10 - radius, 11 + radius))


def test_what_was_propagated_before_is_left_alone():
    graph = read_graph(random_graph(3))
    propagated = SIGN(2).propagate(graph)
    before = everything(propagated, graph).copy()
    for of in ("nodes", "edges", "features"):
        propagated.after(delete(graph, of, np.array([1, 4])))
    assert np.array_equal(everything(propagated, graph), before)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(0, 10))
def test_neighbours_after_removals_are_those_of_the_smaller_graph(seed, n):
    graph = read_graph(random_graph(seed))
    dropped = torch.zeros(graph.n_edges, dtype=torch.bool)
    dropped[torch.randperm(graph.n_edges, generator=torch.Generator().manual_seed(seed))[:n]] = True
    found = Adjacency.of(graph).without(graph.pairs[:, dropped].numpy())
    expected = Adjacency.of(graph.without_pairs(dropped))
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)


@pytest.mark.parametrize(
    ("propagation", "message"),
    [
        (SGC(-1), "number of hops"),
        (SGC(1.5), "number of hops"),
        (SGC(1, normalisation="both"), "'symmetric' or 'row'"),
        (APPNP(2, teleport=2), "teleport"),
    ],
)
def test_parameters_out_of_range_are_refused(propagation, message):
    with pytest.raises(ValueError, match=message):
        propagation.propagate(read_graph(random_graph(0)))


def test_the_weights_of_the_hops_sum_to_one():
    assert APPNP(7, teleport=0.15).weights.sum() == pytest.approx(1, abs=1e-15)
