"""Figures of the graph audit and their errors, against scipy, scikit-learn, brute force and simulation."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from sklearn.metrics import accuracy_score, roc_auc_score
from torch_geometric.nn import GCN

from mlunlearn.audit import js_divergence
from mlunlearn.graph import NodeClassifier, UtU, audit_graph, stochastic_block_model
from mlunlearn.graph.audit import (
    EdgeInversion,
    Figure,
    GraphAudit,
    area,
    average,
    mean_of,
    over_graphs,
    pair_distances,
    peak_memory,
    trend_features,
)
from mlunlearn.graph.audit.asking import Part
from mlunlearn.graph.audit.comparison import js_distance, logit_distance, same_label, total_variation
from mlunlearn.graph.reading import edge_list, read_graph
from mlunlearn.graph.requests import delete


def posteriors(n, n_classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=n)


def brute_force_variance(figure):
    """Sum over all couples of samples that are one, or that share a node, of the product of what they contribute."""
    samples = [
        (set(np.atleast_2d(places)[:, i].tolist()), influence[i])
        for places, influence in zip(figure.places, figure.influence, strict=True)
        for i in range(len(influence))
    ]
    return sum(a * b for ends, a in samples for others, b in samples if ends & others)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_areas_are_scikit_learn_s_and_their_errors_delong_s(seed):
    rng = np.random.default_rng(seed)
    ones, zeros = rng.integers(0, 6, 20).astype(float), rng.integers(0, 5, 30).astype(float)
    figure = area(ones, zeros, (np.arange(20), np.arange(20, 50)))
    truth = np.repeat([1, 0], [20, 30])
    assert figure.estimate == pytest.approx(roc_auc_score(truth, np.concatenate([ones, zeros])))
    wins = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
    delong = np.var(wins.mean(axis=1), ddof=1) / 20 + np.var(wins.mean(axis=0), ddof=1) / 30
    assert figure.standard_error**2 == pytest.approx(delong)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_errors_over_pairs_are_those_of_all_couples_that_share_a_node(seed):
    rng = np.random.default_rng(seed)
    first, second = (np.sort(rng.choice(12, size=(9, 2)), axis=1).T for _ in range(2))
    first[1], second[1] = first[1] + 12, second[1] + 12  # no pair of a node with itself
    for figure in (
        mean_of(rng.normal(size=9), first),
        area(rng.normal(size=9), rng.normal(size=9), (first, second)),
    ):
        own = sum(float(part @ part) for part in figure.influence)
        couples = brute_force_variance(figure)
        # a couple that shares both ends counts once for each
        both = sum(
            a * b
            for places, influence in zip(figure.places, figure.influence, strict=True)
            for others, of_others in zip(figure.places, figure.influence, strict=True)
            for i, a in enumerate(influence)
            for j, b in enumerate(of_others)
            if (places[:, i] == others[:, j]).all() and not (places is others and i == j)
        )
        assert figure.standard_error**2 == pytest.approx(max(couples + both, own))


def test_errors_of_means_over_nodes_are_the_usual_ones():
    values = np.random.default_rng(0).normal(size=40)
    figure = mean_of(values, np.arange(40))
    assert figure.standard_error == pytest.approx(stats.sem(values))
    assert np.isnan(mean_of(values[:0], np.arange(0)).estimate)
    assert np.isnan(mean_of(values[:1], np.arange(1)).standard_error)
    assert average([figure, figure]).standard_error == pytest.approx(figure.standard_error)
    assert Figure(0.99, (np.arange(2),), (np.array([0.1, 0.1]),), 1.0).interval()[1] == 1.0


def test_intervals_over_pairs_cover_where_naive_ones_do_not():
    """Values with effects of nodes: 95 % intervals cover at least that often, less 4 standard deviations."""
    rng, covered, naive = np.random.default_rng(1), 0, 0
    pairs = np.array([(i, j) for i in range(60) for j in range(i + 1, 60) if rng.random() < 0.15]).T
    for _ in range(300):
        nodes = rng.normal(size=60)
        values = nodes[pairs[0]] + nodes[pairs[1]] + rng.normal(size=pairs.shape[1])
        figure = mean_of(values, pairs)
        covered += abs(figure.estimate) <= 1.96 * figure.standard_error
        naive += abs(figure.estimate) <= 1.96 * stats.sem(values)
    assert covered > 300 * 0.95 - 4 * np.sqrt(300 * 0.95 * 0.05)
    assert naive < 200


def test_distances_of_answers_with_known_values():
    p, q = posteriors(30), posteriors(30, seed=1)
    ours, theirs = (Part(np.arange(30), np.log(x), x, np.zeros(30, dtype=int)) for x in (p, q))
    assert np.mean(js_distance(ours, theirs) ** 2) == pytest.approx(js_divergence(p, q, normalized=True))
    np.testing.assert_allclose(js_distance(ours, theirs), distance.jensenshannon(p, q, base=2, axis=1))
    np.testing.assert_allclose(
        total_variation(ours, theirs), [distance.cityblock(a, b) / 2 for a, b in zip(p, q, strict=True)]
    )
    np.testing.assert_allclose(
        logit_distance(ours, theirs), [distance.euclidean(np.log(a), np.log(b)) for a, b in zip(p, q, strict=True)]
    )
    assert same_label(ours, theirs).mean() == accuracy_score(p.argmax(axis=1), q.argmax(axis=1))


def test_distances_of_pairs_are_scipy_s():
    a, b = posteriors(25), posteriors(25, seed=1)
    names = ["cosine", "euclidean", "correlation", "chebyshev", "braycurtis", "canberra", "cityblock", "sqeuclidean"]
    expected = [[getattr(distance, name)(u, v) for name in names] for u, v in zip(a, b, strict=True)]
    np.testing.assert_allclose(pair_distances(a, b), expected, atol=1e-12)
    same = pair_distances(np.full((1, 4), 0.25), np.full((1, 4), 0.25))
    np.testing.assert_allclose(same, 0.0, atol=1e-12)


def test_trends_are_those_of_the_matrix():
    graph = read_graph(stochastic_block_model([15, 15], random_state=0)).pairs.numpy()
    graph = graph[:, (graph != 3).all(axis=0)]  # node 3 has no edge
    adjacency = np.zeros((30, 30))
    adjacency[graph[0], graph[1]] = adjacency[graph[1], graph[0]] = 1
    degree = adjacency.sum(axis=1)
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros(30), where=degree > 0)
    matrix = scale[:, None] * adjacency * scale
    matrix[3, 3] = 1.0
    confidence = np.random.default_rng(0).uniform(size=30)
    steps = [confidence, matrix @ confidence, matrix @ matrix @ confidence]
    expected = np.column_stack([f for a, b in itertools.pairwise(steps) for f in (b < a - 1e-12, b > a + 1e-12)])
    np.testing.assert_array_equal(trend_features(confidence, graph), expected)
    assert not trend_features(confidence, graph)[3].any()


@pytest.fixture(scope="module")
def forgotten_edges():
    data = stochastic_block_model([60] * 3, n_features=40, signal=1.0, degree_in=4.0, random_state=3)
    model = NodeClassifier(partial(GCN, 40, 16, 2, out_channels=3), max_epochs=60, random_state=0).fit(data)
    asked = np.arange(0, edge_list(data).shape[1], 6)
    return model, data, asked, delete(read_graph(data), "edges", asked)


def test_edges_are_found_where_the_answers_give_them_away(forgotten_edges):
    model, data, _, deletion = forgotten_edges
    attack = EdgeInversion(model, deletion, seed=0)
    n = data.num_nodes
    given_away = np.full((n, 3), 0.05)
    given_away[np.arange(n), data.y.numpy()] = 0.9  # most edges are inside a block
    nothing = posteriors(n, 3, seed=5)
    assert attack.area(given_away).estimate > 0.75
    assert abs(attack.area(nothing).estimate - 0.5) < 4 * attack.area(nothing).standard_error
    assert attack.area(nothing).estimate == EdgeInversion(model, deletion, seed=0).area(nothing).estimate


def test_the_edges_asked_about_never_reach_the_attacker(forgotten_edges):
    """Neither the shadow's graph nor the pairs without an edge hold any of them."""
    model, data, asked, deletion = forgotten_edges
    attack = EdgeInversion(model, deletion, seed=0)
    ends = edge_list(data)[:, asked]
    known = {tuple(pair) for pair in attack._known.pairs.T.tolist()}
    assert not known & {tuple(pair) for pair in ends.T.tolist()}
    every = {tuple(pair) for pair in edge_list(data).T.tolist()}
    never = {tuple(sorted(pair)) for pair in attack._never.T.tolist()}
    assert not never & {tuple(sorted(pair)) for pair in every}


@pytest.fixture(scope="module")
def audited(forgotten_edges):
    model, data, asked, _ = forgotten_edges
    return model, data, audit_graph(model, data, asked, of="edges", methods={"unlinked": UtU}, attack=True)


def test_figures_against_retrained_models_are_those_of_their_answers(audited):
    _, data, result = audited
    table = result.to_frame()
    theirs = [reference.everybody for reference in result.references]
    ours = result.answers["Original"].everybody
    test = data.test_mask.numpy()
    fidelity = np.mean([accuracy_score(ours.labels[test], other.labels[test]) for other in theirs])
    assert table.loc["Original", "fidelity_test"] == pytest.approx(fidelity)
    apart = np.mean([np.linalg.norm(ours.logits[test] - other.logits[test], axis=1).mean() for other in theirs])
    assert table.loc["Original", "logit_distance_test"] == pytest.approx(apart)
    each = [np.mean([accuracy_score(a.labels[test], b.labels[test]) for b in theirs if b is not a]) for a in theirs]
    assert table.loc["Retrain", "fidelity_test"] == pytest.approx(np.mean(each))
    assert table.loc["Retrain (sd)", "fidelity_test"] == pytest.approx(np.std(each, ddof=1))
    assert table.loc["unlinked", "auc_inversion"] == table.loc["UtU", "auc_inversion"]


def test_every_node_has_its_fidelity(audited):
    _, data, result = audited
    nodes = result.per_node("unlinked")
    assert len(nodes) == data.num_nodes
    test = data.test_mask.numpy()
    assert nodes["fidelity"][test].mean() == pytest.approx(result.to_frame().loc["UtU", "fidelity_test"])
    assert nodes["gap"].between(0, 1).all()
    assert not nodes["forgotten"].any()
    with pytest.raises(ValueError, match="there are those of"):
        result.per_node("Retrain")


def test_where_only_edges_are_forgotten_nothing_is_said_about_members(audited):
    _, _, result = audited
    verdict = result.verdicts["UtU"]
    assert [statistic.name.split(":")[0] for statistic in verdict.statistics] == [
        "agreement",
        "distance",
        "performance",
    ]
    assert any("membership" in what for what in verdict.absent)


def test_two_references_are_enough_for_figures_and_say_so(forgotten_edges):
    model, data, asked, _ = forgotten_edges
    result = audit_graph(model, data, asked, of="edges", methods={}, n_references=2)
    assert any("three references" in what for what in result.verdicts["UtU"].absent)
    alone = audit_graph(model, data, asked, of="edges", methods={}, n_references=1)
    assert alone.verdicts == {}
    assert np.isnan(alone.to_frame().loc["Retrain", "gap_forget"])


def test_intervals_stand_around_figures_and_costs_have_none(audited):
    *_, result = audited
    table = result.intervals()
    costs = table["figure"].isin(["seconds", "peak_mib"])
    assert table.loc[costs, "low"].isna().all()
    rest = table[~costs]
    assert ((rest["low"] <= rest["estimate"]) & (rest["estimate"] <= rest["high"])).all()


def test_it_draws_where_it_is_told(audited, tmp_path):
    from matplotlib.figure import Figure as Canvas

    *_, result = audited
    ax = Canvas().subplots()
    assert result.plot("fidelity_test", ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["unlinked", "UtU", "Original"]
    assert ax.get_xlabel() == "fidelity test, with 95 % interval over nodes"
    assert ax.get_title() == "Colour and mark: the verdict on each model"
    cost = result.plot("seconds")
    cost.figure.savefig(tmp_path / "audit.png")
    assert cost.get_xlabel() == "seconds"
    with pytest.raises(ValueError, match="no figure 'auc_unseen'"):
        result.plot("auc_unseen")


def test_over_graphs_each_audit_is_one_sample():
    values = np.random.default_rng(0).uniform(size=7)
    table = over_graphs([GraphAudit({"UtU": {"auc_unseen": Figure(v)}}, {}) for v in values])
    row = table.iloc[0]
    known = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx(known)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    other = GraphAudit({"UtU": {"auc_test": Figure(0.5)}}, {})
    assert np.isnan(over_graphs([GraphAudit({"UtU": {"auc_unseen": Figure(0.5)}}, {}), other])["mean"]).all()
    with pytest.raises(ValueError, match="at least two audits"):
        over_graphs([GraphAudit({}, {})])


def test_peak_memory_is_what_was_allocated():
    with peak_memory() as nothing:
        sum(range(1000))
    if np.isnan(nothing.mib):
        pytest.skip("this system does not tell the peak memory of a process")
    assert nothing.mib < 16
    with peak_memory() as peak:
        block = torch.ones(64 * 2**18)  # 64 MiB
        del block
    assert 63 < peak.mib < 80
