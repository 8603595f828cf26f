"""Regression unlearning on real data, each method beside two controls and three retrained models.

    MLUNLEARN_DATA=... python -m benchmarks.regression diabetes sts etth1 --seeds 20 21 22 --resume models

Forgotten are bands of the target, a random tenth, and a hundredth and single rows of that tenth. The controls read as
many samples as the approximate methods: `restart` trains from scratch, `continued training` from the trained
weights, both in the loop of `shrink and perturb`. `original` does nothing, `retrained again` is the null.

Writes one JSON file a task to benchmarks/results/: every figure of every seed and scenario, with settings, versions
and the name of the machine. `diabetes` needs no data root. With ``--resume`` trained models are kept in a folder, and
a run that was broken off, or has new methods, trains what is missing. Defaults were chosen on seeds 100 and up; report
others.

A seed takes the processor time of about thirty fits: a minute for diabetes, some 5 min for sts, for etth1 and for
mufac in the size of the committed results:

    python -m benchmarks.regression mufac --size 16 --images 3000 --epochs 15
    python -m benchmarks.regression mufac --size 128 --network resnet18 --device cuda
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks.common import Trained, write_results
from benchmarks.regression_tasks import TASKS, Setting, mufac
from mlunlearn import ForgetRequestError
from mlunlearn.regression import (
    Band,
    BlindspotRegressor,
    CrossFitRegressor,
    FineTuneRegressor,
    GaussianAmnesiacRegressor,
    NegativeGradientRegressor,
    RegressionTask,
    RestartRegressor,
    RidgeHeadRegressor,
    ShrinkPerturbRegressor,
    StandardizedRegressor,
    anamnesis_index,
    pointwise_distance,
    random_rows,
    regression_report,
    relearn_steps,
    relearn_target,
    sample_errors,
)

CONTROLS = ("restart", "continued training")


def methods(trained: FrozenEstimator, task: RegressionTask, n_retained: int, seed: int) -> dict[str, Any]:
    """Every method with its defaults, the published settings of two of them, and the controls."""
    n = len(task.X)
    small = {"batch_size": task.net.batch_size, "random_state": seed}
    found: dict[str, Any] = {
        **controls(trained, seed),
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


def controls(trained: FrozenEstimator, seed: int) -> dict[str, Any]:
    """As many samples as the approximate methods read, from scratch and from the trained weights."""
    loop = ShrinkPerturbRegressor(trained).get_params()
    same = {name: loop[name] for name in ("budget", "lr", "batch_size")}
    return {
        "restart": RestartRegressor(trained, **same, random_state=seed),
        "continued training": FineTuneRegressor(trained, **same, decay=True, random_state=seed),
    }


def methods_for_few(trained: FrozenEstimator, prepared: Any, task: RegressionTask, seed: int) -> dict[str, Any]:
    """Those that are asked to forget few rows, many times over.

    Of many rows, `cross-fit` is `shrink and perturb`.
    """
    everything = methods(trained, task, len(task.X) - 1, seed)
    names = (*CONTROLS, "shrink and perturb", "gaussian amnesiac", "negative gradient")
    return {"cross-fit": copy.copy(prepared), **{name: everything[name] for name in names}}


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


def retrain(task: RegressionTask, forget: np.ndarray, seed: int, trained: Trained) -> list[tuple[Any, float]]:
    keep = ~forget
    return [
        trained(
            f"retrained {s}",
            lambda s=s: StandardizedRegressor(task.net, random_state=1000 + 10 * seed + s).fit(
                task.X[keep], task.y[keep]
            ),
        )
        for s in (0, 1, 2)  # of fewer no floor with a spread can be told
    ]


def forgotten(method: Any, task: RegressionTask, rows: np.ndarray, trained: Trained, name: str) -> tuple[Any, float]:
    """A model after a request; its fit is not timed, in which most learn nothing from a frozen network."""
    model = method if hasattr(method, "forgotten_") else method.fit(task.X, task.y)
    return trained(name, lambda: model.unlearn(rows))


def run_scenario(
    task: RegressionTask, original: Any, forget: np.ndarray, test_forget: np.ndarray | None, seed: int, trained: Trained
) -> pd.DataFrame:
    fits = retrain(task, forget, seed, trained)
    retrained = [model for model, _ in fits]
    seconds = {"retrained": fits[0][1], "retrained again": fits[1][1]}
    models: dict[str, Any] = {"original": original}
    refused: dict[str, str] = {}
    for name, method in methods(FrozenEstimator(original), task, int((~forget).sum()), seed).items():
        try:
            models[name], seconds[name] = forgotten(method, task, forget, trained, name)
        except ForgetRequestError as error:  # the edit ruined the network, and the model was left as it was
            refused[name] = str(error)
            continue
        if isinstance(method, BlindspotRegressor) and models[name].blindspots_:
            models[f"{name}, without the network"] = Alone(models[name])
    table = regression_report(
        models, retrained, X=task.X, y=task.y, forget=forget, X_test=task.X_test, y_test=task.y_test,
        test_forget=test_forget, seconds=seconds,
    )  # fmt: skip
    table["share_of_fit"] = [
        m.receipts_[-1].retrained_share if hasattr(m := models.get(name), "receipts_") else np.nan
        for name in table.index
    ]
    table["anamnesis"] = anamnesis(task, models, retrained, original, test_forget, trained.inside("relearned"))
    others = pd.DataFrame({"refused": refused})
    return pd.concat([table, others]).assign(seed=seed)


def run_few(task: RegressionTask, original: Any, tenth: np.ndarray, seed: int, trained: Trained) -> pd.DataFrame:
    """Requests for single rows and for a hundredth, against models retrained without the whole tenth they are from.

    What the rest of the tenth does to the prediction for a row is far below what another seed does, so one pair of
    retrained models serves every row of it.
    """
    frozen = FrozenEstimator(original)
    prepared, preparation = trained(
        "cross-fit", lambda: CrossFitRegressor(frozen, random_state=seed).fit(task.X, task.y)
    )
    prepared.attach_data(task.X, task.y)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(tenth))
    requests = {
        "single rows": rows[: 12 if len(task.X) < 1000 else 3, None],
        "hundredth": rows[None, : max(len(tenth) // 100, 2)],
    }
    fits = retrain(task, tenth, seed, trained.inside("random"))

    def served(name: str, batch: np.ndarray) -> tuple[Any, float]:
        method = methods_for_few(frozen, prepared, task, seed)[name]
        place = trained.inside("hundredth" if len(batch) > 1 else f"row {batch[0]}")
        return forgotten(method, task, batch, place, name)

    found = []
    for scenario, batches in requests.items():
        asked = batches.ravel()
        references = [model.predict(task.X[asked]) for model, _ in fits]
        add = partial(_figures, found, scenario, asked, task.y[asked])
        add("retrained", references[0], [], seconds=fits[0][1])
        add("retrained again", references[1], [references[0], references[2]], seconds=fits[1][1])
        add("original", original.predict(task.X[asked]), references)
        for name in methods_for_few(frozen, prepared, task, seed):
            try:
                after = list(map(partial(served, name), batches))
            except ForgetRequestError as error:
                found.append({"scenario": scenario, "model": name, "refused": str(error)})
                continue
            add(
                name,
                np.concatenate([m.predict(task.X[batch]) for (m, _), batch in zip(after, batches, strict=True)]),
                references,
                **({"trust": prepared.trust_, "preparation": preparation} if name == "cross-fit" else {}),
                seconds=float(np.mean([seconds for _, seconds in after])),
                share_of_fit=float(np.mean([m.receipts_[-1].retrained_share for m, _ in after])),
                test_retain=float(
                    np.mean([sample_errors(task.y_test, m.predict(task.X_test)).mean() for m, _ in after])
                ),
            )
    return pd.DataFrame(found).assign(seed=seed)


def _figures(
    found: list[dict[str, Any]],
    scenario: str,
    rows: np.ndarray,
    y: np.ndarray,
    model: str,
    prediction: np.ndarray,
    references: list[np.ndarray],
    **others: float,
) -> None:
    """Note the figures of a model, row by row."""
    for i, row in enumerate(rows.tolist()):
        here = slice(i, i + 1)
        gaps = [pointwise_distance(prediction[here], p[here]) for p in references]
        found.append(
            {
                "scenario": scenario,
                "model": model,
                "row": row,
                "pointwise": float(np.mean(gaps)) if gaps else np.nan,
                "forget": float(sample_errors(y[here], prediction[here])[0]),
                **others,
            }
        )


def anamnesis(
    task: RegressionTask,
    models: dict[str, Any],
    retrained: list[Any],
    original: Any,
    test_forget: Any,
    relearned: Trained,
) -> list[float]:
    """Relearn time of each model over that of the retrained one, on test rows of the forgotten kind."""
    names = ["retrained", "retrained again", *models]
    if test_forget is None or task.X.ndim > 2:
        return [np.nan] * len(names)
    X, y = task.X_test[test_forget], task.y_test[test_forget]
    relearn = partial(
        relearn_steps,
        target_error=relearn_target(original, X, y),
        n_steps=300,
        batch_size=task.net.batch_size,
        seeds=range(3),
    )
    everyone = {"retrained": retrained[0], "retrained again": retrained[1], **models}
    steps = {
        name: relearned(name, lambda model=model: relearn(model, task.X, task.y, X, y))[0]
        for name, model in everyone.items()
        if not isinstance(model, (Alone, RidgeHeadRegressor))
    }
    return [anamnesis_index(steps[name], steps["retrained"]) if name in steps else np.nan for name in names]


def run_seed(make: Callable[[int], Setting], seed: int, folder: Path | None) -> pd.DataFrame:
    """Measure every scenario of a task with one seed, on one thread."""
    torch.set_num_threads(1)
    task, tables = make(seed).task, []
    clock = time.process_time if task.net.device == "cpu" else time.perf_counter
    trained = Trained(folder and folder / task.name / f"seed {seed}", clock)
    original, seconds = trained(
        "original", lambda: StandardizedRegressor(task.net, random_state=seed).fit(task.X, task.y)
    )
    asked = scenarios(task, seed)
    for scenario, (forget, test_forget) in asked.items():
        table = run_scenario(task, original, forget, test_forget, seed, trained.inside(scenario))
        table.loc["original", "seconds"] = seconds
        tables.append(table.assign(scenario=scenario).rename_axis("model").reset_index())
        print(task.name, seed, scenario, flush=True)
    few = run_few(task, original, asked["random"][0], seed, trained)
    print(task.name, seed, "few rows", flush=True)
    return pd.concat([*tables, few])


def run(name: str, make: Callable[[int], Setting], seeds: list[int], folder: Path | None) -> None:
    """Measure a task with every seed, and write what there is."""
    setting = make(seeds[0])
    everything = pd.concat([run_seed(make, seed, folder) for seed in seeds])
    rows = everything[everything["refused"].isna()].drop(columns="refused")
    results = {
        "task": setting.task.name,
        "note": setting.note,
        "unit": setting.task.unit,
        "error": "mean absolute",
        "seeds": seeds,
        "summary": summary(rows),
        "nearer_than_controls": nearer_than_controls(rows),
        "rows": figures_of(everything),
    }
    write_results(f"regression_{name}", results)
    print(overview(rows).to_string(float_format="%.3g"))


def figures_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Every figure there is, to six decimals; what was not measured is left out."""
    records = json.loads(rows.to_json(orient="records", double_precision=6))
    return [{name: value for name, value in record.items() if value is not None} for record in records]


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
    "retain", "forget", "test_retain", "test_forget", "test_retain_over_retrained", "w1", "w1_over_floor",
    "pointwise_over_floor", "auc", "time_over_retrained", "share_of_fit",
)  # fmt: skip


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and what they are against the retrained models."""
    found: dict[str, Any] = {}
    for scenario, part in rows.groupby("scenario", sort=False):
        by_seed = part.groupby(["model", "seed"], sort=False).mean(numeric_only=True)
        floor = by_seed.loc["retrained again"].mean()
        reference = by_seed.loc[["retrained", "retrained again"]].groupby("seed").mean().mean()
        found[str(scenario)] = {}
        for model in by_seed.index.unique("model"):
            runs = by_seed.loc[model].drop(columns="row", errors="ignore")
            figures: dict[str, Any] = {c: [round(runs[c].mean(), 4), round(runs[c].std(ddof=0), 4)] for c in runs}
            against = {
                "w1_over_floor": ("w1", floor),
                "pointwise_over_floor": ("pointwise", floor),
                "test_retain_over_retrained": ("test_retain", reference),
                "time_over_retrained": ("seconds", reference),
            }
            figures.update({name: round(float(runs[c].mean() / by[c]), 4) for name, (c, by) in against.items()})
            found[str(scenario)][str(model)] = {k: v for k, v in figures.items() if not np.isnan(np.sum(v))}
    return found


def nearer_than_controls(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Share of paired cases, of one request or row, in which a method comes nearer to retraining than a control."""
    names = [name for name in rows["model"].unique() if not name.startswith("retrained")]
    few = rows["scenario"].isin(["single rows", "hundredth"])
    cases = {"bands and a tenth": (~few, "w1"), "few rows": (few, "pointwise")}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for case, (chosen, column) in cases.items():
        keys = ["scenario", "seed", *(["row"] if column == "pointwise" else [])]
        distances = rows[chosen].pivot_table(index=keys, columns="model", values=column)
        found[case] = {
            name: {control: round(float((distances[name] < distances[control]).mean()), 3) for control in CONTROLS}
            for name in _there(names, distances)
        }
    return found


def _there(names: Iterable[str], table: pd.DataFrame) -> list[str]:
    return [name for name in names if name in table and name not in CONTROLS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    parser.add_argument("--resume", type=Path, default=None, help="folder of trained models, used again if there")
    faces = parser.add_argument_group("mufac")
    faces.add_argument("--size", type=int, default=32, help="height and width of the images")
    faces.add_argument("--images", type=int, default=None, help="training images; all by default")
    faces.add_argument("--epochs", type=int, default=20)
    faces.add_argument("--network", choices=["allcnn", "resnet18"], default="allcnn")
    faces.add_argument("--device", default="cpu")
    options = parser.parse_args()
    chosen = {name: getattr(options, name) for name in ("size", "images", "epochs", "network", "device")}
    for name in options.tasks:
        make = partial(mufac, **chosen) if name == "mufac" else TASKS[name]
        run(name, make, options.seeds, options.resume)


if __name__ == "__main__":
    main()
