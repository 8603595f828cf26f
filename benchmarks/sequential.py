"""Ten requests in a row against one joint request: ``python -m benchmarks.sequential`` (digits).

Each request names a hundredth of the training rows, drawn at random. After each, a method is compared with models that
were trained without all rows named so far; `joint` is what it answers when they are named at once. `null` is the
distance of the retrained models from each other.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks import digits
from benchmarks.classification import Scenario, Task, fit, forget, key_of, methods
from benchmarks.common import RESULTS, Trained, write_results
from mlunlearn.approximate import EditedClassifier

N_REQUESTS, SHARE, N_REFERENCES = 10, 0.01, 2


def requests(task: Task, seed: int) -> list[np.ndarray]:
    """Draw disjoint sets of rows."""
    n = len(task.train[1])
    size = round(SHARE * n)
    order = np.random.default_rng(seed).permutation(n)[: N_REQUESTS * size]
    return [np.sort(part) for part in order.reshape(N_REQUESTS, size)]


def compared(model: Any, references: list[Any], gone: np.ndarray, task: Task) -> dict[str, float]:
    """Mean total variation to retrained models on forgotten and on test rows, and test accuracy."""
    X, X_test = task.train[0][gone], task.test[0]
    distances = [
        np.abs(model.predict_proba(rows) - reference.predict_proba(rows)).sum(axis=1).mean() / 2
        for reference in references
        for rows in (X, X_test)
    ]
    accuracy = np.mean(model.predict(X_test) == task.test[1])
    return {"distance": float(np.mean(distances)), "accuracy": float(accuracy)}


def served(method: EditedClassifier, parts: list[np.ndarray], references: list[list[Any]], task: Task) -> Any:
    """Have a method serve the requests one by one, and a fresh one all at once."""
    n, joined, after = len(task.train[1]), [np.sort(np.concatenate(parts[: k + 1])) for k in range(len(parts))], []
    try:
        model = forget(method, _asking(task, parts[0], n), task)
        for k, part in enumerate(parts):
            model = model if k == 0 else model.unlearn(part)
            after.append(compared(model, references[k], joined[k], task))
        joint = forget(method, _asking(task, joined[-1], n), task)
    except (ValueError, FloatingPointError) as error:
        return {"refused": str(error), "after": after}
    return {"after": after, "joint": compared(joint, references[-1], joined[-1], task)}


def _asking(task: Task, rows: np.ndarray, n: int) -> Scenario:
    mask = np.isin(np.arange(n), rows)
    return Scenario(task.train, mask, mask)


def run(task: Task, seeds: list[int], chosen: list[str], folder: Path, key: str) -> None:
    """Measure seed by seed, and write what there is."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    (X, y), n = task.train, len(task.train[1])
    for seed in seeds:
        trained = Trained(folder / f"{task.name} {key}" / f"seed {seed}", time.process_time)
        original, _ = trained("original", partial(fit, task, task.train, seed))
        place, parts, references = trained.inside("sequential"), requests(task, seed), []
        for k in range(N_REQUESTS):
            kept = ~np.isin(np.arange(n), np.concatenate(parts[: k + 1]))
            names = [(f"retrained {k} {j}", 1000 + 10 * seed + j) for j in range(N_REFERENCES)]
            references.append([place(name, partial(fit, task, (X[kept], y[kept]), s))[0] for name, s in names])
        gone = np.sort(np.concatenate(parts))
        first, *others = references[-1]
        rows.append({"model": "null", "seed": seed, "joint": compared(first, others, gone, task)})
        rows.append({"model": "before", "seed": seed, "joint": compared(original, references[-1], gone, task)})
        for called, method in methods(task, "random", FrozenEstimator(original), seed).items():
            if not chosen or called in chosen:
                rows.append({"model": called, "seed": seed, **served(method, parts, references, task)})
                print(f"{task.name} {seed}: {called}", flush=True)
        setting = {"n_requests": N_REQUESTS, "share": SHARE, "n_references": N_REFERENCES, "note": task.note}
        write_results(f"sequential_{task.name}", {**setting, "rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--methods", nargs="+", default=[], help="names as in the tables; all by default")
    parser.add_argument("--resume", type=Path, default=RESULTS.parent / ".models", help="folder of trained models")
    options = parser.parse_args()
    made_of = key_of(epochs=digits.EPOCHS, width=digits.WIDTH)
    run(digits.task(), options.seeds, options.methods, options.resume, made_of)
