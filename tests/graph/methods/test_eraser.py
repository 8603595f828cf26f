"""GraphEraser: partitions within bounds, exact shards, weights on the simplex."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from torch_geometric.nn import GCN

from mlunlearn import ForgetRequestError
from mlunlearn.graph import GraphEraser, LinkPredictor, NodeClassifier, edge_list, find_leaks, stochastic_block_model
from mlunlearn.graph.models.ensemble import NodeEnsemble, PairEnsemble, learn_weights
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.structure.partition import partition_by_embedding, partition_by_labels, shard_cap

SMALL = stochastic_block_model([14, 14, 14], n_features=4, random_state=3)


def small(aggregation="learned", epochs=4, **options):
    """A GraphEraser for the small graph."""
    make = partial(GCN, 4, 4, 2, out_channels=3, dropout=0.5)
    classifier = NodeClassifier(make, max_epochs=epochs)
    return GraphEraser(classifier, aggregation=aggregation, random_state=0, **{"n_shards": 4, **options})


def weights_of(model):
    """All weights and buffers, by name."""
    return {name: value.clone() for name, value in model.estimator_.module_.state_dict().items()}


def same(a, b):
    """Whether two states are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------ exactness


@settings(deadline=None, max_examples=12)
@given(st.sets(st.integers(0, 41), min_size=2, max_size=20), st.integers(1, 19), st.sampled_from(["nodes", "features"]))
def test_two_requests_equal_one_and_a_fit_without(asked, cut, of):
    asked = sorted(asked)
    cut = min(cut, len(asked) - 1)
    model = small()
    twice = weights_of(model.fit(SMALL).unlearn(asked[cut:], of=of).unlearn(asked[:cut], of=of))
    assert same(twice, weights_of(model.fit(SMALL).unlearn(asked, of=of)))
    assert same(twice, weights_of(model.fit(SMALL, exclude=asked, of=of)))


@pytest.mark.parametrize("aggregation", ["mean", "vote", "learned"])
def test_links_equal_a_fit_without_them(links, link_predictor, aggregation):
    model = GraphEraser(link_predictor(links), n_shards=3, aggregation=aggregation, random_state=0)
    asked = np.arange(0, edge_list(links).shape[1], 7)
    a = weights_of(model.fit(links).unlearn(asked, of="edges").unlearn([4, 9]))
    b = weights_of(model.fit(links, exclude=asked, of="edges").unlearn([4, 9]))
    assert same(a, b)


def test_a_class_equals_a_fit_without_it():
    model = small()
    a = weights_of(model.fit(SMALL).unlearn(classes=[1]))
    members = (SMALL.y == 1) & SMALL.train_mask
    assert model.receipts_[-1].rows.tolist() == members.nonzero().flatten().tolist()
    assert same(a, weights_of(model.fit(SMALL, exclude=members.numpy())))


def test_nothing_forgotten_leaks():
    assert find_leaks(small(), SMALL, [1, 2, 7, 30]) == []


def test_a_partition_by_the_data_is_not_called_exact():
    for partition, guarantee in (("random", "exact"), ("blpa", "approximate"), ("bekm", "approximate")):
        model = small(partition=partition).fit(SMALL).unlearn([3])
        assert model.guarantee == model.receipts_[-1].guarantee == guarantee
        assert (model.exactness == "bits") == (partition == "random")


def test_a_model_trained_elsewhere_is_refused(blocks, node_classifier):
    with pytest.raises(ValueError, match="exact"):
        GraphEraser(FrozenEstimator(node_classifier(blocks).fit(blocks))).fit(blocks)


# -------------------------------------------------------------------- shards


@pytest.mark.parametrize("partition", ["random", "blpa", "bekm"])
def test_shards_cover_what_is_learned_from_and_no_edge_crosses(partition):
    model = small(partition=partition).fit(SMALL)
    graph = model._data
    parts = [model._part(graph, shard) for shard in range(4)]
    members = torch.cat([part.positions for part in parts])
    assert torch.equal(members.sort().values, graph.positions[graph.labelled])
    n = SMALL.num_nodes if partition == "random" else int(graph.labelled.sum())
    assert np.bincount(model.shard_[model.shard_ >= 0], minlength=4).max() <= shard_cap(n, 4)
    for shard, part in enumerate(parts):
        assert (model.shard_[part.positions[part.pairs]] == shard).all()


@pytest.mark.parametrize("partition", ["random", "blpa", "bekm"])
def test_only_touched_shards_change_and_they_are_trained_without_the_node(partition):
    model = small("mean", partition=partition).fit(SMALL)
    node = int(SMALL.train_mask.nonzero()[5])
    before, shard = weights_of(model), model.shard_[node]
    model.unlearn([node])
    assert model.receipts_[-1].work.details["shards"] == (shard,)
    after = weights_of(model)
    others = [name for name in after if not name.startswith(f"shards.{shard}.")]
    assert all(torch.equal(before[name], after[name]) for name in others)
    alone = model._trained_shards(read_graph(SMALL).without_nodes(torch.tensor([node])), [shard])[shard]
    assert all(torch.equal(after[f"shards.{shard}.{name}"], v) for name, v in alone.state_dict().items())
    assert not torch.equal(after[f"shards.{shard}.convs.0.lin.weight"], before[f"shards.{shard}.convs.0.lin.weight"])
    if partition != "random":
        assert model.shard_[node] == -1


def test_edges_between_shards_and_nodes_outside_cost_nothing():
    model = small("mean").fit(SMALL)
    before = weights_of(model)
    ends = edge_list(SMALL).numpy()
    crossing = np.flatnonzero(model.shard_[ends[0]] != model.shard_[ends[1]])
    unlabelled = SMALL.test_mask.nonzero().flatten().numpy()
    for asked, of in ((crossing, "edges"), (unlabelled, "nodes")):
        model.unlearn(asked, of=of)
        assert model.receipts_[-1].work.samples == 0
        assert same(before, weights_of(model))


def test_an_edge_inside_a_shard_is_trained_without():
    model = small("mean").fit(SMALL)
    ends = edge_list(SMALL)
    labelled = SMALL.train_mask[ends].all(dim=0).numpy()
    inside = np.flatnonzero((model.shard_[ends[0]] == model.shard_[ends[1]]) & labelled)
    model.unlearn(inside[:1], of="edges")
    assert model.receipts_[-1].work.details["shards"] == (model.shard_[ends[0, inside[0]]],)
    assert 0 < model.receipts_[-1].retrained_share < 0.6


def test_an_emptied_shard_has_no_say_and_one_class_is_enough():
    model = small().fit(SMALL)
    emptied = model.shard_ == 2
    model.unlearn(emptied & SMALL.train_mask.numpy())
    assert sorted(model.estimator_.module_.shards) == ["0", "1", "3"]
    assert model.estimator_.module_.weights.sum() == pytest.approx(1)
    first = (model.shard_ == 0) & SMALL.train_mask.numpy() & ~emptied
    model.unlearn(first & (SMALL.y.numpy() != SMALL.y.numpy()[first][0]))
    proba = model.predict_proba(SMALL.test_mask.numpy())
    assert proba.sum(axis=1) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ForgetRequestError, match="Delete the model"):
        model.unlearn(slice(None))


def test_links_without_an_edge_in_any_shard(undirected):
    triangle = undirected((0, 1), (0, 2), (1, 2), x=torch.eye(3))
    predictor = LinkPredictor(partial(GCN, 3, 4, 1, out_channels=2), max_epochs=2)
    with pytest.raises(ValueError, match="no shard holds"):
        GraphEraser(predictor, n_shards=3, random_state=0).fit(triangle)
    triangle = undirected((0, 1), (0, 2), (1, 2), x=torch.eye(6), n_nodes=6)
    predictor = LinkPredictor(partial(GCN, 6, 4, 1, out_channels=2), max_epochs=2)
    model = GraphEraser(predictor, n_shards=2, random_state=0).fit(triangle)
    ends = edge_list(triangle)
    (inside,) = np.flatnonzero(model.shard_[ends[0]] == model.shard_[ends[1]])
    with pytest.raises(ForgetRequestError, match="no shard"):
        model.unlearn([inside], of="edges")
    assert not model.receipts_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_shards": 0}, "n_shards"),
        ({"n_shards": 40}, "use fewer shards"),
        ({"partition": "metis"}, "partition"),
        ({"aggregation": "max"}, "aggregation"),
    ],
)
def test_parameters_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options).fit(SMALL)


# ---------------------------------------------------------------- partitions


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 5))
def test_partitions_cover_and_keep_the_cap(n, k, seed):
    k = min(n, k)
    rng = np.random.default_rng(seed)
    pairs = rng.integers(n, size=(2, 3 * n))
    for shards in (
        partition_by_labels(pairs, n, k, seed),
        partition_by_embedding(rng.standard_normal((n, 3)), k, seed),
    ):
        assert shards.shape == (n,)
        assert set(shards.tolist()) <= set(range(k))
        assert np.bincount(shards).max() <= shard_cap(n, k)


def test_partitions_by_the_data_cut_fewer_edges():
    data = stochastic_block_model([60] * 4, degree_in=10.0, degree_out=0.5, signal=6.0, random_state=0)
    pairs = edge_list(data).numpy()
    crossing = lambda shards: (shards[pairs[0]] != shards[pairs[1]]).mean()  # noqa: E731
    blpa = crossing(partition_by_labels(pairs, 240, 4, 0))
    bekm = crossing(partition_by_embedding(data.x.numpy(), 4, 0))
    assert blpa < 0.45
    assert bekm < 0.45
    assert crossing(np.arange(240) % 4) > 0.7


# --------------------------------------------------------------- aggregation


class Saying(torch.nn.Module):
    """A network that says the same of everything."""

    def __init__(self, *posterior):
        super().__init__()
        self.posterior = torch.tensor(posterior)

    def forward(self, x, edge_index):
        return self.posterior.log().expand(len(x), -1)


def test_mean_and_vote():
    says = {0: Saying(0.6, 0.4), 1: Saying(0.6, 0.4), 2: Saying(0.1, 0.9)}
    x = torch.zeros(2, 1)
    mean, vote = (NodeEnsemble(says, votes=votes)(x, None).softmax(dim=1)[0] for votes in (False, True))
    assert mean.tolist() == pytest.approx([1.3 / 3, 1.7 / 3])
    assert vote.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_pairs_are_scored_by_the_mean_probability():
    ensemble = PairEnsemble({0: torch.nn.Identity(), 1: torch.nn.Identity()})
    z = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    score = ensemble.decode(z, torch.tensor([[0], [1]]))
    expected = (torch.tensor(3.0).sigmoid() + torch.tensor(-2.0).sigmoid()) / 2
    assert score.sigmoid().item() == pytest.approx(expected.item())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_learned_weights_are_the_minimum_on_the_simplex(seed, k):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.01, 1, size=(30, k)) ** rng.uniform(0.2, 4, size=k)
    w = learn_weights(true)
    assert w.min() >= 0
    assert w.sum() == pytest.approx(1)
    value = lambda w: -np.log(true @ w).mean() + np.linalg.norm(w)  # noqa: E731
    assert all(value(w) <= value(other) + 1e-7 for other in rng.dirichlet(np.ones(k), size=200))


def test_copies_share_untouched_shards_and_change_apart():
    model = small("mean").fit(SMALL)
    twin = copy.deepcopy(model)
    before = weights_of(model)
    twin.unlearn([int(SMALL.train_mask.nonzero()[0])])
    assert same(before, weights_of(model))
    assert not same(before, weights_of(twin))
