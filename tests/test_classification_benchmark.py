"""What the benchmark of classifiers measures, on answers that are known, and what its tables say of them."""

import base64

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score

pytest.importorskip("skorch")
from benchmarks import classification, digits, tables_classification
from benchmarks.common import Trained
from mlunlearn.approximate import FineTuneClassifier


@pytest.fixture(scope="module")
def task():
    return digits.task()


def test_scenarios_change_and_ask_for_what_they_say(task):
    y, scores = task.train[1], np.arange(len(task.train[1]), dtype=float)
    made = {name: make() for name, make in classification.scenarios(task, 7, lambda: scores).items()}
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
        assert made[name].asked.sum() == pytest.approx(classification.DISCOVERED * made[name].gone.sum(), abs=1)
    wrong = made["mislabelled"]
    assert (wrong.train[1][wrong.gone] != y[wrong.gone]).all()
    assert (wrong.matched[1] != wrong.corrected[1]).all()


def test_every_method_is_measured_and_both_controls_twice(task):
    frozen = FrozenEstimator(None)
    named = classification.methods(task, "class", frozen, 0)
    assert {"SSD", "SSD (published)", "LAF", "ShrinkPerturb", "SCRUBRewind"} <= set(named)
    assert sum(map(tables_classification.is_control, named)) == 2 * len(classification.CONTROL_BUDGETS)
    kinds = {type(method) for method in named.values()}
    assert set(classification.kinds()) <= kinds


def test_figures_of_a_scenario(task, tmp_path, monkeypatch):
    def few(task, scenario, frozen, seed):
        return {"idle": FineTuneClassifier(frozen, n_steps=1, lr=1e-30, random_state=seed)}

    monkeypatch.setattr(classification, "methods", few)
    monkeypatch.setattr(digits, "EPOCHS", 3)
    trained = Trained(tmp_path, lambda: 0.0)
    scenario = classification.scenarios(task, 3, lambda: None)["class"]()
    original = trained("original", lambda: classification.fit(task, scenario.train, 3))
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
def test_a_method_beats_both_controls_beyond_the_spread(distances, share, expected):
    table = table_of({**CONTROLS, "method": distances}, {"method": share, **TENTH})
    assert tables_classification.beats_both("method", table) is expected


def test_distances_are_over_those_of_retrained_models_of_the_same_seed():
    table = table_of({**CONTROLS, "null": [0.1, 0.3, 0.5]}, {})
    np.testing.assert_allclose(tables_classification.over_null(table)["before"], [8.0, 4.0, 0.8 / 0.3])
