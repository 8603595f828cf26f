"""Results of graphs are added to, and never overwritten."""

import copy
import json

import pytest

pytest.importorskip("torch_geometric")

from benchmarks.graph_record import add, begin_addition, empty_record, read_record

SETTING = {"data": "sbm:100", "epochs": 10}


def figures(*models, auc=0.5):
    """Figures of some models, beside what is computed always."""
    rows = {model: {"auc": auc, "seconds": 2.0} for model in ("Original", "Retrain", "UtU", *models)}
    return {**rows, "Retrain (sd)": {"auc": 0.1, "seconds": 0.2}}


def put(record, seed, found, addition=None):
    """Add a seed as the benchmark does."""
    intervals = [{"model": model, "figure": "auc"} for model in found if model != "Retrain (sd)"]
    add(record, seed, found, intervals, {model: "not found" for model in found}, addition)


@pytest.fixture
def record():
    """Two seeds of one method."""
    made = empty_record(SETTING)
    for seed in (1, 2):
        put(made, seed, figures("D2DGN"))
    return made


def test_a_method_is_added_and_what_was_there_stays(record):
    before, addition = copy.deepcopy(record), begin_addition({"date": "today"})
    put(record, 1, figures("GIF", auc=0.75), addition)
    assert list(record["figures"]["1"]) == ["Original", "Retrain", "UtU", "D2DGN", "GIF", "Retrain (sd)"]
    assert {m: record["figures"]["1"][m] for m in before["figures"]["1"]} == before["figures"]["1"]
    assert record["figures"]["2"] == before["figures"]["2"]
    assert [row["model"] for row in record["intervals_over_nodes"]["1"]][-2:] == ["D2DGN", "GIF"]
    assert record["setting"] == {**SETTING, "seeds": [1, 2], "methods": ["D2DGN", "GIF"]}


def test_an_addition_says_where_it_ran_and_how_far_its_repeated_figures_are(record):
    addition = begin_addition({"date": "today"})
    for seed in (1, 2):
        put(record, seed, figures("GIF", auc=0.75), addition)
    differences = {"Original": 0.25, "Retrain": 0.25, "UtU": 0.25, "Retrain (sd)": 0.0}
    assert record["additions"] == [
        {
            "environment": {"date": "today"},
            "models": {"1": ["GIF"], "2": ["GIF"]},
            "largest_difference_of_repeated_figures": {"1": differences, "2": differences},
            "seconds_of_retraining": {"1": 2.0, "2": 2.0},
        }
    ]


def test_what_all_seeds_have_is_summarised(record):
    put(record, 1, figures("GIF"), begin_addition({}))
    assert {row["model"] for row in record["over_splits"]} == {"Original", "Retrain", "UtU", "D2DGN"}
    put(record, 2, figures("GIF", auc=0.7), begin_addition({}))
    (found,) = [row for row in record["over_splits"] if (row["model"], row["figure"]) == ("GIF", "auc")]
    assert found["mean"] == pytest.approx(0.6)


def test_a_file_of_another_setting_is_refused(record, tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert read_record(path, SETTING)["figures"].keys() == {"1", "2"}
    with pytest.raises(SystemExit, match="another setting"):
        read_record(path, {**SETTING, "epochs": 20})
