"""The file of results of `benchmarks.graph`: how seeds and methods are added to what is there."""

from __future__ import annotations

import json
import math

import torch

from mlunlearn.graph.audit import Figure, GraphAudit, over_graphs

COMPUTED_ALWAYS = ("Original", "Retrain", "UtU", "Retrain (sd)")
COSTS = ("seconds", "peak_mib")


def empty_record(setting):
    """Make the record that seeds are added to."""
    return {
        "setting": {**setting, "seeds": [], "methods": []},
        "asked": "all models on the graph that is left; figures that end in _attached on the graph before",
        "figures": {},
        "intervals_over_nodes": {},
        "over_splits": None,
        "verdicts": {},
        "seconds_original": {},
        "threads": torch.get_num_threads(),
    }


def read_record(path, setting):
    """Read what there is, or nothing; a file of another setting is refused."""
    if not path.exists():
        return empty_record(setting)
    record = json.loads(path.read_text(encoding="utf-8"))
    other = {key: record["setting"][key] for key in setting if record["setting"][key] != setting[key]}
    if other:
        raise SystemExit(f"{path} holds figures of another setting ({other}); move it away, or ask for that setting.")
    return record


def begin_addition(where):
    """Begin the account of a call that adds to a file."""
    return {
        "environment": where,
        "models": {},
        "largest_difference_of_repeated_figures": {},
        "seconds_of_retraining": {},
    }


def add(record, seed, figures, intervals, verdicts, addition=None):
    """Add the models that a seed lacks; what was computed once more is compared with what is there, and left."""
    seed = str(seed)
    there = record["figures"].setdefault(seed, {})
    new = [model for model in figures if model not in there]
    if addition is not None:
        account(record, addition, seed, figures, there, new)
    spread = there.pop("Retrain (sd)", figures["Retrain (sd)"])
    there.update({model: figures[model] for model in new if model != "Retrain (sd)"})
    there["Retrain (sd)"] = spread  # the last row
    record.setdefault("intervals_over_nodes", {}).setdefault(seed, []).extend(r for r in intervals if r["model"] in new)
    said = record.setdefault("verdicts", {}).setdefault(seed, {})
    said.update({model: verdict for model, verdict in verdicts.items() if model in new})
    setting = record["setting"]
    if int(seed) not in setting["seeds"]:
        setting["seeds"].append(int(seed))
    setting["methods"] += [model for model in new if model not in (*setting["methods"], *COMPUTED_ALWAYS)]
    record["over_splits"] = summary(list(record["figures"].values()))


def account(record, addition, seed, figures, there, new):
    """Note what is added, and how far the figures that were computed once more are from those that are there."""
    if addition not in record.setdefault("additions", []):
        record["additions"].append(addition)
    addition["models"][seed] = [model for model in new if model != "Retrain (sd)"]
    addition["seconds_of_retraining"][seed] = figures["Retrain"]["seconds"]
    addition["largest_difference_of_repeated_figures"][seed] = {
        model: max(
            (abs(figures[model][f] - row[f]) for f in row if known(figures[model].get(f), row[f], f)), default=None
        )
        for model, row in there.items()
        if model in figures
    }


def known(new, old, figure):
    """Whether a figure was computed twice; costs are measured and never repeat."""
    return figure not in COSTS and not any(value is None or math.isnan(value) for value in (new, old))


def summary(runs):
    """Summarise over splits what all of them have."""
    if len(runs) < 2:
        return None
    shared = {
        model: [figure for figure in row if all(figure in run.get(model, {}) for run in runs)]
        for model, row in runs[0].items()
        if model != "Retrain (sd)"
    }
    audits = [
        GraphAudit(
            {model: {f: Figure(run[model][f]) for f in figures} for model, figures in shared.items() if figures}, {}
        )
        for run in runs
    ]
    return over_graphs(audits).to_dict(orient="records")
