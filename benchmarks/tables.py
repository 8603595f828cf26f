"""The tables of ``docs/results.md``, and the one of the README, made from the results files.

``python -m benchmarks.tables`` prints the page, ``--write`` writes it and puts the README's table, and what
`benchmarks.advice` says, between their marks.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import advice
from benchmarks.common import RESULTS
from benchmarks.tables_classification import classification
from benchmarks.tables_sequential import requests_in_a_row

ROOT = Path(__file__).parent.parent
README, PAGE = ROOT / "README.md", ROOT / "docs" / "results.md"
GUIDE = ROOT / "docs" / "forgetting-from-a-trained-network.md"
MARKS = re.compile(r"(<!-- results: begin[^>]*-->\n).*?(<!-- results: end -->)", re.DOTALL)

GRAPHS = {
    "graph_planetoid-Cora_GCN_links_edges_0.025_in": "2.5 % of the edges, from a link predictor",
    "graph_planetoid-Cora_GCN_nodes_nodes_0.05_in": "5 % of the training nodes, from a node classifier",
    "graph_planetoid-Cora_GCN_nodes_class_0_in": "a class, from a node classifier",
    "graph_planetoid-Cora_GCN_nodes_edges_0.05_in": "5 % of the edges, from a node classifier",
}
SCORES = {
    "auc_test": "test AUC",
    "auc_forget": "AUC forgotten",
    "accuracy_test": "test accuracy",
    "accuracy_forget": "accuracy on forgotten",
    "auc_unseen": "AUC unseen",
    "gap_forget": "gap on forgotten",
    "fidelity_test": "fidelity",
    "peak_mib": "peak MiB",
}
REGRESSIONS = ("diabetes", "etth1", "sts", "mufac")
SCENARIOS = ("low", "middle", "high", "random")


def page() -> str:
    """All tables, as a page."""
    parts = [
        "# Results",
        "Every figure on this page comes from a results file in `benchmarks/results/`, which names seeds, versions and "
        "hardware; `python -m benchmarks.tables --write` makes the page from them.",
        "## Sharded unlearning",
        _where(_sharded()),
        _speed(_sharded()["speed"], _sharded()["overhead"]),
        _published(_sharded()["published"]),
        _growth(_sharded()["scale"], _sharded()["batches"]),
        _accuracy(_sharded()["accuracy"]),
        "## The audit",
        _power(),
        _graph_power(),
        _reconstruction(),
        "## Graphs",
        *(_graph(name, title) for name, title in GRAPHS.items()),
        _scale(),
        "## Regression",
        _regression(),
        "## Classifiers",
        classification(),
        *filter(None, [requests_in_a_row()]),
    ]
    return "\n\n".join(parts) + "\n"


def headline() -> str:
    """The README's table: what one request to a sharded model costs."""
    found = _sharded()
    return f"{_speed(found['speed'], found['overhead'])}\n\n{_where(found)}\n"


def _sharded() -> dict[str, Any]:
    return json.loads((RESULTS / "sharded.json").read_text(encoding="utf-8"))


def _where(found: dict[str, Any]) -> str:
    where = found["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("scikit-learn", "numpy"))
    return (
        f"Measured on {where['cores']} cores of {where['processor']} with Python {where['python']}, {versions}; mean "
        "± standard deviation over seeds; one process. Raw figures: `benchmarks/results/sharded.json`, made by "
        "`python -m benchmarks.sharded`."
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spread(value: dict[str, Any], digits: int = 2, unit: str = "") -> str:
    return f"{value['mean']:.{digits}f}{unit} ± {value['std']:.{digits}f}"


def _percent(value: dict[str, Any]) -> str:
    return f"{100 * value['mean']:.1f} ± {100 * value['std']:.1f} %"


def _speed(speed: dict[str, Any], overhead: dict[str, Any]) -> str:
    rows = [
        [
            f"{int(size):,}",
            _spread(found["speedup_over_fit"], 1, "x"),
            _spread(found["speedup_of_the_first_request"], 1, "x"),
            _percent(found["share_of_samples"]),
            f"{100 * found['share_in_theory']:.1f} %",
        ]
        for size, found in speed["requests"].items()
    ]
    head = ["rows a request", "faster than fitting", "the first request", "samples reprocessed", "in theory"]
    costs = overhead["20 shards, 10 slices"]
    return (
        f"**Forgetting from SISA** ({speed['setting']}). The first request after a fit also copies the data once.\n\n"
        f"{_table(head, rows)}\n\nBookkeeping adds {_percent(costs)} to the time of the estimator's own calls."
    )


def _growth(scale: dict[str, Any], batches: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['n']:,}",
            f"{row['n_shards']}",
            f"{1000 * row['request_seconds']['mean']:.0f} ms",
            f"{1000 * row['bookkeeping_seconds']['mean']:.0f} ms",
            f"{100 * row['bookkeeping_share']:.0f} %",
            f"{row['first_request_seconds']:.2f} s",
        ]
        for row in scale["rows"]
    ]
    head = ["rows", "shards", "a request", "of it bookkeeping", "share", "the first request"]
    share = batches["share_of_a_fit"]
    return (
        f"**What a request costs as the data grows** ({scale['setting']})\n\n{_table(head, rows)}\n\n"
        f"A batch that reaches every shard costs {_spread(share['later'])} of a fit ({_spread(share['first'])} the "
        f"first one, {batches['largest_share_of_a_fit']:.2f} at most; {batches['setting']})."
    )


def _power() -> str:
    found = json.loads((RESULTS / "audit_power.json").read_text(encoding="utf-8"))
    rows = []
    for name, setting in found["settings"].items():
        verdict, old = setting["summary"]["verdict"], setting["summary"].get("old rule")
        exact = verdict["0.0"]
        rows.append(
            [
                name,
                str(exact["n"]),
                f"{exact['alarms']:.3f} ({exact['low']:.3f} to {exact['high']:.3f})",
                *(f"{verdict[share]['alarms']:.2f}" for share in ("0.1", "0.2", "0.35", "1.0")),
                *(f"{old[share]['alarms']:.2f}" if old else "" for share in ("0.35", "1.0")),
            ]
        )
    head = [
        "forgotten of trained rows",
        "repetitions",
        "exact models",
        "10 % left",
        "20 %",
        "35 %",
        "nothing forgotten",
    ]
    return (
        f"**How often the verdict is *distinguishable*** (stated rate for exact models {found['alpha']:g}, with 95 % "
        "intervals; share of the forgotten rows left in the model; trees are decision trees, networks learn their data "
        "by heart; neighbours: forgotten rows near each other; `python -m benchmarks.audit_power`). Where there are "
        "few repetitions the intervals say so. The last two columns are the rule that was replaced, an interval round "
        "the strongest attack's folded AUC.\n\n"
        f"{_table([*head, 'old rule, 35 %', 'old rule, nothing forgotten'], rows)}"
    )


def _graph_power() -> str:
    found = json.loads((RESULTS / "graph_audit.json").read_text(encoding="utf-8"))
    rows = []
    for name, task in found["tasks"].items():
        whose = ["exact", "original"]
        whose += [f"{who}, said to be exchangeable" for who in whose]
        said = [[run.get(who) for run in task["rows"]].count("distinguishable from one") for who in whose]
        told = whose[-1] in task["rows"][0]
        spread = statistics.stdev(run["figure"] for run in task["rows"])
        error = statistics.mean(run["standard_error"] for run in task["rows"])
        counts = [*map(str, said[:2]), *(map(str, said[2:]) if told else ("", ""))]
        rows.append([name, str(len(task["rows"])), *counts, f"{spread:.3f}", f"{error:.3f}"])
    head = [
        "request",
        "graphs",
        "exact model",
        "nothing forgotten",
        "exact, said to be exchangeable",
        "nothing forgotten, said so",
        "sd of AUC unseen over graphs",
        "stated error",
    ]
    return (
        "**How often the graph audit says *distinguishable*** (generated block models; beside it the error of AUC "
        "unseen that one audit states, and its standard deviation over graphs; "
        "`benchmarks/results/graph_audit.json`).\n\n"
        f"{_table(head, rows)}"
    )


def _reconstruction() -> str:
    found = json.loads((RESULTS / "reconstruction.json").read_text(encoding="utf-8"))
    names = {
        "training_rows": "other rows known",
        "public_rows": "similar rows known",
        "retained": "a retained row instead",
    }
    rows = [[names[key], *(f"{quartiles[1]:.2f}" for quartiles in found[key].values())] for key in names]
    counts = [f"{n} forgotten" for n in found["training_rows"]]
    return (
        f"**Reconstruction of a row from the models before and after a request** ({found['data']}; ridge regression, "
        f"median cosine similarity over {found['seeds']} seeds; `benchmarks/results/reconstruction.json`).\n\n"
        f"{_table(['the attacker has', *counts], rows)}"
    )


def _published(published: dict[str, Any]) -> str:
    rows = [
        [
            row["data"],
            str(row["requests_in_a_batch"]),
            _spread(row["speedup_over_retraining_one_model"], 2, "x"),
            _spread(row["speedup_of_the_first_batch"], 2, "x"),
            _spread(row["samples_saved"], 2, "x"),
            f"{row['samples_saved_in_theory']:.2f}x",
            f"{row['paper']:.2f}x",
        ]
        for row in published["rows"]
    ]
    head = ["data", "batch", "faster than retraining one model", "first batch", "samples saved", "in theory", "paper"]
    return (
        "**At the shapes of the SISA paper** (20 shards, 50 slices, a linear model on generated data; the paper "
        f"trained networks).\n\n{_table(head, rows)}"
    )


def _accuracy(accuracy: dict[str, Any]) -> str:
    counts = sorted({row["n_shards"] for row in accuracy["rows"]})
    by_line: dict[tuple[str, str], dict[int, str]] = {}
    for row in accuracy["rows"]:
        by_line.setdefault((row["data"], row["aggregation"]), {})[row["n_shards"]] = _percent(row["accuracy"])
    rows = [[data, how, *(cells[count] for count in counts)] for (data, how), cells in by_line.items()]
    head = ["test accuracy", "aggregation", *(f"{count} shards" if count > 1 else "1 shard" for count in counts)]
    return f"**What shards cost in accuracy** ({accuracy['setting']}).\n\n{_table(head, rows)}"


def _graph(name: str, title: str) -> str:
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    runs = list(found["figures"].values())
    scores = [score for score in SCORES if score in runs[0]["Retrain"]]
    rows = []
    for model in runs[0]:
        if model == "Retrain (sd)" or not all(model in run for run in runs):
            continue
        cells = [_over([run[model][score] for run in runs], 3) for score in scores]
        ratio = [run[model]["seconds"] / _retraining(found, seed, model) for seed, run in found["figures"].items()]
        rows.append([model, *cells, "" if model == "Original" else _over(ratio, 2)])
    setting, head = found["setting"], ["", *(SCORES[score] for score in scores), "time over retraining"]
    return (
        f"**Cora, {title}** ({setting['network']}, {setting['epochs']} epochs, {len(runs)} seeds; "
        f"`benchmarks/results/{name}.json`). Nearer to Retrain is better; its own gap is to another retrained model."
        f"{_controls(found, rows)}\n\n{_table(head, rows)}"
    )


def _controls(found: dict[str, Any], rows: list[list[str]]) -> str:
    if not {"FineTuneGNN", "RestartGNN"} <= {row[0] for row in rows}:
        return " The controls are not measured on all seeds yet."
    later = {
        model for addition in found.get("additions", []) for models in addition["models"].values() for model in models
    }
    when = ", measured later and timed beside retraining in the same run" if later else ""
    return f" FineTuneGNN and RestartGNN are the controls, with as many passes as D2DGN{when}."


def _retraining(found: dict[str, Any], seed: str, model: str) -> float:
    """Seconds of retraining in the run that measured a model."""
    for addition in found.get("additions", []):
        if model in addition["models"].get(seed, []):
            return addition["seconds_of_retraining"][seed]
    return found["figures"][seed]["Retrain"]["seconds"]


def _over(values: list[float], digits: int) -> str:
    if any(value is None or math.isnan(value) for value in values):
        return ""
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def _scale() -> str:
    linear, sampled = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("graph_scale_linear", "graph_scale_d2dgn_GCN")
    )
    asked, rows = linear["setting"]["requests"], []
    for size, found in linear["sizes"].items():
        start = [f"{int(size):,}", f"{found['edges']:,}"]
        for method in linear["setting"]["methods"]:
            run = found[method]
            seconds = {request["nodes"]: request["seconds"] for request in run["requests"][:-1]}
            times = [*(seconds[n] for n in asked), run["requests"][-1]["seconds"], run["retrain"]["seconds"]]
            scores = run["accuracy_unlearned"], run["accuracy_retrained"]
            rows.append([*start, method, *_costs(times, scores, run["retrain"]["peak_mib"])])
        if size in sampled["sizes"]:
            run = sampled["sizes"][size]
            times = [*[None] * len(asked), run["seconds"]["D2DGN 0.001"], run["seconds"]["Retrain"]]
            scores = tuple(run["figures"][model]["accuracy_test"] for model in ("D2DGN", "Retrain"))
            rows.append([*start, "D2DGN, batches", *_costs(times, scores, max(run["peak_mib"].values()))])
    counts = [f"{n} node" if n == 1 else f"{n} nodes" for n in asked]
    head = ["nodes", "edges", "method", *counts, "0.1 %", "retraining", "accuracy", "of retraining", "GiB"]
    return (
        "**Large graphs** (generated block models, one seed, one thread; seconds of one request, and of retraining, in "
        "the same run while other work shared the machine; `benchmarks/results/graph_scale_*.json`). CertifiedGNN has "
        f"noise {linear['setting']['noise']:g}, too much for the smallest graph; D2DGN a GCN trained for "
        f"{sampled['setting']['epochs']} epochs on another such graph.\n\n{_table(head, rows)}"
    )


def _costs(times: list[float | None], scores: Iterable[float], peak_mib: float) -> list[str]:
    cells = ["" if seconds is None else f"{seconds:.2f}" for seconds in times]
    return [*cells, *(f"{score:.4f}" for score in scores), f"{peak_mib / 1024:.1f}"]


def _regression() -> str:
    rows, notes, few, refused = [], [], [], []
    for name in REGRESSIONS:
        found = json.loads((RESULTS / f"regression_{name}.json").read_text(encoding="utf-8"))
        notes.append(f"{name}: {found['note']}, {len(found['seeds'])} seeds")
        rows += _regression_rows(name, found["summary"])
        refused += _refused(name, found["rows"])
        few += _few_rows(name, found["summary"])
    head = ["data", "method", *SCENARIOS, "worst against doing nothing", "largest error on retained kinds", "time"]
    parts = [
        "**Regression**: Wasserstein distance between the predictions for forgotten rows and a retrained model's, over "
        "that of a second retrained model (1 is perfect; below is chance), when a band of the target or a random tenth "
        "is forgotten; the largest ratio of it to that of the original, which does nothing (above 1 the method does "
        "harm); the error on test rows of retained kinds, and the time, over those of retraining. `restart` and "
        "`continued training` are controls: they read as many samples as `shrink and perturb` and `blindspot`, from "
        f"scratch and from the trained weights (`benchmarks/results/regression_*.json`; {'; '.join(notes)}).\n\n"
        f"{_table(head, rows)}"
    ]
    if refused:
        parts.append(f"Requests refused, because the edit ruined the network: {'; '.join(refused)}.")
    if few:
        parts.append(
            "**Few rows of a regression**: mean distance of the predictions for single forgotten rows, and for a "
            "hundredth, to those of models retrained without a random tenth around them, over that between two such "
            "models; and the time of a request over that of retraining. What cross-fit prepares in `fit` is not in "
            f"it.\n\n{_table(['data', 'method', 'single rows', 'a hundredth', 'time of a single row'], few)}"
        )
    return "\n\n".join(parts)


def _regression_rows(name: str, summary: dict[str, Any]) -> list[list[str]]:
    rows = []
    for model in summary["low"]:
        served = [scenario for scenario in SCENARIOS if model in summary[scenario]]
        figures = [summary[scenario][model] for scenario in served]
        if model.startswith("retrained") or "time_over_retrained" not in figures[0]:
            continue
        nothing = [summary[scenario]["original"]["w1_over_floor"] for scenario in served]
        near = {scenario: f"{figure['w1_over_floor']:.1f}" for scenario, figure in zip(served, figures, strict=True)}
        harm = max(figure["w1_over_floor"] / alone for figure, alone in zip(figures, nothing, strict=True))
        time = statistics.mean(figure["time_over_retrained"] for figure in figures)
        rows.append(
            [
                name,
                model,
                *(near.get(scenario, "refused") for scenario in SCENARIOS),
                "" if model == "original" else f"{harm:.1f}",
                f"{max(figure['test_retain_over_retrained'] for figure in figures):.2f}",
                "" if model == "original" else f"{time:.2f}",
            ]
        )
    return rows


def _refused(name: str, rows: list[dict[str, Any]]) -> list[str]:
    asked = [f"{row['model']} on {name}, {row['scenario']}" for row in rows if "refused" in row]
    return [f"{what} ({count} of {len({row['seed'] for row in rows})} seeds)" for what, count in Counter(asked).items()]


def _few_rows(name: str, summary: dict[str, Any]) -> list[list[str]]:
    single, hundredth = summary.get("single rows", {}), summary.get("hundredth", {})
    return [
        [
            name,
            model,
            f"{single[model]['pointwise_over_floor']:.2f}",
            f"{hundredth[model]['pointwise_over_floor']:.2f}",
            f"{single[model]['time_over_retrained']:.2f}" if "time_over_retrained" in single[model] else "",
        ]
        for model in single
        if not model.startswith("retrained")
    ]


def main(arguments: list[str]) -> None:
    """Print the page, or write it, the README's table and the advice."""
    if arguments != ["--write"]:
        print(page())
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(MARKS.sub(lambda marks: marks[1] + headline() + marks[2], text), encoding="utf-8")
    for file in (README, GUIDE):
        text, said = file.read_text(encoding="utf-8"), advice.advice()
        file.write_text(advice.MARKS.sub(lambda marks, said=said: marks[1] + said + marks[2], text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
