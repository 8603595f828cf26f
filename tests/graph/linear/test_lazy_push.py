"""Lazy forward push: its invariants, its error bound, and what it does to a certificate."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from torch_geometric.data import Data

from mlunlearn import ForgetRequestError
from mlunlearn.graph import SGC, CertifiedGNN, LazySGC, LogisticGNN, RidgeGNN, replay, stochastic_block_model
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete

REQUEST = st.tuples(st.sampled_from(["nodes", "edges", "features"]), st.integers(0, 2**31), st.integers(1, 4))


def random_graph(seed, n=24, n_edges=40):
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(n, size=(2, n_edges)), axis=0)
    ends = torch.from_numpy(np.unique(ends[:, ends[0] != ends[1]], axis=1))
    x = torch.from_numpy(rng.standard_normal((n, 3))).float()
    return read_graph(Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1)))


def serve(graph, pushed, requests):
    """Yield the graph and the features after each request that can be served."""
    for of, draw, n in requests:
        among = graph.pair_ids if of == "edges" else graph.positions
        if len(among) <= n:
            return
        ids = np.sort(np.random.default_rng(draw).choice(among.numpy(), n, replace=False))
        deletion = delete(graph, of, ids)
        before = pushed
        pushed, reached = pushed.after(deletion)
        graph = deletion.remaining
        yield graph, pushed, before, reached, deletion


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1e-6, 1e-2, 0.3]),
    st.integers(0, 3),
    st.lists(REQUEST, min_size=1, max_size=5),
)
def test_invariants_and_error_bounds_hold_after_every_request(seed, r_max, k, requests):
    start = random_graph(seed)
    first = LazySGC(k, r_max=r_max).propagate(start)
    for graph, pushed, before, reached, deletion in serve(start, first, requests):
        a = np.eye(graph.n_nodes)
        a[tuple(graph.edge_index.numpy())] = 1
        degrees = a.sum(axis=1)
        q, r = pushed.reserves, pushed.residues
        scaled = graph.x.numpy() * np.sqrt(degrees)[:, None]
        np.testing.assert_allclose(q[0] + r[0], scaled, rtol=0, atol=1e-12)
        for hop in range(1, k + 1):
            np.testing.assert_allclose(q[hop] + r[hop], (a / degrees) @ q[hop - 1], rtol=0, atol=1e-12)
        assert all((np.abs(residue) <= r_max + 1e-15).all() for residue in r)
        exact = np.linalg.matrix_power(a / np.sqrt(np.outer(degrees, degrees)), k) @ graph.x.numpy()
        rows = np.arange(graph.n_nodes)
        missing = np.linalg.norm(pushed.features(rows) - exact)
        assert missing <= pushed.error + 1e-13
        assert pushed.error <= (k + 1) * np.sqrt(graph.n_nodes * 3) * r_max + pushed.slack + 1e-15
        kept = deletion.kept.numpy()
        unreached = ~reached[kept]
        assert np.array_equal(pushed.features(rows)[unreached], before.features(kept)[unreached])


def test_without_tolerance_it_is_exact_propagation():
    graph = random_graph(0)
    pushed, exact = LazySGC(2, r_max=0.0).propagate(graph), SGC(2).propagate(graph)
    for of in ("nodes", "edges", "features"):
        deletion = delete(graph, of, graph.pair_ids[2:5].numpy() if of == "edges" else graph.positions[2:5].numpy())
        pushed, exact, graph = pushed.after(deletion)[0], exact.after(deletion)[0], deletion.remaining
        rows = np.arange(graph.n_nodes)
        np.testing.assert_allclose(pushed.features(rows), exact.features(rows), rtol=0, atol=1e-13)
    assert pushed.error < 1e-12


def test_laziness_reaches_fewer_nodes_and_leaves_the_earlier_state_alone():
    data = stochastic_block_model([300, 300], degree_in=12.0, random_state=0)
    graph = read_graph(data)
    pushed = LazySGC(2, r_max=0.2).propagate(graph)
    copies = copy.deepcopy([pushed.reserves[1].copy(), pushed.residues[1].copy()])
    deletion = delete(graph, "nodes", np.array([5]))
    lazy, (_, all_reached) = pushed.after(deletion), SGC(2).propagate(graph).after(deletion)
    assert lazy[1].sum() < all_reached.sum() / 2
    assert np.array_equal(copies[0], pushed.reserves[1])
    assert np.array_equal(copies[1], pushed.residues[1])


def test_nothing_of_a_forgotten_feature_stays_where_it_was():
    graph = random_graph(1)
    pushed, _ = LazySGC(2, r_max=100.0).propagate(graph).after(delete(graph, "features", np.array([4])))
    assert not pushed.reserves[0][4].any()
    assert not pushed.residues[0][4].any()


# ---------------------------------------------------------------- certificate


def true_residual(model):
    """Gradient of the noisy objective on exactly propagated features of the graph that is left."""
    graph = model._data
    rows = np.flatnonzero(graph.labelled.numpy())
    z, y = SGC(model.propagation.k).propagate(graph).features(rows), graph.y.numpy()[rows]
    noise = model._draw(model.n_trainings_ - 1, model.coef_.shape)
    residuals = [
        z.T @ (expit(z @ model.coef_[c]) - (y == c)) + model.alpha * len(z) * model.coef_[c] + noise[c]
        for c in np.flatnonzero(model.present_)
    ]
    return np.linalg.norm(residuals)


@settings(deadline=None, max_examples=25)
@example(182, 0.1, 2.0, [("nodes", 0, 2), ("edges", 1, 1)], False)  # all that the second changes is held back
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([1e-6, 1e-3, 1e-1]),
    st.sampled_from([2.0, 30.0]),
    st.lists(REQUEST, min_size=1, max_size=5),
    st.booleans(),
)
def test_what_is_charged_covers_the_true_residual_on_exact_features(seed, r_max, noise, requests, reload):
    data = stochastic_block_model([20, 20, 20], n_features=4, random_state=seed)
    model = CertifiedGNN(LazySGC(2, r_max=r_max), noise=noise, random_state=seed).fit(data)
    for of, draw, n in requests:
        left = np.flatnonzero(~model.forgotten_[of])
        try:
            model.unlearn(np.random.default_rng(draw).choice(left, n, replace=False), of=of)
        except ForgetRequestError:
            continue
        assert true_residual(model) <= model.spent_ <= model.allowed_
        if reload:
            model = pickle.loads(pickle.dumps(model)).attach_data(data)
            assert true_residual(model) <= model.spent_ <= model.allowed_


def test_what_is_held_back_does_not_accumulate():
    data = stochastic_block_model([200, 200], random_state=0)
    model = CertifiedGNN(LazySGC(2, r_max=1e-3), noise=30.0, random_state=0).fit(data)
    for node in range(20):
        model.unlearn([node])
    held_back = model.spent_ - model._accumulated
    limit = 3 * np.sqrt(model._data.n_nodes * 16) * 1e-3
    assert 0 < held_back < limit * np.sqrt(2 * model._data.n_nodes)


def test_reloading_pays_for_what_was_held_back():
    data = stochastic_block_model([200, 200], random_state=0)
    model = CertifiedGNN(LazySGC(2, r_max=1e-3), noise=30.0, random_state=0).fit(data).unlearn([3])
    assert model.spent_ > 2 * model._accumulated  # most of it is held back
    loaded = pickle.loads(pickle.dumps(model)).attach_data(data)
    assert loaded._propagated.error == 0
    assert loaded.unlearn([300])._accumulated > model.spent_  # what the request itself holds back comes on top


def test_where_more_is_held_back_than_the_account_allows_it_trains_on_features_propagated_anew():
    data = stochastic_block_model([100, 100], random_state=0)
    model = CertifiedGNN(LazySGC(2, r_max=1.0), noise=0.1, random_state=0).fit(data).unlearn([5])
    assert model.receipts_[-1].work.details["retrained"]
    assert model._propagated.error == 0
    assert true_residual(model) <= model.spent_ <= model.allowed_


@pytest.mark.parametrize("method", [RidgeGNN, LogisticGNN])
def test_exact_methods_refuse_it(method, blocks):
    with pytest.raises(TypeError, match="CertifiedGNN accounts for that"):
        method(LazySGC()).fit(blocks)


def test_replayed_nodes_never_get_the_planted_label():
    data = stochastic_block_model([60, 60], random_state=0)
    nodes = data.train_mask.nonzero().flatten()[::9]
    model = CertifiedGNN(LazySGC(1, r_max=1e-6), alpha=1e-4, noise=0.01, random_state=0)
    assert replay(model, data, nodes, n_features=20)["after"] == 0.0


def test_a_negative_tolerance_is_refused(blocks):
    with pytest.raises(ValueError, match="r_max"):
        CertifiedGNN(LazySGC(r_max=-1.0)).fit(blocks)
