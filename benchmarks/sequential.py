"""Ten requests in a row against one joint request, for every approximate method for classifiers.

    python -m benchmarks.sequential digits --seeds 1 2 3 --resume models
    MLUNLEARN_DATA=... python -m benchmarks.sequential cifar --resume models

The rows of a scenario of `benchmarks.classification` are asked for in ten parts. After each request a model is compared
with models that were retrained without all rows asked for so far. `joint` is the same method after one request for all
of them; `before` does nothing, `null` is a second retrained model. `cifar` takes 1,000 images.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks.classification import arguments, fitted, key_of, made_of, methods
from benchmarks.classification_figures import Figures
from benchmarks.classification_scenarios import Scenario, Task, fit, scenarios
from benchmarks.common import Trained, write_results
from mlunlearn.approximate import EditedClassifier

N_REQUESTS, N_REFERENCES = 10, 3
SCENARIOS = ("random", "mislabelled")
JOINT = 0
"""Number of the request for all rows at once."""


def parts(asked: np.ndarray, n_parts: int, seed: int) -> list[np.ndarray]:
    """Deal the rows of a request out to as many requests, as evenly as they go."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(asked))
    masks = [np.zeros(len(asked), dtype=bool) for _ in range(n_parts)]
    for mask, own in zip(masks, np.array_split(rows, n_parts), strict=True):
        mask[own] = True
    return masks


def measured(stages: list[Figures], requests: list[np.ndarray], make: Callable[[], EditedClassifier]) -> list[Any]:
    """Figures of a method after each request, and after a joint one; or why it refused."""
    task, train = stages[0].task, stages[0].scenario.train
    everyone = list(range(N_REFERENCES))

    def told(model: EditedClassifier, number: int) -> dict[str, Any]:
        share = float(sum(receipt.retrained_share for receipt in model.receipts_))
        figures = stages[number - 1] if number != JOINT else stages[-1]
        return {"request": number, "share": share, **figures.of(model, everyone, judged=False)}

    found: list[dict[str, Any]] = []
    try:
        model = fitted(make(), train, task)
        for number, mask in enumerate(requests, start=1):
            found.append(told(model.unlearn(mask), number))
        found.append(told(fitted(make(), train, task).unlearn(np.logical_or.reduce(requests)), JOINT))
    except (ValueError, FloatingPointError) as error:  # it does not serve such requests, or its numbers overflow
        found.append({"request": len(found) + 1, "refused": str(error)})
    return found


def run_scenario(
    task: Task, name: str, scenario: Scenario, original: Any, seed: int, trained: Trained
) -> list[dict[str, Any]]:
    """Measure every method on one scenario."""
    X, y = scenario.train
    requests = parts(scenario.asked, N_REQUESTS, seed)
    stages = []
    for so_far in np.logical_or.accumulate(requests):
        fits = [
            trained(f"without {so_far.sum()} {k}", partial(fit, task, (X[~so_far], y[~so_far]), 5000 + 10 * seed + k))
            for k in range(N_REFERENCES)
        ]
        models = [model for model, _ in fits]
        stages.append(Figures(task, replace(scenario, asked=so_far, gone=so_far), models, original, seed))
    rows = []
    for number, figures in enumerate(stages, start=1):
        for k, kind in enumerate(("retrained", "null")):
            others = [j for j in range(N_REFERENCES) if j != k]
            rows.append({"model": kind, "request": number, **figures.of(figures.references[k], others, judged=False)})
        everyone = list(range(N_REFERENCES))
        rows.append({"model": "before", "request": number, **figures.of(original, everyone, judged=False)})
    for called, method in methods(task, name, FrozenEstimator(original), seed).items():
        if "published" in called:
            continue
        place = f"{called} {made_of(method)}"
        found, seconds = trained(place, partial(measured, stages, requests, lambda method=method: method))
        rows += [{"model": called, **row} for row in found]
        print(f"{task.name} {seed} {name}: {called} {seconds:.1f} s", flush=True)
    return [{"scenario": name, "seed": seed, **row} for row in rows]


def run(task: Task, seeds: list[int], wanted: list[str], folder: Path, key: str) -> None:
    """Measure seed by seed, and write what there is after every scenario."""
    torch.set_num_threads(1)
    task, rows = replace(task, n_references=N_REFERENCES), []
    for seed in seeds:
        for name in wanted:
            trained = Trained(folder / f"{task.name} in a row {key}" / f"seed {seed}" / name, time.process_time)
            scenario = scenarios(task, seed, lambda: np.empty(0))[name]()
            original, _ = trained("original", partial(fit, task, scenario.train, seed))
            rows += run_scenario(task, name, scenario, original, seed, trained)
            table = pd.DataFrame(rows)
            results = {
                "task": task.name,
                "note": task.note,
                "seeds": table["seed"].unique().tolist(),
                "n_requests": N_REQUESTS,
                "n_references": N_REFERENCES,
                "rows": json.loads(table.to_json(orient="records", double_precision=5)),
            }
            write_results(f"sequential_{task.name}", results)


def digits_task() -> tuple[Task, dict[str, Any]]:
    from benchmarks import digits

    return digits.task(), {"epochs": digits.EPOCHS, "width": digits.WIDTH}


def cifar_task() -> tuple[Task, dict[str, Any]]:
    from benchmarks import cifar

    settings = {"images": 1100, "epochs": 15, "network": "resnet9", "width": 8, "stride": 2, "device": "cpu"}
    return cifar.task(*settings.values()), settings


TASKS = {"digits": digits_task, "cifar": cifar_task}


if __name__ == "__main__":
    parser = arguments(__doc__, SCENARIOS)
    parser.add_argument("task", choices=sorted(TASKS))
    chosen = parser.parse_args()
    made, settings = TASKS[chosen.task]()
    run(made, chosen.seeds, chosen.scenarios, chosen.resume, key_of(**settings))
