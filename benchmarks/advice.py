"""Which approximate method to take for a trained classifier, said from the results files: see `benchmarks.tables`."""

from __future__ import annotations

import json
import re

import pandas as pd

from benchmarks.common import RESULTS
from benchmarks.tables_classification import TASKS, beats_controls, nearest_control

MARKS = re.compile(r"(<!-- advice: begin[^>]*-->\n).*?(<!-- advice: end -->)", re.DOTALL)
METHOD = "Relearn"
AT_LEAST = 3
"""Scenarios of a task in which a method has to beat the controls to be advised."""
REQUESTS = {
    "class": "a class",
    "random": "random rows",
    "mislabelled": "known rows with wrong labels",
    "backdoor": "a poison of which a tenth is known",
    "memorised": "memorised rows",
    "confusion": "exchanged labels of which a tenth is known",
}


def advice() -> str:
    """The method to take, where it beats the controls, and what to take elsewhere."""
    tables = {task: table for task in TASKS if (table := _measured(task)) is not None}
    won, lost = {}, {}
    for task, table in tables.items():
        of_scenarios = dict(list(table.groupby("scenario", sort=False)))
        won[task] = [name for name, own in of_scenarios.items() if beats_controls(METHOD, own)]
        lost[task] = {name: nearest_control(METHOD, own) for name, own in of_scenarios.items() if name not in won[task]}
    n_won, n_all = sum(map(len, won.values())), sum(len(won[task]) + len(lost[task]) for task in tables)
    if not any(len(names) >= AT_LEAST for names in won.values()):
        return "**No approximate method here is better than training on, or from scratch, for as many samples.**\n"
    share = max(table.loc[table["model"] == METHOD, "share"].max() for table in tables.values())
    for_what = "; ".join(f"on {task} for {_words(names)}" for task, names in won.items() if names)
    said = [
        f"**Where a trained classifier is to forget, take `{METHOD}Classifier` for the requests on which it beats the "
        f"controls: {n_won} of the {n_all} that are measured.** With at most {share:.0%} of retraining's samples it is "
        "nearer to retrained models than training from scratch and training on with as many, in large and in small "
        f"batches, in every seed and beyond the spread, {for_what}."
    ]
    said += [_elsewhere(task, controls) for task, controls in lost.items() if controls]
    unmeasured = [task for task in TASKS if task not in tables]
    if unmeasured:
        said.append(f"On {_listed(unmeasured)} it is not measured.")
    return " ".join(said) + "\n"


def _measured(task: str) -> pd.DataFrame | None:
    """Rows of the results file of a task that has figures of the method, in more than one seed."""
    file = RESULTS / f"classification_{task}.json"
    if not file.exists():
        return None
    table = pd.DataFrame(json.loads(file.read_text(encoding="utf-8"))["rows"])
    own = table[(table["model"] == METHOD) & table["distance"].notna()]
    measured = table["scenario"].isin(own["scenario"])
    return table[measured] if own["seed"].nunique() > 1 else None


def _elsewhere(task: str, nearest: dict[str, str]) -> str:
    """Which controls are the nearest on the other requests."""
    of_controls: dict[str, list[str]] = {}
    for name, control in nearest.items():
        of_controls.setdefault(control, []).append(name)
    parts = [f"*{control}* for {_words(names)}" for control, names in of_controls.items()]
    return f"Elsewhere on {task} it does not, and the nearest control is {'; '.join(parts)}."


def _words(names: list[str]) -> str:
    return _listed([REQUESTS[name] for name in names])


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
