"""Forgetting from trained classifiers: every method beside controls, retrained models, and doing nothing.

``python -m benchmarks.cifar``, ``benchmarks.digits`` and ``benchmarks.text`` run it. The controls read a tenth or a
fifth of the samples of retraining: `from scratch` from untrained weights, `continued` from the trained ones; with a
fifth also in batches a quarter as large, and so in four times as many steps. `before` does nothing, `null` is a second
retrained model.

Every scenario of every seed has an original model (one for all scenarios that do not change the data) and references
that were trained without all rows in question. Models are kept in the folder given by ``--resume``, under a hash of
what made them, and the results file is written after every scenario, so that a run that is broken off goes on. Defaults
were not tuned on these seeds.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

import mlunlearn.approximate
from benchmarks.classification_figures import Figures
from benchmarks.classification_scenarios import (
    DISCOVERED,
    SCENARIOS,
    Data,
    Scenario,
    Task,
    fit,
    memorisation,
    scenarios,
)
from benchmarks.common import RESULTS, Trained, write_results
from mlunlearn.approximate import EditedClassifier, FineTuneClassifier, RestartClassifier

CONTROL_BUDGETS = (0.1, 0.2)
SMALL_BATCH, SMALL_LR = 16, 7.5e-3
"""Of the controls in small batches: those of Relearn, in networks that learn in batches of 64."""
NO_METHODS = (EditedClassifier, RestartClassifier)
PUBLISHED = ("BadTeacher", "IAU", "LAF", "Potion", "SCRUB", "SSD", "SalUn")


# ----------------------------------------------------------------- methods


def methods(task: Task, scenario: str, frozen: FrozenEstimator, seed: int) -> dict[str, EditedClassifier]:
    """The controls at each budget, every method with its defaults, and some with the settings of their papers."""
    found: dict[str, EditedClassifier] = {}
    for budget in CONTROL_BUDGETS:
        how = {"budget": budget, "random_state": seed}
        found[f"from scratch ({budget:g})"] = RestartClassifier(frozen, **how)
        found[f"continued ({budget:g})"] = FineTuneClassifier(frozen, lr=1e-2, decay=True, **how)
    small = {"budget": CONTROL_BUDGETS[-1], "batch_size": SMALL_BATCH, "lr": SMALL_LR, "random_state": seed}
    found[f"from scratch, small batches ({CONTROL_BUDGETS[-1]:g})"] = RestartClassifier(frozen, **small)
    found[f"continued, small batches ({CONTROL_BUDGETS[-1]:g})"] = FineTuneClassifier(frozen, decay=True, **small)
    for kind in kinds():
        name = kind.__name__.removesuffix("Classifier")
        found[name] = kind(frozen, random_state=seed)
        if name in PUBLISHED:
            found[f"{name} (published)"] = kind.published(frozen, **_published(name, scenario), random_state=seed)
    return found


def kinds() -> Iterator[type[EditedClassifier]]:
    """Every method but the control that starts from untrained weights."""
    for name in mlunlearn.approximate.__all__:
        kind = getattr(mlunlearn.approximate, name)
        if isinstance(kind, type) and issubclass(kind, EditedClassifier) and kind not in NO_METHODS:
            yield kind


def _published(name: str, scenario: str) -> dict[str, str]:
    if name == "LAF":
        return {"scenario": {"class": "class", "mislabelled": "noise"}.get(scenario, "data")}
    if name == "SSD":
        return {"scenario": "class" if scenario == "class" else "random"}
    return {}


def fitted(method: EditedClassifier, train: Data, task: Task) -> EditedClassifier:
    """Give a method the training data, and the rows held out where it takes some."""
    held_out = {"held_out": task.held_out} if method.takes_held_out or "held_out" in method.needs else {}
    return method.fit(*train, **held_out)


def forget(method: EditedClassifier, scenario: Scenario, task: Task) -> EditedClassifier:
    """Have a method serve the request."""
    fitted(method, scenario.train, task)
    return method.unlearn(classes=list(scenario.classes)) if scenario.classes else method.unlearn(scenario.asked)


# --------------------------------------------------------------------- run


def run_scenario(
    task: Task,
    name: str,
    scenario: Scenario,
    original: tuple[Any, float],
    seed: int,
    trained: Trained,
    chosen: Collection[str] = (),
) -> pd.DataFrame:
    """Measure every model of a scenario, or of the methods those that are chosen."""
    X, y = scenario.train
    kept = ~scenario.gone
    fits = [
        trained(f"retrained {k}", partial(fit, task, (X[kept], y[kept]), 1000 + 10 * seed + k))
        for k in range(task.n_references)
    ]
    figures = Figures(task, scenario, [model for model, _ in fits], original[0], seed)
    everyone = list(range(task.n_references))
    rows = []
    for k, kind in enumerate(("retrained", "null")):
        others = [j for j in everyone if j != k]
        rows.append(
            {"model": kind, "seconds": fits[k][1], "share": 1.0, **figures.of(fits[k][0], others, judged=False)}
        )
    rows.append({"model": "before", "seconds": 0.0, "share": 0.0, **figures.of(original[0], everyone)})
    for called, method in methods(task, name, FrozenEstimator(original[0]), seed).items():
        if chosen and called not in chosen:
            continue
        place = f"{called} {made_of(method)}"
        found, _ = trained(place, partial(_measured, figures, method, everyone, trained.clock))
        rows.append({"model": called, **found})
        print(f"{task.name} {seed} {name}: {called} {found.get('seconds', 0):.1f} s", flush=True)
    return pd.DataFrame(rows).assign(scenario=name, seed=seed)


def made_of(method: EditedClassifier) -> str:
    """Hash of a method's settings, and of the code of the files in which its own classes are written."""
    settings = {name: value for name, value in method.get_params(deep=False).items() if name != "estimator"}
    files = {inspect.getfile(kind) for kind in type(method).__mro__ if "mlunlearn.approximate" in kind.__module__}
    return key_of(settings=settings, files=[_code(Path(file).read_text(encoding="utf-8")) for file in sorted(files)])


def _code(source: str) -> str:
    """What a file does: without comments, and without docstrings, which words alone change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _measured(
    figures: Figures, method: EditedClassifier, references: list[int], clock: Callable[[], float]
) -> dict[str, Any]:
    started = clock()
    try:
        model = forget(method, figures.scenario, figures.task)
    except (ValueError, FloatingPointError) as error:  # it does not serve such requests, or its numbers overflow
        return {"refused": str(error)}
    seconds, share = clock() - started, model.receipts_[-1].retrained_share
    return {"seconds": seconds, "share": share, **figures.of(model, references)}


def run(task: Task, seeds: list[int], wanted: list[str], folder: Path, key: str, chosen: Collection[str] = ()) -> None:
    """Measure seed by seed, all scenarios of one before the next, and write what there is.

    Where methods are chosen, rows of the results file that are not measured anew stay in it.
    """
    torch.set_num_threads(1)
    clock = time.process_time if task.device == "cpu" else time.perf_counter
    tables: list[pd.DataFrame] = []
    masks: dict[str, dict[str, str]] = {}
    for seed in seeds:
        for name in wanted:
            trained = Trained(folder / f"{task.name} {key}" / f"seed {seed}", clock)
            scenario = scenarios(task, seed, partial(memorisation, task, seed, trained))[name]()
            place = trained.inside(name)
            original = (place if scenario.own_data else trained)("original", partial(fit, task, scenario.train, seed))
            tables.append(run_scenario(task, name, scenario, original, seed, place, chosen))
            masks.setdefault(name, {})[str(seed)] = _packed(scenario.asked)
            _write(task, key, pd.concat(tables), masks, keeping=bool(chosen))


def _packed(mask: np.ndarray) -> str:
    """A mask as base64 of its bits, eight rows a byte, the first row in the highest bit."""
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def _write(task: Task, key: str, rows: pd.DataFrame, masks: dict[str, Any], *, keeping: bool = False) -> None:
    path = RESULTS / f"classification_{task.name}.json"
    if keeping and path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["key"] != key:
            raise ValueError(f"{path.name} holds figures of other models; measure all methods, or move it away.")
        rows = _joined(pd.DataFrame(earlier["rows"]), rows)
        masks = {name: earlier["asked"].get(name, {}) | masks.get(name, {}) for name in {**earlier["asked"], **masks}}
    results = {
        "task": task.name,
        "note": task.note,
        "key": key,
        "seeds": rows["seed"].unique().tolist(),
        "n_references": task.n_references,
        "discovered": DISCOVERED,
        "asked": masks,
        "rows": json.loads(rows.to_json(orient="records", double_precision=5)),
    }
    write_results(f"classification_{task.name}", results)


def _joined(earlier: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Put rows beside those of other models, scenarios and seeds."""
    both = pd.concat([earlier, rows], ignore_index=True)
    return both.drop_duplicates(["model", "scenario", "seed"], keep="last", ignore_index=True)


def key_of(**settings: Any) -> str:
    """Hash of what the models of a run are made of."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def arguments(description: str | None, names: Sequence[str] = SCENARIOS) -> argparse.ArgumentParser:
    """Options that every task has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scenarios", nargs="+", choices=names, default=list(names))
    parser.add_argument("--methods", nargs="+", default=[], help="names as in the table; all by default")
    parser.add_argument("--resume", type=Path, default=RESULTS.parent / ".models", help="folder of trained models")
    return parser
