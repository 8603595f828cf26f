"""Notebooks run from the first cell to the last, what their prose says holds, and no output is stored in them."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.xdist_group("notebooks")  # of which each is run once
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
LECTURE = "forgetting_from_a_trained_network"
WANTED = (
    "by_class",
    "means",
    "still_known",
    "known_when_retrained",
    "by_rows",
    "trick",
    "off",
    "searched",
    "trained_on",
)
"""Tables of the lecture that its prose is about."""

# Runs the code cells in order, as a kernel does; saves the named values, and what is told of audits.
RUN = """
import json, pickle, sys, types

notebook, saved, *wanted = sys.argv[1:]
names = vars(sys.modules.setdefault("notebook", types.ModuleType("notebook")))
for number, cell in enumerate(json.load(open(notebook, encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
found = {name: names[name] for name in wanted}
audits = names["audits"]
verdicts = {name: report.verdict for name, report in {**audits, "two references": names["with_two"]}.items()}
verdicts["before"] = audits["continued"].verdict_on_original
found["verdicts"] = verdicts
pickle.dump(found, open(saved, "wb"))
"""


def cells(path):
    """Cells of a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    """What the lecture computes: the whole of it is run, in about half a minute."""
    place = tmp_path_factory.mktemp("lecture")
    warnings = ["-W", "error"] + [  # as for pytest: what torch-geometric raises, which skorch imports where it is there
        part
        for message in ("`torch.jit.script` is deprecated", "`torch_geometric.distributed` has been deprecated")
        for part in ("-W", f"ignore:{message}:DeprecationWarning")
    ]
    done = subprocess.run(
        [sys.executable, *warnings, "-c", RUN, str(NOTEBOOKS[LECTURE]), "found.pickle", *WANTED],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in place.iterdir()] == ["found.pickle"]  # it writes nothing
    return pickle.loads((place / "found.pickle").read_bytes())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_nothing_of_a_run_is_stored(name):
    for cell in cells(NOTEBOOKS[name]):
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_path_of_a_machine_and_no_download(name):
    text = NOTEBOOKS[name].read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(home|root|tmp|usr|work|Users)\b|[A-Z]:\\\\", text)
    code = "".join(line for cell in cells(NOTEBOOKS[name]) if cell["cell_type"] == "code" for line in cell["source"])
    assert not re.search(r"https?://|fetch_|download|^[%!]", code, flags=re.MULTILINE)


def test_every_exercise_has_a_solution():
    text = ["".join(cell["source"]) for cell in cells(NOTEBOOKS[LECTURE]) if cell["cell_type"] == "markdown"]
    asked = re.findall(
        r"^(\d)\. \*", text[[part.startswith("## What to take home") for part in text].index(True)], re.M
    )
    solved = re.findall(r"^\*\*(\d)\.\*\*", "\n".join(text), re.M)
    assert asked == solved == ["1", "2", "3", "4", "5"]


def test_accuracies_after_forgetting_a_class(lecture):
    forgotten, kept = lecture["means"]["accuracy forgotten"], lecture["means"]["accuracy kept"]
    assert forgotten[forgotten < 0.01].index.tolist() == [
        "retrained",
        "from scratch",
        "continued",
        "NegGrad+",
        "EU-k",
        "shrink-perturb",
    ]
    assert forgotten["SCRUB"] > 0.9
    assert kept.max() - kept.min() < 0.02
    share = lecture["means"]["share read"][["from scratch", "continued", "EU-k", "shrink-perturb"]]
    np.testing.assert_allclose(share, 0.2, atol=0.005)


def test_no_network_has_the_mean_accuracy_of_ssd(lecture):
    table = lecture["by_class"]
    of_networks = table[table["method"] == "SSD"]["accuracy forgotten"]
    assert round(of_networks.mean(), 2) == 0.67
    assert all(value < 0.05 or value > 0.95 for value in of_networks)


def test_rows_differ_where_accuracies_do_not(lecture):
    table, means = lecture["by_class"], lecture["means"]
    far = {name: part["rows far off"] for name, part in table.groupby("method")}
    assert far["NegGrad+"].min() > 0.1 > far["retrained"].max()
    assert far["NegGrad+"].mean() > 3 * far["retrained"].mean()
    others = means["distance"].drop("retrained")
    assert others.idxmin() == "shrink-perturb"
    assert (others[["SSD", "SCRUB", "EU-k"]] > others[["from scratch", "continued"]].max()).all()


def test_embeddings_know_the_class_that_the_head_denies(lecture):
    known, when_retrained = lecture["still_known"], lecture["known_when_retrained"]
    assert (known["EU-k"] == known["nothing"]).all()
    assert min(when_retrained) > 0.8
    assert known["from scratch"].mean() < max(when_retrained) + 0.01
    below = known.mean() - known["nothing"].mean()
    assert (below[["NegGrad+", "continued"]].abs() < 0.02).all()
    assert -0.03 < below["shrink-perturb"] < 0
    assert (known.drop(columns="from scratch").mean() > max(when_retrained) + 0.02).all()


def test_rows_give_themselves_away_where_every_average_is_that_of_retraining(lecture):
    table = lecture["by_rows"]
    retrained = table[table.index.str.startswith("retrained")]
    averages = table.columns.drop("recognised (AUC)")
    assert ((table.loc["continued", averages] - retrained[averages].mean()).abs() < 0.02).all()
    assert (retrained["recognised (AUC)"] - 0.5).abs().max() < 0.05
    assert table.loc["continued", "recognised (AUC)"] > 0.6
    assert table.loc["SSD", "test accuracy"] < 0.8
    assert table.loc["shrink-perturb", "recognised (AUC)"] < table.loc["continued", "recognised (AUC)"]


def test_verdicts_are_as_told(lecture):
    verdicts = lecture["verdicts"]
    assert verdicts["one more retrained"].decision == "as a retrained model"
    for name, n_found in {"before": 4, "continued": 1, "shrink-perturb": 1}.items():
        assert verdicts[name].decision == "distinguishable from one"
        assert len(verdicts[name].found) == n_found


def test_solutions_are_as_told(lecture):
    trick, known = lecture["trick"], lecture["still_known"]
    assert (trick["accuracy forgotten"] == 0).all()
    assert (trick["probe"] == known["nothing"].to_numpy()).all()
    assert trick["distance"].mean() < lecture["means"]["distance"]["EU-k"]
    assert lecture["off"]["shrink-perturb"] < lecture["off"]["NegGrad+"] / 2
    searched = lecture["searched"]
    assert (searched["before"] - searched["accuracy kept"]).max() < 0.02
    assert searched["accuracy forgotten"].min() < 0.05
    assert searched["accuracy forgotten"].max() > 0.5
    retrained = lecture["by_rows"]["recognised (AUC)"].filter(like="retrained")
    assert lecture["trained_on"][1.0] > retrained.max() + 0.05
    assert abs(lecture["trained_on"][1.0] - lecture["trained_on"][0.1]) < 0.1
    few, many = (lecture["verdicts"][name] for name in ("two references", "one more retrained"))
    assert few.decision == "cannot tell at this size" or few.residue > many.residue
