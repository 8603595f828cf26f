"""D2DGN in sampled batches on large generated graphs, beside retraining in the same batches and in the same run.

    python -m benchmarks.graph_scale_d2dgn --nodes 10000 100000 1000000 --shares 0.001 0.01

For each size: generate a graph of ten edges a node, train a network in sampled batches, forget a share of the nodes,
all of them training nodes, by D2DGN, retrain without them, and write times, peak memory of each stage and accuracies to
``benchmarks/results/``. Larger shares are forgotten from the same trained model and are not retrained for, as that
costs the same. Every size has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GraphSAGE

from benchmarks.common import write_results
from mlunlearn.graph import D2DGN, NodeClassifier, UtU, stochastic_block_model
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import delete

NETWORKS = {"GCN": GCN, "GraphSAGE": GraphSAGE}
N_CLASSES, N_FEATURES, HIDDEN = 10, 32, 64


class Stages:
    """Wall time and peak memory of named stages; the peak is the whole process's while the stage ran."""

    def __init__(self):
        self.seconds, self.peak_mib = {}, {}

    def run(self, name, call):
        """Run one stage."""
        Path("/proc/self/clear_refs").write_text("5")
        started = perf_counter()
        result = call()
        self.seconds[name] = perf_counter() - started
        status = Path("/proc/self/status").read_text().splitlines()
        self.peak_mib[name] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
        return result


def generate(n_nodes, options):
    """Ten edges a node, blocks of equal size, weak features: neighbours say more than a node itself."""
    return stochastic_block_model(
        [n_nodes // N_CLASSES] * N_CLASSES,
        degree_in=14.0,
        degree_out=6.65,
        n_features=N_FEATURES,
        signal=0.7,
        train=options["train_share"],
        val=0.05,
        random_state=options["seed"],
    )


def answers(model, data, forgotten):
    """Accuracy on test nodes (none is forgotten), and how forgotten ones stand out from them, all without edges."""
    test = data.test_mask.numpy()
    labels = data.y.numpy()
    alone = Data(x=data.x, edge_index=torch.empty(2, 0, dtype=torch.long))
    own = [
        model.predict_proba(rows, data=alone)[np.arange(len(rows)), labels[rows]]
        for rows in (forgotten, np.flatnonzero(test))
    ]
    return {
        "accuracy_test": float((model.predict(test) == labels[test]).mean()),
        "auc_unseen": float(roc_auc_score(np.repeat([1, 0], [len(part) for part in own]), np.concatenate(own))),
    }


def measure(n_nodes, options):
    """Measure one size."""
    torch.set_num_threads(1)
    stages, figures, requests = Stages(), {}, {}
    data = stages.run("generate", lambda: generate(n_nodes, options))
    make = partial(NETWORKS[options["network"]], N_FEATURES, HIDDEN, 2, out_channels=N_CLASSES)
    estimator = NodeClassifier(
        make,
        max_epochs=options["epochs"],
        batch_size=options["batch_size"],
        n_neighbors=options["n_neighbors"],
        random_state=options["seed"],
    )
    original = stages.run("train", lambda: estimator.fit(data))
    training = np.flatnonzero(data.train_mask.numpy())
    rng = np.random.RandomState(options["seed"])
    chosen = rng.permutation(training)[: round(max(options["shares"]) * n_nodes)]
    first = np.sort(chosen[: round(min(options["shares"]) * n_nodes)])
    figures["Original"] = stages.run("answers", lambda: answers(original, data, first))
    for share in sorted(options["shares"]):
        asked = np.sort(chosen[: round(share * n_nodes)])
        model = D2DGN(FrozenEstimator(original), random_state=options["seed"]).fit(data)
        stages.run(f"D2DGN {share:g}", partial(model.unlearn, asked))
        requests[f"{share:g}"] = {"nodes": len(asked), "elements_passed": model.receipts_[-1].work.samples}
        if len(asked) == len(first):
            figures["D2DGN"] = answers(model, data, first)
    unlinked = UtU(FrozenEstimator(original)).fit(data)
    stages.run("UtU", partial(unlinked.unlearn, first))
    figures["UtU"] = answers(unlinked, data, first)
    del model, unlinked

    def retrain():
        return clone(original).fit_graph(delete(read_graph(data), "nodes", first).remaining)

    retrained = stages.run("Retrain", retrain)
    figures["Retrain"] = answers(retrained, data, first)
    return {
        "edges": data.num_edges // 2,
        "labelled": len(training),
        "seconds": stages.seconds,
        "peak_mib": stages.peak_mib,
        "requests": requests,
        "figures": figures,
        "speed_up": stages.seconds["Retrain"] / stages.seconds[f"D2DGN {min(options['shares']):g}"],
    }


def main():
    """Measure every size in a process of its own, and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.001, 0.01], help="of all nodes, to be forgotten")
    parser.add_argument("--network", choices=NETWORKS, default="GCN")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--n-neighbors", type=int, default=10)
    parser.add_argument("--train-share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=42)
    options = vars(parser.parse_args())
    sizes = {}
    for n_nodes in options["nodes"]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            sizes[n_nodes] = pool.apply(measure, (n_nodes, options))
        write_results(f"graph_scale_d2dgn_{options['network']}", {"setting": options, "sizes": sizes, "threads": 1})


if __name__ == "__main__":
    main()
