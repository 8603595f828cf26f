"""The audit's table against the metrics as functions of arrays, and against answers known in advance."""

import numpy as np
import pytest

from mlunlearn.audit import (
    Audit,
    Outputs,
    Predictions,
    activation_distance,
    average_gap,
    completeness,
    cross_entropy,
    forgetting_score,
    js_divergence,
    loss_attack,
    nomus,
    threshold_attack,
    tow,
    zrf,
)
from mlunlearn.audit.metrics.signals import modified_entropy

SIZES = {"forget": 120, "retain": 200, "test": 150}
N_CLASSES = 4


def target(name):
    return np.arange(SIZES[name]) % N_CLASSES


def outputs(seed, skill, sizes=SIZES):
    """Outputs of a model that puts `skill` more logits on the true class, by data set."""
    said = {}
    for number, name in enumerate(sizes):
        rng = np.random.default_rng([seed, number])
        logits = rng.normal(size=(sizes[name], N_CLASSES))
        logits[np.arange(sizes[name]), np.arange(sizes[name]) % N_CLASSES] += skill.get(name, 1.0)
        proba = np.exp(logits)
        proba /= proba.sum(axis=1, keepdims=True)
        said[name] = Outputs(proba.argmax(axis=1), proba)
    return said


def predictions(unlearned=None, **options):
    targets = {name: target(name) for name in SIZES}
    references = [outputs(1, {}), outputs(2, {})]
    unlearned = outputs(0, {}) if unlearned is None else unlearned
    options = {"original": outputs(3, {"forget": 6.0}), **options}
    return Predictions("classifier", targets, unlearned, references, **options)


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(9)
    untrained = rng.dirichlet(np.ones(N_CLASSES), size=(3, SIZES["forget"]))
    return Audit.of(predictions(untrained=list(untrained)), n_bootstrap=200, random_state=0)


def test_every_figure_equals_the_metric_as_a_function_of_arrays(report):
    said = report.predictions
    u, r = said.unlearned, said.references[0]
    p, q = u["forget"].proba, r["forget"].proba
    accuracies = [{name: np.mean(m[name].labels == target(name)) for name in SIZES} for m in (u, r)]
    losses = [[cross_entropy(m[name].proba, target(name)) for name in ("forget", "test")] for m in (u, r)]
    attacks = [loss_attack(*pair) for pair in losses]
    with_attack = [{**a, "mia": attack.accuracy} for a, attack in zip(accuracies, attacks, strict=True)]
    signals = [-modified_entropy(u[name].proba, target(name)) for name in ("forget", "test")]
    threshold = threshold_attack(signals[0], target("forget"), signals[1], target("test"), random_state=0)
    expected = {
        ("accuracy", "retain"): accuracies[0]["retain"],
        ("accuracy gap", "test"): abs(accuracies[0]["test"] - accuracies[1]["test"]),
        ("signed accuracy gap", "forget"): accuracies[0]["forget"] - accuracies[1]["forget"],
        ("signed loss gap", "forget"): losses[0][0].mean() - losses[1][0].mean(),
        ("average gap", "all"): average_gap(*with_attack),
        ("ToW", "all"): tow(*accuracies),
        ("completeness", "forget"): completeness(p, q),
        ("JS divergence", "forget"): js_divergence(p, q, normalized=True),
        ("activation distance", "forget"): activation_distance(p, q),
        ("ZRF", "forget"): zrf(p, np.array(said.untrained)),
        ("ZRF (official code)", "forget"): zrf(p, np.array(said.untrained), variant="official"),
        ("loss attack accuracy", "forget"): attacks[0].accuracy,
        ("loss attack AUC", "forget"): attacks[0].auc,
        ("loss attack TPR at FPR 1 %", "forget"): attacks[0].tpr_at_fpr_0_01,
        ("forgetting score", "forget"): forgetting_score(attacks[0].accuracy),
        ("NoMUS", "all"): nomus(accuracies[0]["test"], forgetting_score(attacks[0].accuracy)),
        ("threshold attack accuracy", "forget"): threshold.accuracy,
    }
    for key, value in expected.items():
        assert report[key].unlearned.estimate == pytest.approx(value, abs=1e-12), key


def test_every_row_has_a_null_and_an_original_and_intervals_around_them(report):
    frame = report.to_frame()
    assert not frame.drop(columns="scaled").isna().any().any()
    for part in ("unlearned", "null", "original"):
        assert (frame[f"{part}_low"] <= frame[part]).all()
        assert (frame[part] <= frame[f"{part}_high"]).all()
    assert set(frame["better"]) == {"lower", "higher", "like null"}
    assert not frame.duplicated(["metric", "data"]).any()


def test_the_strongest_attack_comes_first_and_is_no_average(report):
    aucs = {row.metric: row.unlearned.estimate for row in report.rows if row.metric.endswith("attack AUC")}
    strongest = aucs.pop("strongest attack AUC")
    assert strongest == pytest.approx(0.5 + max(abs(auc - 0.5) for auc in aucs.values()))
    assert report.rows[0].metric == "strongest attack AUC"


def test_the_reference_itself_has_no_distance_and_loses_nothing():
    report = Audit.of(predictions(unlearned=outputs(1, {})), n_bootstrap=50, random_state=0)
    for metric, data, known in [
        *[(m, d, 0.0) for m in ("accuracy gap", "JS divergence", "activation distance") for d in SIZES],
        *[("completeness", d, 1.0) for d in SIZES],
        ("average gap", "all", 0.0),
        ("ToW", "all", 1.0),
    ]:
        row = report[metric, data]
        assert tuple(row.unlearned) == (known, known, known)
        assert row.null.estimate != known


def test_a_model_that_did_nothing_scores_as_the_original_and_outside_the_null():
    said = outputs(3, {"forget": 6.0})
    report = Audit.of(predictions(unlearned=said), exchangeable=True, n_bootstrap=100, random_state=0)
    for key in [("accuracy", "forget"), ("loss", "forget"), ("strongest attack AUC", "forget"), ("ToW", "all")]:
        assert report[key].unlearned == report[key].original
        assert report[key].scaled == 0.0
    assert report.verdict == report.verdict_on_original
    assert report.verdict.decision == "distinguishable from one"


def test_destroying_too_much_is_not_taken_for_forgetting():
    said = outputs(4, {"forget": -3.0})
    report = Audit.of(predictions(unlearned=said), exchangeable=True, n_bootstrap=100, random_state=0)
    assert report["signed accuracy gap", "forget"].unlearned.high < 0.0
    assert report.verdict.found[0].direction == "the forgotten rows stand out as suppressed"


def test_labels_alone_give_fewer_scores_and_the_audit_says_so():
    said = predictions()
    bare = Predictions(
        "classifier",
        said.targets,
        *[{name: Outputs(out.labels) for name, out in m.items()} for m in (said.unlearned,)],
        [{name: Outputs(out.labels) for name, out in m.items()} for m in said.references],
    )
    report = Audit.of(bare, n_bootstrap=20, random_state=0)
    metrics = {row.metric for row in report.rows}
    assert {"accuracy", "completeness", "ToW", "label attack AUC"} <= metrics
    assert not metrics & {"loss", "JS divergence", "NoMUS", "loss attack AUC"}
    assert any("predict_proba" in what for what in report.not_measured)


def test_one_forgotten_row_has_no_interval():
    sizes = {"forget": 1, "retain": 50, "test": 40}
    targets = {name: np.arange(n) % N_CLASSES for name, n in sizes.items()}
    models = [outputs(seed, {}, sizes) for seed in range(3)]
    report = Audit.of(Predictions("classifier", targets, models[0], models[1:]), n_bootstrap=20, random_state=0)
    assert np.isnan(report["accuracy", "forget"].null.low)
    assert report["accuracy", "test"].null.low < report["accuracy", "test"].null.high
    assert any("one independent sample" in what for what in report.not_measured)
    assert any("loss attacks" in what for what in report.not_measured)


def test_more_references_widen_the_null_by_the_difference_between_seeds():
    said = predictions()
    better = outputs(7, {"test": 4.0})
    three = Predictions("classifier", said.targets, said.unlearned, [*said.references, better])
    narrow = Audit.of(said, n_bootstrap=100, random_state=0)["accuracy", "test"].null
    wide = Audit.of(three, n_bootstrap=100, random_state=0)["accuracy", "test"].null
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert narrow.estimate < wide.estimate


def test_dependent_samples_widen_intervals():
    persons = {name: np.arange(n) // 10 for name, n in SIZES.items()}
    constant = {name: Outputs(np.where(persons[name] % 2, target(name), -1)) for name in SIZES}
    targets = {name: target(name) for name in SIZES}
    widths = []
    for groups in ({}, persons):
        said = Predictions("classifier", targets, constant, [constant, constant], groups=groups)
        row = Audit.of(said, n_bootstrap=200, random_state=0)["accuracy", "test"]
        widths.append(row.unlearned.high - row.unlearned.low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"references": [outputs(1, {})]}, "at least two"),
        ({"targets": {"forget": target("forget")}}, "'test' among them"),
        ({"unlearned": {"test": Outputs(target("test"))}}, "one output for each"),
    ],
)
def test_predictions_that_do_not_belong_together_are_refused(change, message):
    parts = {
        "targets": {name: target(name) for name in SIZES},
        "unlearned": outputs(0, {}),
        "references": [outputs(1, {}), outputs(2, {})],
    }
    with pytest.raises(ValueError, match=message):
        Predictions("classifier", **{**parts, **change})
