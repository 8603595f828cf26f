"""The tables of requests in a row, made from the results files of `benchmarks.sequential`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS
from benchmarks.tables_classification import TASKS, is_control

JOINT = 0
YARDSTICKS = ("null", "before")
TITLES = {"random": "random rows", "mislabelled": "rows with wrong labels"}
APART = 0.2
"""Difference of the distance, of the joint request's, that is called one."""


def requests_in_a_row() -> str:
    """Every table there is a results file of, or nothing."""
    parts = []
    for task in TASKS:
        file = RESULTS / f"sequential_{task}.json"
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            table = pd.DataFrame(found["rows"])
            parts += [_part(task, found, name, own) for name, own in table.groupby("scenario", sort=False)]
    return "\n\n".join([HOW_TO_READ, *parts]) if parts else ""


HOW_TO_READ = (
    "**Requests in a row against a joint one.** The rows of a scenario are asked for in ten requests. *Distance*: mean "
    "total variation to models that were retrained without all rows asked for so far, over that of retrained models "
    "among each other, after the first, the fifth and the last request, and of the same method after one request for "
    "all of them. *Forgotten* and *test*: accuracy after the tenth request, and after the joint one. *Samples*: read "
    "by all ten requests, as a share of retraining."
)


def _part(task: str, found: dict, name: object, table: pd.DataFrame) -> str:
    refused = [] if "refused" not in table else table.loc[table["refused"].notna(), "model"].unique().tolist()
    served = table[~table["model"].isin(refused)]
    over = over_null(served)
    models = [model for model in dict.fromkeys(served["model"]) if model != "retrained"]
    models.sort(key=lambda model: _place(model, over))
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEAD, ["---"] * len(HEAD))]
    for model in models:
        lines.append("| " + " | ".join(_row(model, served[served["model"] == model], over)) + " |")
    seeds = table["seed"].nunique()
    counted = f"{seeds} seeds" if seeds > 1 else "one seed"
    refusing = f" Refused one of the requests: {', '.join(refused)}." if refused else ""
    return (
        f"**{TITLES[str(name)].capitalize()}, {task}** ({found['note']}; {counted}, {found['n_references']} retrained "
        f"models after each request; `benchmarks/results/sequential_{task}.json`).\n\n" + "\n".join(lines) + "\n\n"
        f"{_sentences(models, over)}{refusing}"
    )


HEAD = [
    "method", "distance after 1", "after 5", "after 10", "joint", "forgotten after 10", "joint", "test after 10",
    "joint", "samples",
]  # fmt: skip


def over_null(table: pd.DataFrame) -> pd.DataFrame:
    """Distance by model and request, over that of retrained models in the same place; means over seeds."""
    by = table.pivot_table(index="model", columns=["request", "seed"], values="distance")
    null = by.loc[["retrained", "null"]].mean()
    if JOINT in by.columns.get_level_values("request"):
        last = max(table["request"])
        for seed in table["seed"].unique():
            null[JOINT, seed] = null[last, seed]
    return (by / null).T.groupby(level="request").mean().T


def _place(model: str, over: pd.DataFrame) -> tuple[int, float]:
    kind = YARDSTICKS.index(model) if model in YARDSTICKS else 2 if is_control(model) else 3
    return kind, float(over.loc[model].drop(JOINT, errors="ignore").iloc[-1])


def _row(model: str, own: pd.DataFrame, over: pd.DataFrame) -> list[str]:
    last = over.columns.max()
    mean = own.groupby("request")[["accuracy_forget", "accuracy_test"]].mean()
    shown = f"*{model}*" if is_control(model) or model in YARDSTICKS else model
    cells = [shown, *(_number(over.loc[model, number], 2) for number in (1, last // 2, last, JOINT))]
    for figure in ("accuracy_forget", "accuracy_test"):
        cells += [_number(mean[figure].get(number, np.nan), 3) for number in (last, JOINT)]
    share = own.loc[own["request"] == last, "share"].mean() if "share" in own else np.nan
    return [*cells, _number(share, 2)]


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _sentences(models: list[str], over: pd.DataFrame) -> str:
    last = over.columns.max()
    methods = [model for model in models if model not in YARDSTICKS]
    ratio = {model: over.loc[model, last] / over.loc[model, JOINT] for model in methods}
    worse = [model for model in methods if ratio[model] > 1 + APART]
    better = [model for model in methods if ratio[model] < 1 - APART]
    return (
        f"Further from retraining after ten requests than after a joint one, by more than a fifth: "
        f"{', '.join(worse) or 'none'}; nearer by as much: {', '.join(better) or 'none'}."
    )
