"""SISA: time, samples reprocessed, accuracy and memory, against theory and against full retraining.

Run ``python -m benchmarks.sharded`` from the root of the repository (about ten minutes on two cores), or name parts:
``python -m benchmarks.sharded speed overhead``. ``published`` needs 10 GB of memory for the larger of its two shapes.
Every figure is a ratio of two measurements of the same run, on one core, with several seeds.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from benchmarks.common import RESULTS, seconds, spread, write_results
from mlunlearn import SISAClassifier
from mlunlearn.training.threads import one_thread

SEEDS = range(5)
REQUEST_SIZES = (1, 10, 100, 1000)


def table(n: int, d: int, seed: int = 0, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """A noisy linear problem of a given shape."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d), dtype=np.float32).astype(dtype, copy=False)
    weight = rng.standard_normal(d).astype(dtype)
    y = (X @ weight + rng.standard_normal(n) * np.sqrt(d) / 2 > 0).astype(int)
    return X, y


def theory(n_shards: int, n_slices: int, n_requests: int) -> float:
    """Expected share of a full fit that a batch of requests reprocesses (shards and slices, requests at random)."""
    r = np.arange(1, n_slices + 1)
    hit = 1 - (1 - r / (n_slices * n_shards)) ** n_requests
    return float(2 / (n_slices * (n_slices + 1)) * (r * hit).sum())


# ------------------------------------------------------------------------------------------------ the parts


def speed() -> dict[str, Any]:
    """Forget 1, 10, 100 and 1 % of 100,000 rows of 50 features: 20 shards, 10 slices, SGD, one process."""
    X, y = table(100_000, 50)
    rows = {size: {"speedup": [], "share": [], "first": []} for size in REQUEST_SIZES}
    fits = []
    for seed in SEEDS:
        rng = np.random.default_rng(1000 + seed)
        for size, found in rows.items():
            model = SISAClassifier(SGDClassifier(), n_shards=20, n_slices=10, random_state=seed)
            fit = seconds(lambda model=model: model.fit(X, y))
            fits.append(fit)
            repeats = 10 if size <= 10 else 2
            requests = rng.permutation(100_000)[: size * repeats].reshape(repeats, size)
            times = [seconds(lambda model=model, rows=request: model.unlearn(rows)) for request in requests]
            found["first"].append(fit / times[0])
            found["speedup"].append(fit / np.mean(times))
            found["share"] += [receipt.retrained_share for receipt in model.receipts_]
    return {
        "setting": "100,000 x 50, SGDClassifier, 20 shards, 10 slices, 20 epochs, n_jobs=1",
        "fit_seconds": spread(fits),
        "requests": {
            size: {
                "speedup_over_fit": spread(found["speedup"]),
                "speedup_of_the_first_request": spread(found["first"]),
                "share_of_samples": spread(found["share"]),
                "share_in_theory": round(theory(20, 10, size), 6),
            }
            for size, found in rows.items()
        },
    }


class TimedSGD(SGDClassifier):
    """Counts the seconds spent in the estimator's own calls, on the wall and of the processor."""

    spent = 0.0
    spent_by_processor = 0.0

    def partial_fit(self, *args: Any, **kwargs: Any) -> Any:
        started, started_by_processor = perf_counter(), process_time()
        try:
            return super().partial_fit(*args, **kwargs)
        finally:
            TimedSGD.spent += perf_counter() - started
            TimedSGD.spent_by_processor += process_time() - started_by_processor


def overhead() -> dict[str, Any]:
    """Seconds of a fit outside the estimator's own calls, as a share of those inside."""
    found: dict[str, list[float]] = {}
    for name, n_slices in (("20 shards, 10 slices", 10), ("20 shards, 50 slices", 50)):
        X, y = table(100_000, 50)
        found[name] = []
        for seed in SEEDS:
            TimedSGD.spent = 0.0
            model = SISAClassifier(TimedSGD(), n_shards=20, n_slices=n_slices, random_state=seed)
            total = seconds(lambda model=model, X=X, y=y: model.fit(X, y))
            found[name].append((total - TimedSGD.spent) / TimedSGD.spent)
    return {"setting": "100,000 x 50, SGDClassifier, 20 epochs, n_jobs=1"} | {
        name: spread(values) for name, values in found.items()
    }


def scale() -> dict[str, Any]:
    """One row of 250,000 to 2,000,000, in shards of 15,625 rows whatever the size: is what it costs the same?"""
    rows = [_scale_row(n, shards) for n, shards in ((250_000, 16), (1_000_000, 64), (2_000_000, 128))]
    return {
        "setting": "50 features, shards of 15,625 rows, 8 slices, SGDClassifier, 20 epochs, n_jobs=1, 20 requests of "
        "one row; seconds of the processor, so that the load of the machine does not count. Bookkeeping is what is "
        "spent outside the estimator's own calls. The first request after a fit copies the data once.",
        "rows": rows,
    }


def _scale_row(n: int, n_shards: int) -> dict[str, Any]:
    X, y = table(n, 50)
    model = SISAClassifier(TimedSGD(), n_shards=n_shards, n_slices=8, random_state=0)
    fit, inside_fit = _processor_seconds(lambda: model.fit(X, y))
    asked = np.random.default_rng(0).permutation(n)[:21]
    first, *later = [_processor_seconds(lambda row=row: model.unlearn([int(row)])) for row in asked]
    total, inside = np.array(later).T
    return {
        "n": n,
        "n_shards": n_shards,
        "fit_seconds": round(fit, 3),
        "fit_bookkeeping_share": round(1 - inside_fit / fit, 4),
        "first_request_seconds": round(first[0], 4),
        "request_seconds": spread(total),
        "bookkeeping_seconds": spread(total - inside),
        "bookkeeping_share": round(1 - inside.sum() / total.sum(), 4),
        "allocation_bytes": len(pickle.dumps(model.allocation_)),
    }


def _processor_seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Of a call, and of the estimator's own calls in it."""
    TimedSGD.spent_by_processor, started = 0.0, process_time()
    call()
    return process_time() - started, TimedSGD.spent_by_processor


def batches() -> dict[str, Any]:
    """What a batch that hits every shard costs, as a share of fitting again without the rows."""
    X, y = table(100_000, 50)
    shares: dict[str, list[float]] = {"first": [], "later": []}
    for seed in SEEDS:
        rows = np.random.default_rng(seed).permutation(len(X))[:900].reshape(3, 300)
        model = SISAClassifier(SGDClassifier(), n_shards=20, n_slices=10, random_state=seed).fit(X, y)
        times = [_processor_seconds(lambda some=some, model=model: model.unlearn(some))[0] for some in rows]
        again = SISAClassifier(SGDClassifier(), n_shards=20, n_slices=10, random_state=seed)
        fit = _processor_seconds(lambda model=model, again=again: again.fit(X, y, exclude=model.forgotten_))[0]
        shares["first"].append(times[0] / fit)
        shares["later"] += [time / fit for time in times[1:]]
    return {
        "setting": "300 of 100,000 x 50 rows, SGDClassifier, 20 shards, 10 slices, 20 epochs, n_jobs=1; seconds of the "
        "processor over those of fit(exclude=forgotten)",
        "share_of_a_fit": {name: spread(values) for name, values in shares.items()},
        "largest_share_of_a_fit": round(max(shares["first"] + shares["later"]), 4),
    }


BASES: dict[str, BaseEstimator] = {
    "SGDClassifier": SGDClassifier(),
    "GaussianNB": GaussianNB(),
    "LogisticRegression": LogisticRegression(max_iter=200),
    "DecisionTreeClassifier": DecisionTreeClassifier(max_depth=8),
    "MLPClassifier": MLPClassifier((32,)),
}


def grid() -> dict[str, Any]:
    """Share of samples and of time against theory, and memory, over shards, slices, requests and estimators."""
    X, y = table(20_000, 20)
    rows = []
    for name, base in BASES.items():
        for n_shards, n_slices in ((5, 1), (5, 5), (20, 1), (20, 5), (20, 20), (50, 5)):
            rows += [_cell(name, base, n_shards, n_slices, X, y)]
    return {"setting": "20,000 x 20, 3 epochs for MLPClassifier and 20 for SGDClassifier, n_jobs=1", "rows": rows}


def _cell(name: str, base: BaseEstimator, n_shards: int, n_slices: int, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    epochs = 3 if name == "MLPClassifier" else None
    shares, speedups, used = {}, {}, n_slices
    for size in (1, 10, 100, 200):
        share, speedup = [], []
        for seed in range(3):
            model = SISAClassifier(base, n_shards=n_shards, n_slices=n_slices, max_epochs=epochs, random_state=seed)
            fit = seconds(lambda model=model: model.fit(X, y))
            rows = np.random.default_rng(seed).permutation(len(X))[:size]
            speedup.append(fit / seconds(lambda model=model, rows=rows: model.unlearn(rows)))
            share.append(model.receipts_[-1].retrained_share)
            used = model.n_slices_
        shares[size], speedups[size] = spread(share), spread(speedup)
    return {
        "estimator": name,
        "n_shards": n_shards,
        "n_slices": used,
        "share": shares,
        "share_in_theory": {size: round(_theory_of(name, n_shards, used, size), 6) for size in shares},
        "speedup": speedups,
        "checkpoint_bytes": sum(len(pickle.dumps(part)) for parts in model.checkpoints_ for part in parts if part),
        "model_bytes": len(pickle.dumps(clone(base).fit(X, y))),
    }


def _theory_of(name: str, n_shards: int, n_slices: int, size: int) -> float:
    if name != "GaussianNB" or n_slices == 1:
        return theory(n_shards, n_slices, size)
    r = np.arange(1, n_slices + 1)  # each slice is added once, so what is repeated are the slices from the first hit on
    return float((1 - (1 - r / (n_slices * n_shards)) ** size).mean())


def accuracy() -> dict[str, Any]:
    """Test accuracy against the number of shards, by vote and by mean, on real and on generated data."""
    data = {
        "digits (1,797 x 64)": load_digits(return_X_y=True),
        "generated (20,000 x 20, 5 classes)": make_classification(
            20_000, 20, n_informative=12, n_classes=5, random_state=0
        ),
    }
    rows = []
    for name, (X, y) in data.items():
        for n_shards in (1, 2, 5, 10, 20, 50):
            for aggregation in ("vote", "mean"):
                rows.append(
                    {"data": name, "n_shards": n_shards, "aggregation": aggregation}
                    | {"accuracy": spread(list(_accuracies(X, y, n_shards, aggregation)))}
                )
    return {"setting": "LogisticRegression, a quarter held out, one split and allocation a seed", "rows": rows}


def _accuracies(X: np.ndarray, y: np.ndarray, n_shards: int, aggregation: str) -> Iterator[float]:
    for seed in SEEDS:
        X_fit, X_test, y_fit, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        model = SISAClassifier(
            LogisticRegression(max_iter=2000), n_shards=n_shards, aggregation=aggregation, random_state=seed
        )
        yield model.fit(X_fit, y_fit).score(X_test, y_test)


PUBLISHED: dict[str, dict[str, Any]] = {
    "Purchase": {"n": 249_215, "d": 600, "requests": 8, "epochs": 20, "paper": 4.63, "seeds": 5, "batches": 5},
    "SVHN, on disk": {"n": 604_833, "d": 3072, "requests": 18, "epochs": 4, "paper": 2.45, "seeds": 2, "batches": 3},
}


def published() -> dict[str, Any]:
    """Speed-ups at the shapes and settings of the paper: 20 shards, 50 slices, batches of 8 and 18 requests."""
    return {
        "setting": "20 shards, 50 slices, SGDClassifier on generated float32 data, n_jobs=1; the paper trained other "
        "models, so only ratios compare. The first batch after a fit also copies data that is held in memory.",
        "rows": [_published_row(name, **shape) for name, shape in PUBLISHED.items()],
    }


def _published_row(
    name: str, n: int, d: int, requests: int, epochs: int, paper: float, seeds: int, batches: int
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        X, y = _on_disk(Path(folder), n, d) if "disk" in name else table(n, d, dtype=np.float32)
        found: dict[str, list[float]] = {"first": [], "later": [], "over_shards": [], "saved": []}
        for seed in range(seeds):
            model = SISAClassifier(SGDClassifier(), n_shards=20, n_slices=50, max_epochs=epochs, random_state=seed)
            fit = seconds(lambda model=model: model.fit(X, y))
            retrain = seconds(lambda seed=seed: _one_model(X, y, epochs, seed))
            asked = np.random.default_rng(seed).permutation(n)[: batches * requests].reshape(batches, requests)
            times = [seconds(lambda model=model, rows=rows: model.unlearn(rows)) for rows in asked]
            found["first"].append(retrain / times[0])
            found["later"].append(retrain / np.mean(times[1:]))
            found["over_shards"].append(fit / np.mean(times[1:]))
            found["saved"].append(1 / np.mean([receipt.retrained_share for receipt in model.receipts_[1:]]))
            del model
        return {
            "data": f"{name}: {n:,} x {d}, {epochs} epochs",
            "requests_in_a_batch": requests,
            "speedup_over_retraining_one_model": spread(found["later"]),
            "speedup_of_the_first_batch": spread(found["first"]),
            "speedup_over_fitting_all_shards": spread(found["over_shards"]),
            "samples_saved": spread(found["saved"]),
            "samples_saved_in_theory": round(1 / theory(20, 50, requests), 3),
            "paper": paper,
        }


def _on_disk(folder: Path, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate a problem block by block, so that it needs no memory of its own."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n, d))
    weight, score = rng.standard_normal(d, dtype=np.float32), np.empty(n, dtype=np.float32)
    for start in range(0, n, 10_000):
        stop = min(start + 10_000, n)
        X[start:stop] = rng.standard_normal((stop - start, d), dtype=np.float32)
        score[start:stop] = X[start:stop] @ weight
    return X, (score + rng.standard_normal(n) * np.sqrt(d) / 2 > 0).astype(int)


def _one_model(X: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> None:
    """Retrain a single model on all rows, with the same passes over them."""
    model = SGDClassifier(random_state=seed)
    with one_thread():
        for _ in range(epochs):
            model.partial_fit(X, y, classes=[0, 1])


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    part.__name__: part for part in (speed, overhead, scale, batches, grid, accuracy, published)
}


def main(names: list[str]) -> None:
    """Run the named parts, or all of them, and put their results into the results file."""
    path = RESULTS / "sharded.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results.pop("environment", None)
    for name in names or PARTS:
        started = perf_counter()
        results[name] = PARTS[name]()
        results[name]["benchmark_seconds"] = round(perf_counter() - started, 1)
        write_results("sharded", {"seeds": list(SEEDS), **results})
        print(name, json.dumps(results[name], indent=1), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
