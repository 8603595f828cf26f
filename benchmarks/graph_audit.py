"""How often the audit of graph models is wrong, and how much its figures vary over graphs.

    python -m benchmarks.graph_audit --graphs 100

Every repetition draws a block model, trains a model, forgets a share, and audits the model itself (nothing unlearned)
and one that was retrained with a seed of its own (nothing left to find). Writes one JSON file to
``benchmarks/results/`` as it goes, and goes on where it was interrupted: false alarms and power of the verdict; the
spread of a figure over graphs, over seeds on one graph, and the standard error over nodes that the audit states; how
often intervals cover the mean over graphs.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from functools import partial

import numpy as np
import torch
from sklearn.base import clone
from torch_geometric.nn import GCN

from benchmarks.common import RESULTS, write_results
from mlunlearn.graph import (
    LinkPredictor,
    NodeClassifier,
    Retrain,
    audit_graph,
    edge_list,
    split_edges,
    stochastic_block_model,
)
from mlunlearn.graph.audit.judging import Judge
from mlunlearn.graph.models.training import redraw

FIGURES = {"links": "auc_unseen", "nodes": "auc_unseen", "edges of nodes": "accuracy_test"}


def retrain_anew(seed):
    """Make a method that trains from weights of its own."""

    def make(frozen):
        module = redraw(frozen.estimator.module_, seed)
        return Retrain(clone(frozen.estimator).set_params(module=module), random_state=seed)

    return make


def setting(task, seed):
    """Draw a graph, train a model, and choose what it forgets."""
    data = stochastic_block_model([60] * 4, n_features=64, signal=0.6, degree_in=3.0, train=0.4, random_state=seed)
    rng = np.random.RandomState(seed)
    if task == "links":
        data = split_edges(data, val=0.1, test=0.15, random_state=seed)
        model = LinkPredictor(partial(GCN, 64, 32, 2, out_channels=16), max_epochs=60, random_state=seed).fit(data)
        n_edges = edge_list(data).shape[1]
        return model, data, {"of": "edges", "forget_idx": rng.choice(n_edges, n_edges // 10, replace=False)}
    model = NodeClassifier(partial(GCN, 64, 32, 2, out_channels=4), max_epochs=60, random_state=seed).fit(data)
    if task == "nodes":
        training = np.flatnonzero(data.train_mask.numpy())
        return model, data, {"forget_idx": rng.choice(training, len(training) // 3, replace=False)}
    n_edges = edge_list(data).shape[1]
    return model, data, {"of": "edges", "forget_idx": rng.choice(n_edges, n_edges // 5, replace=False)}


def repetition(task, seed, n_references):
    """Audit an exact model and one that forgot nothing; where rows are exchangeable, also by an audit that knows it."""
    model, data, request = setting(task, seed)
    methods = {"exact": retrain_anew(10_000 + seed)}
    result = audit_graph(model, data, methods=methods, n_references=n_references, random_state=seed, **request)
    told = {"exact": "exact", "original": "Original"} if task != "edges of nodes" else {}
    judge = Judge(result.references, result.answers["Original"], True, 0.05, seed)
    verdicts = {who: judge.judge(result.answers[name]) for who, name in told.items()}
    figure = FIGURES[task]
    exact = result.figures["exact"][figure]
    return {
        "exact": result.verdicts["exact"].decision,
        "original": result.verdicts["Original"].decision,
        **{f"{who}, said to be exchangeable": verdict.decision for who, verdict in verdicts.items()},
        "figure": exact.estimate,
        "standard_error": exact.standard_error,
        "sd_of_seeds": result.spread[figure],
    }


def summary(rows):
    """Error rates, and the three spreads."""
    figures = np.array([row["figure"] for row in rows])
    errors = np.array([row["standard_error"] for row in rows])
    covered = np.abs(figures - figures.mean()) <= 1.96 * errors
    audited = [who for who in rows[0] if who.startswith(("exact", "original"))]
    return {
        "graphs": len(rows),
        "verdicts": {who: dict(Counter(row[who] for row in rows)) for who in audited},
        "figure": {
            "mean": figures.mean(),
            "sd_over_graphs": figures.std(ddof=1),
            "mean_standard_error_over_nodes": errors.mean(),
            "mean_sd_over_seeds": np.mean([row["sd_of_seeds"] for row in rows]),
            "intervals_that_cover_the_mean_over_graphs": covered.mean(),
        },
    }


def main():
    """Run the repetitions that are missing, and write what came out after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=100)
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", choices=FIGURES, default=list(FIGURES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    setting = {"references": options.references}
    path = RESULTS / "graph_audit.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    if record.get("setting") != setting:
        record = {"setting": setting, "alpha": 0.05, "tasks": {}}
    for task in options.tasks:
        rows = record["tasks"].get(task, {"rows": []})["rows"]
        for seed in range(len(rows), options.graphs):
            rows.append(repetition(task, seed, options.references))
            print(task, seed, rows[-1], flush=True)
            if len(rows) > 1:
                record["tasks"][task] = {"figure": FIGURES[task], **summary(rows), "rows": rows}
                write_results("graph_audit", record)


if __name__ == "__main__":
    main()
