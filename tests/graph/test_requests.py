"""Requests: the forms they take, and what they leave."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from mlunlearn import ForgetRequestError, UnknownIdError
from mlunlearn.graph import UtU, edge_list, edges_between, edges_where, stochastic_block_model
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete, resolve_edges

SMALL = stochastic_block_model([8, 8], n_features=3, degree_in=3.0, random_state=1)


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(0, edge_list(SMALL).shape[1] - 1), min_size=1), st.randoms())
def test_pairs_in_any_order_and_direction_name_the_same_edges(asked, random):
    graph = read_graph(SMALL)
    asked = sorted(asked)
    order = random.sample(asked, len(asked))
    pairs = edge_list(SMALL)[:, order].clone()
    flipped = torch.tensor([random.random() < 0.5 for _ in order])
    pairs[:, flipped] = pairs.flip(0)[:, flipped]
    assert resolve_edges(pairs, graph.n_edges, graph).tolist() == asked
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    assert resolve_edges(both, graph.n_edges, graph).tolist() == asked


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(0, 15), min_size=1, max_size=10))
def test_deleting_nodes_takes_all_their_edges_and_nothing_else(nodes):
    graph = read_graph(SMALL)
    deletion = delete(graph, "nodes", np.array(sorted(nodes)))
    touched = [bool(set(pair) & nodes) for pair in graph.pairs.t().tolist()]
    assert deletion.edges.tolist() == touched
    assert set(deletion.endpoints.tolist()) == nodes | set(graph.pairs[:, deletion.edges].flatten().tolist())
    assert deletion.remaining.n_nodes == 16 - len(nodes)
    assert not torch.isin(deletion.after.pairs, torch.tensor(sorted(nodes))).any()
    assert (deletion.after.y[deletion.nodes] == -1).all()
    assert torch.equal(deletion.kept, deletion.remaining.positions)


def test_affected_nodes_are_reached_whichever_way_an_edge_was_stored(undirected):
    path = undirected((3, 2), (2, 1), (1, 0), x=torch.eye(4))
    deletion = delete(read_graph(path), "edges", resolve_edges([[3], [2]], 3, read_graph(path)))
    assert [int(deletion.affected(hops).sum()) for hops in range(3)] == [2, 3, 4]


def test_features_are_blank_after_and_shown_by_the_probe():
    deletion = delete(read_graph(SMALL), "features", np.array([2]))
    assert deletion.after.x[2].abs().sum() == 0
    assert torch.equal(deletion.probe.x, SMALL.x)
    assert deletion.remaining.n_edges == read_graph(SMALL).n_edges


def test_a_relation_takes_all_its_triples_in_both_directions(triples, relational):
    model = UtU(relational(), random_state=0).fit(triples).unlearn(classes=[1], of="edges")
    assert model.receipts_[-1].rows.tolist() == (triples.edge_type == 1).nonzero().flatten().tolist()
    assert not {1, 4} & set(model._data.edge_type.tolist())
    again = model.unlearn(classes=[1], of="edges").receipts_[-1]
    assert len(again.rows) == 0


def test_triples_name_one_relation_only(triples, relational):
    model = UtU(relational(), random_state=0).fit(triples)
    asked = torch.stack([triples.edge_index[0], triples.edge_type, triples.edge_index[1]])[:, [7, 3]]
    assert model.unlearn(asked, of="edges").receipts_[-1].rows.tolist() == [3, 7]


def test_a_label_pair_is_a_class_of_edges(blocks):
    found = edges_between(blocks, 2, 0)
    ends = blocks.y[edge_list(blocks)]
    expected = (ends.sort(dim=0).values == torch.tensor([[0], [2]])).all(dim=0)
    assert found.tolist() == expected.nonzero().flatten().tolist()
    assert edges_where(blocks, lambda u, v: (blocks.y[u] == 0) & (blocks.y[v] == 2)).tolist() == found.tolist()


BAD_NODES = [
    ([-1], {}, "negative"),
    ([60], {}, "out of range"),
    ([1, 1], {}, "more than once"),
    ([0.5], {}, "dtype"),
    ([], {}, "empty"),
    (np.ones(5, dtype=bool), {}, "mask of shape"),
    ([0], {"classes": [1]}, "exactly one"),
    (None, {}, "exactly one"),
    ([0], {"of": "nodez"}, "not among"),
    (slice(None), {}, "no node is left"),
    (None, {"classes": [7]}, "not a class"),
    (None, {"classes": [0], "of": "edges"}, "edges_between"),
    (None, {"classes": [0, 1, 2]}, "no labelled node"),
]
BAD_EDGES = [
    ([[0], [0]], "to itself"),
    ([[0, 0], [1, 1]], "more than once"),
    ([[0], [999]], "no edge of the graph"),
    ([[-1], [3]], "no edge of the graph"),
    ([[0, 1, 2], [1, 2, 3], [4, 5, 6]], "rows of integers"),
    ([[0.5], [1.0]], "rows of integers"),
    (np.empty((2, 0), dtype=int), "empty"),
    ([100000], "out of range"),
    (slice(0, 0), "empty"),
]


@pytest.mark.parametrize(("asked", "options", "message"), BAD_NODES)
def test_bad_requests_for_nodes_change_nothing(blocks, node_classifier, asked, options, message):
    model = UtU(node_classifier(blocks, max_epochs=1), random_state=0).fit(blocks)
    before = dict(vars(model))
    with pytest.raises(ForgetRequestError, match=message):
        model.unlearn(asked, **options)
    assert vars(model) == before


@pytest.mark.parametrize(("asked", "message"), BAD_EDGES)
def test_bad_requests_for_edges_change_nothing(links, link_predictor, asked, message):
    model = UtU(link_predictor(links, max_epochs=1), random_state=0).fit(links)
    before = dict(vars(model))
    with pytest.raises(ForgetRequestError, match=message):
        model.unlearn(asked, of="edges")
    assert vars(model) == before


def test_all_edges_of_a_link_predictor_cannot_go(links, link_predictor):
    model = UtU(link_predictor(links, max_epochs=1), random_state=0).fit(links)
    with pytest.raises(ForgetRequestError, match="no edge is left"):
        model.unlearn(slice(None), of="edges")


def test_a_node_classifier_can_lose_all_its_edges(blocks, node_classifier):
    model = UtU(node_classifier(blocks, max_epochs=1), random_state=0).fit(blocks)
    model.unlearn(slice(None), of="edges")
    assert model.predict(slice(None)).shape == (60,)


def test_the_last_nodes_of_a_class_are_asked_for_as_a_class(blocks, node_classifier):
    model = UtU(node_classifier(blocks, max_epochs=1), random_state=0).fit(blocks)
    members = ((blocks.y == 1) & blocks.train_mask).nonzero().flatten()
    with pytest.raises(ForgetRequestError, match=r"unlearn\(classes=\[1\]\)"):
        model.unlearn(members)
    receipt = model.unlearn(classes=[1]).receipts_[-1]
    assert receipt.rows.tolist() == members.tolist()
    assert receipt.classes == (1,)
    assert model.classes_.tolist() == [0, 1, 2]
    assert len(model.unlearn(classes=1).receipts_[-1].rows) == 0


def test_forgotten_edges_are_skipped_by_position_and_unknown_as_pairs(links, link_predictor):
    model = UtU(link_predictor(links, max_epochs=1), random_state=0).fit(links).unlearn([2, 5], of="edges")
    receipt = model.unlearn([5, 6], of="edges").receipts_[-1]
    assert (receipt.rows.tolist(), receipt.already.tolist()) == ([6], [5])
    with pytest.raises(ForgetRequestError, match="forgotten already"):
        model.unlearn(edge_list(links)[:, [2]], of="edges")


def test_edges_of_a_forgotten_node_are_forgotten(links, link_predictor):
    model = UtU(link_predictor(links, max_epochs=1), random_state=0).fit(links).unlearn([4])
    incident = (edge_list(links) == 4).any(dim=0).numpy()
    assert (model.forgotten_["edges"] == incident).all()
    receipt = model.unlearn(incident, of="edges").receipts_[-1]
    assert len(receipt.rows) == 0
    assert len(receipt.already) == incident.sum()


def test_features_of_a_graph_without_any_cannot_be_forgotten(triples, relational):
    with pytest.raises(ForgetRequestError, match="no features"):
        UtU(relational(max_epochs=1), random_state=0).fit(triples).unlearn([0], of="features")


def test_unknown_classes_have_their_own_error(blocks, node_classifier):
    with pytest.raises(UnknownIdError):
        UtU(node_classifier(blocks, max_epochs=1), random_state=0).fit(blocks).unlearn(classes=[9])


@pytest.fixture
def fresh(blocks, node_classifier):
    return lambda **options: UtU(node_classifier(blocks, max_epochs=1), random_state=0).fit(blocks, **options)


def test_nodes_have_no_labels_to_look_up(fresh):
    model = fresh()
    for asked, message in (
        (pd.Index([3]), r"pandas Index, and fit was given no data frame.*forget_idx\.to_numpy\(\)"),
        (pd.Series([3, 4]), r"pandas Series of int64.*forget_idx\.to_numpy\(\)"),
        (pd.Series(np.arange(60) == 3, index=np.arange(60)[::-1]), "labels of its own"),
        (pd.DataFrame({"node": [3]}), "is a data frame"),
        (torch.tensor([1.0]), "dtype float32, expected integers"),
        ([[1], [2, 3]], "lists of several lengths"),
        ([1, None], "objects of type NoneType, int"),
    ):
        for of in ("nodes", "features", "edges"):
            with pytest.raises(ForgetRequestError, match=message):
                model.unlearn(asked, of=of)
            with pytest.raises(ForgetRequestError, match=message.replace("forget_idx", "exclude")):
                fresh(exclude=asked, of=of)


def test_tensors_iterators_and_masks_name_nodes(fresh):
    mask = np.isin(np.arange(60), [3, 5])
    for asked in (torch.tensor([3, 5]), iter([3, 5]), torch.tensor(mask), mask.astype(object), pd.Series(mask)):
        assert fresh().unlearn(asked).receipts_[-1].rows.tolist() == [3, 5]
    for asked in (torch.tensor([3, 5]), iter([3, 5])):
        assert fresh().unlearn(asked, of="edges").receipts_[-1].rows.tolist() == [3, 5]


@pytest.mark.parametrize("classes", [torch.tensor([1]), torch.tensor(1), np.int64(1), np.array(1), [1]])
def test_classes_in_any_form(fresh, blocks, classes):
    receipt = fresh().unlearn(classes=classes).receipts_[-1]
    assert receipt.classes == (1,)
    assert receipt.rows.tolist() == ((blocks.y == 1) & blocks.train_mask).nonzero().flatten().tolist()


def test_pairs_written_in_rows_are_not_read_in_columns():
    """Two edges as rows of pairs may name two others by column."""
    square = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]])
    graph = read_graph(Data(edge_index=square, num_nodes=4))
    for asked in ([(0, 1), (3, 2)], torch.tensor([[0, 1], [3, 2]]), np.array([[0, 3], [1, 2]])):
        with pytest.raises(ForgetRequestError, match=r"ambiguous.*by column.*by row.*\[\[u\], \[v\]\]"):
            resolve_edges(asked, graph.n_edges, graph)
    for column in ([[0], [1]], [[3], [2]]):
        assert len(resolve_edges(column, graph.n_edges, graph)) == 1
    path = read_graph(Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]]), num_nodes=4))
    assert resolve_edges(torch.tensor([[0, 2], [1, 3]]), path.n_edges, path).tolist() == [0, 1]
    with pytest.raises(ForgetRequestError, match="no edge of the graph"):
        resolve_edges(torch.tensor([(0, 1), (2, 3)]), path.n_edges, path)


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_square_list_of_pairs_is_never_guessed_at(kind, undirected):
    """Its columns name two edges and its rows one that is gone and one that is there: rows may be what is meant."""
    graph = read_graph(undirected((0, 2), (1, 3), (2, 3), (0, 3), x=torch.eye(4)))
    asked = [[0, 1], [2, 3]]
    with pytest.raises(ForgetRequestError, match=r"ambiguous: .* each as \[\[u\], \[v\]\], or by their positions"):
        resolve_edges(kind(asked), 4, graph)
    with pytest.raises(ForgetRequestError, match="ambiguous"):
        resolve_edges(kind([[0, 2], [1, 3]]), 4, graph)  # its rows are edges, its columns are not
    by_column = resolve_edges(torch.tensor(asked), 4, graph)
    each = [resolve_edges([[u], [v]], 4, graph) for u, v in zip(*asked, strict=True)]
    assert by_column.tolist() == sorted(np.concatenate(each).tolist())
