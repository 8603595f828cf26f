"""Splits, deletion masks, block models and the loaders."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from mlunlearn.graph import (
    choose_forgotten,
    deletion_masks,
    edge_list,
    load_citation_full,
    load_coauthor,
    load_ogb_links,
    load_ogb_nodes,
    load_planetoid,
    load_wordnet18rr,
    split_edges,
    stochastic_block_model,
)


def pairs_of(edges):
    """Pairs as a set, whichever way they are stored."""
    return {tuple(sorted(pair)) for pair in edges.t().tolist()}


def test_split_parts_are_disjoint_and_complete(blocks):
    split = split_edges(blocks, val=0.1, test=0.2, random_state=0)
    parts = [pairs_of(e) for e in (edge_list(split), split.val_pos_edge_index, split.test_pos_edge_index)]
    everything = pairs_of(edge_list(blocks))
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything)
    for negatives in (split.val_neg_edge_index, split.test_neg_edge_index):
        assert not pairs_of(negatives) & everything
    assert split.val_neg_edge_index.shape == split.val_pos_edge_index.shape
    assert torch.equal(split.edge_index, split_edges(blocks, val=0.1, test=0.2, random_state=0).edge_index)


def test_masks_follow_edges_in_both_directions(undirected):
    path = undirected((5, 4), (4, 3), (3, 2), (2, 1), (1, 0), x=torch.eye(6))
    path.test_pos_edge_index = torch.tensor([[5], [4]])
    inside, outside = deletion_masks(path, hops=1)
    assert (inside ^ outside).all()
    near = pairs_of(edge_list(path)[:, torch.from_numpy(inside)])
    assert near == {(4, 5), (3, 4)}


def test_too_few_candidates_are_an_error():
    with pytest.raises(ValueError, match="only 1 may be drawn"):
        choose_forgotten(np.array([True, *[False] * 9]), 0.5, random_state=0)
    mask = np.arange(100) < 50
    chosen = choose_forgotten(mask, 0.25, random_state=0)
    assert len(chosen) == len(set(chosen)) == 25
    assert mask[chosen].all()


def test_block_models_have_the_degrees_asked_for():
    data = stochastic_block_model([3000, 2000], degree_in=8.0, degree_out=2.0, random_state=0)
    same = data.y[data.edge_index[0]] == data.y[data.edge_index[1]]
    assert data.is_undirected()
    assert not data.has_self_loops()
    assert int(same.sum()) / 5000 == pytest.approx(8, rel=0.05)
    assert int((~same).sum()) / 5000 == pytest.approx(2 * (1 - (0.6**2 + 0.4**2)), rel=0.1)
    assert (data.train_mask.int() + data.val_mask.int() + data.test_mask.int() == 1).all()


def test_cora_is_read_without_writing_beside_it(cora, data_root):
    assert (cora.num_nodes, cora.num_edges) == (2708, 10556)
    assert cora.x.sum(dim=1).max() == pytest.approx(1, rel=1e-5)
    assert [int(cora[f"{part}_mask"].sum()) for part in ("train", "val", "test")] == [140, 500, 1000]
    assert not (data_root / "planetoid" / "Cora" / "processed").exists()


def test_most_training_edges_of_cora_are_near_a_test_edge(cora):
    inside, _ = deletion_masks(split_edges(cora, random_state=42))
    assert inside.mean() == pytest.approx(0.88, abs=0.03)


def test_wordnet_has_its_official_split(data_root, tmp_path):
    if not (data_root / "wordnet18rr").is_dir():
        pytest.skip("no WordNet18RR under MLUNLEARN_DATA")
    data = load_wordnet18rr(root=data_root, cache=tmp_path)
    sizes = [data.edge_index.shape[1], data.val_pos_edge_index.shape[1], data.test_pos_edge_index.shape[1]]
    assert sizes == [86835, 3034, 3134]
    assert data.edge_type.unique().tolist() == list(range(11))


def write_npz(path):
    """Write a graph of four papers in the published format of citation and co-author graphs: a directed path."""
    attributes = sp.csr_matrix(np.array([[1, 1, 0], [0, 2, 0], [0, 1, 1], [1, 0, 0]], dtype=np.float32))
    links = sp.csr_matrix((np.ones(4, dtype=np.float32), ([0, 1, 2, 3], [1, 2, 3, 3])), shape=(4, 4))
    parts = {
        f"{name}_{part}": getattr(matrix, part)
        for name, matrix in (("attr", attributes), ("adj", links))
        for part in ("data", "indices", "indptr", "shape")
    }
    path.parent.mkdir(parents=True)
    np.savez(path, labels=np.array([0, 1, 1, 0]), **parts)


@pytest.mark.parametrize(
    ("loader", "name", "file"),
    [
        (load_citation_full, "DBLP", "citation_full/dblp/raw/dblp.npz"),
        (load_citation_full, "Cora_ML", "citation_full/cora_ml/raw/cora_ml.npz"),
        (load_coauthor, "CS", "coauthor/CS/raw/ms_academic_cs.npz"),
        (load_coauthor, "Physics", "coauthor/Physics/raw/ms_academic_phy.npz"),
    ],
)
def test_published_archives_are_read(tmp_path, loader, name, file):
    write_npz(tmp_path / "root" / file)
    data = loader(name, root=tmp_path / "root", cache=tmp_path / "cache")
    assert pairs_of(edge_list(data)) == {(0, 1), (1, 2), (2, 3)}
    np.testing.assert_allclose(data.x, [[0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [1, 0, 0]])
    assert data.y.tolist() == [0, 1, 1, 0]
    assert [p.name for p in (tmp_path / "root").rglob("*") if p.is_file()] == [Path(file).name]


def write_csv(folder, **tables):
    """Write tables as the Open Graph Benchmark does; underscores stand for hyphens, but in node and edge attributes."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(folder / f"{name}.csv.gz", header=False, index=False, compression="gzip")


def write_ogb(root, **more):
    raw = root / "raw"
    edges = [[0, 1], [1, 2], [3, 2], [2, 3]]
    features = np.eye(4, 3)
    sizes = {"num-node-list": [4], "num-edge-list": [4]}
    write_csv(raw, edge=edges, **{"node-feat": features}, **sizes, **more)
    (root / "RELEASE_v1.txt").touch()
    return features


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_nodes_of_the_open_graph_benchmark_are_read(tmp_path):
    pytest.importorskip("ogb")
    folder = tmp_path / "ogb" / "ogbn_arxiv"
    features = write_ogb(folder, node_year=[2000] * 4, **{"node-label": [3, 1, 0, 2]})
    write_csv(folder / "split" / "time", train=[0, 3], valid=[1], test=[2])
    data = load_ogb_nodes(root=tmp_path, cache=tmp_path / "cache")
    assert pairs_of(edge_list(data)) == {(0, 1), (1, 2), (2, 3)}
    np.testing.assert_allclose(data.x, features)
    assert data.y.tolist() == [3, 1, 0, 2]
    assert [data[f"{part}_mask"].nonzero().flatten().tolist() for part in ("train", "val", "test")] == [
        [0, 3],
        [1],
        [2],
    ]
    assert not (folder / "processed").exists()


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_links_of_the_open_graph_benchmark_are_read(tmp_path):
    pytest.importorskip("ogb")
    folder = tmp_path / "ogb" / "ogbl_collab"
    write_ogb(folder, edge_weight=[1] * 4, edge_year=[2000] * 4)
    split = folder / "split" / "time"
    split.mkdir(parents=True)
    for part, edges in {"train": [[0, 1], [1, 2], [2, 1]], "valid": [[2, 3]], "test": [[0, 3], [1, 1]]}.items():
        more = {} if part == "train" else {"edge_neg": np.array([[0, 2]])}
        torch.save({"edge": np.array(edges), "weight": np.ones(len(edges)), **more}, split / f"{part}.pt")
    data = load_ogb_links(root=tmp_path, cache=tmp_path / "cache")
    assert pairs_of(edge_list(data)) == {(0, 1), (1, 2)}
    assert (data.val_pos_edge_index.tolist(), data.test_pos_edge_index.tolist()) == ([[2], [3]], [[0], [3]])
    assert data.test_neg_edge_index.tolist() == [[0], [2]]
    assert not (folder / "processed").exists()


def test_an_absent_graph_of_the_open_graph_benchmark_is_named(tmp_path):
    pytest.importorskip("ogb")
    with pytest.raises(ValueError, match="ogbn_arxiv"):
        load_ogb_nodes(root=tmp_path, cache=tmp_path)


def test_a_missing_root_is_named(monkeypatch):
    monkeypatch.delenv("MLUNLEARN_DATA", raising=False)
    from mlunlearn.graph.datasets.loaders import _data_root

    with pytest.raises(ValueError, match="MLUNLEARN_DATA"):
        _data_root(None)
    assert load_planetoid.__doc__
