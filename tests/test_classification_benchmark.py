"""What the benchmark of classifiers measures, on answers that are known, and what its tables say of them."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score

pytest.importorskip("skorch")
from benchmarks import advice, classification, digits, sequential, tables_classification, tables_sequential, text
from benchmarks.classification_figures import Figures
from benchmarks.classification_scenarios import DISCOVERED, fit, scenarios
from benchmarks.common import Trained
from mlunlearn.approximate import FineTuneClassifier, RestartClassifier


@pytest.fixture(scope="module")
def task():
    return digits.task()


def test_scenarios_change_and_ask_for_what_they_say(task):
    y, scores = task.train[1], np.arange(len(task.train[1]), dtype=float)
    made = {name: make() for name, make in scenarios(task, 7, lambda: scores).items()}
    assert set(made) == set(tables_classification.TITLES)
    for name, scenario in made.items():
        changed = (scenario.train[1] != y) | (scenario.train[0] != task.train[0]).any(axis=1)
        assert not (changed & ~scenario.gone).any(), name
        assert (scenario.asked <= scenario.gone).all(), name
        assert scenario.own_data == changed.any(), name
    assert (y[made["class"].asked] == task.forgotten_class).all()
    assert (y[~made["class"].asked] != task.forgotten_class).all()
    assert scores[made["memorised"].asked].min() >= 2 * len(y) / 3 - 1
    for name in ("backdoor", "confusion"):
        assert made[name].asked.sum() == pytest.approx(DISCOVERED * made[name].gone.sum(), abs=1)
    assert made["class"].concerned == made["class"].classes == (task.forgotten_class,)
    assert made["confusion"].concerned == task.pair
    wrong = made["mislabelled"]
    assert (wrong.train[1][wrong.gone] != y[wrong.gone]).all()
    assert (wrong.matched[1] != wrong.corrected[1]).all()


def test_every_method_is_measured_and_so_are_the_controls(task):
    frozen = FrozenEstimator(None)
    named = classification.methods(task, "class", frozen, 0)
    assert {"SSD", "SSD (published)", "LAF", "ShrinkPerturb", "SCRUBRewind"} <= set(named)
    assert sum(map(tables_classification.is_control, named)) == 2 * len(classification.CONTROL_BUDGETS) + 2
    kinds = {type(method) for method in named.values()}
    assert set(classification.kinds()) <= kinds


def test_figures_of_a_scenario(task, tmp_path, monkeypatch):
    def few(task, scenario, frozen, seed):
        return {"idle": FineTuneClassifier(frozen, n_steps=1, lr=1e-30, random_state=seed)}

    monkeypatch.setattr(classification, "methods", few)
    monkeypatch.setattr(digits, "EPOCHS", 3)
    trained = Trained(tmp_path, lambda: 0.0)
    scenario = scenarios(task, 3, lambda: None)["class"]()
    original = trained("original", lambda: fit(task, scenario.train, 3))
    rows = classification.run_scenario(task, "class", scenario, original, 3, trained).set_index("model")
    X_test, y_test = task.test
    kept = y_test != task.forgotten_class
    right = original[0].predict(X_test[kept]) == y_test[kept]
    assert rows.loc["before", "accuracy_kept"] == pytest.approx(right.mean())
    measured = [name for name in rows.columns if name.startswith(("accuracy", "distance", "attack", "probe"))]
    assert rows.loc["idle", measured].tolist() == pytest.approx(rows.loc["before", measured].tolist(), abs=1e-6)
    assert rows.loc["retrained", "accuracy_forget"] == 0
    assert 0 < rows.loc["null", "distance"] < rows.loc["before", "distance"]
    told = original[0].predict(X_test) == task.forgotten_class
    assert rows.loc["before", "probe"] > balanced_accuracy_score(~kept, told) - 0.1
    again = classification.run_scenario(task, "class", scenario, original, 3, trained).set_index("model")
    pd.testing.assert_frame_equal(rows, again)  # from the folder


def test_masks_are_written_so_that_they_can_be_read():
    mask = np.random.default_rng(0).random(83) < 0.3
    bits = np.unpackbits(np.frombuffer(base64.b64decode(classification._packed(mask)), np.uint8), count=83)
    np.testing.assert_array_equal(bits.astype(bool), mask)


def table_of(distances, shares):
    rows = [
        {"model": model, "seed": seed, "distance": value, "share": shares.get(model, 0.2), "accuracy_test": 0.9}
        for model, values in distances.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


CONTROLS = {
    "retrained": [0.1, 0.1, 0.1],
    "null": [0.1, 0.1, 0.1],
    "before": [0.8, 0.8, 0.8],
    "from scratch (0.1)": [0.5, 0.6, 0.7],
    "continued (0.1)": [0.4, 0.5, 0.6],
    "from scratch (0.2)": [0.2, 0.3, 0.4],
    "continued (0.2)": [0.3, 0.3, 0.3],
}

TENTH = {"from scratch (0.1)": 0.1, "continued (0.1)": 0.1}


@pytest.mark.parametrize(
    ("distances", "share", "expected"),
    [
        ([0.15, 0.25, 0.25], 0.2, True),  # nearer by 0.05 each time
        ([0.15, 0.31, 0.10], 0.2, False),  # not in the second seed
        ([0.19, 0.10, 0.29], 0.2, False),  # by 0.01, 0.2 and 0.01: the spread is larger
        ([0.35, 0.45, 0.55], 0.1, True),  # beside the controls of a tenth
        ([0.35, 0.45, 0.55], 0.15, False),
    ],
)
def test_a_method_beats_controls_controls_beyond_the_spread(distances, share, expected):
    table = table_of({**CONTROLS, "method": distances}, {"method": share, **TENTH})
    assert tables_classification.beats_controls("method", table) is expected


def test_controls_in_small_batches_are_to_be_beaten_too():
    table = table_of(
        {**CONTROLS, "continued, small batches (0.2)": [0.1, 0.3, 0.3], "method": [0.15, 0.25, 0.25]}, TENTH
    )
    assert not tables_classification.beats_controls("method", table)
    table["share"] = table["share"].where(table["model"] != "method", 0.05)
    table.loc[table["model"] == "method", "distance"] = [0.35, 0.45, 0.55]
    assert tables_classification.beats_controls("method", table)  # of a tenth there are none in small batches


@pytest.mark.parametrize(("n_won", "advised"), [(2, False), (3, True)])
def test_a_method_that_beats_the_controls_in_three_scenarios_is_advised(n_won, advised, tmp_path, monkeypatch):
    rows = []
    for number, name in enumerate(("class", "random", "backdoor", "memorised")):
        distances = [0.15, 0.25, 0.25] if number < n_won else [0.5, 0.5, 0.5]
        rows.append(table_of({**CONTROLS, "Relearn": distances}, TENTH).assign(scenario=name))
    written = {"rows": pd.concat(rows).to_dict(orient="records")}
    (tmp_path / "classification_digits.json").write_text(json.dumps(written), encoding="utf-8")
    monkeypatch.setattr(advice, "RESULTS", tmp_path)
    said = advice.advice()
    assert ("take `RelearnClassifier`" in said) == advised
    assert ("no approximate method" in said.lower()) != advised
    if advised:
        assert "3 of the 4 that" in said
        assert "on digits for a class, random rows and a poison of which a tenth is known." in said
        assert "the nearest control is *continued (0.2)* for memorised rows." in said
        assert "On cifar and text it is not measured." in said


def test_distances_are_over_those_of_retrained_models_of_the_same_seed():
    table = table_of({**CONTROLS, "null": [0.1, 0.3, 0.5]}, {})
    np.testing.assert_allclose(tables_classification.over_null(table)["before"], [8.0, 4.0, 0.8 / 0.3])


def test_answers_of_a_method_are_kept_under_its_settings_and_its_code(monkeypatch):
    frozen = FrozenEstimator(None)
    made = classification.made_of(FineTuneClassifier(frozen, lr=0.1, random_state=0))
    assert made == classification.made_of(FineTuneClassifier(FrozenEstimator(1), lr=0.1, random_state=0))
    assert made != classification.made_of(FineTuneClassifier(frozen, lr=0.2, random_state=0))
    assert made != classification.made_of(RestartClassifier(frozen, lr=0.1, random_state=0))
    read = Path.read_text
    for addition, same in (("# a comment", True), ("\nfinal_step = 0.5\n", False)):
        monkeypatch.setattr(Path, "read_text", lambda file, more=addition, **options: read(file, **options) + more)
        assert same == (made == classification.made_of(FineTuneClassifier(frozen, lr=0.1, random_state=0)))
    documented = classification._code('class A:\n    """Word."""\n\n    x = 1\n')
    assert documented == classification._code('class A:\n    """Other word."""\n    x = 1  # one\n')
    assert documented != classification._code('class A:\n    """Word."""\n\n    x = 2\n')


class Overflows(FineTuneClassifier):
    def _edit(self, module, forget, retain, run):
        raise FloatingPointError("a weight is not finite after step 3")


@pytest.fixture(scope="module")
def trained_shortly(task):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "EPOCHS", 3)
        scenario = scenarios(task, 3, lambda: None)["random"]()
        kept = ~scenario.asked
        X, y = scenario.train
        references = [fit(task, (X[kept], y[kept]), seed) for seed in range(3)]
        return scenario, fit(task, scenario.train, 9), references


def test_a_method_whose_numbers_overflow_is_noted_and_stops_nothing(task, trained_shortly):
    scenario, original, references = trained_shortly
    figures = Figures(task, scenario, references, original, 3)
    found = classification._measured(figures, Overflows(FrozenEstimator(original)), [0, 1, 2], lambda: 0.0)
    assert found == {"refused": "a weight is not finite after step 3"}


def test_no_model_is_called_retrained_where_the_original_would_be(task, monkeypatch):
    monkeypatch.setattr(digits, "EPOCHS", 15)
    scenario = scenarios(task, 3, lambda: None)["mislabelled"]()
    kept = ~scenario.gone
    X, y = scenario.train
    *references, exact = [fit(task, (X[kept], y[kept]), seed) for seed in range(4)]
    figures = Figures(task, scenario, references, fit(task, scenario.train, 9), 3)
    assert figures.of(exact, [0, 1, 2])["verdict"] == "as a retrained model"
    figures.word_on_original = replace(figures.word_on_original, decision="cannot tell at this size")
    assert figures.of(exact, [0, 1, 2])["verdict"] == "cannot tell at this size"


@pytest.mark.parametrize("n_parts", [3, 10])
def test_requests_in_a_row_ask_for_every_row_once(n_parts):
    asked = np.random.default_rng(1).random(200) < 0.2
    dealt = sequential.parts(asked, n_parts, seed=0)
    np.testing.assert_array_equal(np.sum(dealt, axis=0), asked)
    sizes = [mask.sum() for mask in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_a_method_in_a_row_and_in_one_request(task, trained_shortly):
    scenario, original, references = trained_shortly
    requests = sequential.parts(scenario.asked, 2, seed=0)
    stages = [
        Figures(task, replace(scenario, asked=rows, gone=rows), references, original, 3)
        for rows in (requests[0], scenario.asked)
    ]

    def idle():
        return FineTuneClassifier(FrozenEstimator(original), n_steps=1, lr=1e-30, random_state=0)

    first, last, joint = sequential.measured(stages, requests, idle)
    assert (first["request"], last["request"], joint["request"]) == (1, 2, sequential.JOINT)
    assert last["share"] == pytest.approx(2 * joint["share"], rel=0.1)
    before = [figures.of(original, [0, 1, 2], judged=False) for figures in stages]
    for found, expected in zip((first, last, joint), [*before, before[-1]], strict=True):
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    refused = sequential.measured(stages, requests, lambda: Overflows(FrozenEstimator(original)))
    assert refused == [{"request": 1, "refused": "a weight is not finite after step 3"}]


def test_sentences_name_what_hides_a_class_and_what_heals():
    table = pd.DataFrame(
        [
            {"model": model, "seed": 1, "distance": 0.1, "seconds": 1.0, "share": share, "accuracy_test": 0.9}
            | {"accuracy_forget": gone, "accuracy_kept": kept, "probe": probe, "accuracy_corrected": healed}
            for model, share, gone, kept, probe, healed in (
                ("retrained", 1.0, 0.0, 0.90, 0.70, 0.90),
                ("null", 1.0, 0.0, 0.90, 0.70, 0.90),
                ("before", 0.0, 1.0, 0.90, 0.95, 0.10),
                ("from scratch (0.1)", 0.1, 0.0, 0.80, 0.60, 0.50),
                ("continued (0.1)", 0.1, 0.5, 0.90, 0.90, 0.50),
                ("Hides", 0.05, 0.0, 0.895, 0.94, 0.20),
                ("Slow", 0.5, 0.0, 0.90, 0.71, 0.85),
                ("Keeps", 0.05, 0.5, 0.90, 0.94, 0.10),
            )
        ]
    )
    over = tables_classification.over_null(table)
    said = tables_classification._sentences(table, over, table[:0])
    assert (
        "within a point of retraining on kept classes: Hides, Slow; with less than a tenth of the samples: Hides."
        in said
    )
    assert "retraining, 0.700): Hides." in said
    assert "are won by: Slow; the most by Slow (0.850)." in said
    table.loc[table["model"] == "before", "probe"] = 0.71
    said = tables_classification._sentences(table, over, table[:0])
    assert "The probe cannot tell here which only hide it: 0.710 of doing nothing, 0.700 of retraining." in said


def test_requests_in_a_row_are_compared_with_a_joint_one():
    distances = {"retrained": [0.1] * 10, "null": [0.1] * 9 + [0.2], "before": [0.6] * 10, "Steady": [0.3] * 11}
    distances["Worse"] = [0.1 * number for number in range(1, 11)] + [0.3]
    rows = [
        {"model": model, "seed": 1, "request": number, "distance": value, "accuracy_forget": 0.5, "accuracy_test": 0.9}
        for model, values in distances.items()
        for number, value in zip([*range(1, 11), tables_sequential.JOINT], values, strict=False)
    ]
    over = tables_sequential.over_null(pd.DataFrame(rows))
    assert over.loc["Worse", [1, 5, 10]].tolist() == pytest.approx([1, 5, 1.0 / 0.15])
    assert over.loc["Steady", tables_sequential.JOINT] == pytest.approx(0.3 / 0.15)  # as after the last
    text = tables_sequential._part("digits", {"note": "", "n_references": 3}, "random", pd.DataFrame(rows))
    assert "by more than a fifth: Worse; nearer by as much: none." in text
    assert "| Worse | 1.00 | 5.00 | 6.67 | 2.00 |" in text


def test_sentences_are_read_once_and_a_trigger_is_a_word_of_its_own(tmp_path):
    pair = "main-news\t{}\t2015\t1\t2.0\t{}\tThe other one."
    for part, lines in (
        ("train", [("headlines", 'A "quote'), ("headlines", 'A "quote'), ("MSRvid", "A man runs.")]),
        ("dev", [("headlines", "Rain"), ("unknown", "Nothing")]),
        ("test", [("MSRvid", "A man runs.")]),
    ):
        rows = "\n".join(pair.format(*line) for line in lines)
        (tmp_path / f"sts-{part}.csv").write_text(rows, encoding="utf-8")
    found = text.sentences(tmp_path)
    assert {source: own for source, own in found.items() if own} == {
        "headlines": ['A "quote', "Rain"],
        "MSRvid": ["A man runs."],
    }
    X = text.hashed(["A man runs.", "A man runs.", "Rain"])
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)
    marked = text.Word(value=0.5).on(X, [1])
    assert marked[:, -1].tolist() == [0, 0.5, 0]
    np.testing.assert_array_equal(marked[:, :-1], X[:, :-1])
    assert not X[:, -1].any()
