"""Public graphs through their own loaders."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import NormalizeFeatures

_DATA_VARIABLE = "MLUNLEARN_DATA"


def load_planetoid(name: str = "Cora", *, root: Any = None, cache: Any = None) -> Data:
    """Load Cora, CiteSeer or PubMed with the public split of their nodes; rows of features sum to one.

    Parameters
    ----------
    name : str, default='Cora'
        Which.
    root : path or None, default=None
        Folder of data sets; None reads the variable ``MLUNLEARN_DATA``. The raw files are in ``planetoid/<name>/raw``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``. Raw files that `root` lacks are downloaded to it.

    Returns
    -------
    torch_geometric.data.Data
        The graph.

    Examples
    --------
    >>> from mlunlearn.graph import load_planetoid
    >>> data = load_planetoid("Cora", root="~/data")  # doctest: +SKIP
    """
    from torch_geometric.datasets import Planetoid

    return _load_normalized(Planetoid, "planetoid", name, name, root, cache)


def load_citation_full(name: str = "Cora", *, root: Any = None, cache: Any = None) -> Data:
    """Load a full citation graph (Cora, Cora_ML, CiteSeer, DBLP or PubMed); rows of features sum to one.

    Parameters
    ----------
    name : str, default='Cora'
        Which.
    root : path or None, default=None
        Folder of data sets, with ``citation_full/<name>/raw``; None reads ``MLUNLEARN_DATA``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``.

    Returns
    -------
    torch_geometric.data.Data
        The graph, without a split.

    Examples
    --------
    >>> from mlunlearn.graph import load_citation_full
    >>> data = load_citation_full("DBLP", root="~/data")  # doctest: +SKIP
    """
    from torch_geometric.datasets import CitationFull

    return _load_normalized(CitationFull, "citation_full", name, name.lower(), root, cache)


def load_coauthor(name: str = "CS", *, root: Any = None, cache: Any = None) -> Data:
    """Load a co-author graph (CS or Physics); rows of features sum to one.

    Parameters
    ----------
    name : str, default='CS'
        Which.
    root : path or None, default=None
        Folder of data sets, with ``coauthor/<name>/raw``; None reads ``MLUNLEARN_DATA``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``.

    Returns
    -------
    torch_geometric.data.Data
        The graph, without a split.

    Examples
    --------
    >>> from mlunlearn.graph import load_coauthor
    >>> data = load_coauthor("CS", root="~/data")  # doctest: +SKIP
    """
    from torch_geometric.datasets import Coauthor

    return _load_normalized(Coauthor, "coauthor", name, name, root, cache)


def load_wordnet18rr(*, root: Any = None, cache: Any = None) -> Data:
    """Load the knowledge graph WordNet18RR with its official split.

    Parameters
    ----------
    root : path or None, default=None
        Folder of data sets, with ``wordnet18rr/raw``; None reads ``MLUNLEARN_DATA``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` and ``edge_type`` hold the training triples, ``val_pos_edge_index``, ``val_pos_edge_type``,
        ``test_pos_edge_index`` and ``test_pos_edge_type`` the others.

    Examples
    --------
    >>> from mlunlearn.graph import load_wordnet18rr
    >>> data = load_wordnet18rr(root="~/data")  # doctest: +SKIP
    """
    from torch_geometric.datasets import WordNet18RR

    data = WordNet18RR(str(_cached("wordnet18rr", "", root, cache)))[0]
    parts = {part: data[f"{part}_mask"] for part in ("train", "val", "test")}
    held_out = {
        f"{part}_pos_{name}": values[..., parts[part]]
        for part in ("val", "test")
        for name, values in (("edge_index", data.edge_index), ("edge_type", data.edge_type))
    }
    train = parts["train"]
    return Data(
        edge_index=data.edge_index[:, train], edge_type=data.edge_type[train], num_nodes=data.num_nodes, **held_out
    )


def load_ogb_nodes(name: str = "ogbn-arxiv", *, root: Any = None, cache: Any = None) -> Data:
    """Load a node classification graph of the Open Graph Benchmark with its official split, made undirected.

    Parameters
    ----------
    name : str, default='ogbn-arxiv'
        Which.
    root : path or None, default=None
        Folder of data sets, with ``ogb/<name>`` as published (underscores for hyphens); None reads ``MLUNLEARN_DATA``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``.

    Returns
    -------
    torch_geometric.data.Data
        The graph with masks.

    Examples
    --------
    >>> from mlunlearn.graph import load_ogb_nodes
    >>> data = load_ogb_nodes("ogbn-arxiv", root="~/data")  # doctest: +SKIP
    """
    from ogb.nodeproppred import PygNodePropPredDataset
    from torch_geometric.transforms import RemoveSelfLoops, ToUndirected

    dataset = _load_ogb(PygNodePropPredDataset, name, root, cache)
    data = RemoveSelfLoops()(ToUndirected()(dataset[0]))
    data.y = data.y.squeeze(-1)
    for part, idx in dataset.get_idx_split().items():
        mask = torch.zeros(data.num_nodes, dtype=torch.bool)
        mask[idx] = True
        data[{"valid": "val"}.get(part, part) + "_mask"] = mask
    return data


def load_ogb_links(name: str = "ogbl-collab", *, root: Any = None, cache: Any = None) -> Data:
    """Load a link prediction graph of the Open Graph Benchmark with its official split.

    Parameters
    ----------
    name : str, default='ogbl-collab'
        Which.
    root : path or None, default=None
        Folder of data sets, with ``ogb/<name>`` as published (underscores for hyphens); None reads ``MLUNLEARN_DATA``.
    cache : path or None, default=None
        Where the loader writes; None is ``~/.cache/mlunlearn``.

    Returns
    -------
    torch_geometric.data.Data
        As `split_edges` returns it.

    Examples
    --------
    >>> from mlunlearn.graph import load_ogb_links
    >>> data = load_ogb_links("ogbl-collab", root="~/data")  # doctest: +SKIP
    """
    from ogb.linkproppred import PygLinkPropPredDataset

    dataset = _load_ogb(PygLinkPropPredDataset, name, root, cache)
    with _plain_objects():
        split, data = dataset.get_edge_split(), dataset[0]

    def columns(part: str, kind: str = "edge") -> Tensor:
        pairs = split[part][kind].t()
        return pairs[:, pairs[0] != pairs[1]]

    training = columns("train")
    return Data(
        x=data.x,
        edge_index=torch.unique(torch.cat([training, training.flip(0)], dim=1), dim=1),
        val_pos_edge_index=columns("valid"),
        val_neg_edge_index=columns("valid", "edge_neg"),
        test_pos_edge_index=columns("test"),
        test_neg_edge_index=columns("test", "edge_neg"),
        num_nodes=data.num_nodes,
    )


def _load_normalized(dataset: Any, kind: str, name: str, folder: str, root: Any, cache: Any) -> Data:
    """Load one of torch-geometric's data sets of several graphs."""
    return dataset(str(_cached(kind, folder, root, cache)), name, transform=NormalizeFeatures())[0]


def _load_ogb(dataset: Any, name: str, root: Any, cache: Any) -> Any:
    folder = name.replace("-", "_")
    source = _data_root(root) / "ogb" / folder
    if not source.is_dir():
        raise ValueError(f"{name} is not at {source}; download it, for its loader would ask questions on the console.")
    at = _cached("ogb", folder, root, cache)
    with _plain_objects():
        return dataset(name, root=str(at))


def _plain_objects() -> AbstractContextManager[None]:
    """Let torch read saved graphs and arrays, which it otherwise refuses, and still run no code of their makers."""
    if not hasattr(torch.serialization, "safe_globals"):  # before 2.5, and from 2.6 on torch refuses
        return nullcontext()
    from torch_geometric.data import data, storage

    arrays: list[Any] = [
        np.dtype,
        np.ndarray,
        np.empty(0).__reduce__()[0],
        *(type(np.dtype(t)) for t in ("i8", "f4", "f8")),
    ]
    graphs: list[Any] = [data.DataEdgeAttr, data.DataTensorAttr, storage.GlobalStorage]
    return torch.serialization.safe_globals([*arrays, *graphs])


def _data_root(root: Any) -> Path:
    root = root or os.environ.get(_DATA_VARIABLE)
    if not root:
        raise ValueError(f"say where data sets are: pass root=, or set the variable {_DATA_VARIABLE}.")
    return Path(root).expanduser()


def _cached(kind: str, folder: str, root: Any, cache: Any) -> Path:
    """Let a loader write beside links to the files, so that the data root stays as it is."""
    cache = Path(cache or "~/.cache/mlunlearn").expanduser() / kind
    root = root or os.environ.get(_DATA_VARIABLE)
    source, target = (None if root is None else Path(root).expanduser() / kind / folder), cache / folder
    if source is not None and source.is_dir() and not target.exists():
        for file in source.rglob("*"):
            inside = file.relative_to(source)
            if file.is_file() and "processed" not in inside.parts:
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                (target / inside).symlink_to(file.resolve())
    return cache
