"""The tables of forgetting from classifiers, made from the results files of `benchmarks.classification`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS

TASKS = ("cifar", "digits", "text")
TITLES = {
    "class": "a class",
    "random": "a random tenth",
    "mislabelled": "a tenth with wrong labels, all of them known",
    "backdoor": "poisoned rows that call up a label, a tenth of them known",
    "memorised": "a tenth of the rows, from the third that is memorised most",
    "confusion": "rows of two classes with exchanged labels, a tenth of them known",
}
FIGURES = {
    "accuracy_forget": "forgotten",
    "accuracy_retain": "retained",
    "accuracy_kept": "other classes",
    "accuracy_corrected": "corrected",
    "accuracy_test": "test",
    "attack": "attack AUC",
    "probe": "probe",
}
WORDS = {"as a retrained model": "as retrained", "distinguishable from one": "distinguishable"}
YARDSTICKS = ("retrained", "null", "before")
NOTHING, HARM, TOLD_APART = 0.1, 0.05, 0.03


def classification() -> str:
    """Every table of every task that there is a results file of."""
    files = [RESULTS / f"classification_{task}.json" for task in TASKS]
    parts = [HOW_TO_READ]
    for file in files:
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            rows = pd.DataFrame(found["rows"])
            where = found["environment"]
            parts.append(
                f"### {found['task']}\n\n{found['note']}; {found['n_references']} retrained models of each seed; "
                f"{where['processor']}, torch {where['versions']['torch']} (`benchmarks/results/{file.name}`)."
            )
            parts += [_scenario(name, table) for name, table in rows.groupby("scenario", sort=False)]
    return "\n\n".join(parts)


HOW_TO_READ = (
    "**Forgetting from a trained classifier.** *Distance*: mean total variation between the predictions of a model and "
    "those of the retrained models, on forgotten and on test rows, over that of retrained models among each other (1 "
    "is perfect). *From scratch* and *continued* are controls that read a tenth or a fifth of the samples of "
    "retraining, in batches as large or a quarter as large; *before* does nothing. *Forgotten*, *retained*, *other "
    "classes*, *test*: accuracy, on forgotten rows by the labels they were trained with; *corrected*: accuracy on "
    "unseen rows of the kind that was manipulated, by their true labels. *Attack*: AUC of telling forgotten from "
    "unseen rows of their kind. *Probe*: balanced accuracy at which a linear model finds the forgotten class in the "
    "embeddings of test rows. *Verdict*: how many seeds the audit calls as retrained, distinguishable, or too few to "
    "tell. *Samples* and *time*: as shares of retraining. *Beats controls*: nearer than all controls of the smallest "
    "budget that reads at least as much (or of the largest, if it reads more) in every seed, and on average by more "
    "than the standard deviation of the difference; one seed cannot tell. Controls in small batches stand beside those "
    "of a fifth alone."
)


def _scenario(name: str, table: pd.DataFrame) -> str:
    seeds = sorted(table["seed"].unique())
    refused = table[table.get("refused", pd.Series(index=table.index, dtype=object)).notna()]
    table = table[~table.index.isin(refused.index)]
    figures = [figure for figure in FIGURES if figure in table and table[figure].notna().any()]
    over = over_null(table)
    rows = [_row(model, table[table["model"] == model], over[model], figures, table) for model in order(table, over)]
    head = [
        "method",
        "distance",
        *(FIGURES[figure] for figure in figures),
        "verdict",
        "samples",
        "time",
        "beats controls",
    ]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    counted = f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    return f"**{TITLES[name].capitalize()}** ({counted}).\n\n{text}\n\n{_sentences(table, over, refused)}"


def over_null(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Distances of each model, seed by seed, over those of retrained models among each other."""
    by = table.pivot_table(index="model", columns="seed", values="distance")
    null = by.loc[["retrained", "null"]].mean()
    return {model: (by.loc[model] / null).to_numpy() for model in by.index}


def order(table: pd.DataFrame, over: dict[str, np.ndarray]) -> list[str]:
    """Yardsticks, controls, and methods by their distance."""
    models = list(dict.fromkeys(table["model"]))
    controls = [model for model in models if is_control(model)]
    methods = [model for model in models if model not in YARDSTICKS and model not in controls]
    return [*YARDSTICKS, *controls, *sorted(methods, key=lambda model: float(np.nanmean(over[model])))]


def is_control(model: str) -> bool:
    """Tell the controls from methods."""
    return model.startswith(("from scratch", "continued"))


def _row(model: str, own: pd.DataFrame, over: np.ndarray, figures: list[str], table: pd.DataFrame) -> list[str]:
    verdicts = own["verdict"].dropna().map(lambda word: WORDS.get(word, "cannot tell")).value_counts()
    return [
        f"*{model}*" if is_control(model) or model in YARDSTICKS else model,
        _spread(over),
        *("" if own[figure].isna().all() else f"{own[figure].mean():.3f}" for figure in figures),
        ", ".join(f"{count} {word}" for word, count in verdicts.items()),
        f"{own['share'].mean():.2f}",
        f"{own['seconds'].mean() / _of_retrained(table, 'seconds'):.2f}",
        "" if is_control(model) or model in YARDSTICKS else _beats(model, table),
    ]


def _of_retrained(table: pd.DataFrame, figure: str) -> float:
    return float(table.loc[table["model"].isin(["retrained", "null"]), figure].mean())


def _beats(model: str, table: pd.DataFrame) -> str:
    if table["seed"].nunique() == 1:
        return "nearer" if (gains(model, table) > 0).all() else "no"
    return "yes" if beats_controls(model, table) else "no"


def _spread(values: np.ndarray) -> str:
    values = values[~np.isnan(values)]
    return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def beats_controls(model: str, table: pd.DataFrame) -> bool:
    """Whether a method is nearer to retraining than the controls, beyond the spread."""
    gain = gains(model, table)
    return len(gain) > 1 and bool((gain > 0).all()) and float(gain.mean()) > float(gain.std())


def gains(model: str, table: pd.DataFrame) -> pd.Series:
    """By how much a method is nearer than the nearest control, seed by seed."""
    by = table.pivot_table(index="model", columns="seed", values="distance")
    return (by.loc[_controls_of(model, table)].min() - by.loc[model]).dropna()


def nearest_control(model: str, table: pd.DataFrame) -> str:
    """The control that a method is compared with: the nearest on average of those that read as much."""
    mean = table.groupby("model")["distance"].mean()
    return str(mean.loc[_controls_of(model, table)].idxmin())


def _controls_of(model: str, table: pd.DataFrame) -> list[str]:
    """All controls of the smallest budget that reads at least as many samples, or of the largest."""
    share = table.groupby("model")["share"].mean()
    scratch = sorted((name for name in share.index if name.startswith("from scratch (")), key=share.__getitem__)
    enough = [name for name in scratch if share[name] >= share[model] - 1e-6] or scratch[-1:]
    budget = enough[0].removeprefix("from scratch ")
    return [name for name in share.index if is_control(name) and name.endswith(budget)]


def _sentences(table: pd.DataFrame, over: dict[str, np.ndarray], refused: pd.DataFrame) -> str:
    accuracy = "accuracy_kept" if _measured("accuracy_kept", table) else "accuracy_test"
    mean = table.groupby("model")[accuracy].mean()
    floor = min(_of_retrained(table, accuracy), mean["before"]) - HARM
    before = float(np.nanmean(over["before"]))
    methods = [model for model in order(table, over) if model not in YARDSTICKS and not is_control(model)]
    best = [model for model in methods if _beats(model, table) != "no"]
    harm = [model for model in methods if mean[model] < floor or np.nanmean(over[model]) > before * (1 + NOTHING)]
    idle = [model for model in methods if model not in harm and np.nanmean(over[model]) > before * (1 - NOTHING)]
    seeds = " in the one seed" if table["seed"].nunique() == 1 else ""
    said = [
        f"Nearer than the controls{seeds}: {_list(best)}.",
        f"Within a tenth of doing nothing: {_list(idle)}.",
        f"Harm (on what stays, five points of accuracy under both retraining and doing nothing; or a tenth further "
        f"from retraining than doing nothing): {_list(harm)}.",
    ]
    if _measured("probe", table):
        said += _hidden(table, methods)
    if _measured("accuracy_corrected", table):
        said.append(_healed(table, methods))
    if len(refused):
        said.append(f"Refused the request: {_list(list(dict.fromkeys(refused['model'])))}.")
    return " ".join(said)


def _measured(figure: str, table: pd.DataFrame) -> bool:
    return figure in table and bool(table[figure].notna().any())


def _hidden(table: pd.DataFrame, methods: list[str]) -> list[str]:
    """Methods that forget a class cheaply, and those of them whose embeddings know it as the original's do."""
    mean = table.groupby("model")[["accuracy_forget", "accuracy_kept", "probe", "share"]].mean()
    kept, probe = _of_retrained(table, "accuracy_kept"), _of_retrained(table, "probe")
    clean = [
        model
        for model in methods
        if mean["accuracy_forget"][model] < 0.01 and mean["accuracy_kept"][model] > kept - 0.01
    ]
    cheap = [model for model in clean if mean["share"][model] < 0.1]
    before = mean["probe"]["before"]
    hiding = [model for model in clean if mean["probe"][model] > (probe + before) / 2]
    said = (
        f"Of these only hide the class (their probe is nearer to that of doing nothing, {before:.3f}, than to that of "
        f"retraining, {probe:.3f}): {_list(hiding)}."
    )
    if before - probe < TOLD_APART:
        said = (
            f"The probe cannot tell here which only hide it: {before:.3f} of doing nothing, {probe:.3f} of retraining."
        )
    return [
        f"Under 1 % on forgotten rows and within a point of retraining on kept classes: {_list(clean)}; with less than "
        f"a tenth of the samples: {_list(cheap)}.",
        said,
    ]


def _healed(table: pd.DataFrame, methods: list[str]) -> str:
    """Methods that win back most of what retraining without any wrong row wins on affected rows, and keep the rest."""
    mean = table.groupby("model")[["accuracy_corrected", "accuracy_test"]].mean()
    before, best = mean["accuracy_corrected"]["before"], _of_retrained(table, "accuracy_corrected")
    won = (mean["accuracy_corrected"] - before) / (best - before)
    healing = [
        model
        for model in methods
        if best > before and won[model] > 0.8 and mean["accuracy_test"][model] > mean["accuracy_test"]["before"] - HARM
    ]
    top = max(methods, key=lambda model: float(won[model]))
    return (
        f"Retraining without any of these rows lifts the corrected accuracy from {before:.3f} to {best:.3f}; four "
        f"fifths of that, at no more than five points on the test rows, are won by: {_list(healing)}; the most by "
        f"{top} ({mean['accuracy_corrected'][top]:.3f})."
    )


def _list(names: list[Any]) -> str:
    return ", ".join(names) if names else "none"
