"""Regression unlearning on real data: bands and random removal, each method against two retrained models.

    MLUNLEARN_DATA=... python -m benchmarks.regression diabetes sts etth1 mufac --seeds 10 11 12 --jobs 2

Writes one JSON file a task to benchmarks/results/: every figure of every seed and scenario, with settings, versions
and the name of the machine. `diabetes` needs no data root. Defaults were chosen on seeds 100 and 101; report others.

A seed takes the processor time of about twelve fits: 15 s for diabetes, some 2.5 min for sts and for etth1, 35 min for
mufac; each of the jobs takes one seed at a time. Smaller, or larger on a GPU:

    python -m benchmarks.regression mufac --size 16 --images 3000 --epochs 15
    python -m benchmarks.regression mufac --size 128 --network resnet18 --device cuda
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.parallel import Parallel, delayed
from skorch.callbacks import LRScheduler

from benchmarks.common import write_results
from mlunlearn.regression import (
    AllCNN,
    Band,
    BlindspotRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RegressionTask,
    ResNet18,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
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
    note: str


def diabetes(seed: int) -> Setting:
    task = diabetes_progression(seed=seed)
    task.net.set_params(optimizer__fused=True)
    return Setting(task, "all 309 training rows of a split drawn by the seed; MLP 10-64-64-1, 100 epochs")


def sts(seed: int) -> Setting:
    task = sts_benchmark(n_buckets=4096)
    annealed(task.net.set_params(module__n_dimensions=64, max_epochs=15, batch_size=128, lr=2e-3))
    return Setting(task, "all pairs; no GloVe file: hashed words (4,096), learned embedding of 64, 15 epochs")


def etth1(seed: int) -> Setting:
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
    return Setting(task, "oil temperature, 96 hours to 24, a window every 12 hours; band by the mean of the target")


def mufac(
    seed: int,
    *,
    size: int = 32,
    images: int | None = None,
    epochs: int = 20,
    network: str = "allcnn",
    device: str = "cpu",
) -> Setting:
    task = mufac_ages(size=size, limit=images, module={"allcnn": AllCNN, "resnet18": ResNet18}[network])
    narrow = {"module__width": 0.125} if network == "allcnn" else {}
    annealed(task.net.set_params(module__padding=size // 8, max_epochs=epochs, batch_size=64, lr=3e-3, device=device))
    task.net.set_params(**narrow)
    kind = "AllCNN of an eighth of the width" if narrow else "ResNet-18"
    return Setting(task, f"{len(task.X):,} of 10,025 images at {size}x{size}; {kind}, {epochs} epochs")


def annealed(net: Any) -> Any:
    """Let the learning rate fall along half a cosine: short trainings that end in noise have no noise floor to tell."""
    schedule = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=net.max_epochs)
    return net.set_params(callbacks=[("schedule", schedule)], optimizer__fused=True)


TASKS: dict[str, Callable[..., Setting]] = {"diabetes": diabetes, "sts": sts, "etth1": etth1, "mufac": mufac}


def methods(trained: FrozenEstimator, task: RegressionTask, n_retained: int, seed: int) -> dict[str, Any]:
    """Every method with its defaults, and the published settings of two of them."""
    n = len(task.X)
    small = {"batch_size": task.net.batch_size, "random_state": seed}
    found: dict[str, Any] = {
        "shrink and perturb": ShrinkPerturbRegressor(trained, random_state=seed),
        "blindspot": BlindspotRegressor(trained, random_state=seed),
        "blindspot (published)": BlindspotRegressor.published(
            trained, n_retained=n_retained, n_samples=n, random_state=seed
        ),
        "gaussian amnesiac": GaussianAmnesiacRegressor(trained, **small),
        "gaussian amnesiac (published)": GaussianAmnesiacRegressor.published(trained, n_samples=n, random_state=seed),
        "fine-tuning": FineTuneRegressor(trained, **small),
        "negative gradient": NegativeGradientRegressor(trained, **small),
    }
    if task.X.ndim == 2:
        found["ridge head"] = RidgeHeadRegressor(random_state=seed)
    return found


def scenarios(task: RegressionTask, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Masks of training rows to forget, and of test rows of the same kind."""
    y, y_test = (v.mean(axis=1) if v.ndim == 2 else v for v in (task.y, task.y_test))
    bands = {"low": Band.low(y), "middle": Band.middle(y), "high": Band.high(y)}
    found = {name: (band.forget(y), band.rows(y_test)) for name, band in bands.items()}
    return {**found, "random": (random_rows(len(y), 0.1, random_state=seed), None)}


class Alone:
    """The blindspot models of an unlearner, without the network that imitates them."""

    def __init__(self, unlearner: BlindspotRegressor):
        self.predict = unlearner.predict_blindspot


def timed(fit: Callable[[], Any], device: str = "cpu") -> tuple[Any, float]:
    """Processor time on one thread, which other work on the machine does not lengthen; on a GPU, time that passed."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    return fit(), clock() - started


def run_scenario(
    task: RegressionTask, original: Any, forget: np.ndarray, test_forget: np.ndarray | None, seed: int
) -> pd.DataFrame:
    keep, device = ~forget, task.net.device
    fits = [
        timed(
            lambda s=s: StandardizedRegressor(task.net, random_state=1000 + 10 * seed + s).fit(
                task.X[keep], task.y[keep]
            ),
            device,
        )
        for s in (0, 1)
    ]
    retrained = [model for model, _ in fits]
    seconds = {"retrained": fits[0][1], "retrained again": fits[1][1]}
    models: dict[str, Any] = {"original": original}
    for name, method in methods(FrozenEstimator(original), task, int(keep.sum()), seed).items():
        model = method.fit(task.X, task.y)
        models[name], seconds[name] = timed(lambda m=model: m.unlearn(forget), device)
        if isinstance(model, BlindspotRegressor) and model.blindspots_:
            models[f"{name}, without the network"] = Alone(model)
    table = regression_report(
        models, retrained, X=task.X, y=task.y, forget=forget, X_test=task.X_test, y_test=task.y_test,
        test_forget=test_forget, seconds=seconds,
    )  # fmt: skip
    table["share_of_fit"] = [
        m.receipts_[-1].retrained_share if hasattr(m := models.get(name), "receipts_") else np.nan
        for name in table.index
    ]
    table["anamnesis"] = anamnesis(task, models, retrained, original, test_forget)
    return table.assign(seed=seed)


def anamnesis(
    task: RegressionTask, models: dict[str, Any], retrained: list[Any], original: Any, test_forget: Any
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
            model,
            task.X,
            task.y,
            X,
            y,
            target_error=target,
            max_steps=300,
            batch_size=task.net.batch_size,
            seeds=range(3),
        )
        for name, model in everyone.items()
        if not isinstance(model, (Alone, RidgeHeadRegressor))
    }
    return [anamnesis_index(steps[name], steps["retrained"]) if name in steps else np.nan for name in names]


def run_seed(make: Callable[[int], Setting], seed: int) -> pd.DataFrame:
    """Measure every scenario of a task with one seed, on one thread."""
    torch.set_num_threads(1)
    task, tables = make(seed).task, []
    original, seconds = timed(
        lambda: StandardizedRegressor(task.net, random_state=seed).fit(task.X, task.y), task.net.device
    )
    for scenario, (forget, test_forget) in scenarios(task, seed).items():
        table = run_scenario(task, original, forget, test_forget, seed)
        table.loc["original", "seconds"] = seconds
        tables.append(table.assign(scenario=scenario).rename_axis("model").reset_index())
        print(task.name, seed, scenario, flush=True)
    return pd.concat(tables)


def run(name: str, make: Callable[[int], Setting], seeds: list[int], jobs: int) -> None:
    """Measure a task with every seed, and write what there is."""
    setting = make(seeds[0])
    rows = pd.concat(Parallel(n_jobs=jobs)(delayed(run_seed)(make, seed) for seed in seeds))
    results = {
        "task": setting.task.name,
        "note": setting.note,
        "unit": setting.task.unit,
        "error": "mean absolute",
        "seeds": seeds,
        "summary": summary(rows),
        "rows": json.loads(rows.to_json(orient="records", double_precision=6)),
    }
    write_results(f"regression_{name}", results)
    print(overview(rows).to_string(float_format="%.3g"))


def overview(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of the goal: errors, distance and its floor, attack, time; means over seeds."""
    found = {
        (scenario, model): {name: figures.get(name, [np.nan]) for name in COLUMNS}
        for scenario, models in summary(rows).items()
        for model, figures in models.items()
    }
    table = pd.DataFrame.from_dict(found, orient="index")
    return table.map(lambda value: value[0] if isinstance(value, list) else value)


COLUMNS = (
    "retain", "forget", "test_retain", "test_forget", "test_retain_over_retrained", "w1", "w1_over_floor", "auc",
    "time_over_retrained", "share_of_fit",
)  # fmt: skip


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
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--jobs", type=int, default=1, help="seeds measured at once")
    faces = parser.add_argument_group("mufac")
    faces.add_argument("--size", type=int, default=32, help="height and width of the images")
    faces.add_argument("--images", type=int, default=None, help="training images; all by default")
    faces.add_argument("--epochs", type=int, default=20)
    faces.add_argument("--network", choices=["allcnn", "resnet18"], default="allcnn")
    faces.add_argument("--device", default="cpu")
    options = parser.parse_args()
    chosen = {name: getattr(options, name) for name in ("size", "images", "epochs", "network", "device")}
    for name in options.tasks:
        run(name, partial(mufac, **chosen) if name == "mufac" else TASKS[name], options.seeds, options.jobs)


if __name__ == "__main__":
    main()
