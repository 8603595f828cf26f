"""What a graph must be, and how its edges are counted."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, k_hop_subgraph, to_undirected

from mlunlearn.graph import edge_list
from mlunlearn.graph.reading import read_graph


@st.composite
def graphs(draw):
    """Draw an undirected graph with shuffled, possibly repeated columns."""
    n = draw(st.integers(3, 12))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    pairs = draw(st.lists(pair, min_size=1, max_size=30))
    columns = [*pairs, *[(b, a) for a, b in pairs]]
    order = draw(st.permutations(range(len(columns))))
    return Data(x=torch.eye(n), edge_index=torch.tensor([columns[i] for i in order]).t())


@settings(deadline=None, max_examples=50)
@given(graphs())
def test_the_edge_list_names_every_edge_once(data):
    edges = edge_list(data)
    assert (edges[0] < edges[1]).all()
    assert torch.equal(to_undirected(edges), coalesce(data.edge_index))
    seen = [tuple(c) for c in data.edge_index.t().tolist() if c[0] < c[1]]
    assert [tuple(c) for c in edges.t().tolist()] == list(dict.fromkeys(seen))


@settings(deadline=None, max_examples=50)
@given(graphs(), st.integers(0, 3), st.integers(0, 2))
def test_hops_agree_with_torch_geometric(data, hops, node):
    graph = read_graph(data)
    expected = k_hop_subgraph(node, hops, data.edge_index, num_nodes=data.num_nodes)[0]
    assert torch.equal(graph.within(torch.tensor([node]), hops).nonzero().flatten(), expected.unique())


@settings(deadline=None, max_examples=50)
@given(graphs(), st.sets(st.integers(0, 2), min_size=1))
def test_leaving_out_nodes_is_the_induced_subgraph(data, nodes):
    graph = read_graph(data).without_nodes(torch.tensor(sorted(nodes)))
    kept = torch.ones(data.num_nodes, dtype=torch.bool)
    kept[list(nodes)] = False
    expected = read_graph(data.subgraph(kept))
    for name in ("x", "y", "pairs"):
        assert torch.equal(getattr(graph, name), getattr(expected, name))
    assert torch.equal(graph.positions, kept.nonzero().flatten())


def test_labels_for_testing_are_not_kept(blocks):
    graph = read_graph(blocks)
    for labels, mask in ((graph.y, blocks.train_mask), (graph.held_out_y, blocks.val_mask)):
        assert (labels[~mask] == -1).all()
        assert torch.equal(labels[mask], blocks.y[mask])


def test_inverse_relations_are_added(triples):
    graph = read_graph(triples)
    assert graph.edge_index.shape[1] == 2 * triples.edge_index.shape[1]
    assert graph.edge_type[120:].min() >= 3
    assert torch.equal(graph.edge_type[120:] - 3, triples.edge_type)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [1, 2]], "directed"),
        ([[0, 0, 1], [0, 1, 0]], "self-loops"),
        ([[0, 5], [5, 0]], "outside of 0 to 2"),
        ([0, 1], "shape"),
    ],
)
def test_bad_edges_are_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        edge_list(Data(x=torch.eye(3), edge_index=torch.tensor(edges)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"y": torch.zeros(3)}, "integer label"),
        ({"y": torch.zeros(4, dtype=torch.long)}, "integer label"),
        ({"y": torch.zeros(3, dtype=torch.long), "train_mask": torch.ones(4, dtype=torch.bool)}, "mask"),
        ({"edge_type": torch.zeros(2, dtype=torch.long), "edge_index": torch.tensor([[0, 0], [1, 1]])}, "repeats"),
        ({"x": torch.eye(3).to_sparse()}, "dense"),
    ],
)
def test_bad_data_is_refused(undirected, values, message):
    data = undirected((0, 1), (1, 2), x=torch.eye(3))
    data.update(values)
    with pytest.raises(ValueError, match=message):
        read_graph(data)


def test_a_graph_of_unknown_size_is_refused():
    with pytest.raises(ValueError, match="num_nodes"):
        read_graph(Data(edge_index=torch.tensor([[0, 1], [1, 0]])))
    with pytest.raises(TypeError, match="Data"):
        read_graph([[0, 1]])
