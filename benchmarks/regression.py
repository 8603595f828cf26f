"""Regression unlearning on real data: bands and random removal, each method against two retrained models.

    MLUNLEARN_DATA=... python -m benchmarks.regression diabetes sts etth1 mufac --seeds 3

Writes one JSON file a task to benchmarks/results/: every figure of every seed and scenario, with settings, versions
and the name of the machine. `diabetes` needs no data root.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import LRScheduler

from benchmarks.common import write_results
from mlunlearn.regression import (
    Band,
    BlindspotRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RegressionTask,
    StandardizedRegressor,
    Windows,
    anamnesis_index,
    diabetes_progression,
    load_forecaster,
    mufac_ages,
    random_rows,
    read_ett,
    regression_report,
    relearn_steps,
    relearn_target,
    sts_benchmark,
)


@dataclass(frozen=True)
class Setting:
    """A task, and what was made smaller for a processor without an accelerator."""

    task: RegressionTask
    batch_size: int
    note: str


def diabetes() -> Setting:
    return Setting(diabetes_progression(), 32, "all 309 training rows; MLP 10-64-64-1, 100 epochs")


def sts() -> Setting:
    task = sts_benchmark(n_buckets=4096)
    task.net.set_params(module__n_dimensions=64, max_epochs=15, batch_size=128, lr=2e-3)
    annealed(task.net)
    return Setting(task, 128, "all pairs; no GloVe file: hashed words (4,096), learned embedding of 64, 15 epochs")


def etth1() -> Setting:
    series = read_ett()[["OT"]]
    hours = len(series)
    train, val = int(0.6 * hours), int(0.8 * hours)
    first = series.iloc[:train]
    scaled = (series - first.mean()) / first.std()
    parts = []
    for part in (scaled.iloc[:train], scaled.iloc[train - 96 : val], scaled.iloc[val - 96 :]):
        cutter = Windows(n_past=96, horizon=24, stride=12)
        X, y = cutter.cut(part, cutter.starts(part))
        parts += [X.astype(np.float32), y]
    net = annealed(load_forecaster(max_epochs=30, n_hidden=32).set_params(lr=3e-3))
    task = RegressionTask("ETTh1", *parts, net, "standard deviations")
    return Setting(task, 64, "oil temperature, 96 hours to 24, a window every 12 hours; band by the mean of the target")


def mufac() -> Setting:
    task = mufac_ages(size=16, limit=2000)
    task.net.set_params(module__width=0.125, module__padding=2, max_epochs=30, batch_size=64, lr=3e-3)
    annealed(task.net)
    return Setting(task, 64, "2,000 of 10,025 images at 16x16; AllCNN of an eighth of the width, 30 epochs")


def annealed(net: Any) -> Any:
    """Let the learning rate fall along half a cosine: short trainings that end in noise have no noise floor to tell."""
    schedule = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=net.max_epochs)
    return net.set_params(callbacks=[("schedule", schedule)])


TASKS: dict[str, Callable[[], Setting]] = {"diabetes": diabetes, "sts": sts, "etth1": etth1, "mufac": mufac}


def methods(trained: FrozenEstimator, setting: Setting, n_retained: int, seed: int) -> dict[str, Any]:
    """Every method with its defaults, and the published settings of two of them."""
    n, batch = len(setting.task.X), setting.batch_size
    common = {"batch_size": batch, "random_state": seed}
    return {
        "blindspot": BlindspotRegressor(trained, **common),
        "blindspot, three models": BlindspotRegressor(trained, n_blind=3, blind_steps=200, n_steps=100, **common),
        "blindspot (published)": BlindspotRegressor.published(
            trained, n_retained=n_retained, n_samples=n, random_state=seed
        ),
        "gaussian amnesiac": GaussianAmnesiacRegressor(trained, **common),
        "gaussian amnesiac (published)": GaussianAmnesiacRegressor.published(trained, n_samples=n, random_state=seed),
        "fine-tuning": FineTuneRegressor(trained, **common),
        "negative gradient": NegativeGradientRegressor(trained, **common),
    }


def scenarios(task: RegressionTask) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Masks of training rows to forget, and of test rows of the same kind."""
    y, y_test = (v.mean(axis=1) if v.ndim == 2 else v for v in (task.y, task.y_test))
    bands = {"low": Band.low(y), "middle": Band.middle(y), "high": Band.high(y)}
    found = {name: (band.forget(y), band.rows(y_test)) for name, band in bands.items()}
    return {**found, "random": (random_rows(len(y), 0.1, random_state=0), None)}


class Alone:
    """The blindspot models of an unlearner, without the network that imitates them."""

    def __init__(self, unlearner: BlindspotRegressor):
        self.predict = unlearner.predict_blindspot


def timed(fit: Callable[[], Any]) -> tuple[Any, float]:
    """Processor time on one thread, which other work on the machine does not lengthen."""
    started = time.process_time()
    return fit(), time.process_time() - started


def run_scenario(
    setting: Setting, original: Any, forget: np.ndarray, test_forget: np.ndarray | None, seed: int
) -> pd.DataFrame:
    task = setting.task
    keep = ~forget
    fits = [
        timed(
            lambda s=s: StandardizedRegressor(task.net, random_state=1000 + 10 * seed + s).fit(
                task.X[keep], task.y[keep]
            )
        )
        for s in (0, 1)
    ]
    retrained = [model for model, _ in fits]
    seconds = {"retrained": fits[0][1], "retrained again": fits[1][1]}
    models: dict[str, Any] = {"original": original}
    for name, method in methods(FrozenEstimator(original), setting, int(keep.sum()), seed).items():
        model = method.fit(task.X, task.y)
        models[name], seconds[name] = timed(lambda m=model: m.unlearn(forget))
        if isinstance(model, BlindspotRegressor):
            models[f"{name}, without the network"] = Alone(model)
    table = regression_report(
        models, retrained, X=task.X, y=task.y, forget=forget, X_test=task.X_test, y_test=task.y_test,
        test_forget=test_forget, seconds=seconds,
    )  # fmt: skip
    table["share_of_fit"] = [
        m.receipts_[-1].retrained_share if hasattr(m := models.get(name), "receipts_") else np.nan
        for name in table.index
    ]
    table["anamnesis"] = anamnesis(task, models, retrained, original, test_forget, setting.batch_size)
    return table.assign(seed=seed)


def anamnesis(
    task: RegressionTask, models: dict[str, Any], retrained: list[Any], original: Any, test_forget: Any, batch_size: int
) -> list[float]:
    """Relearn time of each model over that of the retrained one, on test rows of the forgotten kind."""
    names = ["retrained", "retrained again", *models]
    if test_forget is None or task.X.ndim > 2:
        return [np.nan] * len(names)
    X, y = task.X_test[test_forget], task.y_test[test_forget]
    target = relearn_target(original, X, y)
    everyone = {"retrained": retrained[0], "retrained again": retrained[1], **models}
    steps = {
        name: relearn_steps(
            model, task.X, task.y, X, y, target_error=target, max_steps=300, batch_size=batch_size, seeds=range(3)
        )
        for name, model in everyone.items()
        if not isinstance(model, Alone)
    }
    return [anamnesis_index(steps[name], steps["retrained"]) if name in steps else np.nan for name in names]


def run(name: str, seeds: int) -> None:
    """Measure every scenario, and write what there is after each seed."""
    setting = TASKS[name]()
    task, tables = setting.task, []
    for seed in range(seeds):
        original, seconds = timed(lambda s=seed: StandardizedRegressor(task.net, random_state=s).fit(task.X, task.y))
        for scenario, (forget, test_forget) in scenarios(task).items():
            table = run_scenario(setting, original, forget, test_forget, seed)
            table.loc["original", "seconds"] = seconds
            tables.append(table.assign(scenario=scenario).rename_axis("model").reset_index())
            print(name, seed, scenario, flush=True)
        rows = pd.concat(tables)
        results = {
            "task": task.name,
            "note": setting.note,
            "unit": task.unit,
            "error": "mean absolute",
            "seeds": seed + 1,
            "summary": summary(rows),
            "rows": json.loads(rows.to_json(orient="records", double_precision=6)),
        }
        write_results(f"regression_{name}", results)


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and what they are against the retrained models."""
    found: dict[str, Any] = {}
    for scenario, part in rows.groupby("scenario", sort=False):
        floor = part[part["model"] == "retrained again"].set_index("seed")
        reference = part[part["model"].isin(["retrained", "retrained again"])].groupby("seed").mean(numeric_only=True)
        found[str(scenario)] = {}
        for model, runs in part.groupby("model", sort=False):
            runs = runs.set_index("seed")
            columns = runs.select_dtypes("number").drop(columns=["seed"], errors="ignore")
            figures = {c: [round(columns[c].mean(), 4), round(columns[c].std(ddof=0), 4)] for c in columns}
            figures["w1_over_floor"] = round(float(runs["w1"].mean() / floor["w1"].mean()), 3)
            figures["test_retain_over_retrained"] = round(
                float(runs["test_retain"].mean() / reference["test_retain"].mean()), 4
            )
            figures["time_over_retrained"] = round(float(runs["seconds"].mean() / reference["seconds"].mean()), 4)
            found[str(scenario)][str(model)] = {k: v for k, v in figures.items() if not np.isnan(np.sum(v))}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.tasks:
        run(name, options.seeds)


if __name__ == "__main__":
    main()
