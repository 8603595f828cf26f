"""Exact and certified linear graph networks at scale: unlearning against retraining, by size of graph and request.

    OMP_NUM_THREADS=1 python -m benchmarks.graph_scale --sizes 10000 100000 1000000

writes ``benchmarks/results/graph_scale_linear.json``. For each size it draws a block model with 10 undirected edges a
node, a share of the nodes labelled; each method is fitted, forgets nodes in requests of growing size one after the
other, and is then retrained without all of them, in the same process. Retraining is the public call
``fit(data, exclude=forgotten)``; the time to read and check the graph, which only retraining has to spend, is given
apart (``seconds_read``), so that it can be taken out. Peaks are of resident memory while a call runs, the graph and the
model included; they are sampled every 10 ms.

Where new memory is slow to come by (virtual machines, sandboxes), copies dominate both sides; the C library then reuses
memory if told so: ``MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=34359738368``. Results record this.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from sklearn.base import clone

from benchmarks.common import seconds, write_results
from mlunlearn.graph import SGC, CertifiedGNN, LazySGC, LogisticGNN, RidgeGNN, edge_list, stochastic_block_model
from mlunlearn.graph.reading import read_graph

PAGE = os.sysconf("SC_PAGE_SIZE")
METHODS = ("RidgeGNN", "LogisticGNN", "CertifiedGNN", "CertifiedGNN lazy", "CertifiedGNN row")


def make(name, options):
    """Make a method by its name."""
    certified = partial(CertifiedGNN, noise=options.noise, delta=options.delta, random_state=options.seed)
    return {
        "RidgeGNN": partial(RidgeGNN, SGC(options.hops)),
        "LogisticGNN": partial(LogisticGNN, SGC(options.hops)),
        "CertifiedGNN": partial(certified, SGC(options.hops)),
        "CertifiedGNN lazy": partial(certified, LazySGC(options.hops, r_max=options.r_max)),
        "CertifiedGNN row": partial(certified, SGC(options.hops, normalisation="row")),
    }[name]()


def resident_mib():
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def measured(call):
    """Time a call, and sample the peak of resident memory while it runs."""
    gc.collect()
    done, peak = threading.Event(), [resident_mib()]

    def watch():
        while not done.wait(0.01):
            peak.append(resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = perf_counter()
    try:
        call()
    finally:
        took = perf_counter() - started
        done.set()
        watcher.join()
    return {"seconds": took, "peak_mib": max(*peak, resident_mib()), "start_mib": peak[0]}


def generate(n_nodes, options):
    """Draw a block model with blocks of equal size and a share of labelled nodes."""
    return stochastic_block_model(
        [n_nodes // options.classes] * options.classes,
        degree_in=0.8 * options.degree,
        degree_out=0.2 * options.degree,
        n_features=options.features,
        signal=options.signal,
        train=options.labelled,
        val=0.1,
        random_state=options.seed,
    )


def accuracy(model, data):
    """Share of test nodes that are still there and get their label."""
    asked = data.test_mask.numpy() & ~model.forgotten_["nodes"]
    return model.score(asked, data.y.numpy()[asked])


def requests_of(n_nodes, options):
    """Yield the sizes of the requests: those asked for, each repeated, then the share of all nodes."""
    for size in options.requests:
        yield from [size] * options.repeats
    yield round(options.share * n_nodes)


def trial(name, data, options):
    """Fit one method, serve all requests, and retrain."""
    rng = np.random.default_rng(options.seed)
    model = make(name, options)
    record = {"fit": measured(lambda: model.fit(data)), "accuracy_fit": accuracy(model, data), "requests": []}
    for size in requests_of(data.num_nodes, options):
        nodes = rng.choice(np.flatnonzero(~model.forgotten_["nodes"]), size, replace=False)
        figures = measured(partial(model.unlearn, nodes))
        work = model.receipts_[-1].work
        record["requests"].append({"nodes": size, **figures, "share": work.share, **work.details})
    retrained = clone(model)
    record["retrain"] = measured(lambda: retrained.fit(data, exclude=model.forgotten_["nodes"]))
    record["accuracy_unlearned"], record["accuracy_retrained"] = accuracy(model, data), accuracy(retrained, data)
    record["largest_difference_of_weights"] = float(np.abs(model.coef_ - retrained.coef_).max())
    record["largest_weight"] = float(np.abs(retrained.coef_).max())
    if name.startswith("Certified"):
        record["account"] = {"spent": model.spent_, "allowed": model.allowed_, "trainings": model.n_trainings_}
    return record


def main():
    """Run all sizes, and write the figures down after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--requests", type=int, nargs="*", default=[1, 10, 100], help="nodes to forget")
    parser.add_argument("--repeats", type=int, default=3, help="of every request but the last")
    parser.add_argument("--share", type=float, default=0.001, help="nodes to forget in the last request")
    parser.add_argument("--degree", type=float, default=20.0)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--signal", type=float, default=0.5)
    parser.add_argument("--labelled", type=float, default=0.1)
    parser.add_argument("--hops", type=int, default=2)
    parser.add_argument("--noise", type=float, default=20.0)
    parser.add_argument("--delta", type=float, default=1e-7)
    parser.add_argument("--r-max", type=float, default=1e-7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="graph_scale_linear")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "setting": vars(options),
        "malloc": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        "threads": torch.get_num_threads(),
        "sizes": {},
    }
    for n_nodes in options.sizes:
        data = generate(n_nodes, options)
        figures = {"edges": edge_list(data).shape[1], "seconds_read": seconds(partial(read_graph, data))}
        record["sizes"][n_nodes] = figures
        for name in options.methods:
            figures[name] = trial(name, data, options)
            write_results(options.name, record)


if __name__ == "__main__":
    main()
